package ratelimit_test

import (
	"context"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/ratelimit"
)

const forever = time.Duration(math.MaxInt64)

// limiter is httpx.Limiter, which this package does not import.
type limiter interface {
	Acquire(ctx context.Context, most time.Duration) (waited time.Duration, err error)
	Refund(ago time.Duration)
	Pause(d time.Duration)
	Learn(remaining int64, reset time.Duration)
}

var _ limiter = (*ratelimit.Outbound)(nil)

func acquire(t testing.TB, o *ratelimit.Outbound) time.Duration {
	t.Helper()
	waited, err := o.Acquire(t.Context(), forever)
	require.NoError(t, err)
	return waited
}

// barred is Acquire where it must fail at once.
func barred(t testing.TB, o *ratelimit.Outbound, most time.Duration) (retryAfter time.Duration) {
	t.Helper()
	start := time.Now()
	waited, err := o.Acquire(t.Context(), most)
	require.Zero(t, waited)
	require.Zero(t, time.Since(start))
	e, ok := errors.AsType[*errors.Error](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, errors.VendorRateLimited, e.Kind)
	require.Equal(t, errors.NotSent, e.Delivery)
	require.Equal(t, errors.StopRateLimited, e.Stop)
	require.Equal(t, "api", e.Service)
	return e.Retry.After
}

func TestAcquireWaitsForItsTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newLimiter(t, "1/second", ratelimit.Config{}).Outbound("twilio")
		require.Zero(t, acquire(t, o))
		require.Equal(t, time.Second, acquire(t, o))
		require.Equal(t, time.Second, acquire(t, o))
		require.Equal(t, time.Second, barred(t, o, time.Second-1))
		require.Equal(t, time.Second, barred(t, o, 0))
		require.Equal(t, time.Second, barred(t, o, -time.Hour))
		require.Equal(t, time.Second, acquire(t, o), "what was refused took nothing")
		o.Refund(0)
		require.Zero(t, acquire(t, o))

		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		start := time.Now()
		_, err := o.Acquire(ctx, forever)
		require.Equal(t, errors.VendorRateLimited, errors.KindOf(err), "it does not fit the deadline")
		require.Zero(t, time.Since(start))
		gone, leave := context.WithCancel(t.Context())
		leave()
		_, err = o.Acquire(gone, forever)
		require.Equal(t, errors.StopCanceled, errors.StopOf(err))
		require.Equal(t, time.Second, acquire(t, o))
	})
}

// Where there is room, too: nobody is there to send.
func TestACallerWhoHasLeftTakesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, mode := range []ratelimit.Mode{ratelimit.Enabled, ratelimit.Shadow} {
			decided := 0
			o := newLimiter(t, "2/minute", ratelimit.Config{Mode: mode, Hooks: ratelimit.Hooks{OnDecision: func(ratelimit.DecisionEvent) { decided++ }}}).Outbound("")
			ctx, leave := context.WithCancel(t.Context())
			leave()
			waited, err := o.Acquire(ctx, forever)
			require.Zero(t, waited)
			require.Equal(t, errors.StopCanceled, errors.StopOf(err))
			require.Zero(t, decided)
		}
	})
}

// Once each, whether it had to wait or not.
func TestEveryDecisionOfAnOutboundIsReported(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var seen []ratelimit.DecisionEvent
		o := newLimiter(t, "2/minute", ratelimit.Config{Hooks: ratelimit.Hooks{
			OnDecision: func(e ratelimit.DecisionEvent) { seen = append(seen, e) },
		}}).Outbound("vendor")
		for range 3 {
			acquire(t, o)
		}
		_, err := o.Acquire(t.Context(), time.Second)
		require.Equal(t, errors.StopRateLimited, errors.StopOf(err))
		allowed := ratelimit.DecisionEvent{Name: "api", Key: "vendor", Verdict: ratelimit.Allowed, Cost: 1}
		waited, denied := allowed, allowed
		waited.Wait = 30 * time.Second
		denied.Verdict, denied.Policy, denied.RetryAfter = ratelimit.Denied, "api", 30*time.Second
		require.Equal(t, []ratelimit.DecisionEvent{allowed, allowed, waited, denied}, seen)
	})
}

