package ratelimit_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/ratelimit"
)

// set is SetLimits with limits as text.
func set(t testing.TB, l *ratelimit.Limiter, limits string) {
	t.Helper()
	parsed, err := ratelimit.ParseLimits(limits)
	require.NoError(t, err)
	require.NoError(t, l.SetLimits(parsed))
}

func TestSetLimitsReportsEveryFaultAndChangesNothing(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, "10/minute; 100/hour", ratelimit.Config{Hooks: ratelimit.Hooks{
		OnLimits: func(ratelimit.LimitsEvent) { t.Error("told") },
	}})
	before := l.Config().Limits
	for _, c := range []struct {
		limits ratelimit.Limits
		faults []string
	}{
		{nil, []string{`ratelimit "api": Limits = 0: want 1 to 8 limits`}},
		{make(ratelimit.Limits, 9), []string{"Limits = 9: want 1 to 8", "Limits[0]", "Limits[8]"}},
		{
			ratelimit.Limits{{Count: 1}, {Count: 1, Period: 1, Name: `"`}, {Count: 1, Period: 1}},
			[]string{"Limits[0] = ", "Limits[1] = ", "Limits = 3: want as many as before, which is 2"},
		},
		{ratelimit.Limits{{Count: 1, Period: 1, Name: "a"}, {Count: 2, Period: 2, Name: "a"}}, []string{"a name of its own"}},
	} {
		err := l.SetLimits(c.limits)
		for _, fault := range c.faults {
			require.ErrorContains(t, err, fault)
		}
		require.Equal(t, before, l.Config().Limits)
	}

	shared := newLimiter(t, "10/minute", ratelimit.Config{Store: ratelimit.NewMemoryStore(), OnOutage: ratelimit.LocalShare, Replicas: 100})
	require.ErrorContains(t, shared.SetLimits(ratelimit.Limits{{Count: 1, Period: 365 * 24 * time.Hour}}), "Replicas")
}

func TestSetLimitsFillsInNamesAndTells(t *testing.T) {
	t.Parallel()
	var told []ratelimit.LimitsEvent
	l := newLimiter(t, "10/minute; 100/hour", ratelimit.Config{Hooks: ratelimit.JoinHooks(
		ratelimit.Hooks{}, ratelimit.Hooks{OnLimits: func(e ratelimit.LimitsEvent) { told = append(told, e) }},
	)})
	old := l.Config().Limits
	given := ratelimit.Limits{{Count: 20, Period: time.Minute}, {Name: "hourly", Count: 100, Period: time.Hour, Burst: 5}}
	require.NoError(t, l.SetLimits(given))
	given[0].Count = 99 // it is ours by now
	want := ratelimit.Limits{
		{Name: "api/20/minute", Count: 20, Period: time.Minute, Burst: 20}, {Name: "hourly", Count: 100, Period: time.Hour, Burst: 5},
	}
	require.Equal(t, want, l.Config().Limits)
	require.Equal(t, []ratelimit.LimitsEvent{{Name: "api", Old: old, New: want}}, told)
	told[0].New[0].Count = 99
	require.Equal(t, want, l.Config().Limits)
}

// RATE_LIMIT_PER_MINUTE goes up and down: the same period, and so every client's share of it stays.
func TestTheShareOfTheBurstStays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, "10/minute", ratelimit.Config{})
		require.EqualValues(t, 6, statuses(allowN(t, l, "half", 4))[0].Remaining)
		drain(t, l, "out")
		set(t, l, "20/minute")
		require.EqualValues(t, 12, statuses(allowN(t, l, "half", 0))[0].Remaining)
		require.EqualValues(t, 20, statuses(allowN(t, l, "new", 0))[0].Remaining)
		require.Equal(t, 3*time.Second, allow(t, l, "out").RetryAfter, "the next of twenty, and no burst of ten more")
		time.Sleep(15 * time.Second)
		set(t, l, "4/minute")
		require.EqualValues(t, 1, statuses(allowN(t, l, "out", 0))[0].Remaining, "a quarter has come back")
	})
}

func TestNobodyWaitsLongerThanTheNewLimitsSay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, "2/hour; 100/day", ratelimit.Config{})
		require.Equal(t, 30*time.Minute, drain(t, l, "k").RetryAfter)
		set(t, l, "2/second; 100/day")
		require.Equal(t, 500*time.Millisecond, allow(t, l, "k").RetryAfter)
		set(t, l, "2/hour; 100/day")
		require.Equal(t, 30*time.Minute, allow(t, l, "k").RetryAfter, "nor does it begin afresh")
	})
}

// A bucket that fills sooner is forgotten sooner.
func TestMemoryFollowsTheLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, "10/day", ratelimit.Config{MaxKeys: 1000})
		for i := range 100 {
			allow(t, l, fmt.Sprint(i))
		}
		set(t, l, "10/second")
		time.Sleep(time.Second)
		allowN(t, l, "k", 0)
		require.Zero(t, l.Snapshot().Keys)
	})
}

