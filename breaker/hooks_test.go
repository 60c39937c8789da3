package breaker_test

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
)

func TestTransitionEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got []breaker.TransitionEvent
		b := newBreaker(t, breaker.Config{Failures: 1, Hooks: breaker.Hooks{
			OnTransition: func(e breaker.TransitionEvent) { got = append(got, e) },
		}})
		start := time.Now()
		report(t, b, bad)
		time.Sleep(30 * time.Second)
		report(t, b, bad)
		time.Sleep(time.Minute)
		report(t, b, ok)
		b.ForceOpen()
		b.ForceOpen()
		b.Disable()
		b.Disable()
		b.Reset()
		b.Reset()
		at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
		want := []breaker.TransitionEvent{
			{From: breaker.Closed, To: breaker.Open, Reason: breaker.ReasonThreshold, At: at(0), OpenFor: 30 * time.Second, Opens: 1},
			{From: breaker.Open, To: breaker.HalfOpen, Reason: breaker.ReasonReady, At: at(30), Opens: 1},
			{From: breaker.HalfOpen, To: breaker.Open, Reason: breaker.ReasonProbeFailed, At: at(30), OpenFor: time.Minute, Opens: 2},
			{From: breaker.Open, To: breaker.HalfOpen, Reason: breaker.ReasonReady, At: at(90), Opens: 2},
			{From: breaker.HalfOpen, To: breaker.Closed, Reason: breaker.ReasonRecovered, At: at(90)},
			{From: breaker.Closed, To: breaker.ForcedOpen, Reason: breaker.ReasonForced, At: at(90)},
			{From: breaker.ForcedOpen, To: breaker.DisabledState, Reason: breaker.ReasonDisabled, At: at(90)},
			{From: breaker.DisabledState, To: breaker.Closed, Reason: breaker.ReasonReset, At: at(90)},
		}
		require.Len(t, got, len(want))
		for i := range want {
			require.True(t, want[i].At.Equal(got[i].At), "%d: %v", i, got[i].At)
			want[i].At, want[i].Name = got[i].At, "vendor"
			require.Equal(t, want[i], got[i])
		}
	})
}

func TestOutcomeEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got []breaker.OutcomeEvent
		b := newBreaker(t, breaker.Config{Failures: 2, SlowCall: time.Second, ProbeLease: 5 * time.Second, Hooks: breaker.Hooks{
			OnOutcome: func(e breaker.OutcomeEvent) { got = append(got, e) },
		}})
		late := acquire(t, b)
		report(t, b, ok, ign)
		slow := acquire(t, b)
		time.Sleep(time.Second)
		slow.Done(ok)
		report(t, b, 77)
		require.Equal(t, breaker.Open, b.State())
		late.Done(ok)
		time.Sleep(30 * time.Second)
		expired := acquire(t, b)
		time.Sleep(6 * time.Second)
		expired.Done(ign)
		b.Disable()
		report(t, b, bad)
		require.Equal(t, []breaker.OutcomeEvent{
			{Name: "vendor", Outcome: ok},
			{Name: "vendor", Outcome: ign},
			{Name: "vendor", Outcome: bad, Slow: true, Duration: time.Second},
			{Name: "vendor", Outcome: bad},
			{Name: "vendor", Outcome: bad, Slow: true, Duration: time.Second, Late: true},
			{Name: "vendor", Outcome: ign, Duration: 6 * time.Second, Late: true},
		}, got)
	})
}

func TestRejectEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got []breaker.RejectEvent
		b := opened(t, breaker.Config{Hooks: breaker.Hooks{
			OnReject: func(e breaker.RejectEvent) { got = append(got, e) },
		}})
		time.Sleep(20 * time.Second)
		refused(t, b)
		time.Sleep(10 * time.Second)
		acquire(t, b)
		refused(t, b)
		b.ForceOpen()
		refused(t, b)
		require.Equal(t, []breaker.RejectEvent{
			{Name: "vendor", State: breaker.Open, RetryAfter: 10 * time.Second},
			{Name: "vendor", State: breaker.HalfOpen, RetryAfter: time.Second},
			{Name: "vendor", State: breaker.ForcedOpen},
		}, got)
	})
}

// A hook under a lock of ours would block here for good.
func TestHooksMayCallTheBreaker(t *testing.T) {
	t.Parallel()
	within(t, func() {
		var b *breaker.Breaker
		var order []string
		b = newBreaker(t, breaker.Config{Failures: 1, Hooks: breaker.Hooks{
			OnTransition: func(e breaker.TransitionEvent) {
				order = append(order, e.To.String())
				if e.Reason == breaker.ReasonThreshold {
					_ = b.Snapshot()
					_, _, ok := b.TryAcquire()
					require.False(t, ok)
					b.ForceOpen()
					b.Reset()
					order = append(order, "end of "+e.To.String())
				}
			},
			OnReject:  func(breaker.RejectEvent) { order = append(order, "reject"); _ = b.State() },
			OnOutcome: func(e breaker.OutcomeEvent) { order = append(order, e.Outcome.String()); _ = b.Snapshot() },
		}})
		report(t, b, bad)
		require.Equal(t, []string{"failure", "open", "end of open", "reject", "forced-open", "closed"}, order,
			"one at a time, in the order in which it happened")
	})
}

func TestHooksAreCalledOneAtATimeInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var running atomic.Int32
		var transitions []breaker.TransitionEvent // unguarded on purpose: the race detector watches
		var rejects, outcomes int
		alone := func(f func()) {
			if running.Add(1) != 1 {
				t.Error("two hooks at once")
			}
			runtime.Gosched()
			f()
			running.Add(-1)
		}
		b := newBreaker(t, breaker.Config{OpenFor: time.Millisecond, MaxOpenFor: -1, Hooks: breaker.Hooks{
			OnTransition: func(e breaker.TransitionEvent) { alone(func() { transitions = append(transitions, e) }) },
			OnReject:     func(breaker.RejectEvent) { alone(func() { rejects++ }) },
			OnOutcome:    func(breaker.OutcomeEvent) { alone(func() { outcomes++ }) },
		}})
		var refusals, results atomic.Int64
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for i := range 200 {
					if p, _, ok := b.TryAcquire(); ok {
						results.Add(1)
						p.Done(breaker.Outcome((g + i/7) % 3))
					} else {
						refusals.Add(1)
						time.Sleep(time.Millisecond)
					}
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, refusals.Load(), rejects, "none lost")
		require.EqualValues(t, results.Load(), outcomes, "none lost")
		require.Greater(t, len(transitions), 10)
		state := breaker.Closed
		for i, e := range transitions {
			require.Equal(t, state, e.From, "%d: %v", i, e)
			state = e.To
		}
		require.Equal(t, state, b.State())
		require.Zero(t, b.Snapshot().EventsDropped)
	})
}

func TestPanickingHookLosesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var seen []string
		var armed bool
		b := newBreaker(t, breaker.Config{Failures: 1, Hooks: breaker.Hooks{
			OnTransition: func(e breaker.TransitionEvent) {
				seen = append(seen, e.To.String())
				if armed {
					panic("transition")
				}
			},
			OnOutcome: func(e breaker.OutcomeEvent) {
				seen = append(seen, e.Outcome.String())
				if armed {
					panic("outcome")
				}
			},
		}})
		armed = true
		// Both hooks panic, one behind the other: the second is still called, and its panic is the one that shows.
		require.PanicsWithValue(t, "transition", func() { report(t, b, bad) })
		require.Equal(t, []string{"failure", "open"}, seen)
		require.Equal(t, breaker.Open, b.State(), "the transition stands")

		time.Sleep(30 * time.Second)
		require.PanicsWithValue(t, "transition", func() { b.TryAcquire() })
		require.Equal(t, breaker.HalfOpen, b.State())
		require.Zero(t, b.Snapshot().ProbesInFlight, "nobody has the probe, so its place is free")

		armed = false
		report(t, b, ok)
		require.Equal(t, breaker.Closed, b.State())
		require.Equal(t, []string{"failure", "open", "half-open", "success", "closed"}, seen)
	})
}

func TestGoexitInAHookLosesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		exit := true
		b := halfOpened(t, breaker.Config{Hooks: breaker.Hooks{OnTransition: func(e breaker.TransitionEvent) {
			if exit && e.To == breaker.HalfOpen {
				runtime.Goexit()
			}
		}}})
		var wg sync.WaitGroup
		wg.Go(func() { b.TryAcquire() })
		wg.Wait()
		require.Zero(t, b.Snapshot().ProbesInFlight)
		report(t, b, ok)
		require.Equal(t, breaker.Closed, b.State())
	})
}

func TestBlockedHookHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		block := make(chan struct{})
		var transitions []breaker.State
		rejects := 0
		b := newBreaker(t, breaker.Config{Failures: 1, Hooks: breaker.Hooks{
			OnTransition: func(e breaker.TransitionEvent) {
				transitions = append(transitions, e.To)
				<-block
			},
			OnReject: func(breaker.RejectEvent) { rejects++ },
		}})
		p := acquire(t, b)
		go p.Done(bad)
		synctest.Wait()
		const many = 3000
		for range many {
			refused(t, b)
		}
		b.Reset()
		require.EqualValues(t, many-1024, b.Snapshot().EventsDropped, "the memory is bounded")
		close(block)
		synctest.Wait()
		require.Equal(t, 1024, rejects)
		require.Equal(t, []breaker.State{breaker.Open, breaker.Closed}, transitions, "a transition is never dropped")
	})
}

func TestCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		got := map[breaker.Count]int{}
		hooks := breaker.Hooks{OnCount: func(e breaker.CountEvent) {
			require.Equal(t, "vendor", e.Name)
			got[e.What]++
		}}
		b := newBreaker(t, breaker.Config{Failures: 2, SlowCall: time.Second, ProbeLease: 5 * time.Second, Hooks: hooks})
		late := acquire(t, b)
		slow := acquire(t, b)
		time.Sleep(time.Second)
		slow.Done(ok)
		report(t, b, ok, bad, ign, 77)
		require.Equal(t, breaker.Open, b.State())
		late.Done(bad)
		require.Equal(t, map[breaker.Count]int{breaker.CountFailure: 4}, got)

		refused(t, b)
		_, rejected := b.Reject()
		require.True(t, rejected)
		time.Sleep(30 * time.Second)
		probe := acquire(t, b)
		refused(t, b)
		_, rejected = b.Reject()
		require.True(t, rejected)
		probe.Done(ign)
		_, rejected = b.Reject()
		require.False(t, rejected, "the next one is a probe")
		b.ForceOpen()
		refused(t, b)
		_, rejected = b.Reject()
		require.True(t, rejected)
		b.Disable()
		report(t, b, bad)
		require.Equal(t, map[breaker.Count]int{breaker.CountFailure: 4, breaker.CountRejection: 6}, got)

		clear(got)
		shadow := newBreaker(t, breaker.Config{Failures: 1, Mode: breaker.Shadow, Hooks: hooks})
		report(t, shadow, bad, bad, ok)
		_, rejected = shadow.Reject()
		require.False(t, rejected)
		require.Equal(t, map[breaker.Count]int{breaker.CountFailure: 2, breaker.CountShadowRejection: 2}, got)
	})
}

// A hook that counts may call the breaker too, and a panic in it loses nothing.
func TestCountsAreUnderNoLockAndLoseNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b *breaker.Breaker
		boom := false
		b = newBreaker(t, breaker.Config{Failures: 1, Hooks: breaker.Hooks{
			OnCount: func(breaker.CountEvent) {
				b.Snapshot()
				if boom {
					panic("boom")
				}
			},
			OnReject: func(breaker.RejectEvent) {}, // refusals under the lock, too
		}})
		within(t, func() {
			report(t, b, bad)
			refused(t, b)
			b.Reject()
		})
		time.Sleep(30 * time.Second)
		probe := acquire(t, b)
		boom = true
		require.Panics(t, func() { b.TryAcquire() })
		require.Panics(t, func() { b.Reject() })
		require.Panics(t, func() { probe.Done(bad) })
		require.Equal(t, breaker.Open, b.State(), "the result stands")
		require.Zero(t, b.Snapshot().ProbesInFlight)
	})
}

// However fast refusals come, none is lost to a counter: the queue of the ordered hooks has a bound.
func TestNoCountIsDropped(t *testing.T) {
	t.Parallel()
	var counted, refusals atomic.Int64
	block := make(chan struct{})
	b := newBreaker(t, breaker.Config{Failures: 1, Hooks: breaker.Hooks{
		OnCount: func(e breaker.CountEvent) {
			if e.What == breaker.CountRejection {
				counted.Add(1)
			}
		},
		OnTransition: func(breaker.TransitionEvent) { <-block },
		OnReject:     func(breaker.RejectEvent) {},
	}})
	var wg sync.WaitGroup
	wg.Go(func() { report(t, b, bad) })
	for range 4 {
		wg.Go(func() {
			for range 1000 {
				for b.State() == breaker.Closed {
					runtime.Gosched()
				}
				if _, _, ok := b.TryAcquire(); !ok {
					refusals.Add(1)
				}
			}
		})
	}
	for refusals.Load() < 4000 {
		runtime.Gosched()
	}
	require.Positive(t, b.Snapshot().EventsDropped, "the test fills the queue")
	close(block)
	wg.Wait()
	require.Equal(t, refusals.Load(), counted.Load())
}

func TestJoinedHooksAreAllCalled(t *testing.T) {
	t.Parallel()
	counts := map[string]int{}
	hooks := func(name string) breaker.Hooks {
		return breaker.Hooks{
			OnTransition: func(breaker.TransitionEvent) { counts[name+" transition"]++ },
			OnReject:     func(breaker.RejectEvent) { counts[name+" reject"]++ },
			OnOutcome:    func(breaker.OutcomeEvent) { counts[name+" outcome"]++ },
			OnCount:      func(breaker.CountEvent) { counts[name+" count"]++ },
		}
	}
	require.Equal(t, breaker.Hooks{}, breaker.JoinHooks(), "none stays none, and costs nothing")
	b := newBreaker(t, breaker.Config{Failures: 1, Hooks: breaker.JoinHooks(hooks("a"), hooks("b"))})
	report(t, b, ok, bad)
	refused(t, b)
	want := map[string]int{}
	for _, name := range []string{"a", "b"} {
		want[name+" transition"], want[name+" reject"], want[name+" outcome"], want[name+" count"] = 1, 1, 2, 2
	}
	require.Equal(t, want, counts)
}