func TestAcquireGivesBackOnCancel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newLimiter(t, "1/minute", ratelimit.Config{}).Outbound("")
		o.Learn(2, time.Hour)
		acquire(t, o)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			waited, err := o.Acquire(ctx, forever)
			if waited != 10*time.Second || errors.StopOf(err) != errors.StopCanceled {
				t.Error(waited, err)
			}
		})
		time.Sleep(10 * time.Second)
		cancel()
		wg.Wait()
		require.Equal(t, 50*time.Second, barred(t, o, 0))
		require.Equal(t, 50*time.Second, acquire(t, o), "the vendor's quota is given back too")
		require.Equal(t, time.Hour-time.Minute, barred(t, o, 0))
	})
}

func TestOnePauseHoldsAllCallers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told []ratelimit.PauseEvent
		l := newLimiter(t, "10/second", ratelimit.Config{Hooks: ratelimit.Hooks{
			OnPause: func(e ratelimit.PauseEvent) { told = append(told, e) },
		}})
		o, same, other := l.Outbound("twilio"), l.Outbound("twilio"), l.Outbound("vapi")
		require.Same(t, o, same)
		start := time.Now()
		o.Pause(30 * time.Second)
		o.Pause(10 * time.Second) // shorter: stays as it is
		require.Equal(t, []ratelimit.PauseEvent{{Name: "api", Key: "twilio", For: 30 * time.Second}}, told)
		require.Zero(t, acquire(t, other), "another vendor is not held")
		require.Equal(t, 30*time.Second, barred(t, same, 29*time.Second))
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				waited, err := same.Acquire(t.Context(), time.Minute)
				if err != nil || waited < 30*time.Second || time.Since(start) < 30*time.Second {
					t.Error(waited, err)
				}
			})
		}
		wg.Wait()
		require.Equal(t, 31*time.Second, time.Since(start), "the burst, then one each tenth of a second")

		o.Pause(0)
		require.Equal(t, time.Second, barred(t, o, 0), "not said how long")
		time.Sleep(time.Second)
		told = nil
		o.Pause(forever)
		require.Equal(t, day, told[0].For)
	})
}

// Those who wait already when the pause begins come after it one by one, not all at once.
func TestAPauseReordersThoseWhoWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newLimiter(t, "1/second", ratelimit.Config{}).Outbound("twilio")
		start := time.Now()
		var mu sync.Mutex
		var at []time.Duration
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				waited, err := o.Acquire(t.Context(), forever)
				mu.Lock()
				defer mu.Unlock()
				if at = append(at, time.Since(start)); err != nil || waited != at[len(at)-1] {
					t.Error(waited, err)
				}
			})
		}
		time.Sleep(1500 * time.Millisecond) // two are sent
		o.Pause(20 * time.Second)
		wg.Wait()
		require.Len(t, at, 10)
		require.Equal(t, []time.Duration{0, time.Second}, at[:2])
		for i := 2; i < 10; i++ {
			require.GreaterOrEqual(t, at[i], 21500*time.Millisecond)
			if i > 2 {
				require.GreaterOrEqual(t, at[i]-at[i-1], time.Second, "%v", at)
			}
		}
		require.LessOrEqual(t, at[9], 40*time.Second)
	})
}

func TestLearn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newLimiter(t, "100/second", ratelimit.Config{}).Outbound("github")
		o.Learn(3, time.Minute)
		for range 3 {
			require.Zero(t, acquire(t, o))
		}
		require.Equal(t, time.Minute, barred(t, o, 0))
		o.Refund(0)
		require.Zero(t, acquire(t, o))
		o.Learn(-1, time.Minute)
		o.Learn(50, 0)
		require.Equal(t, time.Minute, barred(t, o, 0), "neither says anything")
		o.Learn(1, 10*time.Second)
		require.Zero(t, acquire(t, o), "the latest word")
		o.Learn(0, 10*time.Second)
		require.Equal(t, 10*time.Second, acquire(t, o))
		for range 50 {
			require.Zero(t, acquire(t, o), "the window is over")
		}
	})
}

