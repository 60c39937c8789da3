package breaker_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
)

func TestNothingIsAllocated(t *testing.T) {
	ctx := t.Context()
	closed := newBreaker(t, breaker.Config{})
	failing := newBreaker(t, breaker.Config{Failures: 100_000})
	timed := newBreaker(t, breaker.Config{FailureRatio: 1})
	slow := newBreaker(t, breaker.Config{SlowCall: time.Minute})
	changed := newBreaker(t, breaker.Config{FailureRatio: 1, SlowCall: time.Minute})
	require.NoError(t, changed.Reconfigure(breaker.Config{}))
	hooked := newBreaker(t, breaker.Config{Failures: 1, Hooks: breaker.Hooks{
		OnReject:  func(breaker.RejectEvent) {},
		OnOutcome: func(breaker.OutcomeEvent) {},
	}})
	open := opened(t, breaker.Config{})
	openHooked := opened(t, breaker.Config{Hooks: breaker.Hooks{OnReject: func(breaker.RejectEvent) {}}})
	shadow := opened(t, breaker.Config{Mode: breaker.Shadow})
	probing := opened(t, breaker.Config{OpenFor: 1, ProbeSuccesses: 1_000_000})
	group := newGroup(t, 10)
	group.Get("a")
	response := &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}
	transport := closed.Transport(roundTrip(func(*http.Request) (*http.Response, error) { return response, nil }))
	req := request(t, nil)
	use := func(b *breaker.Breaker, o breaker.Outcome) func() {
		return func() { p, _, _ := b.TryAcquire(); p.Done(o) }
	}
	for name, f := range map[string]func(){
		"closed, success":          use(closed, ok),
		"closed, ignored":          use(closed, ign),
		"closed, failure":          use(failing, bad),
		"changed, success":         use(changed, ok),
		"time window":              use(timed, ok),
		"slow call":                use(slow, ok),
		"hooks":                    use(hooked, ok),
		"open":                     use(open, ok),
		"open with a hook":         use(openHooked, ok),
		"shadow":                   use(shadow, ok),
		"probe":                    use(probing, ok),
		"Do":                       func() { _, _ = breaker.Do(ctx, closed, succeed) },
		"Do that fails":            func() { _, _ = breaker.Do(ctx, failing, fail) },
		"Transport":                func() { _, _ = transport.RoundTrip(req) },
		"Snapshot":                 func() { _ = open.Snapshot() },
		"a hit in a group":         func() { group.Get("a") },
		"DefaultClassify":          func() { _ = breaker.DefaultClassify(errVendor) },
		"DefaultClassify deadline": func() { _ = breaker.DefaultClassify(context.DeadlineExceeded) },
	} {
		require.Zero(t, testing.AllocsPerRun(200, f), name)
	}
	require.Equal(t, breaker.Closed, hooked.State())
	require.Equal(t, breaker.Open, open.State())
	require.Equal(t, breaker.HalfOpen, probing.State())
}

func BenchmarkClosed(b *testing.B) {
	ctx := b.Context()
	for name, cfg := range map[string]breaker.Config{
		"count":     {},
		"time":      {FailureRatio: 0.5},
		"slow":      {SlowCall: time.Minute},
		"OnOutcome": {Hooks: breaker.Hooks{OnOutcome: func(breaker.OutcomeEvent) {}}},
	} {
		br := newBreaker(b, cfg)
		b.Run(name+"/TryAcquire", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p, _, _ := br.TryAcquire()
				p.Done(ok)
			}
		})
		b.Run(name+"/Do", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = breaker.Do(ctx, br, succeed)
			}
		})
		b.Run(name+"/Do parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					_, _ = breaker.Do(ctx, br, succeed)
				}
			})
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	br := opened(b, breaker.Config{OpenFor: time.Hour})
	b.Run("TryAcquire", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			br.TryAcquire()
		}
	})
	b.Run("Do", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = breaker.Do(b.Context(), br, succeed)
		}
	})
}

func BenchmarkGroup(b *testing.B) {
	g := newGroup(b, 100)
	for i := range 100 {
		g.Get(string(rune('a' + i)))
	}
	b.ReportAllocs()
	for b.Loop() {
		g.Get("b")
	}
}
