package ratelimit_test

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/ratelimit"
)

func TestABurstThenOneAnInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, "10/minute", ratelimit.Config{})
		for i := range 10 {
			d := allow(t, l, "k")
			require.True(t, d.Allowed())
			require.Equal(t, []ratelimit.Status{{
				Limit: l.Config().Limits[0], Remaining: int64(9 - i), Next: 6 * time.Second, Full: time.Duration(i+1) * 6 * time.Second,
			}}, statuses(d))
		}
		d := allow(t, l, "k")
		require.Equal(t, ratelimit.Denied, d.Verdict)
		require.Equal(t, "api", d.Policy)
		require.Equal(t, 6*time.Second, d.RetryAfter)
		require.Zero(t, statuses(d)[0].Remaining)
		require.True(t, func() bool { d := allow(t, l, "other"); return d.Allowed() }(), "keys do not share")

		time.Sleep(6*time.Second - 1)
		d = allow(t, l, "k")
		require.False(t, d.Allowed())
		require.Equal(t, time.Duration(1), d.RetryAfter, "exact")
		time.Sleep(time.Nanosecond)
		d = allow(t, l, "k")
		require.True(t, d.Allowed())
		require.Equal(t, 6*time.Second, func() time.Duration { d := allow(t, l, "k"); return d.RetryAfter }(), "one came back, not two")

		time.Sleep(time.Hour)
		require.Equal(t, 6*time.Second, func() time.Duration { d := drain(t, l, "k"); return d.RetryAfter }())
	})
}

func TestABurstOfItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, "60/minute burst 3", ratelimit.Config{})
		for range 3 {
			require.Equal(t, ratelimit.Allowed, allow(t, l, "k").Verdict)
		}
		require.Equal(t, time.Second, allow(t, l, "k").RetryAfter)
		admitted := 0
		for range 600 {
			time.Sleep(100 * time.Millisecond)
			if d := allow(t, l, "k"); d.Allowed() {
				admitted++
			}
		}
		require.Equal(t, 60, admitted, "a minute's worth in a minute")
	})
}

// A request that one limit refuses takes nothing of the others.
func TestSeveralLimitsDecideAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, "2/second; 5/minute; 100/hour", ratelimit.Config{})
		require.True(t, func() bool { d := allowN(t, l, "k", 2); return d.Allowed() }())
		for range 1000 {
			d := allow(t, l, "k")
			require.Equal(t, "api/2/second", d.Policy)
			require.Equal(t, 500*time.Millisecond, d.RetryAfter)
			s := statuses(d)
			require.Equal(t, []int64{0, 3, 98}, []int64{s[0].Remaining, s[1].Remaining, s[2].Remaining})
		}
		time.Sleep(time.Second)
		require.Equal(t, ratelimit.Allowed, allowN(t, l, "k", 2).Verdict)
		time.Sleep(time.Second)
		require.Equal(t, ratelimit.Allowed, allow(t, l, "k").Verdict)
		d := allow(t, l, "k")
		require.Equal(t, "api/5/minute", d.Policy, "the one that takes longest")
		require.Equal(t, 10*time.Second, d.RetryAfter)
	})
}

func TestCost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told []error
		l := newLimiter(t, "10/minute; 5/hour", ratelimit.Config{Hooks: ratelimit.Hooks{
			OnError: func(e ratelimit.ErrorEvent) { told = append(told, e.Err) },
		}})
		d := allowN(t, l, "k", 6)
		require.Equal(t, ratelimit.Denied, d.Verdict)
		require.Equal(t, "api/5/hour", d.Policy)
		require.Zero(t, d.RetryAfter)
		require.Equal(t, errors.StopPermanent, errors.StopOf(d.Err()))
		require.Equal(t, errors.RateLimited, errors.KindOf(d.Err()))
		_, known := errors.RetryAfter(d.Err())
		require.False(t, known, "it never passes")
		require.Empty(t, statuses(d))

		for range 20 {
			d = allowN(t, l, "k", 0)
			require.True(t, d.Allowed(), "asking costs nothing")
			require.Equal(t, int64(5), statuses(d)[1].Remaining)
		}
		require.Zero(t, l.Snapshot().Keys)
		require.Equal(t, ratelimit.Allowed, allowN(t, l, "k", 5).Verdict)
		d = allowN(t, l, "k", 0)
		require.True(t, d.Allowed())
		require.Zero(t, d.Wait)
		require.Zero(t, statuses(d)[1].Remaining)

		for _, cost := range []int64{-1, -1 << 63} {
			d, err := l.AllowN(t.Context(), "k", cost)
			require.ErrorContains(t, err, fmt.Sprintf("a cost of %d, want 0 or more", cost))
			require.Equal(t, errors.Internal, errors.KindOf(err))
			require.False(t, d.Allowed())
		}
		_, err := l.AllowN(t.Context(), "k", 1<<63-1)
		require.NoError(t, err, "refused, without an overflow")
		_, err = l.Allow(t.Context(), "")
		require.ErrorContains(t, err, "an empty key")
		require.Len(t, told, 3)
	})
}

