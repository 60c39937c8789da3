package status

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/flags"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/ratelimit"
)

// Status hears what clients and limiters decide, and shows it. It is an [http.Handler], safe for concurrent use, and is
// made by [New].
type Status struct {
	cfg     Config
	page    page
	closed  chan struct{}
	once    sync.Once
	readers atomic.Int64
	last    shot

	sources atomic.Pointer[map[string]*source] // by name; replaced, never changed

	mu       sync.Mutex
	clients  []watched[*httpx.Transport]
	limiters []watched[*ratelimit.Limiter]
	flags    []*flags.Set
	omitted  int
}

// New returns a Status that has heard of nothing yet. The error names every field of cfg that is wrong.
func New(cfg Config) (*Status, error) {
	cfg, err := cfg.settle()
	if err != nil {
		return nil, err
	}
	s := &Status{cfg: cfg, page: newPage(), closed: make(chan struct{})}
	s.sources.Store(&map[string]*source{})
	return s, nil
}

// Close ends all streams, so that a server can shut down without waiting for those who watch:
// server.RegisterOnShutdown(s.Close). What is asked later is still answered.
func (s *Status) Close() { s.once.Do(func() { close(s.closed) }) }

// ServeHTTP answers a GET by what it accepts: text/html is the page, text/event-stream a stream of events named "state", and
// all else the [State] as JSON. A POST is a command: {"client":"twilio","breaker":"twilio","command":"force_open"}, see
// [Config.Guard] and [Command]; it is answered with the [Breaker] as JSON. So is one to a flag with the [Flag]:
// {"flag":"CIRCUIT_BREAKER_THRESHOLD","command":"override","value":"5","reason":"it limps","for_seconds":600}. It is the same at every path, so mount it at one.
func (s *Status) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Vary", "Accept")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	switch {
	case r.Method == http.MethodPost && s.cfg.Guard != nil:
		s.serveCommand(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		s.notAllowed(w)
	case accepts(r, "text/event-stream"):
		s.serveStream(w, r)
	case accepts(r, "text/html"):
		s.page.serve(w, r)
	default:
		writeJSON(w, r, s.State())
	}
}

// accepts is all the negotiation that three kinds of reader need: a browser names text/html, an EventSource its own type.
func accepts(r *http.Request, mediaType string) bool {
	for _, v := range r.Header.Values("Accept") {
		for one := range strings.SplitSeq(v, ",") {
			one, _, _ = strings.Cut(one, ";")
			if strings.EqualFold(strings.TrimSpace(one), mediaType) {
				return true
			}
		}
	}
	return false
}

func (s *Status) notAllowed(w http.ResponseWriter) {
	allow := "GET, HEAD"
	if s.cfg.Guard != nil {
		allow += ", POST"
	}
	h := w.Header()
	h.Set("Allow", allow)
	h.Set("Content-Type", errors.ContentType)
	h.Set("Cache-Control", "no-store")
	body, _ := json.Marshal(errors.Problem{ // strings and a number
		Title: http.StatusText(http.StatusMethodNotAllowed), Status: http.StatusMethodNotAllowed, Kind: errors.Invalid,
		Detail: "This status is read-only.", CorrelationID: h.Get(correlationHeader),
	})
	w.WriteHeader(http.StatusMethodNotAllowed)
	_, _ = w.Write(body)
}

func writeJSON(w http.ResponseWriter, r *http.Request, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		_ = errors.Write(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(append(body, '\n'))
	}
}