// Who waits keeps his turn, and who comes after has one behind it; where the limit is faster by then, a sooner one.
func TestTurnsThatCallersWaitForAreKept(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limits string
		last   time.Duration
	}{
		"the same time": {"2/minute burst 2", 90 * time.Second},
		"slower":        {"1/hour", 60*time.Second + time.Hour},
		"faster":        {"1/second", 2 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newLimiter(t, "2/minute", ratelimit.Config{MaxWait: -1})
			o := l.Outbound("v")
			start := time.Now()
			acquire := func() time.Duration {
				_, err := o.Acquire(t.Context(), forever)
				require.NoError(t, err)
				return time.Since(start)
			}
			acquire()
			acquire()
			var wg sync.WaitGroup
			var first, second time.Duration
			wg.Go(func() { first = acquire() })
			synctest.Wait()
			wg.Go(func() { second = acquire() })
			synctest.Wait()
			set(t, l, c.limits)
			last := acquire()
			require.Equal(t, c.last, last, name)
			wg.Wait()
			require.Equal(t, 30*time.Second, first, name)
			require.Equal(t, 60*time.Second, second, name)
		})
	}
}

// What a canceled caller gives back is as much of the new burst as it was of the old.
func TestARefundAfterSetLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, "10/minute", ratelimit.Config{})
		left := func() int64 { return statuses(allowN(t, l, "k", 0))[0].Remaining }
		d := allowN(t, l, "k", 2)
		drain(t, l, "k")
		set(t, l, "10/hour")
		require.NoError(t, d.Refund(t.Context()))
		require.EqualValues(t, 2, left())
		require.EqualValues(t, 8, statuses(d)[0].Remaining, "it says what it said")
		d = allowN(t, l, "k", 2)
		set(t, l, "10/minute")
		set(t, l, "10/day")
		require.NoError(t, d.Refund(t.Context()))
		require.Zero(t, left(), "of two changes ago")

		o := l.Outbound("v")
		set(t, l, "1/minute")
		_, err := o.Acquire(t.Context(), 0)
		require.NoError(t, err)
		set(t, l, "1/hour")
		o.Refund(0)
		_, err = o.Acquire(t.Context(), 0)
		require.NoError(t, err)
	})
}

func TestTheFieldsFollowTheLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, partition := range []bool{false, true} {
			l := newLimiter(t, "10/minute", ratelimit.Config{Legacy: ratelimit.LegacyResetSeconds, PartitionKey: partition})
			h := l.Handler(ratelimit.RemoteAddr)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			get := func() http.Header {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
				return w.Header()
			}
			get()
			require.NoError(t, l.SetLimits(ratelimit.Limits{{Name: "new", Count: 100, Period: time.Hour, Burst: 50}}))
			got := get()
			plain := func(field string) string { // without the pk parameter
				parts := strings.Split(got.Get(field), ";")
				kept := parts[:0]
				for _, p := range parts {
					if !strings.HasPrefix(p, "pk=") {
						kept = append(kept, p)
					}
				}
				return strings.Join(kept, ";")
			}
			require.Equal(t, `"new";q=100;w=3600;prusik-burst=50`, plain("RateLimit-Policy"))
			require.Equal(t, `"new";r=44;t=36`, plain("RateLimit"))
			require.Equal(t, "50", got.Get("X-RateLimit-Limit"))
			require.Equal(t, "44", got.Get("X-RateLimit-Remaining"))
		}
	})
}

// An Outbound that need not ask anybody has its own short way to the memory.
func TestOutboundFollowsTheLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, "1/minute", ratelimit.Config{})
		o := l.Outbound("v")
		_, err := o.Acquire(t.Context(), 0)
		require.NoError(t, err)
		set(t, l, "6/minute")
		time.Sleep(20 * time.Second)
		for range 2 {
			_, err = o.Acquire(t.Context(), 0)
			require.NoError(t, err, "a third of six is back")
		}
		_, err = o.Acquire(t.Context(), 0)
		after, _ := errors.RetryAfter(err)
		require.Equal(t, 10*time.Second, after)
		require.Equal(t, "6/minute", o.Snapshot().Limiter.Config().Limits.String())
	})
}

