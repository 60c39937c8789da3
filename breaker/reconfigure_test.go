package breaker_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
)

// change reconfigures b by what f does to its present configuration.
func change(t testing.TB, b *breaker.Breaker, f func(*breaker.Config)) {
	t.Helper()
	cfg := b.Given()
	f(&cfg)
	require.NoError(t, b.Reconfigure(cfg))
}

func TestReconfigureReportsEveryFaultAndChangesNothing(t *testing.T) {
	t.Parallel()
	told := 0
	b := newBreaker(t, breaker.Config{Hooks: breaker.Hooks{OnReconfigure: func(breaker.ReconfigureEvent) { told++ }}})
	report(t, b, bad, bad)
	before, config := b.Snapshot(), plain(b.Config())

	cfg := b.Config()
	cfg.Failures, cfg.Probes, cfg.Mode = -1, 5000, 9
	err := b.Reconfigure(cfg)
	for _, field := range []string{`breaker "vendor": Failures = -1`, "Probes = 5000", "Mode = 9"} {
		require.ErrorContains(t, err, field)
	}
	require.Equal(t, before, b.Snapshot())
	require.Equal(t, config, plain(b.Config()))
	require.Zero(t, told)

	g := newGroup(t, 2)
	require.ErrorContains(t, g.Reconfigure(cfg), `breaker group "hosts": Failures = -1`)
	require.Equal(t, 1, g.Config().Failures)
	require.Equal(t, 1, g.Get("a").Config().Failures)
}

// What follows from other fields goes on following them.
func TestGivenIsWithoutDefaults(t *testing.T) {
	t.Parallel()
	b := newBreaker(t, breaker.Config{OpenFor: time.Minute, ProbeSuccesses: 2})
	require.Equal(t, breaker.Config{OpenFor: time.Minute, ProbeSuccesses: 2, Jitter: -1}, plain(b.Given()))
	change(t, b, func(c *breaker.Config) { c.Failures, c.OpenFor, c.Probes = 5, time.Second, 4 })
	cfg := b.Config()
	require.Equal(t, 5, cfg.Window)
	require.Equal(t, 10*time.Second, cfg.MaxOpenFor)
	require.Equal(t, 2, cfg.ProbeSuccesses)
	require.Equal(t, breaker.Config{Failures: 5, OpenFor: time.Second, Probes: 4, ProbeSuccesses: 2, Jitter: -1}, plain(b.Given()))

	g := newGroup(t, 2)
	cfg = g.Given()
	cfg.Failures = 5
	require.NoError(t, g.Reconfigure(cfg))
	require.Equal(t, 5, g.Config().Window)
	require.Zero(t, g.Given().Window)
}

func TestReconfigureKeepsHooksAndClassify(t *testing.T) {
	t.Parallel()
	var told []breaker.ReconfigureEvent
	asked := 0
	b := newBreaker(t, breaker.Config{
		Classify: func(error) breaker.Outcome { asked++; return bad },
		Hooks:    breaker.Hooks{OnReconfigure: func(e breaker.ReconfigureEvent) { told = append(told, e) }},
	})
	require.NoError(t, b.Reconfigure(breaker.Config{Failures: 7})) // a whole Config: all else is default
	require.Len(t, told, 1)
	require.Equal(t, "vendor", told[0].Name)
	require.Equal(t, 3, told[0].Old.Failures)
	require.Equal(t, 7, told[0].New.Failures)
	require.InDelta(t, 0.1, b.Config().Jitter, 0)
	require.NotNil(t, b.Config().Hooks.OnReconfigure)
	_, _ = breaker.Do(t.Context(), b, succeed)
	require.Equal(t, 1, asked)
	require.Equal(t, 1, b.Snapshot().Failures)
}