func TestARefusalAsAnError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, "1/minute", ratelimit.Config{})
		d := allow(t, l, "k")
		require.NoError(t, d.Err())
		d = allow(t, l, "k")
		e, ok := errors.AsType[*errors.Error](d.Err())
		require.True(t, ok)
		require.Equal(t, &errors.Error{
			Kind: errors.RateLimited, Service: "api", Op: "limit", Delivery: errors.NotSent, Stop: errors.StopRateLimited,
			Retry: errors.Retry{After: time.Minute}, Details: map[string]any{"violated-policies": []string{"api"}},
		}, e)
		var zero ratelimit.Decision
		require.False(t, zero.Allowed())
		require.NoError(t, zero.Err())
		require.NoError(t, zero.Refund(t.Context()))
		require.Empty(t, statuses(zero))
	})
}

func TestRefund(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, "3/minute; 10/hour", ratelimit.Config{})
		d := allowN(t, l, "k", 3)
		require.NoError(t, d.Refund(t.Context()))
		s := statuses(allowN(t, l, "k", 0))
		require.Equal(t, []int64{3, 10}, []int64{s[0].Remaining, s[1].Remaining})
		denied := drain(t, l, "k")
		require.NoError(t, denied.Refund(t.Context()), "nothing was taken")
		require.Equal(t, ratelimit.Denied, allow(t, l, "k").Verdict)
		time.Sleep(time.Hour)
		require.NoError(t, d.Refund(t.Context()), "a bucket that is full stays full")
		for i := range 3 {
			require.Equal(t, ratelimit.Allowed, allow(t, l, "k").Verdict, i)
		}
		require.Equal(t, ratelimit.Denied, allow(t, l, "k").Verdict)
	})
}

func TestWaitServesInTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, "1/second", ratelimit.Config{})
		start := time.Now()
		var at [5]time.Duration
		var wg sync.WaitGroup
		for i := range at {
			wg.Go(func() {
				d, err := l.Wait(t.Context(), "k")
				if err == nil && d.Allowed() {
					at[i] = time.Since(start)
				}
			})
			synctest.Wait()
		}
		wg.Wait()
		for i := range at {
			require.Equal(t, time.Duration(i)*time.Second, at[i])
		}
	})
}

func TestWaitThatCannotFitFailsAtOnceAndTakesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, "1/minute burst 2", ratelimit.Config{})
		allowN(t, l, "k", 2)
		start := time.Now()
		_, err := l.Wait(t.Context(), "k")
		require.Equal(t, errors.RateLimited, errors.KindOf(err), "beyond the 30 s of MaxWait")
		after, _ := errors.RetryAfter(err)
		require.Equal(t, time.Minute, after)

		patient := newLimiter(t, "1/minute", ratelimit.Config{MaxWait: -1})
		allow(t, patient, "k")
		ctx, cancel := context.WithTimeout(t.Context(), 59*time.Second)
		defer cancel()
		_, err = patient.Wait(ctx, "k")
		require.Equal(t, errors.StopRateLimited, errors.StopOf(err))
		_, err = patient.WaitN(ctx, "k", 2)
		require.Equal(t, errors.StopPermanent, errors.StopOf(err))
		require.Zero(t, time.Since(start))

		long, cancelLong := context.WithTimeout(t.Context(), time.Minute)
		defer cancelLong()
		d, err := patient.Wait(long, "k")
		require.NoError(t, err, "what fits is waited for")
		require.Equal(t, time.Minute, d.Wait)
		require.Equal(t, time.Minute, time.Since(start))
		_, err = patient.Wait(ctx, "k")
		require.Equal(t, errors.StopDeadline, errors.StopOf(err), "the deadline is over")
		require.Equal(t, errors.Unavailable, errors.KindOf(err))
		_, err = patient.Wait(t.Context(), "")
		require.ErrorContains(t, err, "an empty key")
	})
}

