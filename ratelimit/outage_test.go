package ratelimit_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/ratelimit"
)

const dialError = "dial tcp 10.9.8.7:6379: connect: connection refused, password hunter2"

// fakeStore decides as it is told, or fails.
type fakeStore struct {
	result  ratelimit.Result
	err     error
	took    []ratelimit.Request
	refunds []ratelimit.Request
	back    [ratelimit.MaxLimits]time.Duration
}

func (s *fakeStore) Take(_ context.Context, r ratelimit.Request) (ratelimit.Result, error) {
	s.took = append(s.took, r)
	return s.result, s.err
}

func (s *fakeStore) Refund(_ context.Context, r ratelimit.Request, back [ratelimit.MaxLimits]time.Duration) error {
	s.back = back
	s.refunds = append(s.refunds, r)
	return s.err
}

func TestAStoreIsAskedOnceForAllLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, testAStoreIsAskedOnce)
}

func testAStoreIsAskedOnce(t *testing.T) {
	s := &fakeStore{result: ratelimit.Result{Allowed: true, Debts: [ratelimit.MaxLimits]time.Duration{18 * time.Second, 9 * time.Second}}}
	l := newLimiter(t, "10/minute; 400/hour", ratelimit.Config{Store: s, OnOutage: ratelimit.FailClosed})
	d := allowN(t, l, "k", 3)
	want := ratelimit.Request{Limiter: "api", Key: "k", Cost: 3, Limits: l.Config().Limits}
	require.Equal(t, []ratelimit.Request{want}, s.took)
	require.Equal(t, int64(7), statuses(d)[0].Remaining)
	require.Equal(t, int64(399), statuses(d)[1].Remaining)
	require.NoError(t, d.Refund(t.Context()))
	require.Equal(t, []ratelimit.Request{want}, s.refunds)
	require.InDelta(t, 18*time.Second, s.back[0], float64(time.Second), "time has passed")
	require.InDelta(t, 9*time.Second, s.back[1], float64(time.Second), "no more than it owes")

	s.result = ratelimit.Result{Allowed: true, Wait: time.Second, Debts: [ratelimit.MaxLimits]time.Duration{time.Hour}}
	d, err := l.Wait(t.Context(), "k")
	require.NoError(t, err)
	s.err = errors.New("down")
	require.ErrorIs(t, d.Refund(t.Context()), s.err, "whether others wait is not known")
	s.err = nil
	s.result = ratelimit.Result{Allowed: true}
	d = allow(t, l, "k")
	require.NoError(t, d.Refund(t.Context()))
	require.Len(t, s.refunds, 1, "it has all come back by itself")
	s.took = nil

	s.result = ratelimit.Result{Wait: time.Second}
	d = allow(t, l, "k")
	require.Equal(t, "api/10/minute", d.Policy)
	s.result = ratelimit.Result{Violated: 1, Wait: 5 * time.Second}
	d = allow(t, l, "k")
	require.Equal(t, ratelimit.Denied, d.Verdict)
	require.Equal(t, "api/400/hour", d.Policy)
	require.Equal(t, 5*time.Second, d.RetryAfter)
	_ = allowN(t, l, "k", 11)
	require.Len(t, s.took, 2, "what never passes is not asked")
	require.Zero(t, l.Snapshot())
}

