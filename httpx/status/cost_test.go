package status_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/status"
	"github.com/prusik-go/prusik/ratelimit"
)

// cheap answers without allocating more than it must.
type cheap struct{ resp *http.Response }

func (c cheap) RoundTrip(*http.Request) (*http.Response, error) {
	r := *c.resp
	return &r, nil
}

// events are what a client may tell.
func events() map[string]httpx.Event {
	return map[string]httpx.Event{
		"attempt":   {Status: httpx.StatusAttempt, Service: "vendor", Attempt: 1},
		"again":     {Status: httpx.StatusAttempt, Service: "vendor", Attempt: 2},
		"succeeded": {Status: httpx.StatusSucceeded, Service: "vendor", Attempt: 1, Delivery: errors.Delivered},
		"retrying":  {Status: httpx.StatusRetrying, Service: "vendor", Attempt: 2, Reason: "503", NextRetryIn: time.Second, CorrelationID: "id"},
		"refused":   {Status: httpx.StatusCircuitOpen, Service: "vendor", Stop: errors.StopBreakerOpen, NextRetryIn: time.Second, CorrelationID: "id"},
		"failed":    {Status: httpx.StatusFailed, Service: "vendor", Stop: errors.StopBreakerOpen},
		"unknown":   {Status: httpx.StatusSucceeded, Service: "nobody"},
	}
}

func TestTheHooksAllocateNothing(t *testing.T) {
	notUnderRace(t)
	s := newStatus(t, status.Config{})
	watch(t, s, "vendor", httpx.Config{Base: up()})
	limiter(t, s, ratelimit.Config{})
	c := s.WatchClient(httpx.Config{})
	l := s.WatchLimiter(ratelimit.Config{})
	for name, e := range events() {
		require.Zero(t, testing.AllocsPerRun(1000, func() { c.Hooks.OnEvent(e) }), name)
	}
	states := []breaker.State{breaker.Open, breaker.HalfOpen, breaker.Closed}
	n := 0
	require.Zero(t, testing.AllocsPerRun(1000, func() { // each one is an entry of its own
		n++
		c.Breaker.Hooks.OnTransition(breaker.TransitionEvent{Name: "vendor/host.test", To: states[n%3], Reason: breaker.ReasonReady})
	}))
	for _, verdict := range []ratelimit.Verdict{ratelimit.Allowed, ratelimit.Denied, ratelimit.WouldDeny, ratelimit.Exempt} {
		require.Zero(t, testing.AllocsPerRun(1000, func() {
			l.Hooks.OnDecision(ratelimit.DecisionEvent{Name: "api", Key: "somebody", Verdict: verdict, Policy: "2/minute"})
		}), verdict)
	}
}

func TestACallThatIsWatchedAllocatesAsMuch(t *testing.T) {
	notUnderRace(t)
	s := newStatus(t, status.Config{})
	base := cheap{&http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody}}
	bare, err := httpx.NewClient("vendor", httpx.Config{Base: base})
	require.NoError(t, err)
	watched := watch(t, s, "vendor", httpx.Config{Base: base})
	require.InDelta(t, allocs(t, bare), allocs(t, watched), 0)
	require.Positive(t, only(t, s).Calls)
}

func allocs(t *testing.T, c *http.Client) float64 {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://vendor.test/", http.NoBody)
	require.NoError(t, err)
	return testing.AllocsPerRun(1000, func() {
		if resp, err := c.Do(req); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	})
}

func BenchmarkHook(b *testing.B) {
	s := newStatus(b, status.Config{})
	watch(b, s, "vendor", httpx.Config{Base: up()})
	hook := s.WatchClient(httpx.Config{}).Hooks.OnEvent
	for name, e := range events() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				hook(e)
			}
		})
	}
}

// BenchmarkCall is a call through the pipeline with and without somebody to hear of it, on a base that costs nothing.
func BenchmarkCall(b *testing.B) {
	base := cheap{&http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody}}
	for _, shut := range []bool{false, true} {
		for _, heard := range []bool{false, true} {
			name := map[bool]string{false: "closed", true: "open"}[shut] + map[bool]string{false: "-alone", true: "-watched"}[heard]
			b.Run(name, func(b *testing.B) {
				cfg := httpx.Config{Base: base}
				if heard {
					cfg = newStatus(b, status.Config{}).WatchClient(cfg)
				}
				t, err := httpx.NewTransport("vendor", cfg)
				require.NoError(b, err)
				if shut {
					t.Breaker().ForceOpen()
				}
				req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://vendor.test/", http.NoBody)
				require.NoError(b, err)
				b.ReportAllocs()
				for b.Loop() {
					if resp, err := t.RoundTrip(req); err == nil {
						_ = resp.Body.Close()
					}
				}
			})
		}
	}
}

// BenchmarkJSON is one look at 20 clients, of which 15 are down.
func BenchmarkJSON(b *testing.B) {
	s := newStatus(b, status.Config{Refresh: 50 * time.Millisecond})
	for i := range 20 {
		base := down()
		if i%4 == 0 {
			base = up()
		}
		get(b, watch(b, s, "vendor"+strconv.Itoa(i), httpx.Config{Base: base}))
	}
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/", http.NoBody)
		s.ServeHTTP(httptest.NewRecorder(), r) // with what is on the path, and without the comparison
	}
}

func notUnderRace(t *testing.T) {
	t.Helper()
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
}
