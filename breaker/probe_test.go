package breaker_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
)

func TestProbesAreCapped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := halfOpened(t, breaker.Config{Probes: 2, ProbeSuccesses: 3})
		first, second := acquire(t, b), acquire(t, b)
		require.Equal(t, time.Second, refused(t, b), "an answer is expected soon")
		require.False(t, b.Snapshot().ReadyToProbe)
		require.Equal(t, 2, b.Snapshot().ProbesInFlight)
		first.Done(ok)
		third := acquire(t, b)
		refused(t, b)
		second.Done(ok)
		require.Equal(t, breaker.HalfOpen, b.State(), "two of three")
		third.Done(ok)
		require.Equal(t, breaker.Closed, b.State())
	})
}

func TestProbeSuccessesDefaultsToProbes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := halfOpened(t, breaker.Config{Probes: 3})
		report(t, b, ok, ok)
		require.Equal(t, breaker.HalfOpen, b.State())
		report(t, b, ok)
		require.Equal(t, breaker.Closed, b.State())
	})
}

func TestFailedProbeOpensAndItsSuccessesAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := halfOpened(t, breaker.Config{ProbeSuccesses: 2})
		report(t, b, ok, bad)
		require.Equal(t, breaker.Open, b.State())
		time.Sleep(refused(t, b))
		report(t, b, ok)
		require.Equal(t, breaker.HalfOpen, b.State())
		report(t, b, ok)
		require.Equal(t, breaker.Closed, b.State())
	})
}

func TestIgnoredProbeHandsItsPlaceBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := halfOpened(t, breaker.Config{})
		for range 5 {
			p := acquire(t, b)
			refused(t, b)
			p.Done(ign)
			require.Equal(t, breaker.HalfOpen, b.State(), "neither closed nor opened")
		}
		report(t, b, ok)
		require.Equal(t, breaker.Closed, b.State())
	})
}

func TestLeaseExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := halfOpened(t, breaker.Config{ProbeLease: 10 * time.Second})
		lost := acquire(t, b)
		time.Sleep(10*time.Second - 1)
		require.Equal(t, time.Duration(1), refused(t, b), "what is left of the lease, where that is less than a second")
		time.Sleep(time.Nanosecond)
		require.Zero(t, b.Snapshot().ProbesInFlight)
		next := acquire(t, b)
		lost.Done(bad)
		require.Equal(t, breaker.HalfOpen, b.State(), "the late failure is dropped")
		refused(t, b) // and did not take the place of the next with it
		next.Done(ok)
		require.Equal(t, breaker.Closed, b.State())

		b = halfOpened(t, breaker.Config{ProbeLease: 10 * time.Second})
		lost = acquire(t, b)
		time.Sleep(10 * time.Second)
		lost.Done(ok)
		require.Equal(t, breaker.HalfOpen, b.State(), "the late success too")
	})
}

func TestSecondReportOfAProbeIsDropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := halfOpened(t, breaker.Config{ProbeSuccesses: 2})
		p := acquire(t, b)
		p.Done(ok)
		p.Done(ok)
		require.Equal(t, breaker.HalfOpen, b.State())
		require.Equal(t, 1, b.Snapshot().ProbeSuccesses)
	})
}

func TestStragglersOfAnEarlierHalfOpenKeepTheirPlaces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := halfOpened(t, breaker.Config{OpenFor: time.Second, Probes: 2, ProbeSuccesses: 1})
		straggler, failing := acquire(t, b), acquire(t, b)
		failing.Done(bad)
		time.Sleep(2 * time.Second)
		probe := acquire(t, b)
		require.Equal(t, time.Second, refused(t, b), "the vendor has two calls of ours")
		straggler.Done(ok)
		require.Equal(t, breaker.HalfOpen, b.State(), "its result is of another generation")
		acquire(t, b) // but its place is free
		probe.Done(ok)
		require.Equal(t, breaker.Closed, b.State())
	})
}