// The flag that is turned most in an outage: the time to the probe counts from when the breaker opened.
func TestAnotherTimeOpenHoldsForThePresentOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := opened(t, breaker.Config{OpenFor: time.Minute})
		before := b.Snapshot()
		time.Sleep(10 * time.Second)
		change(t, b, func(c *breaker.Config) { c.OpenFor = 15 * time.Second })
		require.Equal(t, 5*time.Second, refused(t, b))
		change(t, b, func(c *breaker.Config) { c.OpenFor = 2 * time.Minute })
		require.Equal(t, 110*time.Second, refused(t, b))
		after := b.Snapshot()
		require.Equal(t, before.Generation, after.Generation)
		require.True(t, before.OpenedAt.Equal(after.OpenedAt))
		require.Equal(t, 1, after.Opens)

		change(t, b, func(c *breaker.Config) { c.OpenFor = time.Second }) // over nine seconds ago
		require.True(t, b.Snapshot().ReadyToProbe)
		require.Zero(t, b.Snapshot().RetryAfter)
		p := acquire(t, b)
		require.True(t, p.Probe())
		p.Done(ok)
		require.Equal(t, breaker.Closed, b.State())
	})
}

// What was drawn at random stays: turning a setting is no second draw, and no way to shorten the time.
func TestReconfigureDrawsNoNewJitter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		draws := map[time.Duration]bool{}
		for range 20 {
			b := opened(t, breaker.Config{OpenFor: time.Minute, Jitter: 1})
			wait := refused(t, b)
			require.GreaterOrEqual(t, wait, time.Minute)
			require.LessOrEqual(t, wait, 2*time.Minute)
			change(t, b, func(c *breaker.Config) { c.Failures = 5 })
			require.Equal(t, wait, refused(t, b))
			change(t, b, func(c *breaker.Config) { c.OpenFor = 2 * time.Minute })
			require.InDelta(t, 2*wait, refused(t, b), 2)
			change(t, b, func(c *breaker.Config) { c.Jitter = -1 })
			require.Equal(t, 2*time.Minute, refused(t, b))
			draws[wait] = true
		}
		require.Greater(t, len(draws), 10)
	})
}

func TestResultsAreCarriedOverInTheirOrder(t *testing.T) {
	t.Parallel()
	// Four of the last ten failed, of the last three one: three in a row would not have opened.
	b := newBreaker(t, breaker.Config{Failures: 8, Window: 10})
	report(t, b, bad, bad, ok, bad, ok, bad, ok, ok, ok, ok, bad, ok, bad)
	change(t, b, func(c *breaker.Config) { c.Failures, c.Window = 3, 3 })
	require.Equal(t, breaker.Closed, b.State())
	s := b.Snapshot()
	require.Equal(t, 2, s.Failures)
	require.Equal(t, 3, s.Calls)
	report(t, b, bad) // pushes the oldest failure out
	require.Equal(t, breaker.Closed, b.State())
	report(t, b, bad)
	require.Equal(t, breaker.Open, b.State())
}

func TestALowerThresholdThatIsExceededOpensAtOnce(t *testing.T) {
	t.Parallel()
	var seen []string
	b := newBreaker(t, breaker.Config{Failures: 10, Hooks: breaker.Hooks{
		OnReconfigure: func(e breaker.ReconfigureEvent) {
			seen = append(seen, fmt.Sprint(e.Old.Failures, " to ", e.New.Failures))
		},
		OnTransition: func(e breaker.TransitionEvent) { seen = append(seen, fmt.Sprint(e.To, " for ", e.Reason)) },
	}})
	report(t, b, bad, bad, bad, bad)
	change(t, b, func(c *breaker.Config) { c.Failures = 5 })
	require.Equal(t, breaker.Closed, b.State())
	change(t, b, func(c *breaker.Config) { c.Failures = 3 })
	require.Equal(t, breaker.Open, b.State())
	require.Equal(t, []string{"10 to 5", "5 to 3", "open for threshold"}, seen)
}