// Those who wait for their turn when the vendor says that little is left are held to that.
func TestLearnHoldsThoseWhoWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newLimiter(t, "1/second", ratelimit.Config{}).Outbound("github")
		start := time.Now()
		var mu sync.Mutex
		var at []time.Duration
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				_, err := o.Acquire(t.Context(), forever)
				mu.Lock()
				defer mu.Unlock()
				if at = append(at, time.Since(start)); err != nil {
					t.Error(err)
				}
			})
		}
		time.Sleep(1500 * time.Millisecond) // two are sent
		o.Learn(3, time.Minute)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		time.Sleep(10 * time.Second)
		_, err := o.Acquire(ctx, forever)
		require.Equal(t, errors.VendorRateLimited, errors.KindOf(err), "nothing is left")
		wg.Wait()
		require.Len(t, at, 8)
		slices.Sort(at)
		require.Equal(t, []time.Duration{0, time.Second, 2 * time.Second, 3 * time.Second, 4 * time.Second}, at[:5])
		for i := 5; i < 8; i++ {
			require.GreaterOrEqual(t, at[i], 61500*time.Millisecond, "%v", at)
			require.GreaterOrEqual(t, at[i]-at[i-1], time.Second, "%v", at)
		}
		require.LessOrEqual(t, at[7], 70*time.Second)
	})
}

// A caller who leaves before the vendor's next window begins has kept nobody's place in it.
func TestACallerWhoLeavesBeforeTheNextWindowTakesNothingOfIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newLimiter(t, "1/second burst 3", ratelimit.Config{}).Outbound("github")
		o.Learn(0, 10*time.Second)
		begun := time.Now()
		var wg sync.WaitGroup
		wait := func(ctx context.Context) {
			wg.Go(func() {
				if _, err := o.Acquire(ctx, forever); err == nil && time.Since(begun) != 10*time.Second {
					t.Error(time.Since(begun))
				}
			})
			synctest.Wait()
		}
		ctx, leave := context.WithCancel(t.Context())
		wait(ctx)
		wait(t.Context())
		wait(t.Context())
		time.Sleep(3 * time.Second)
		leave()
		synctest.Wait()
		wait(t.Context())
		wg.Wait()
	})
}

// What a canceled wait had taken of the vendor's quota is not added to what the vendor has said since.
func TestAWaitThatEndsAfterTheVendorsWordAddsNothingToIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newLimiter(t, "1/second burst 1; 100/minute", ratelimit.Config{}).Outbound("github")
		o.Learn(5, time.Hour)
		acquire(t, o)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = o.Acquire(ctx, forever) })
		synctest.Wait()
		o.Learn(0, time.Hour)
		cancel()
		wg.Wait()
		require.Equal(t, time.Hour, barred(t, o, 0))
	})
}

// 1764000000 is a date, and 56 years of seconds.
func TestOneWrongHeaderDoesNotHoldForever(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const wrong = 1764000000 * time.Second
		o := newLimiter(t, "1/second", ratelimit.Config{}).Outbound("vendor")
		o.Pause(wrong)
		require.Equal(t, day, barred(t, o, 0))
		require.Equal(t, day, acquire(t, o))
		o.Learn(0, wrong)
		require.Equal(t, day, barred(t, o, 0))
		require.Equal(t, day, acquire(t, o))
		require.Equal(t, time.Second, acquire(t, o))
	})
}

// An attempt that is given up after a while gives back what time has not given back already, and no more.
func TestALateRefundGivesLess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newLimiter(t, "1/second", ratelimit.Config{}).Outbound("twilio")
		acquire(t, o)
		time.Sleep(20 * time.Second)
		acquire(t, o)
		o.Refund(20 * time.Second) // of the first
		require.Equal(t, time.Second, barred(t, o, 0))
		time.Sleep(300 * time.Millisecond)
		o.Refund(300 * time.Millisecond) // of the second
		require.Zero(t, acquire(t, o))
	})
}

// Nor does it give what those who wait behind it have reserved.
func TestARefundLeavesThoseWhoWaitTheirTurns(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]ratelimit.Config{
		"memory": {}, "store": {Store: ratelimit.NewMemoryStore(), OnOutage: ratelimit.FailClosed},
	} {
		synctest.Test(t, func(t *testing.T) {
			o := newLimiter(t, "1/second", cfg).Outbound("twilio")
			acquire(t, o)
			var wg sync.WaitGroup
			wg.Go(func() { _, _ = o.Acquire(t.Context(), forever) })
			synctest.Wait()
			o.Refund(0)
			require.Equal(t, 2*time.Second, barred(t, o, 0), name)
			wg.Wait()
		})
	}
}

func TestARefundAddsNothingToALaterWordOfTheVendor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newLimiter(t, "100/second", ratelimit.Config{}).Outbound("github")
		acquire(t, o)
		time.Sleep(time.Second)
		o.Learn(0, time.Hour) // in the answer to another attempt
		o.Refund(time.Second)
		require.Equal(t, time.Hour, barred(t, o, 0))
	})
}