func TestOutage(t *testing.T) {
	t.Parallel()
	for _, broken := range []*fakeStore{
		{err: errors.New(dialError)},
		{result: ratelimit.Result{Violated: 1}},
		{result: ratelimit.Result{Violated: -1}},
	} {
		var told []ratelimit.ErrorEvent
		var seen []ratelimit.DecisionEvent
		hooks := ratelimit.Hooks{
			OnError:    func(e ratelimit.ErrorEvent) { told = append(told, e) },
			OnDecision: func(e ratelimit.DecisionEvent) { seen = append(seen, e) },
		}
		served := func(cfg ratelimit.Config) (statuses []int, body string, h http.Header) {
			cfg.Store, cfg.Hooks = broken, hooks
			told, seen = nil, nil
			l := newLimiter(t, "10/minute", cfg)
			handler := l.Handler(ratelimit.RemoteAddr)(http.HandlerFunc(ok))
			for range 12 {
				w := serve(t, handler)
				statuses = append(statuses, w.Code)
				body, h = w.Body.String(), w.Header()
			}
			require.Len(t, told, 12)
			for _, e := range told {
				require.Equal(t, cfg.OnOutage, e.Outage)
				require.Error(t, e.Err)
			}
			require.NotContains(t, body, "10.9.8.7", "the store's own words")
			require.NotContains(t, body, "hunter2")
			require.Empty(t, h["Ratelimit"], "nothing is known to tell a client")
			return statuses, body, h
		}
		repeat := func(n, status int) (all []int) {
			for range n {
				all = append(all, status)
			}
			return all
		}

		codes, _, _ := served(ratelimit.Config{OnOutage: ratelimit.FailOpen})
		require.Equal(t, repeat(12, 200), codes)
		require.Equal(t, ratelimit.Exempt, seen[0].Verdict)
		require.Equal(t, ratelimit.FailOpen, seen[0].Outage)

		codes, body, h := served(ratelimit.Config{OnOutage: ratelimit.FailClosed})
		require.Equal(t, repeat(12, 503), codes)
		require.Contains(t, body, `"kind":"unavailable"`)
		require.Empty(t, h["Retry-After"], "not known")
		require.Empty(t, seen, "no decision")

		codes, _, _ = served(ratelimit.Config{OnOutage: ratelimit.LocalShare, Replicas: 4})
		require.Equal(t, append(repeat(2, 200), repeat(10, 429)...), codes, "a quarter of ten")
		require.Equal(t, ratelimit.LocalShare, seen[11].Outage)

		codes, _, _ = served(ratelimit.Config{OnOutage: ratelimit.FailClosed, Mode: ratelimit.Shadow})
		require.Equal(t, repeat(12, 200), codes, "shadow never acts")
		d, err := newLimiter(t, "1/hour", ratelimit.Config{Store: broken, OnOutage: ratelimit.FailClosed, Mode: ratelimit.Shadow}).Allow(t.Context(), "k")
		require.NoError(t, err)
		require.True(t, d.Allowed())
	}
}

func TestAClosedOutageSaysWhenTheStoreIsAskedAgain(t *testing.T) {
	t.Parallel()
	s := &fakeStore{err: &errors.Error{Kind: errors.CircuitOpen, Retry: errors.Retry{After: 7 * time.Second}}}
	l := newLimiter(t, "10/minute", ratelimit.Config{Store: s, OnOutage: ratelimit.FailClosed})
	w := serve(t, l.Handler(ratelimit.RemoteAddr)(http.HandlerFunc(ok)))
	require.Equal(t, 503, w.Code)
	require.Equal(t, "7", w.Header().Get("Retry-After"))
	_, err := l.Wait(t.Context(), "k")
	require.ErrorIs(t, err, errors.CircuitOpen, "a program may see the cause")
	require.Equal(t, errors.Unavailable, errors.KindOf(err))
}

func TestALocalShareIsAnNthOfTheRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{err: errors.New(dialError)}
		l := newLimiter(t, "12/minute burst 8; 2/second", ratelimit.Config{Store: s, OnOutage: ratelimit.LocalShare, Replicas: 4})
		time.Sleep(time.Hour)
		admitted := 0
		for range 600 {
			if d := allow(t, l, "k"); d.Allowed() {
				admitted++
			}
			time.Sleep(100 * time.Millisecond)
		}
		require.Equal(t, 2+2, admitted, "the burst, and 3 a minute less the last")
		d := allow(t, l, "big")
		require.NoError(t, d.Refund(t.Context()))
		require.Empty(t, s.refunds, "to where it came from")
		d = allow(t, l, "big")
		require.True(t, d.Allowed(), "the share is whole again")
		d = allow(t, l, "big")
		require.Equal(t, 2*time.Second, d.RetryAfter)
		d = allowN(t, l, "big", 2)
		require.Equal(t, ratelimit.Denied, d.Verdict)
		require.Equal(t, errors.StopRateLimited, errors.StopOf(d.Err()), "not for good: the store would let it pass")
		s.err = nil
		s.result = ratelimit.Result{Allowed: true}
		require.Zero(t, allow(t, l, "k").Outage, "back by itself")
	})
}

