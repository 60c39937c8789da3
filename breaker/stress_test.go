package breaker_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
)

// Every call that runs while none of the closed state is left is a probe. Some of them outlive the half-open state
// they began in; none outlives its lease.
func TestNeverMoreThanProbesAtTheVendor(t *testing.T) {
	t.Parallel()
	for _, probes := range []int{1, 2, 5} {
		synctest.Test(t, func(t *testing.T) {
			b := opened(t, breaker.Config{OpenFor: time.Second, MaxOpenFor: -1, Probes: probes, ProbeSuccesses: 1_000_000})
			var running, most, calls atomic.Int64
			var wg sync.WaitGroup
			for g := range 16 {
				random := rand.New(rand.NewPCG(uint64(probes), uint64(g)))
				wg.Go(func() {
					for range 300 {
						_, _ = breaker.Do(t.Context(), b, func(context.Context) (int, error) {
							calls.Add(1)
							for n, m := running.Add(1), most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
							}
							defer running.Add(-1)
							time.Sleep(time.Duration(random.IntN(5000)) * time.Millisecond)
							if random.IntN(4) == 0 {
								return 0, errVendor
							}
							return 1, nil
						})
						time.Sleep(time.Duration(random.IntN(2000)) * time.Millisecond)
					}
				})
			}
			wg.Wait()
			require.EqualValues(t, probes, most.Load(), "the cap is kept, and reached")
			require.Greater(t, calls.Load(), int64(50))
			require.Zero(t, b.Snapshot().ProbesInFlight)
		})
	}
}

// All ways to use a breaker at once, under the race detector; afterwards nothing is leaked.
func TestStress(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]breaker.Config{
		"count":  {Failures: 2, Window: 5},
		"time":   {FailureRatio: 0.3, MinCalls: 3, Period: time.Second},
		"shadow": {Failures: 2, Window: 5, Mode: breaker.Shadow},
		"slow":   {Failures: 2, Window: 5, SlowCall: 2 * time.Millisecond},
	} {
		for _, hooked := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " hooks ", hooked), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { stress(t, cfg, hooked) })
			})
		}
	}
}

func stress(t *testing.T, cfg breaker.Config, hooked bool) {
	cfg.OpenFor, cfg.Probes, cfg.ProbeLease, cfg.Jitter = 5*time.Millisecond, 3, 20*time.Millisecond, -1
	if hooked {
		cfg.Hooks = breaker.Hooks{
			OnTransition: func(breaker.TransitionEvent) { panicRarely() },
			OnReject:     func(breaker.RejectEvent) { panicRarely() },
			OnOutcome:    func(breaker.OutcomeEvent) { panicRarely() },
		}
	}
	b := newBreaker(t, cfg)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 300 {
				act(t, b)
				if s := b.Snapshot(); s.ProbesInFlight > 3 {
					t.Errorf("%d probes in flight", s.ProbesInFlight)
				}
			}
		})
	}
	wg.Wait()
	time.Sleep(cfg.ProbeLease) // of permits dropped on purpose
	require.Zero(t, b.Snapshot().ProbesInFlight)

	// It still works: opens at failures, lets the probes through, closes at their successes.
	recovering := func(f func()) {
		defer func() { _ = recover() }()
		f()
	}
	recovering(b.Reset)
	for range 20 {
		recovering(func() { p, _, _ := b.TryAcquire(); p.Done(bad) })
	}
	require.Equal(t, breaker.Open, b.State())
	for range 100 {
		if b.State() == breaker.Closed {
			break
		}
		time.Sleep(time.Second)
		recovering(func() { p, _, _ := b.TryAcquire(); p.Done(ok) })
	}
	require.Equal(t, breaker.Closed, b.State())
}

func panicRarely() {
	if rand.IntN(50) == 0 {
		panic("hook")
	}
}

func act(t *testing.T, b *breaker.Breaker) {
	switch rand.IntN(40) {
	case 0:
		func() {
			defer func() { _ = recover() }()
			[]func(){b.ForceOpen, b.Disable, b.Reset, b.Reset}[rand.IntN(4)]()
		}()
		return
	case 1:
		func() {
			defer func() { _ = recover() }()
			b.TryAcquire() // and forget it
		}()
		return
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		defer func() { _ = recover() }()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_, _ = breaker.Do(ctx, b, func(context.Context) (int, error) {
			time.Sleep(time.Duration(rand.IntN(4)) * time.Millisecond)
			switch rand.IntN(8) {
			case 0:
				panic("call")
			case 1:
				runtime.Goexit()
			case 2:
				cancel()
				return 0, ctx.Err()
			case 3, 4:
				return 0, errVendor
			}
			return 1, nil
		})
	})
}