// An exempt vendor is not limited by us, but what it says itself holds.
func TestAPauseHoldsAnExemptVendorToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newLimiter(t, "1/hour", ratelimit.Config{AllowList: []string{"friend"}}).Outbound("friend")
		for range 5 {
			require.Zero(t, acquire(t, o))
		}
		o.Pause(10 * time.Second)
		require.Equal(t, 10*time.Second, barred(t, o, 9*time.Second))
		require.Equal(t, 10*time.Second, acquire(t, o))
		o.Refund(0)
	})
}

func TestWhatWasNotAdmittedIsNotCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newLimiter(t, "1/second", ratelimit.Config{}).Outbound("github")
		acquire(t, o)
		o.Learn(1, time.Hour)
		for range 5 {
			require.Equal(t, time.Second, barred(t, o, 0), "our own limit")
		}
		require.Equal(t, time.Second, acquire(t, o), "the one that remains")
		require.Equal(t, time.Hour-time.Second, barred(t, o, 0))
	})
}

// Whoever is refused because of a pause takes nothing of what the vendor has left for the time after it.
func TestWhatAPauseRefusesIsNotCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newLimiter(t, "100/second", ratelimit.Config{}).Outbound("github")
		o.Learn(3, time.Hour)
		o.Pause(10 * time.Second)
		for range 5 {
			require.Equal(t, 10*time.Second, barred(t, o, 0))
		}
		time.Sleep(10 * time.Second)
		for range 3 {
			require.Zero(t, acquire(t, o))
		}
		require.Equal(t, time.Hour-10*time.Second, barred(t, o, 0))
	})
}

func TestAnExemptVendorsQuotaIsGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newLimiter(t, "1/hour", ratelimit.Config{AllowList: []string{"friend"}}).Outbound("friend")
		o.Learn(1, time.Hour)
		require.Zero(t, acquire(t, o))
		o.Refund(0)
		require.Zero(t, acquire(t, o))
		require.Equal(t, time.Hour, barred(t, o, 0))
	})
}

// After a pause the bucket counts from its end. What is given back within it must not make room there for two.
func TestARefundWithinAPauseMakesNoRoomAfterIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newLimiter(t, "1/second", ratelimit.Config{}).Outbound("twilio")
		acquire(t, o)
		o.Pause(10 * time.Second)
		var wg sync.WaitGroup
		var waits [2]time.Duration
		for i := range waits {
			wg.Go(func() { waits[i], _ = o.Acquire(t.Context(), forever) })
			synctest.Wait()
			o.Refund(0)
		}
		wg.Wait()
		require.Equal(t, [2]time.Duration{10 * time.Second, 11 * time.Second}, waits)
	})
}

func TestOutboundInShadowAndDisabledHoldsNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, mode := range []ratelimit.Mode{ratelimit.Shadow, ratelimit.Disabled} {
			wouldHave, pauses := 0, 0
			l := newLimiter(t, "1/hour", ratelimit.Config{Mode: mode, Hooks: ratelimit.Hooks{OnPause: func(ratelimit.PauseEvent) { pauses++ }, OnDecision: func(e ratelimit.DecisionEvent) {
				if e.Verdict == ratelimit.WouldDeny || e.Wait > 0 {
					wouldHave++
				}
			}}})
			o := l.Outbound("twilio")
			o.Pause(time.Hour)
			o.Learn(0, time.Hour)
			for range 5 {
				require.Zero(t, acquire(t, o))
				waited, err := o.Acquire(t.Context(), 0)
				require.NoError(t, err)
				require.Zero(t, waited)
			}
			o.Refund(0)
			require.Equal(t, mode == ratelimit.Shadow, wouldHave > 0)
			require.Equal(t, mode == ratelimit.Shadow, pauses > 0, "disabled, nobody hears of it")
		}
	})
}

