package breaker_test

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
)

func TestCountWindow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name             string
		failures, window int
		outcomes         []breaker.Outcome
		want             breaker.State
	}{
		{"the default is three in a row", 0, 0, []breaker.Outcome{bad, bad, bad}, breaker.Open},
		{"two are not enough", 0, 0, []breaker.Outcome{bad, bad}, breaker.Closed},
		{"a success ends the row", 0, 0, []breaker.Outcome{bad, bad, ok, bad, bad}, breaker.Closed},
		{"and a new row counts from there", 0, 0, []breaker.Outcome{bad, ok, bad, bad, bad}, breaker.Open},
		{"what is ignored does not end the row", 0, 0, []breaker.Outcome{bad, ign, bad, ign, bad}, breaker.Open},
		{"what is ignored does not count", 0, 0, []breaker.Outcome{ign, ign, ign, ign}, breaker.Closed},
		{"an outcome that is none is a failure", 0, 0, []breaker.Outcome{3, 200, 255}, breaker.Open},
		{"two of five", 2, 5, []breaker.Outcome{bad, ok, ok, ok, bad}, breaker.Open},
		{"the sixth pushes the first out", 2, 5, []breaker.Outcome{bad, ok, ok, ok, ok, bad}, breaker.Closed},
		{"before the window is full", 2, 5, []breaker.Outcome{bad, bad}, breaker.Open},
		{"successes before the first failure", 2, 5, []breaker.Outcome{ok, ok, ok, ok, ok, ok, bad, ok, bad}, breaker.Open},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBreaker(t, breaker.Config{Failures: c.failures, Window: c.window})
			report(t, b, c.outcomes...)
			require.Equal(t, c.want, b.State())
		})
	}
}

func TestTimeWindow(t *testing.T) {
	t.Parallel()
	cfg := breaker.Config{FailureRatio: 0.5, Period: 10 * time.Second, MinCalls: 4}
	for _, c := range []struct {
		name string
		run  func(t *testing.T, b *breaker.Breaker)
		want breaker.State
	}{
		{"half of four", func(t *testing.T, b *breaker.Breaker) { report(t, b, ok, ok, bad, bad) }, breaker.Open},
		{"a quarter of four", func(t *testing.T, b *breaker.Breaker) { report(t, b, ok, ok, ok, bad) }, breaker.Closed},
		{"too few calls", func(t *testing.T, b *breaker.Breaker) { report(t, b, bad, bad, bad) }, breaker.Closed},
		{"a success may complete MinCalls", func(t *testing.T, b *breaker.Breaker) { report(t, b, bad, bad, bad, ok) }, breaker.Open},
		{"what is ignored does not complete it", func(t *testing.T, b *breaker.Breaker) { report(t, b, bad, bad, bad, ign) }, breaker.Closed},
		{"successes before the first failure count", func(t *testing.T, b *breaker.Breaker) { report(t, b, ok, ok, ok, bad, bad) }, breaker.Closed},
		{"failures grow old", func(t *testing.T, b *breaker.Breaker) {
			report(t, b, bad, bad, bad)
			time.Sleep(11 * time.Second)
			report(t, b, bad)
		}, breaker.Closed},
		{"but not before Period less a step", func(t *testing.T, b *breaker.Breaker) {
			report(t, b, bad, bad, bad)
			time.Sleep(9 * time.Second)
			report(t, b, bad)
		}, breaker.Open},
		{"the share is rounded to a whole percent", func(t *testing.T, b *breaker.Breaker) {
			for range 103 {
				report(t, b, ok)
			}
			for range 100 {
				report(t, b, bad)
			}
			require.Equal(t, breaker.Closed, b.State(), "100 of 203 are 49.3 %")
			report(t, b, bad) // 101 of 204 are 49.51 %
		}, breaker.Open},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBreaker(t, cfg)
				c.run(t, b)
				require.Equal(t, c.want, b.State())
			})
		})
	}
}

func TestOpenRefusesUntilItsTimeIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := opened(t, breaker.Config{})
		require.Equal(t, 30*time.Second, refused(t, b))
		time.Sleep(30*time.Second - 1)
		require.Equal(t, time.Duration(1), refused(t, b))
		require.True(t, b.Snapshot().WouldReject)

		time.Sleep(time.Nanosecond)
		s := b.Snapshot()
		require.True(t, s.ReadyToProbe)
		require.False(t, s.WouldReject)
		require.Equal(t, breaker.Open, s.State, "it stays open until a call comes")
		p := acquire(t, b)
		require.Equal(t, breaker.HalfOpen, b.State())
		p.Done(ok)
		require.Equal(t, breaker.Closed, b.State())
		report(t, b, ok, ok, ok)
	})
}

