package bench

import (
	"net"
	"net/http"
	"time"

	"github.com/go-chi/httprate"

	"github.com/prusik-go/prusik/ratelimit"
)

// The names of limiters.
const (
	Unlimited    = "no limit"
	Httprate     = "httprate v0.16.1"
	PrusikLimit  = "Prusik ratelimit"
	PrusikLimits = "Prusik ratelimit, three limits"
)

// Limiters returns every limiter by address, httprate's first. All of them write their fields, and refuse nobody. Where keys
// are many each owes for so long that all of them are kept, as httprate keeps its own for an hour and more.
func Limiters(keys int) []Served {
	rate := ratelimit.Limit{Count: 1, Period: time.Second, Burst: wide}
	if keys > 10_000 {
		rate = ratelimit.Limit{Count: 1, Period: time.Hour, Burst: 80_000}
	}
	return []Served{
		{Name: Httprate, Field: "X-Ratelimit-Remaining", New: func(next http.HandlerFunc) (http.Handler, error) {
			return httprateLimit(next), nil
		}},
		{Name: Unlimited, New: func(next http.HandlerFunc) (http.Handler, error) { return next, nil }},
		{Name: PrusikLimit, Field: "Ratelimit", New: func(next http.HandlerFunc) (http.Handler, error) {
			return prusikLimit(next, rate)
		}},
		{Name: PrusikLimits, Field: "Ratelimit", New: func(next http.HandlerFunc) (http.Handler, error) {
			return prusikLimit(next, rate, times(rate, 2), times(rate, 3))
		}},
	}
}

// wide is a burst that no run reaches.
const wide = 100_000_000

// times is the same rate in other words.
func times(l ratelimit.Limit, n int64) ratelimit.Limit {
	l.Count, l.Period = l.Count*n, l.Period*time.Duration(n)
	return l
}

func httprateLimit(next http.Handler) http.Handler {
	return httprate.LimitBy(wide, time.Hour, remoteIP)(next)
}

// remoteIP is httprate's KeyByIP, for its constructor that is not deprecated.
func remoteIP(r *http.Request) (string, error) {
	ip, _, err := net.SplitHostPort(r.RemoteAddr)
	return httprate.CanonicalizeIP(ip), err
}

func prusikLimit(next http.Handler, limits ...ratelimit.Limit) (http.Handler, error) {
	l, err := ratelimit.New("bench", ratelimit.Config{Limits: limits})
	if err != nil {
		return nil, err
	}
	return l.Handler(ratelimit.RemoteAddr)(next), nil
}