// Whatever is asked, told and given back: nothing is sent within a pause, and never more than the limit.
func TestOutboundModel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		check(t, func(rt *rapid.T) {
			l, err := ratelimit.New("m", ratelimit.Config{Limits: ratelimit.Limits{{Count: 1, Period: time.Second, Burst: 2}}})
			require.NoError(rt, err)
			o := l.Outbound("v")
			until := time.Now()
			var sent []time.Time
			rt.Repeat(map[string]func(*rapid.T){
				"acquire": func(rt *rapid.T) {
					most := rapid.SampledFrom([]time.Duration{0, time.Second, 3 * time.Second, forever}).Draw(rt, "most")
					start := time.Now()
					waited, err := o.Acquire(t.Context(), most)
					require.Equal(rt, time.Since(start), waited)
					if err != nil {
						after, known := errors.RetryAfter(err)
						require.True(rt, known)
						require.Greater(rt, after, most)
						require.Zero(rt, waited)
						return
					}
					require.LessOrEqual(rt, waited, most)
					require.False(rt, time.Now().Before(until), "sent within a pause")
					sent = append(sent, time.Now())
					if n := len(sent); n > 2 {
						require.GreaterOrEqual(rt, sent[n-1].Sub(sent[n-3]), time.Second)
					}
				},
				"pause": func(rt *rapid.T) {
					d := rapid.SampledFrom([]time.Duration{0, time.Millisecond, 2 * time.Second, 5 * time.Second}).Draw(rt, "d")
					o.Pause(d)
					if d == 0 {
						d = time.Second
					}
					if end := time.Now().Add(d); end.After(until) {
						until = end
					}
				},
				"sleep": func(rt *rapid.T) { time.Sleep(drawPause(rt) % (5 * time.Second)) },
			})
		})
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTransport(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		status, sent := 200, 0
		l := newLimiter(t, "1/second burst 2", ratelimit.Config{MaxWait: 5 * time.Second})
		tr := l.Transport(roundTrip(func(*http.Request) (*http.Response, error) {
			sent++
			return &http.Response{StatusCode: status, Header: http.Header{"Retry-After": {"20"}}, Body: http.NoBody}, nil
		}))
		start := time.Now()
		closed := false
		do := func(host string) error {
			closed = false
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+host+"/x", closer{strings.NewReader("b"), &closed})
			require.NoError(t, err)
			resp, err := tr.RoundTrip(r)
			if err == nil {
				require.Equal(t, status, resp.StatusCode)
			}
			return err
		}
		for range 3 {
			require.NoError(t, do("a.example"))
		}
		require.Equal(t, time.Second, time.Since(start))
		require.NoError(t, do("b.example:8080"))
		require.Equal(t, time.Second, time.Since(start), "each host has its own")
		status = 429
		time.Sleep(time.Minute)
		require.NoError(t, do("a.example"), "the answer is the caller's")
		err := do("a.example")
		require.Equal(t, errors.VendorRateLimited, errors.KindOf(err))
		after, _ := errors.RetryAfter(err)
		require.Equal(t, 20*time.Second, after)
		require.True(t, closed)
		require.Equal(t, 20*time.Second, barred(t, l.Outbound("a.example"), 0), "who asks for it by name shares the pause")
		require.Equal(t, 5, sent)
		_, err = tr.RoundTrip((&http.Request{}).WithContext(t.Context()))
		require.NoError(t, err, "a request without a host is next's to refuse")
		off := newLimiter(t, "1/hour", ratelimit.Config{Mode: ratelimit.Disabled}).Transport(tr)
		_, err = off.RoundTrip((&http.Request{}).WithContext(t.Context()))
		require.NoError(t, err)
	})
}

// A date is one of the host's clock, and ours may be another.
func TestATransportReadsADateByTheHostsClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, "1/second", ratelimit.Config{})
		theirs := time.Now().Add(time.Hour).UTC()
		tr := l.Transport(roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 429, Body: http.NoBody, Header: http.Header{
				"Date": {theirs.Format(http.TimeFormat)}, "Retry-After": {theirs.Add(20 * time.Second).Format(http.TimeFormat)},
			}}, nil
		}))
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://a.example", nil)
		require.NoError(t, err)
		_, err = tr.RoundTrip(r)
		require.NoError(t, err)
		require.Equal(t, 20*time.Second, barred(t, l.Outbound("a.example"), 0))
	})
}

type closer struct {
	io.Reader

	closed *bool
}

func (c closer) Close() error { *c.closed = true; return nil }

func TestTransportOfAClient(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(ok))
	defer server.Close()
	l := newLimiter(t, "2/hour", ratelimit.Config{})
	client := &http.Client{Transport: l.Transport(nil)}
	get := func() error {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		require.NoError(t, err)
		resp, err := client.Do(r)
		if err == nil {
			_ = resp.Body.Close()
		}
		return err
	}
	require.NoError(t, get())
	require.NoError(t, get())
	require.ErrorIs(t, get(), errors.VendorRateLimited)
	client.CloseIdleConnections()
	idle := 0
	forwards := l.Transport(idleCloser{&idle})
	(&http.Client{Transport: forwards}).CloseIdleConnections()
	(&http.Client{Transport: l.Transport(roundTrip(nil))}).CloseIdleConnections()
	require.Equal(t, 1, idle)
}