func TestClosingEmptiesTheWindow(t *testing.T) {
	t.Parallel()
	for _, cfg := range []breaker.Config{
		{Failures: 2, Window: 10},
		{FailureRatio: 0.1, MinCalls: 2, Period: 24 * time.Hour},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBreaker(t, cfg)
			report(t, b, bad, bad)
			require.Equal(t, breaker.Open, b.State())
			require.Equal(t, 2, b.Snapshot().Failures, "what opened it stays to be seen")
			time.Sleep(30 * time.Second)
			report(t, b, ok)
			require.Equal(t, breaker.Closed, b.State())
			require.Zero(t, b.Snapshot().Failures)
			report(t, b, bad)
			require.Equal(t, breaker.Closed, b.State())
		})
	}
}

func TestSlowSuccessIsFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, breaker.Config{Failures: 1, SlowCall: time.Second})
		p := acquire(t, b)
		time.Sleep(time.Second - 1)
		p.Done(ok)
		require.Equal(t, breaker.Closed, b.State())

		p = acquire(t, b)
		time.Sleep(time.Hour)
		p.Done(ign)
		require.Equal(t, breaker.Closed, b.State(), "what is ignored stays ignored, however long it took")

		p = acquire(t, b)
		time.Sleep(time.Second)
		p.Done(ok)
		require.Equal(t, breaker.Open, b.State())

		time.Sleep(b.Config().OpenFor)
		p = acquire(t, b)
		time.Sleep(time.Second)
		p.Done(ok)
		require.Equal(t, breaker.Open, b.State(), "a probe too")
	})
}

// Report by what the caller measured, whatever the breaker's own clock says.
func TestDoneInIsJudgedByWhatItIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got []breaker.OutcomeEvent
		b := newBreaker(t, breaker.Config{Failures: 1, SlowCall: time.Second, Hooks: breaker.Hooks{
			OnOutcome: func(e breaker.OutcomeEvent) { got = append(got, e) },
		}})
		p := acquire(t, b)
		time.Sleep(time.Hour) // reading a body
		p.DoneIn(ok, time.Second-1)
		require.Equal(t, breaker.Closed, b.State())
		acquire(t, b).DoneIn(ok, time.Second)
		require.Equal(t, breaker.Open, b.State())
		require.Equal(t, []breaker.OutcomeEvent{
			{Name: "vendor", Outcome: ok, Duration: time.Second - 1},
			{Name: "vendor", Outcome: bad, Slow: true, Duration: time.Second},
		}, got)
		require.NotPanics(t, func() { breaker.Permit{}.DoneIn(bad, time.Hour) })
	})
}

func TestEscalationDoublesUpToMaxOpenFor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		max  time.Duration
		want []int // seconds
	}{
		{"default is ten times", 0, []int{3, 6, 12, 24, 30, 30}},
		{"bounded", 7 * time.Second, []int{3, 6, 7, 7}},
		{"off", -1, []int{3, 3, 3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBreaker(t, breaker.Config{Failures: 1, OpenFor: 3 * time.Second, MaxOpenFor: c.max})
				for range 2 {
					for i, seconds := range c.want {
						want := time.Duration(seconds) * time.Second
						report(t, b, bad)
						require.Equal(t, want, refused(t, b))
						require.Equal(t, i+1, b.Snapshot().Opens)
						time.Sleep(want)
					}
					report(t, b, ok)
					require.Zero(t, b.Snapshot().Opens, "closing starts over")
				}
			})
		})
	}
}

func TestJitterOnlyLengthens(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ jitter, share float64 }{{0, 0.1}, {0.5, 0.5}, {1, 1}, {-1, 0}} {
		synctest.Test(t, func(t *testing.T) {
			const openFor = 10 * time.Second
			limit := openFor + time.Duration(c.share*float64(openFor))
			var least, most time.Duration = limit + 1, 0
			for range 2000 {
				b, err := breaker.New("vendor", breaker.Config{Failures: 1, OpenFor: openFor, Jitter: c.jitter})
				require.NoError(t, err)
				report(t, b, bad)
				wait := refused(t, b)
				least, most = min(least, wait), max(most, wait)
			}
			require.GreaterOrEqual(t, least, openFor)
			require.LessOrEqual(t, most, limit)
			spread := limit - openFor
			require.LessOrEqual(t, least, openFor+spread/50, "2000 draws reach the lower end")
			require.GreaterOrEqual(t, most, limit-spread/50, "and the upper")
		})
	}
}

func TestLateResultsAreDropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, breaker.Config{Failures: 2})
		var before []breaker.Permit
		for range 6 {
			before = append(before, acquire(t, b))
		}
		report(t, b, bad, bad)
		require.Equal(t, breaker.Open, b.State())
		before[0].Done(ok)
		before[1].Done(bad)
		require.Equal(t, 2, b.Snapshot().Failures, "open")

		time.Sleep(30 * time.Second)
		probe := acquire(t, b)
		before[2].Done(ok)
		require.Equal(t, breaker.HalfOpen, b.State(), "a success of before does not close it")
		before[3].Done(bad)
		require.Equal(t, breaker.HalfOpen, b.State(), "a failure of before does not open it")

		probe.Done(ok)
		require.Equal(t, breaker.Closed, b.State())
		before[4].Done(bad)
		before[5].Done(bad)
		require.Equal(t, breaker.Closed, b.State(), "closed again, and in another generation")
		require.Zero(t, b.Snapshot().Failures)
	})
}

