package ratelimittest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/ratelimit"
	"github.com/prusik-go/prusik/ratelimit/ratelimittest"
)

// fakeT collects failures.
type fakeT struct {
	testing.TB

	failures []string
}

func (*fakeT) Helper()                     {}
func (t *fakeT) Errorf(f string, a ...any) { t.failures = append(t.failures, fmt.Sprintf(f, a...)) }

func ok(http.ResponseWriter, *http.Request) {}

func limiter(t testing.TB, count int64) *ratelimit.Limiter {
	t.Helper()
	l, err := ratelimit.New("api", ratelimit.Config{Limits: ratelimit.Limits{{Count: count, Period: time.Hour}}})
	require.NoError(t, err)
	return l
}

// The lesson of the whole library: a limiter that exists, and one route that it is not on.
func TestANakedRouteIsFound(t *testing.T) {
	t.Parallel()
	limited := limiter(t, 10).Handler(ratelimit.RemoteAddr)
	mux := http.NewServeMux()
	mux.Handle("POST /calls", limited(http.HandlerFunc(ok)))
	mux.Handle("POST /sms", limited(http.HandlerFunc(ok)))
	mux.Handle("GET /naked", http.HandlerFunc(ok))
	fake := &fakeT{TB: t}
	ratelimittest.RequireLimited(fake, mux, "POST /calls", "GET /naked", "POST /sms", "/naked")
	require.Equal(t, []string{
		"ratelimittest: GET /naked is not limited: 1000 requests from one client, and none was refused for its rate; the last was answered with 200",
		"ratelimittest: /naked is not limited: 1000 requests from one client, and none was refused for its rate; the last was answered with 200",
	}, fake.failures)
	ratelimittest.RequireLimited(t, mux, "POST /calls", "POST   /sms ")
}

func TestWhatIsNoLimitIsFound(t *testing.T) {
	t.Parallel()
	problem := func(kind errors.Kind) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _ = errors.Write(w, r, kind) })
	}
	shadow, err := ratelimit.New("api", ratelimit.Config{Limits: ratelimit.Limits{{Count: 1, Period: time.Hour}}, Mode: ratelimit.Shadow})
	require.NoError(t, err)
	forged := limiter(t, 10).Handler(func(r *http.Request) (string, error) { return fmt.Sprintf("%p", r), nil })
	for want, tc := range map[string]struct {
		h     http.Handler
		route string
	}{
		"it refuses the first request":   {problem(errors.RateLimited), "/"},
		"the last was answered with 429": {http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) }), "/"},
		"20 requests from one client, and none was refused for its rate; the last was answered with 429": {http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(429)
			_, _ = w.Write([]byte(`{"kind":"conflict"}`))
		}), "/"},
		"the last was answered with 503":       {problem(errors.VendorRateLimited), "/"},
		"the last was answered with 404":       {http.NewServeMux(), "/typo"},
		"the last was answered with 200":       {shadow.Handler(ratelimit.RemoteAddr)(http.HandlerFunc(ok)), "/"},
		"none was refused":                     {forged(http.HandlerFunc(ok)), "/"},
		"the last was answered with 500":       {limiter(t, 1).Handler(nil)(http.HandlerFunc(ok)), "/"},
		"the handler panics: boom":             {http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") }), "/"},
		`"POST calls" is no route such as "GE`: {http.HandlerFunc(ok), "POST calls"},
		`"P@ST /calls" is no route such as "G`: {http.HandlerFunc(ok), "P@ST /calls"},
		`"GET /a b" is no route such as "GET `: {http.HandlerFunc(ok), "GET /a b"},
		`"GET /%zz" is no route such as "GET `: {http.HandlerFunc(ok), "GET /%zz"},
	} {
		fake := &fakeT{TB: t}
		ratelimittest.Burst{Max: 20}.RequireLimited(fake, tc.h, tc.route)
		require.Len(t, fake.failures, 1, want)
		require.Contains(t, fake.failures[0], want)
	}
	fake := &fakeT{TB: t}
	ratelimittest.RequireLimited(fake, http.NotFoundHandler())
	require.Len(t, fake.failures, 1, "no routes")
}

func TestABurstMayBePrepared(t *testing.T) {
	t.Parallel()
	h := limiter(t, 10).Handler(ratelimit.Header("X-API-Key"))(http.HandlerFunc(ok))
	sent := 0
	ratelimittest.Burst{Prepare: func(r *http.Request) {
		sent++
		r.Header.Set("X-API-Key", "test"+strings.Repeat("x", strings.Count(r.URL.Path, "2")))
	}}.RequireLimited(t, h, "GET /1", "PUT /2")
	require.Equal(t, 22, sent)
}

// A HEAD is answered without a body, so that a limit on it went unseen.
func TestHeadIsKnownByItsHeader(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.Handle("GET /", limiter(t, 10).Handler(ratelimit.RemoteAddr)(http.HandlerFunc(ok)))
	ratelimittest.RequireLimited(t, mux, "HEAD /")
	mux.HandleFunc("HEAD /vendor", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) })
	fake := &fakeT{TB: t}
	ratelimittest.Burst{Max: 20}.RequireLimited(fake, mux, "HEAD /vendor")
	require.Len(t, fake.failures, 1)
}

func TestPatternsOfAServeMuxAreRoutes(t *testing.T) {
	t.Parallel()
	limited := limiter(t, 10).Handler(ratelimit.RemoteAddr)
	patterns := []string{"GET /{$}", "POST /calls/{id}", "PUT /calls/{id}/notes/{note}", "GET /files/{path...}", "GET /static/"}
	mux := http.NewServeMux()
	hits := map[string]int{}
	for _, p := range patterns {
		mux.Handle(p, limited(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { hits[r.Pattern]++ })))
	}
	mux.Handle("GET /", http.HandlerFunc(ok)) // what a route that is not met would fall to
	ratelimittest.RequireLimited(t, mux, patterns...)
	for _, p := range patterns {
		require.Equal(t, 10, hits[p], p)
	}
	fake := &fakeT{TB: t}
	ratelimittest.RequireLimited(fake, mux, "GET /else")
	require.Len(t, fake.failures, 1)
}
