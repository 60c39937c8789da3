package metrics_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/metrics"
)

func guard(t *testing.T, m *metrics.Metrics, name string, cfg breaker.Config) *breaker.Breaker {
	t.Helper()
	cfg.Hooks, cfg.Jitter = breaker.JoinHooks(m.BreakerHooks(), cfg.Hooks), -1
	b, err := breaker.New(name, cfg)
	require.NoError(t, err)
	m.AddBreaker(b)
	return b
}

func call(b *breaker.Breaker, o breaker.Outcome) bool {
	p, _, ok := b.TryAcquire()
	if ok {
		p.Done(o)
	}
	return ok
}

// The whole life of a breaker, each step seen at a scrape.
func TestABreakersLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, reg := start(t, metrics.Config{})
		b := guard(t, m, "vendor", breaker.Config{Failures: 2, OpenFor: time.Minute})
		see := func(want map[string]int) {
			t.Helper()
			require.Equal(t, want, only(samples(t, reg), "circuit_breaker"))
		}
		see(map[string]int{})
		all := samples(t, reg)
		for _, name := range []string{"failures_total", "opens_total", "rejections_total", "state", "ready_to_probe"} {
			require.Contains(t, all, "circuit_breaker_"+name+`{service="vendor"}`, "it is there before the first one, so that an increase shows")
		}
		require.Contains(t, all, `circuit_breaker_transitions_total{from="closed",service="vendor",to="open"}`)

		call(b, breaker.Failure)
		call(b, breaker.Ignored)
		call(b, breaker.Failure)
		require.False(t, call(b, breaker.Success))
		time.Sleep(time.Second)
		require.False(t, call(b, breaker.Success))
		want := map[string]int{
			`circuit_breaker_state{service="vendor"}`:                                     2,
			`circuit_breaker_next_probe_seconds{service="vendor"}`:                        59,
			`circuit_breaker_failures_total{service="vendor"}`:                            2,
			`circuit_breaker_opens_total{service="vendor"}`:                               1,
			`circuit_breaker_rejections_total{service="vendor"}`:                          2,
			`circuit_breaker_transitions_total{from="closed",service="vendor",to="open"}`: 1,
		}
		see(want)

		time.Sleep(59 * time.Second) // nobody calls: only the scrape can know
		delete(want, `circuit_breaker_next_probe_seconds{service="vendor"}`)
		want[`circuit_breaker_ready_to_probe{service="vendor"}`] = 1
		see(want)

		require.True(t, call(b, breaker.Success))
		delete(want, `circuit_breaker_ready_to_probe{service="vendor"}`)
		delete(want, `circuit_breaker_state{service="vendor"}`)
		want[`circuit_breaker_transitions_total{from="open",service="vendor",to="half-open"}`] = 1
		want[`circuit_breaker_transitions_total{from="half-open",service="vendor",to="closed"}`] = 1
		see(want)

		b.ForceOpen()
		require.False(t, call(b, breaker.Success))
		want[`circuit_breaker_state{service="vendor"}`] = 3
		want[`circuit_breaker_rejections_total{service="vendor"}`] = 3
		want[`circuit_breaker_transitions_total{from="closed",service="vendor",to="forced-open"}`] = 1
		see(want) // and not an opening of its own

		b.Disable()
		call(b, breaker.Failure)
		want[`circuit_breaker_state{service="vendor"}`] = 4
		want[`circuit_breaker_transitions_total{from="forced-open",service="vendor",to="disabled"}`] = 1
		see(want)
		runtime.KeepAlive(b)
	})
}

func TestLateFailuresAreCountedToo(t *testing.T) {
	m, reg := start(t, metrics.Config{})
	b := guard(t, m, "vendor", breaker.Config{Failures: 1})
	first, _, _ := b.TryAcquire()
	second, _, _ := b.TryAcquire()
	first.Done(breaker.Failure)
	second.Done(breaker.Failure)
	require.Equal(t, 2, samples(t, reg)[`circuit_breaker_failures_total{service="vendor"}`])
}

func TestABreakerInShadow(t *testing.T) {
	m, reg := start(t, metrics.Config{})
	b := guard(t, m, "vendor", breaker.Config{Failures: 1, Mode: breaker.Shadow})
	call(b, breaker.Failure)
	require.True(t, call(b, breaker.Success))
	got := only(samples(t, reg), "circuit_breaker_shadow", "circuit_breaker_rejections", "circuit_breaker_state")
	require.Equal(t, map[string]int{
		`circuit_breaker_shadow{service="vendor"}`:                  1,
		`circuit_breaker_shadow_rejections_total{service="vendor"}`: 1,
		`circuit_breaker_state{service="vendor"}`:                   2,
	}, got)
	runtime.KeepAlive(b)
}