func TestWaitGivesBackWhatACallerWhoLeavesHadTaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, "1/second", ratelimit.Config{})
		allow(t, l, "k")
		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := l.Wait(ctx, "k")
			if errors.KindOf(err) != errors.Canceled || !errors.Is(err, gone) || errors.StopOf(err) != errors.StopCanceled {
				t.Error(err)
			}
		})
		synctest.Wait()
		require.Equal(t, 2*time.Second, allow(t, l, "k").RetryAfter, "one is reserved")
		cancel(gone)
		wg.Wait()
		require.Equal(t, time.Second, allow(t, l, "k").RetryAfter)
		_, err := l.Wait(ctx, "k")
		require.ErrorIs(t, err, context.Canceled)
	})
}

// Those behind a caller who leaves keep their turns: nobody may be given one of them a second time.
func TestATurnIsGivenOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, "1/second", ratelimit.Config{MaxWait: -1})
		start := time.Now()
		var mu sync.Mutex
		served := map[time.Duration]int{}
		var wg sync.WaitGroup
		ten := func(ctx context.Context) {
			for range 10 {
				wg.Go(func() {
					if _, err := l.Wait(ctx, "k"); err == nil {
						mu.Lock()
						served[time.Since(start)]++
						mu.Unlock()
					}
				})
			}
			synctest.Wait()
		}
		ctx, leave := context.WithCancel(t.Context())
		ten(ctx)
		ten(t.Context())
		leave()
		synctest.Wait()
		ten(t.Context())
		wg.Wait()
		for at, n := range served {
			require.Equal(t, 1, n, "at %v", at)
		}
		require.Len(t, served, 21)
	})
}

// So it is where the turn had come, and was not used.
func TestATurnThatIsNotUsedIsNotTheLastOnesToo(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]ratelimit.Config{
		"memory": {}, "store": {Store: ratelimit.NewMemoryStore(), OnOutage: ratelimit.FailClosed},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newLimiter(t, "1/second", cfg)
			allow(t, l, "k")
			var wg sync.WaitGroup
			wg.Go(func() {
				d, err := l.Wait(t.Context(), "k")
				if err != nil || d.Refund(t.Context()) != nil {
					t.Error(name, err)
				}
			})
			synctest.Wait()
			wg.Go(func() { _, _ = l.Wait(t.Context(), "k") })
			time.Sleep(time.Second)
			synctest.Wait()
			d, err := l.Wait(t.Context(), "k")
			require.NoError(t, err, name)
			require.Equal(t, 2*time.Second, d.Wait, name)
			wg.Wait()
		})
	}
}

// What is reserved ahead by those who wait is not left, and asking how things stand waits for nobody.
func TestHowThingsStandWhileOthersWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, "2/minute", ratelimit.Config{MaxWait: -1})
		allowN(t, l, "k", 2)
		ctx, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { _, _ = l.Wait(ctx, "k") })
		}
		synctest.Wait()
		time.Sleep(10 * time.Second)
		d, err := l.WaitN(t.Context(), "k", 0)
		require.NoError(t, err)
		require.Zero(t, d.Wait)
		require.Equal(t, []ratelimit.Status{{
			Limit: l.Config().Limits[0], Remaining: 0, Next: 20*time.Second + 3*30*time.Second, Full: 50*time.Second + 3*30*time.Second,
		}}, statuses(d))
		require.Equal(t, 20*time.Second+3*30*time.Second, allow(t, l, "k").RetryAfter)
		leave()
		wg.Wait()
	})
}

func TestTheAllowListIsNeverLimited(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, "1/hour", ratelimit.Config{
		AllowList: []string{"friend"},
		AllowNetworks: []netip.Prefix{
			netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("::ffff:192.0.2.0/120"),
		},
	})
	for key, exempt := range map[string]bool{
		"friend": true, "10.1.2.3": true, "2001:db8:1:2::/64": true, "192.0.2.7": true,
		"foe": false, "11.0.0.1": false, "2001:db9::/64": false, "192.0.3.1": false,
	} {
		first, second := allow(t, l, key), allow(t, l, key)
		require.Equal(t, exempt, first.Verdict == ratelimit.Exempt, key)
		require.Equal(t, exempt, second.Allowed(), key)
		require.NoError(t, first.Refund(t.Context()))
	}
	require.Equal(t, 4, l.Snapshot().Keys)
}