func TestZeroPermitReportsToNobody(t *testing.T) {
	t.Parallel()
	require.NotPanics(t, func() { breaker.Permit{}.Done(bad) })
}

func TestForceOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, breaker.Config{})
		before := acquire(t, b)
		b.ForceOpen()
		require.Equal(t, breaker.ForcedOpen, b.State())
		require.True(t, b.Snapshot().WouldReject)
		require.Equal(t, time.Now(), b.Snapshot().OpenedAt.Local())
		time.Sleep(24 * time.Hour)
		require.Zero(t, refused(t, b), "nobody knows how long")
		generation := b.Snapshot().Generation
		b.ForceOpen()
		require.Equal(t, generation, b.Snapshot().Generation, "repeated, it does nothing")

		b.Reset()
		require.Equal(t, breaker.Closed, b.State())
		require.Zero(t, b.Snapshot().OpenedAt)
		before.Done(bad)
		require.Zero(t, b.Snapshot().Failures)
		report(t, b, ok)
	})
}

func TestDisable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := opened(t, breaker.Config{})
		b.Disable()
		require.Equal(t, breaker.DisabledState, b.State())
		report(t, b, bad, bad, bad, bad)
		require.Zero(t, b.Snapshot().Failures)
		require.False(t, b.Snapshot().WouldReject)
		generation := b.Snapshot().Generation
		b.Disable()
		require.Equal(t, generation, b.Snapshot().Generation, "repeated, it does nothing")

		b.ForceOpen()
		refused(t, b)
		b.Disable()
		report(t, b, bad)
		b.Reset()
		require.Equal(t, breaker.Closed, b.State())
		report(t, b, bad)
		require.Equal(t, breaker.Open, b.State())
	})
}

func TestResetForgets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, breaker.Config{})
		report(t, b, bad, bad)
		before := acquire(t, b)
		b.Reset()
		before.Done(bad)
		report(t, b, bad, bad)
		require.Equal(t, breaker.Closed, b.State())
		report(t, b, bad)
		require.Equal(t, breaker.Open, b.State())

		time.Sleep(30 * time.Second)
		report(t, b, bad)
		require.Equal(t, time.Minute, refused(t, b))
		b.Reset()
		report(t, b, bad, bad, bad)
		require.Equal(t, 30*time.Second, refused(t, b), "the escalation too")
	})
}

func TestModeDisabled(t *testing.T) {
	t.Parallel()
	b := newBreaker(t, breaker.Config{Mode: breaker.Disabled})
	require.Equal(t, breaker.DisabledState, b.State())
	report(t, b, bad, bad, bad, bad)
	b.ForceOpen()
	refused(t, b)
	b.Reset()
	require.Equal(t, breaker.DisabledState, b.State(), "Reset goes back to what was configured")
}

func TestSnapshot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, breaker.Config{Failures: 2, Window: 3, Probes: 2})
		start := time.Now()
		require.Equal(t, breaker.Snapshot{Name: "vendor", Generation: 1}, b.Snapshot())
		report(t, b, ok, bad, ok)
		require.Equal(t, breaker.Snapshot{Name: "vendor", Generation: 1, Failures: 1, Calls: 2}, b.Snapshot())
		time.Sleep(time.Second)
		report(t, b, bad)
		time.Sleep(time.Second)
		s := b.Snapshot()
		require.True(t, s.OpenedAt.Equal(start.Add(time.Second)))
		s.OpenedAt = time.Time{}
		require.Equal(t, breaker.Snapshot{
			Name: "vendor", State: breaker.Open, Generation: 2, WouldReject: true, RetryAfter: 29 * time.Second,
			Failures: 2, Calls: 3, Opens: 1,
		}, s)
		time.Sleep(29 * time.Second)
		report(t, b, ok)
		acquire(t, b)
		s = b.Snapshot()
		require.False(t, s.OpenedAt.IsZero())
		s.OpenedAt = time.Time{}
		require.Equal(t, breaker.Snapshot{
			Name: "vendor", State: breaker.HalfOpen, Generation: 3, ReadyToProbe: true,
			Failures: 2, Calls: 3, Opens: 1, ProbesInFlight: 1, ProbeSuccesses: 1,
		}, s)
	})
}

func TestTexts(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(map[string]any{
		"states":   breaker.States(),
		"modes":    []breaker.Mode{breaker.Enabled, breaker.Shadow, breaker.Disabled},
		"outcomes": [3]breaker.Outcome{ok, bad, ign},
		"unknown":  []any{breaker.State(9), breaker.Mode(9), breaker.Outcome(9)},
	})
	require.NoError(t, err)
	require.JSONEq(t, `{
		"states": ["closed", "half-open", "open", "forced-open", "disabled"],
		"modes": ["enabled", "shadow", "disabled"],
		"outcomes": ["success", "failure", "ignored"],
		"unknown": ["unknown", "unknown", "unknown"]
	}`, string(text))
	require.Equal(t, "vendor", newBreaker(t, breaker.Config{}).Name())
}
