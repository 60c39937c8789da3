package metrics_test

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/metrics"
	"github.com/prusik-go/prusik/ratelimit"
)

// observations are what is counted on the path of a request.
func observations(tb testing.TB, m *metrics.Metrics) map[string]func() {
	tb.Helper()
	c := client(tb, m, "vendor")
	b, l := m.BreakerHooks(), m.LimiterHooks()
	return map[string]func(){
		"a call": func() {
			c.Ended(metrics.Call{Method: "GET", Attempts: 1, Duration: 20 * time.Millisecond})
		},
		"a failed call": func() {
			c.Ended(metrics.Call{Method: "POST", Kind: errors.VendorTimeout, Stop: errors.StopUnsafeMethod, Attempts: 1, Duration: time.Second})
		},
		"a refused call": func() {
			c.Ended(metrics.Call{Method: "POST", Kind: errors.CircuitOpen, Stop: errors.StopBreakerOpen})
		},
		"an attempt": func() {
			c.Attempted(metrics.Attempt{Delivery: errors.Delivered, Duration: 20 * time.Millisecond})
		},
		"a retry": func() {
			c.Attempted(metrics.Attempt{Reason: "503", Retries: "503", Duration: time.Second})
		},
		"a breaker's failure": func() { b.OnCount(breaker.CountEvent{Name: "vendor", What: breaker.CountFailure}) },
		"a rejection in a group": func() {
			b.OnCount(breaker.CountEvent{Name: "group/a.vendor.test", What: breaker.CountRejection})
		},
		"a breaker's transition": func() {
			b.OnTransition(breaker.TransitionEvent{Name: "vendor", From: breaker.Closed, To: breaker.Open})
		},
		"a decision": func() { l.OnDecision(ratelimit.DecisionEvent{Name: "api", Verdict: ratelimit.Allowed}) },
		"a denial": func() {
			l.OnDecision(ratelimit.DecisionEvent{Name: "api", Verdict: ratelimit.Denied, Policy: "10/minute"})
		},
		"a store's error": func() { l.OnError(ratelimit.ErrorEvent{Name: "api", Outage: ratelimit.FailOpen}) },
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	m, _ := start(t, metrics.Config{})
	for name, observe := range observations(t, m) {
		observe()
		require.Zero(t, testing.AllocsPerRun(1000, observe), name)
	}
	c := client(t, m, "traced")
	for _, flags := range []string{"00", "01"} {
		ctx := traced(t, flags)
		observe := func() { c.Ended(metrics.Call{Attempts: 1, Duration: time.Second, TraceID: c.Trace(ctx)}) }
		observe() // the first one takes the exemplar
		require.Zero(t, testing.AllocsPerRun(100, observe), "flags %s", flags)
	}

	h := m.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }))
	w, r := httptest.NewRecorder(), request("GET", "/")
	require.LessOrEqual(t, testing.AllocsPerRun(1000, func() { h.ServeHTTP(w, r) }), 1.0, "the writer")

	next := answer(200)
	resp, err := next(r)
	require.NoError(t, err)
	transport, err := m.Transport("crm", roundTrip(func(*http.Request) (*http.Response, error) { return resp, nil }))
	require.NoError(t, err)
	require.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = transport.RoundTrip(r) }))
}

func BenchmarkObserve(b *testing.B) {
	m, _ := start(b, metrics.Config{})
	for name, observe := range observations(b, m) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				observe()
			}
		})
	}
}

func BenchmarkHandler(b *testing.B) {
	m, _ := start(b, metrics.Config{})
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })
	for name, h := range map[string]http.Handler{"bare": next, "counted": m.Handler(next)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			w, r := httptest.NewRecorder(), request("GET", "/")
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}

func BenchmarkScrape(b *testing.B) {
	m, reg := start(b, metrics.Config{})
	var kept []any
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"} {
		kept = append(kept, client(b, m, name))
		br, err := breaker.New(name, breaker.Config{Hooks: m.BreakerHooks()})
		require.NoError(b, err)
		m.AddBreaker(br)
		kept = append(kept, br)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := reg.Gather(); err != nil {
			b.Fatal(err)
		}
	}
	runtime.KeepAlive(kept)
}