func TestATimeWindowIsCarriedOverWithoutWhatHasRunOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, breaker.Config{FailureRatio: 0.9, Period: 10 * time.Second})
		report(t, b, bad, bad, bad, bad, bad, ok)
		time.Sleep(time.Hour)
		change(t, b, func(c *breaker.Config) { c.FailureRatio, c.MinCalls = 0.5, 2 })
		require.Equal(t, breaker.Closed, b.State(), "those failures were an hour ago")
		require.Zero(t, b.Snapshot().Calls)

		change(t, b, func(c *breaker.Config) { c.MinCalls = 10 })
		report(t, b, bad, bad, ok)
		change(t, b, func(c *breaker.Config) { c.MinCalls = 4 })
		s := b.Snapshot()
		require.Equal(t, 2, s.Failures)
		require.Equal(t, 3, s.Calls)
		report(t, b, ok)
		require.Equal(t, breaker.Open, b.State(), "half of four")
	})
}

// A window of any size is carried over in bounded time, by its share.
func TestAFullTimeWindowIsCarriedOverByItsShare(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, breaker.Config{FailureRatio: 1})
		for i := range 30_001 {
			report(t, b, []breaker.Outcome{ok, bad, ok}[i%3])
		}
		change(t, b, func(c *breaker.Config) { c.FailureRatio = 0.35 })
		s := b.Snapshot()
		require.Equal(t, breaker.Closed, s.State)
		require.Equal(t, 10_000, s.Calls)
		require.Equal(t, 3334, s.Failures)
		change(t, b, func(c *breaker.Config) { c.MinCalls = 20_000 })
		require.Equal(t, 10_000, b.Snapshot().Calls)
		change(t, b, func(c *breaker.Config) { c.FailureRatio, c.MinCalls = 0.33, 10_000 })
		require.Equal(t, breaker.Open, b.State())
	})
}

// Three failures of a thousand calls are not three in a row.
func TestAWindowOfTheOtherKindBeginsEmpty(t *testing.T) {
	t.Parallel()
	b := newBreaker(t, breaker.Config{FailureRatio: 0.5, MinCalls: 1000})
	report(t, b, ok, ok, bad, ok, bad, ok, bad)
	counted := b.Config()
	counted.FailureRatio, counted.Period, counted.MinCalls = 0, 0, 0
	require.NoError(t, b.Reconfigure(counted))
	require.Equal(t, breaker.Closed, b.State())
	require.Zero(t, b.Snapshot().Calls)
	report(t, b, bad, bad)
	timed := b.Config()
	timed.Failures, timed.Window, timed.FailureRatio, timed.MinCalls = 0, 0, 0.5, 1
	require.NoError(t, b.Reconfigure(timed))
	require.Equal(t, breaker.Closed, b.State())
	require.Zero(t, b.Snapshot().Calls)
}

// A success of a closed breaker takes no lock while nothing it says matters: with a time window all of it matters.
func TestReconfigureToATimeWindowCountsSuccesses(t *testing.T) {
	t.Parallel()
	b := newBreaker(t, breaker.Config{})
	p := acquire(t, b)
	require.NoError(t, b.Reconfigure(breaker.Config{FailureRatio: 0.5}))
	p.Done(ok)
	report(t, b, ok)
	require.Equal(t, 2, b.Snapshot().Calls, "the call under way counts")
}

func TestModeChangesAtRunTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		mode := func(b *breaker.Breaker, m breaker.Mode) { change(t, b, func(c *breaker.Config) { c.Mode = m }) }
		for name, put := range map[string]func(*breaker.Breaker){
			"closed":    func(*breaker.Breaker) {},
			"failing":   func(b *breaker.Breaker) { report(t, b, bad, bad) },
			"open":      func(b *breaker.Breaker) { report(t, b, bad, bad, bad) },
			"half-open": func(b *breaker.Breaker) { report(t, b, bad, bad, bad); time.Sleep(time.Hour); acquire(t, b) },
		} {
			b := newBreaker(t, breaker.Config{})
			put(b)
			before := acquireAnyway(b)
			mode(b, breaker.Disabled)
			require.Equal(t, breaker.DisabledState, b.State(), name)
			report(t, b, bad, bad, bad, bad)
			before.Done(bad)
			mode(b, breaker.Shadow)
			require.Equal(t, breaker.Closed, b.State(), name)
			require.Zero(t, b.Snapshot().Calls, name)
			require.True(t, b.Snapshot().Shadow)
		}

		b := newBreaker(t, breaker.Config{})
		b.ForceOpen()
		mode(b, breaker.Disabled)
		require.Equal(t, breaker.ForcedOpen, b.State(), "a kill switch holds")
		b.Reset()
		require.Equal(t, breaker.DisabledState, b.State())
		b.Disable() // while it is
		mode(b, breaker.Enabled)
		require.Equal(t, breaker.DisabledState, b.State(), "only Reset takes back Disable")
		b.Reset()
		require.Equal(t, breaker.Closed, b.State())
		mode(b, breaker.Disabled)
		mode(b, breaker.Enabled)
		require.Equal(t, breaker.Closed, b.State(), "Reset has taken back the command for good")
	})
}

// acquireAnyway is a permit, or the zero one.
func acquireAnyway(b *breaker.Breaker) breaker.Permit {
	p, _, _ := b.TryAcquire()
	return p
}

// Without hooks a refusal takes no lock: it has to hear of shadow all the same.
func TestShadowAtRunTimeRefusesNothing(t *testing.T) {
	t.Parallel()
	b := opened(t, breaker.Config{})
	refused(t, b)
	_, rejected := b.Reject()
	require.True(t, rejected)
	change(t, b, func(c *breaker.Config) { c.Mode = breaker.Shadow })
	require.Equal(t, breaker.Open, b.State())
	acquire(t, b)
	_, rejected = b.Reject()
	require.False(t, rejected)
	change(t, b, func(c *breaker.Config) { c.Mode = breaker.Enabled })
	refused(t, b)
	_, rejected = b.Reject()
	require.True(t, rejected)
}

func TestSlowCallAtRunTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, breaker.Config{Failures: 10})
		time.Sleep(time.Hour) // what was not timed would look that slow
		untimed := acquire(t, b)
		change(t, b, func(c *breaker.Config) { c.SlowCall = time.Second })
		timed := acquire(t, b)
		time.Sleep(time.Second)
		untimed.Done(ok)
		require.Zero(t, b.Snapshot().Failures)
		timed.Done(ok)
		require.Equal(t, 1, b.Snapshot().Failures)
		timed = acquire(t, b)
		time.Sleep(time.Minute)
		change(t, b, func(c *breaker.Config) { c.SlowCall = 0 })
		timed.Done(ok)
		require.Equal(t, 1, b.Snapshot().Failures)
	})
}

func TestGroupReconfigure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 2)
		down := g.Get("down")
		report(t, down, bad)
		cfg := g.Given()
		cfg.Failures, cfg.OpenFor = 4, time.Second
		require.NoError(t, g.Reconfigure(cfg))
		require.Equal(t, 4, g.Config().Failures)
		require.Equal(t, breaker.Open, down.State())
		require.Equal(t, time.Second, refused(t, down))
		report(t, g.Get("up"), bad) // a future one
		for b := range g.All() {    // and the overflow
			require.Equal(t, 4, b.Config().Failures, b.Name())
		}
		change(t, down, func(c *breaker.Config) { c.OpenFor = time.Hour })
		require.NoError(t, g.Reconfigure(cfg))
		require.Equal(t, time.Second, refused(t, down))
	})
}