func TestHooksOfOurUsersAreCalledToo(t *testing.T) {
	m, reg := start(t, metrics.Config{})
	heard := 0
	b := guard(t, m, "vendor", breaker.Config{Hooks: breaker.Hooks{OnOutcome: func(breaker.OutcomeEvent) { heard++ }}})
	call(b, breaker.Failure)
	call(b, breaker.Success)
	require.Equal(t, 2, heard)
	require.Equal(t, 1, samples(t, reg)[`circuit_breaker_failures_total{service="vendor"}`])
}

func TestAGroupOfBreakers(t *testing.T) {
	m, reg := start(t, metrics.Config{})
	g, err := breaker.NewGroup("vendor", breaker.GroupConfig{Breaker: breaker.Config{Failures: 1, Hooks: m.BreakerHooks()}})
	require.NoError(t, err)
	m.AddBreakers(g)
	call(g.Get("a.test"), breaker.Success)
	call(g.Get("b.test"), breaker.Failure)
	all := samples(t, reg)
	require.Equal(t, map[string]int{
		`circuit_breaker_state{key="b.test",service="vendor"}`:          2,
		`circuit_breaker_failures_total{key="b.test",service="vendor"}`: 1,
	}, only(all, "circuit_breaker_state", "circuit_breaker_failures"))
	require.Contains(t, all, `circuit_breaker_state{key="a.test",service="vendor"}`)
	require.Contains(t, all, `circuit_breaker_state{key="*",service="vendor"}`, "the overflow")

	for i := range 500 {
		call(g.Get(fmt.Sprintf("%d.test", i)), breaker.Failure)
	}
	all = samples(t, reg)
	require.Len(t, only(all, "circuit_breaker_state"), 63, "64 keys without a and *, which are closed, and other")
	require.Equal(t, 439, all[`circuit_breaker_failures_total{key="other",service="vendor"}`])
	require.Equal(t, 2, all[`circuit_breaker_state{key="other",service="vendor"}`])
	runtime.KeepAlive(g)
}

// Two clients of one vendor, say: what is shown is what should worry somebody.
func TestBreakersOfOneName(t *testing.T) {
	m, reg := start(t, metrics.Config{})
	state := func() int { t.Helper(); return samples(t, reg)[`circuit_breaker_state{service="vendor"}`] }
	well, ill := guard(t, m, "vendor", breaker.Config{Failures: 1}), guard(t, m, "vendor", breaker.Config{Failures: 1, OpenFor: time.Hour})
	m.AddBreaker(ill)
	m.AddBreaker(nil)
	call(ill, breaker.Failure)
	require.Equal(t, 2, state())
	call(well, breaker.Failure)
	require.InDelta(t, 3600, samples(t, reg)[`circuit_breaker_next_probe_seconds{service="vendor"}`], 10, "the longer wait")
	well.Disable()
	require.Equal(t, 2, state(), "open is worse than disabled")
	ill.Reset()
	require.Equal(t, 4, state(), "and disabled worse than closed")
	well.ForceOpen()
	require.Equal(t, 3, state())
	runtime.KeepAlive(well)
	runtime.KeepAlive(ill)
}

// A program that makes a client for each tenant and drops it must not keep them here.
func TestWhatIsDroppedIsDroppedHere(t *testing.T) {
	m, reg := start(t, metrics.Config{})
	gone := make(chan struct{})
	func() {
		b := guard(t, m, "vendor", breaker.Config{})
		runtime.AddCleanup(b, func(struct{}) { close(gone) }, struct{}{})
		call(b, breaker.Failure)
		require.Contains(t, samples(t, reg), `circuit_breaker_state{service="vendor"}`)
		runtime.KeepAlive(b)
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for freed := false; !freed; {
		runtime.GC()
		select {
		case <-gone:
			freed = true
		case <-ctx.Done():
			t.Fatal("the breaker is held")
		default:
		}
	}
	all := samples(t, reg)
	require.NotContains(t, all, `circuit_breaker_state{service="vendor"}`)
	require.Equal(t, 1, all[`circuit_breaker_failures_total{service="vendor"}`], "what was counted stays")
}