// In a Store the buckets of other limits are other buckets. What was taken of the old ones goes back there.
func TestAStoreBeginsWithFullBuckets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, "2/minute", ratelimit.Config{Store: ratelimit.NewMemoryStore(), OnOutage: ratelimit.FailClosed})
		allow(t, l, "k")
		d := allow(t, l, "k")
		require.True(t, d.Allowed())
		require.Equal(t, ratelimit.Denied, allow(t, l, "k").Verdict)
		set(t, l, "3/minute")
		require.EqualValues(t, 2, statuses(allow(t, l, "k"))[0].Remaining)
		require.Equal(t, ratelimit.Denied, allowN(t, l, "k", 4).Verdict)
		require.NoError(t, d.Refund(t.Context()))
		require.EqualValues(t, 2, statuses(allowN(t, l, "k", 0))[0].Remaining)
		set(t, l, "2/minute")
		require.EqualValues(t, 1, statuses(allowN(t, l, "k", 0))[0].Remaining)
	})
}

// down is a Store that is not there.
type down struct{}

func (down) Take(context.Context, ratelimit.Request) (ratelimit.Result, error) {
	return ratelimit.Result{}, errors.New("down")
}

func (down) Refund(context.Context, ratelimit.Request, [ratelimit.MaxLimits]time.Duration) error {
	return errors.New("down")
}

func TestLocalSharesFollowTheLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, "10/minute", ratelimit.Config{Store: down{}, OnOutage: ratelimit.LocalShare, Replicas: 5})
		d := drain(t, l, "k")
		require.Equal(t, 30*time.Second, d.RetryAfter, "two of ten, 2/minute")
		set(t, l, "20/minute")
		require.Equal(t, 15*time.Second, allow(t, l, "k").RetryAfter, "four of twenty")
		require.Equal(t, ratelimit.Allowed, allowN(t, l, "other", 4).Verdict)
		d = allowN(t, l, "third", 5)
		require.Equal(t, ratelimit.Denied, d.Verdict)
		require.Zero(t, d.RetryAfter)
		set(t, l, "20/hour")
		require.Equal(t, 15*time.Minute, allow(t, l, "k").RetryAfter)
	})
}

// 64 goroutines decide while the limits change. Every decision, and what a client is told of it, is by one or the other.
func TestSetLimitsStress(t *testing.T) {
	t.Parallel()
	two := [2]ratelimit.Limits{
		{{Name: "a", Count: 100, Period: time.Second}, {Name: "aa", Count: 300, Period: time.Minute, Burst: 7}},
		{{Name: "b", Count: 50, Period: time.Second, Burst: 3}, {Name: "bb", Count: 10_000, Period: time.Hour}},
	}
	for name, cfg := range map[string]ratelimit.Config{
		"memory": {}, "small": {MaxKeys: 5}, "partition": {PartitionKey: true}, "shadow": {Mode: ratelimit.Shadow},
		"store": {Store: ratelimit.NewMemoryStore(), OnOutage: ratelimit.FailClosed},
		"share": {Store: down{}, OnOutage: ratelimit.LocalShare, Replicas: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg.Limits = two[0]
			var changes atomic.Int64
			cfg.Hooks.OnLimits = func(ratelimit.LimitsEvent) { changes.Add(1) }
			l := newLimiter(t, "", cfg)
			out := l.Outbound("v")
			h := l.Handler(ratelimit.RemoteAddr)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			stop := make(chan struct{})
			var users, changers sync.WaitGroup
			for g := range 64 {
				users.Go(func() {
					for i := range 40 {
						use(t, l, out, h, fmt.Sprint("10.0.0.", (g+i)%8))
					}
				})
			}
			for range 2 {
				changers.Go(func() {
					for i := 0; ; i++ {
						select {
						case <-stop:
							return
						default:
						}
						if err := l.SetLimits(two[i%2]); err != nil {
							t.Error(err)
						}
						runtime.Gosched()
					}
				})
			}
			users.Wait()
			close(stop)
			changers.Wait()
			require.Positive(t, changes.Load())
		})
	}
}

func use(t *testing.T, l *ratelimit.Limiter, out *ratelimit.Outbound, h http.Handler, key string) {
	ctx := context.Background()
	cost := rand.Int64N(9)
	d, err := l.AllowN(ctx, key, cost)
	if err != nil {
		t.Error(err)
		return
	}
	names := d.Policy
	for s := range d.Statuses() {
		names += s.Limit.Name
		if s.Remaining < 0 || s.Remaining > s.Limit.Burst || s.Full > s.Limit.Span() {
			t.Error("of the other limit:", s)
		}
	}
	if strings.Contains(names, "a") && strings.Contains(names, "b") {
		t.Error("a mixture:", names)
	}
	if rand.IntN(3) == 0 {
		_ = d.Refund(ctx)
	}
	if _, err := out.Acquire(ctx, 0); err == nil && rand.IntN(2) == 0 {
		out.Refund(0)
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	r.RemoteAddr = key + ":1"
	h.ServeHTTP(w, r)
	fields := w.Header().Get("RateLimit") + w.Header().Get("RateLimit-Policy")
	if strings.Contains(fields, `"a`) && strings.Contains(fields, `"b`) {
		t.Error("a mixture:", fields)
	}
	_ = l.Config()
}