// All breakers of a group are changed, and all hooks of them called, though one panics. A hook may use the group.
func TestGroupReconfigureOutlivesAHook(t *testing.T) {
	t.Parallel()
	within(t, func() {
		var told []string
		var g *breaker.Group
		g, err := breaker.NewGroup("hosts", breaker.GroupConfig{Breaker: breaker.Config{Hooks: breaker.Hooks{
			OnReconfigure: func(e breaker.ReconfigureEvent) {
				told = append(told, e.Name)
				if g.Get("b").Config().Failures != 5 || g.Config().Failures != 5 {
					t.Error("told before all were changed")
				}
				panic(e.Name)
			},
		}}})
		require.NoError(t, err)
		g.Get("a")
		g.Get("b")
		require.Panics(t, func() { _ = g.Reconfigure(breaker.Config{Failures: 5}) })
		require.Equal(t, []string{"hosts/b", "hosts/a", "hosts/*"}, told)
	})
}

// 64 goroutines use breakers while they are changed; at the end all stand as the last change says.
func TestReconfigureStress(t *testing.T) {
	t.Parallel()
	kinds := []breaker.Config{
		{},
		{Failures: 2, Window: 9},
		{FailureRatio: 0.3, MinCalls: 3, Period: time.Second},
		{FailureRatio: 0.5, Period: time.Minute},
		{SlowCall: time.Nanosecond},
		{Mode: breaker.Shadow},
		{Mode: breaker.Disabled},
		{Probes: 3, OpenFor: time.Nanosecond, ProbeLease: time.Nanosecond},
		{OpenFor: time.Hour, MaxOpenFor: -1},
	}
	for _, hooked := range []bool{false, true} {
		t.Run(fmt.Sprint("hooks ", hooked), func(t *testing.T) {
			t.Parallel()
			var changes, refusals atomic.Int64
			cfg := breaker.Config{}
			if hooked {
				cfg.Hooks = breaker.Hooks{
					OnTransition: func(breaker.TransitionEvent) {}, OnReject: func(breaker.RejectEvent) {}, OnOutcome: func(breaker.OutcomeEvent) {},
					OnCount: func(e breaker.CountEvent) {
						if e.What != breaker.CountFailure {
							refusals.Add(1)
						}
					},
					OnReconfigure: func(breaker.ReconfigureEvent) { changes.Add(1) },
				}
			}
			g, err := breaker.NewGroup("hosts", breaker.GroupConfig{Max: 3, Breaker: cfg})
			require.NoError(t, err)
			keys := []string{"a", "b", "c", "d"}
			var wg sync.WaitGroup
			stop := make(chan struct{})
			for range 64 {
				wg.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
						}
						b := g.Get(keys[rand.IntN(len(keys))])
						if rand.IntN(200) == 0 {
							[]func(){b.ForceOpen, b.Disable, b.Reset, b.Reset}[rand.IntN(4)]()
						}
						if _, rejected := b.Reject(); rejected {
							continue
						}
						p, _, _ := b.TryAcquire()
						p.Done(breaker.Outcome(rand.IntN(3)))
						_ = b.Snapshot()
					}
				})
			}
			var changers sync.WaitGroup
			for range 3 {
				changers.Go(func() {
					for range 200 {
						next := kinds[rand.IntN(len(kinds))]
						if rand.IntN(2) == 0 {
							if err := g.Reconfigure(next); err != nil {
								t.Error(err)
							}
						} else if err := g.Get("a").Reconfigure(next); err != nil {
							t.Error(err)
						}
					}
				})
			}
			changers.Wait()
			require.NoError(t, g.Reconfigure(breaker.Config{Failures: 2, Jitter: -1, Probes: 2}))
			close(stop)
			wg.Wait()
			for b := range g.All() {
				b.Reset()
				require.Equal(t, breaker.Closed, b.State())
				require.Equal(t, 2, b.Config().Probes)
				report(t, b, bad, bad)
				require.Equal(t, 30*time.Second, b.Config().OpenFor)
				require.Equal(t, breaker.Open, b.State())
			}
			if hooked {
				require.Positive(t, changes.Load())
				require.Positive(t, refusals.Load())
			}
		})
	}
}