func TestStragglerGivesItsPlaceBackToAClosedBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, o := range []breaker.Outcome{ok, bad, ign} {
			b := halfOpened(t, breaker.Config{Probes: 2, ProbeSuccesses: 1})
			straggler := acquire(t, b)
			report(t, b, ok)
			require.Equal(t, breaker.Closed, b.State())
			require.Equal(t, 1, b.Snapshot().ProbesInFlight)
			straggler.Done(o)
			require.Zero(t, b.Snapshot().ProbesInFlight, "%v", o)
			require.Equal(t, breaker.Closed, b.State())
		}
	})
}

func TestStragglersCanKeepAnOpenBreakerWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := halfOpened(t, breaker.Config{OpenFor: time.Second, Probes: 2, ProbeLease: 5 * time.Second})
		a, c := acquire(t, b), acquire(t, b)
		b.Reset() // the stragglers of before are still at the vendor
		report(t, b, bad)
		time.Sleep(time.Second)
		require.Equal(t, time.Second, refused(t, b))
		require.Equal(t, breaker.Open, b.State(), "no probe, no half-open")
		require.False(t, b.Snapshot().ReadyToProbe)
		time.Sleep(4 * time.Second)
		report(t, b, ok)
		require.Equal(t, breaker.HalfOpen, b.State())
		a.Done(bad)
		c.Done(bad)
		require.Equal(t, breaker.HalfOpen, b.State())
	})
}

func TestShadowDecidesAndNeverRefuses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var rejects []breaker.RejectEvent
		var outcomes []breaker.OutcomeEvent
		b := opened(t, breaker.Config{Mode: breaker.Shadow, Hooks: breaker.Hooks{
			OnReject:  func(e breaker.RejectEvent) { rejects = append(rejects, e) },
			OnOutcome: func(e breaker.OutcomeEvent) { outcomes = append(outcomes, e) },
		}})
		s := b.Snapshot()
		require.True(t, s.Shadow)
		require.True(t, s.WouldReject)
		require.Equal(t, 30*time.Second, s.RetryAfter)

		outcomes = nil
		report(t, b, ok, bad)
		require.Equal(t, breaker.Open, b.State(), "what would have been refused does not count")
		require.Equal(t, []breaker.RejectEvent{
			{Name: "vendor", State: breaker.Open, RetryAfter: 30 * time.Second, Shadow: true},
			{Name: "vendor", State: breaker.Open, RetryAfter: 30 * time.Second, Shadow: true},
		}, rejects)
		require.Equal(t, []breaker.OutcomeEvent{
			{Name: "vendor", Outcome: ok, Shadow: true},
			{Name: "vendor", Outcome: bad, Shadow: true},
		}, outcomes)

		time.Sleep(30 * time.Second)
		rejects, outcomes = nil, nil
		probe := acquire(t, b)
		require.Equal(t, breaker.HalfOpen, b.State())
		acquire(t, b).Done(bad) // beyond the probe
		require.Len(t, rejects, 1)
		require.Equal(t, breaker.HalfOpen, b.State())
		probe.Done(ok)
		require.Equal(t, breaker.Closed, b.State(), "it recovers as an enabled one does")

		b.ForceOpen()
		acquire(t, b).Done(ok)
		require.Len(t, rejects, 2)
		require.Equal(t, breaker.ForcedOpen, rejects[1].State)
	})
}

func TestShadowCallsHoldNoProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := opened(t, breaker.Config{Mode: breaker.Shadow})
		before := acquire(t, b)
		time.Sleep(30 * time.Second)
		probe := acquire(t, b)
		before.Done(ok)
		require.Equal(t, breaker.HalfOpen, b.State())
		require.Equal(t, 1, b.Snapshot().ProbesInFlight)
		probe.Done(bad)
		require.Equal(t, breaker.Open, b.State())
		require.Equal(t, 2, b.Snapshot().Opens)
	})
}