// A wait that was reserved at the store is given back there.
func TestWaitAtAStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStore{result: ratelimit.Result{Allowed: true, Wait: 3 * time.Second, Debts: [ratelimit.MaxLimits]time.Duration{time.Minute}}}
		l := newLimiter(t, "10/minute", ratelimit.Config{Store: s, OnOutage: ratelimit.FailOpen})
		start := time.Now()
		d, err := l.Wait(t.Context(), "k")
		require.NoError(t, err)
		require.Equal(t, 3*time.Second, time.Since(start))
		require.Equal(t, 3*time.Second, d.Wait)
		require.Equal(t, 30*time.Second, s.took[0].MaxWait)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = l.Wait(ctx, "k") // a store that keeps its contract would have refused
		require.Equal(t, errors.StopDeadline, errors.StopOf(err))
		require.Equal(t, time.Second, s.took[1].MaxWait)
		require.Len(t, s.refunds, 1)
	})
}

// hanging admits, after a wait, and never answers to a refund.
type hanging struct{ refunds atomic.Int64 }

func (*hanging) Take(_ context.Context, r ratelimit.Request) (ratelimit.Result, error) {
	return ratelimit.Result{Allowed: true, Wait: r.MaxWait, Debts: [ratelimit.MaxLimits]time.Duration{time.Hour}}, nil
}

func (s *hanging) Refund(ctx context.Context, _ ratelimit.Request, _ [ratelimit.MaxLimits]time.Duration) error {
	s.refunds.Add(1)
	<-ctx.Done()
	return ctx.Err()
}

// Who has left does not wait for a store that is down to take back what he had.
func TestAStoreThatHangsHoldsNobodyWhoLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &hanging{}
		l := newLimiter(t, "1/second", ratelimit.Config{Store: s, OnOutage: ratelimit.FailOpen, MaxWait: time.Minute})
		start := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(5*time.Second, cancel)
		_, err := l.Wait(ctx, "k")
		require.Equal(t, errors.StopCanceled, errors.StopOf(err))
		require.Equal(t, 6*time.Second, time.Since(start))
		o := l.Outbound("")
		start = time.Now()
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(5*time.Second, cancel)
		_, err = o.Acquire(ctx, time.Minute)
		require.Equal(t, errors.StopCanceled, errors.StopOf(err))
		require.Equal(t, 6*time.Second, time.Since(start))
		start = time.Now()
		o.Refund(0)
		require.Equal(t, time.Second, time.Since(start))
		require.Equal(t, int64(3), s.refunds.Load())
	})
}

// What has come back by itself while the answer was on its way belongs to whoever has taken it since.
func TestALateAnswerIsRefundedForWhatIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var given [ratelimit.MaxLimits]time.Duration
		s := lateStore{late: 4 * time.Second, back: &given}
		l := newLimiter(t, "10/minute", ratelimit.Config{Store: s, OnOutage: ratelimit.FailOpen})
		d := allow(t, l, "k")
		time.Sleep(time.Second)
		require.NoError(t, d.Refund(t.Context()))
		require.Equal(t, time.Second, given[0], "of 6 s")
	})
}

// lateStore admits, and its answer is late.
type lateStore struct {
	late time.Duration
	back *[ratelimit.MaxLimits]time.Duration
}

func (s lateStore) Take(_ context.Context, r ratelimit.Request) (ratelimit.Result, error) {
	time.Sleep(s.late)
	return ratelimit.Result{Allowed: true, Debts: [ratelimit.MaxLimits]time.Duration{r.Limits[0].Interval()}}, nil
}

func (s lateStore) Refund(_ context.Context, _ ratelimit.Request, back [ratelimit.MaxLimits]time.Duration) error {
	*s.back = back
	return nil
}

func TestAStoreThatBlocksHoldsItsOwnCallersOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var blocked atomic.Int64
		l := newLimiter(t, "10/minute", ratelimit.Config{OnOutage: ratelimit.FailOpen, Store: storeFunc(
			func(ctx context.Context, r ratelimit.Request) (ratelimit.Result, error) {
				if strings.HasPrefix(r.Key, "slow") {
					blocked.Add(1)
					<-ctx.Done()
					return ratelimit.Result{}, ctx.Err()
				}
				return ratelimit.Result{Allowed: true}, nil
			},
		)})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for range 100 {
			go func() { _, _ = l.Allow(ctx, "slow") }()
		}
		synctest.Wait()
		require.Equal(t, int64(100), blocked.Load())
		require.Equal(t, ratelimit.Allowed, allow(t, l, "fast").Verdict)
		d, err := l.Allow(ctx, "slow")
		require.NoError(t, err, "a deadline that passes while the store is asked is an outage")
		require.Equal(t, ratelimit.Exempt, d.Verdict)
	})
}