func TestShadowReportsAndNeverActs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var seen []ratelimit.DecisionEvent
		l := newLimiter(t, "1/minute", ratelimit.Config{Mode: ratelimit.Shadow, Hooks: ratelimit.Hooks{
			OnDecision: func(e ratelimit.DecisionEvent) { seen = append(seen, e) },
		}})
		start := time.Now()
		d := allow(t, l, "k")
		require.Equal(t, ratelimit.Allowed, d.Verdict)
		for range 3 {
			d = allow(t, l, "k")
			require.Equal(t, ratelimit.WouldDeny, d.Verdict)
			require.True(t, d.Allowed())
			require.NoError(t, d.Err())
			require.NoError(t, d.Refund(t.Context()), "nothing was taken")
			_, err := l.Wait(t.Context(), "k")
			require.NoError(t, err)
		}
		v, err := ratelimit.Do(t.Context(), l, "k", func(context.Context) (int, error) { return 7, nil })
		require.NoError(t, err)
		require.Equal(t, 7, v)
		require.Zero(t, time.Since(start))
		require.Len(t, seen, 8)
		require.Equal(t, ratelimit.DecisionEvent{
			Name: "api", Key: "k", Verdict: ratelimit.WouldDeny, Policy: "api", Cost: 1, RetryAfter: time.Minute,
		}, seen[1])
		time.Sleep(time.Minute)
		require.Equal(t, ratelimit.Allowed, allow(t, l, "k").Verdict, "as if enabled: what would be refused takes nothing")
	})
}

func TestDisabledDoesNothing(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, "1/hour", ratelimit.Config{Mode: ratelimit.Disabled, Hooks: ratelimit.Hooks{
		OnDecision: func(ratelimit.DecisionEvent) { t.Error("asked") },
	}})
	for range 5 {
		d := allow(t, l, "k")
		require.Equal(t, ratelimit.Exempt, d.Verdict)
	}
	require.Zero(t, l.Snapshot())
}

func TestDo(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, "2/hour", ratelimit.Config{})
	broken := errors.New("broken")
	calls := 0
	fn := func(context.Context) (string, error) { calls++; return "v", broken }
	for range 2 {
		v, err := ratelimit.Do(t.Context(), l, "k", fn)
		require.Equal(t, "v", v)
		require.Equal(t, broken, err)
	}
	v, err := ratelimit.Do(t.Context(), l, "k", fn)
	require.Empty(t, v)
	require.Equal(t, errors.RateLimited, errors.KindOf(err))
	_, err = ratelimit.Do(t.Context(), l, "", fn)
	require.Equal(t, errors.Internal, errors.KindOf(err))
	require.Equal(t, 2, calls)
}

func TestAHookMayUseTheLimiter(t *testing.T) {
	t.Parallel()
	var l *ratelimit.Limiter
	depth := 0
	l = newLimiter(t, "5/hour", ratelimit.Config{Hooks: ratelimit.Hooks{OnDecision: func(e ratelimit.DecisionEvent) {
		if depth++; depth == 1 {
			_, _ = l.Allow(context.Background(), e.Key)
			l.Snapshot()
		}
	}}})
	within(t, func() { allow(t, l, "k") })
	require.Equal(t, 2, depth)
	require.Equal(t, int64(3), statuses(allowN(t, l, "k", 0))[0].Remaining)
}

// No more than the limit, and no less, whatever the interleaving.
func TestParallelCallersGetExactlyTheBurst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, "1000/day; 5000/month", ratelimit.Config{})
		var admitted, refunded atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for i := range 1000 {
					d, err := l.Allow(context.Background(), "k")
					if err != nil || !d.Allowed() {
						continue
					}
					if i%10 == 0 {
						_ = d.Refund(context.Background())
						refunded.Add(1)
						continue
					}
					admitted.Add(1)
				}
			})
		}
		wg.Wait()
		require.Positive(t, refunded.Load())
		require.Equal(t, int64(1000), admitted.Load())
	})
}