type idleCloser struct{ n *int }

func (idleCloser) RoundTrip(*http.Request) (*http.Response, error) { return nil, io.EOF }
func (c idleCloser) CloseIdleConnections()                         { *c.n++ }

// A crawler meets many hosts. What it knows of one that is paused it does not forget.
func TestATransportForgetsHostsButNotPauses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, "1/second", ratelimit.Config{})
		tr := l.Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
			resp := &http.Response{StatusCode: 200, Body: http.NoBody, Header: http.Header{"Retry-After": {"3600"}}}
			if r.URL.Host == "slow.example" {
				resp.StatusCode = 429
			}
			return resp, nil
		}))
		get := func(host string) error {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host, nil)
			require.NoError(t, err)
			_, err = tr.RoundTrip(r)
			return err
		}
		named := l.Outbound("mine")
		require.NoError(t, get("slow.example"))
		for i := range 20_000 {
			require.NoError(t, get("h"+strconv.Itoa(i)))
		}
		require.LessOrEqual(t, ratelimit.Hosts(l), 2000)
		require.ErrorIs(t, get("slow.example"), errors.VendorRateLimited)
		require.Same(t, named, l.Outbound("mine"))
	})
}

// The answer of a host may come after many others were met.
func TestATransportForgetsNoHostThatItHasAskedJustNow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, "100/second", ratelimit.Config{})
		answer := make(chan struct{})
		tr := l.Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
			resp := &http.Response{StatusCode: 200, Body: http.NoBody, Header: http.Header{"Retry-After": {"3600"}}}
			if r.URL.Host == "slow.example" {
				<-answer
				resp.StatusCode = 429
			}
			return resp, nil
		}))
		get := func(host string) error {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host, nil)
			require.NoError(t, err)
			_, err = tr.RoundTrip(r)
			return err
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := get("slow.example"); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		for i := range 5000 {
			require.NoError(t, get("h"+strconv.Itoa(i)))
		}
		require.LessOrEqual(t, ratelimit.Hosts(l), 2000)
		close(answer)
		wg.Wait()
		require.ErrorIs(t, get("slow.example"), errors.VendorRateLimited)
		time.Sleep(time.Hour)
		for i := range 5000 {
			require.NoError(t, get("h"+strconv.Itoa(i)))
		}
		require.LessOrEqual(t, ratelimit.Hosts(l), 2000, "nothing is kept for good")
	})
}

func TestAnOutboundTellsHowThingsStand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var heard []*ratelimit.Limiter
		limits, err := ratelimit.ParseLimits("10/minute")
		require.NoError(t, err)
		cfg := ratelimit.Config{Limits: limits, Hooks: ratelimit.Hooks{OnNew: func(l *ratelimit.Limiter) {
			require.Equal(t, int64(10), l.Config().Limits[0].Burst, "it is whole when it is reported")
			heard = append(heard, l)
		}}}
		l, err := ratelimit.New("api", cfg)
		require.NoError(t, err)
		require.Equal(t, []*ratelimit.Limiter{l}, heard)
		cfg.MaxKeys = -1
		_, err = ratelimit.New("api", cfg)
		require.Error(t, err)
		require.Len(t, heard, 1, "what was not made is not reported")

		o := l.Outbound("vendor")
		require.Equal(t, ratelimit.OutboundSnapshot{Limiter: l}, o.Snapshot())
		o.Learn(3, 20*time.Second)
		o.Pause(30 * time.Second)
		time.Sleep(10 * time.Second)
		require.Equal(t, ratelimit.OutboundSnapshot{Limiter: l, PausedFor: 20 * time.Second, Remaining: 3, Reset: 10 * time.Second}, o.Snapshot())
		time.Sleep(10 * time.Second)
		require.Equal(t, ratelimit.OutboundSnapshot{Limiter: l, PausedFor: 10 * time.Second}, o.Snapshot(), "what the headers said is over")
		time.Sleep(time.Hour)
		require.Equal(t, ratelimit.OutboundSnapshot{Limiter: l}, o.Snapshot())
		o.Learn(1, time.Minute)
		acquire(t, o)
		require.Zero(t, o.Snapshot().Remaining)
		require.Equal(t, time.Minute, o.Snapshot().Reset)
	})
}
