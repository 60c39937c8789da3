package status

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/prusik-go/prusik/internal/check"
)

// Config is the configuration of a [Status]. The zero value works, and is read-only. No field has an off.
type Config struct {
	// Guard decides who may give commands. It returns who asks, for the audit, or an error: an [errors.Error] is answered by
	// its kind (say unauthenticated, 401), any other by 403, and its text goes to the audit and to nobody else. It
	// runs after the request was found not to come from another site. Nil: there are no commands, a POST is a 405.
	Guard func(*http.Request) (who string, err error)
	// CrossOrigin says which requests come from this site. Nil: [http.CrossOriginProtection] without exceptions.
	CrossOrigin *http.CrossOriginProtection

	// Refresh is the time between two looks at the gauges while somebody watches, and so the longest that a page lags
	// behind, but for the network. Zero: 500 ms, half of the second within which an outage is to be seen. 50 ms to 1 min.
	Refresh time.Duration
	// Beat is the longest a stream stays silent while nothing changes. Zero: 5 s, a third of the time after which the page
	// says that it hears nothing. 100 ms to 10 s.
	Beat time.Duration
	// MaxStream ends a stream; the page comes back by itself. Zero: 5 minutes, as [httpx.EventStream]. 1 s to 24 h.
	MaxStream time.Duration
	// MaxReaders is how many streams are served at a time, 503 beyond. Zero: 64, for people watch this, not users. 1 to
	// 10,000.
	MaxReaders int

	// Keep is how many recent decisions are kept of each client and limiter, and how many are shown of all together. Zero:
	// 100, two screens of them. 1 to 10,000, at some 250 bytes each.
	Keep int
	// MaxWatched is how many clients, limiters and sets of flags are listed, of each. Those made beyond it are counted as omitted and
	// told to Logger: it bounds the memory of a program that makes clients without end. Zero: 256. 1 to 10,000.
	MaxWatched int

	// Hooks hear of every command, carried out or refused.
	Hooks Hooks
	// Logger gets one record for each command, at level Warn, and one for a client that is not listed. Nil is silent.
	Logger *slog.Logger
}

func (c Config) settle() (Config, error) {
	f := check.New("httpx/status", "status")
	for _, d := range []struct {
		name             string
		value            *time.Duration
		zero, least, max time.Duration
	}{
		{"Refresh", &c.Refresh, 500 * time.Millisecond, 50 * time.Millisecond, time.Minute},
		{"Beat", &c.Beat, 5 * time.Second, 100 * time.Millisecond, 10 * time.Second},
		{"MaxStream", &c.MaxStream, 5 * time.Minute, time.Second, 24 * time.Hour},
	} {
		if *d.value == 0 {
			*d.value = d.zero
		}
		check.Range(f, d.name, *d.value, d.least, d.max)
	}
	for _, n := range []struct {
		name  string
		value *int
		zero  int
	}{
		{"MaxReaders", &c.MaxReaders, 64},
		{"Keep", &c.Keep, 100},
		{"MaxWatched", &c.MaxWatched, 256},
	} {
		if *n.value == 0 {
			*n.value = n.zero
		}
		check.Range(f, n.name, *n.value, 1, 10_000)
	}
	if c.CrossOrigin == nil {
		c.CrossOrigin = http.NewCrossOriginProtection()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, f.Err()
}
