package httpx_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/ratelimit"
)

type fakeLimiter struct {
	err      error
	acquired int
	refunded []time.Duration
	paused   []time.Duration
	learned  []string
	most     time.Duration
	on       func() error
	wait     time.Duration
}

func (l *fakeLimiter) Acquire(_ context.Context, most time.Duration) (time.Duration, error) {
	l.acquired++
	l.most = most
	time.Sleep(l.wait)
	if l.on != nil {
		return l.wait, l.on()
	}
	return l.wait, l.err
}
func (l *fakeLimiter) Refund(ago time.Duration) { l.refunded = append(l.refunded, ago) }
func (l *fakeLimiter) Pause(d time.Duration)    { l.paused = append(l.paused, d) }
func (l *fakeLimiter) Learn(n int64, d time.Duration) {
	l.learned = append(l.learned, fmt.Sprint(n, " ", d))
}

func TestTheLimiterIsAskedAndTold(t *testing.T) {
	l := &fakeLimiter{}
	base := follow(answer(429, "", "Retry-After", "2", "X-Left", "0", "X-Reset", "5"), answer(200, "", "X-Left", "7", "X-Reset", "9"))
	synctest.Test(t, func(t *testing.T) {
		c := client(t, httpx.Config{Base: base, Limiter: l, Profile: httpx.Profile{
			Limits: []httpx.LimitHeaders{{Remaining: "X-Left", Reset: "X-Reset", Unit: httpx.UnitSeconds}},
		}})
		_, _, err := send(t, t.Context(), c, "POST", "x")
		require.NoError(t, err)
		require.Equal(t, 2, l.acquired)
		require.Equal(t, []time.Duration{2 * time.Second}, l.paused)
		require.Equal(t, []string{"0 5s", "7 9s"}, l.learned)
		require.Empty(t, l.refunded)
		require.InDelta(t, 35-2.1, l.most.Seconds(), 0.11, "what the first attempt and its wait of 2 s and a tenth have left")
	})
}

func TestWhatTheBreakerRefusesDoesNotWaitForTheLimiter(t *testing.T) {
	for name, shut := range map[string]func(*breaker.Breaker){
		"open": func(b *breaker.Breaker) {
			for range 3 {
				p, _, _ := b.TryAcquire()
				p.Done(breaker.Failure)
			}
		},
		"forced open": (*breaker.Breaker).ForceOpen,
	} {
		t.Run(name, func(t *testing.T) {
			l := &fakeLimiter{}
			rejected := 0
			tr, err := httpx.NewTransport("vendor", httpx.Config{Base: follow(answer(200, "")), Limiter: l, Breaker: breaker.Config{
				Hooks: breaker.Hooks{OnReject: func(breaker.RejectEvent) { rejected++ }},
			}})
			require.NoError(t, err)
			shut(tr.Breaker())
			_, _, err = send(t, t.Context(), &http.Client{Transport: tr}, "GET", "")
			require.ErrorIs(t, err, errors.CircuitOpen)
			require.Zero(t, l.acquired)
			require.Equal(t, 1, rejected, "the breaker's hook hears of it, once")
		})
	}
}

// The probe's place is taken before the limiter is asked, or while it is waited for.
func TestWhatAHalfOpenBreakerRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLimiter{}
		tr := halfOpen(t, l)
		var probe breaker.Permit
		l.on = func() error {
			probe, _, _ = tr.Breaker().TryAcquire()
			return nil
		}
		_, _, err := send(t, t.Context(), &http.Client{Transport: tr}, "GET", "")
		require.ErrorIs(t, err, errors.CircuitOpen)
		require.Equal(t, 1, l.acquired)
		require.Len(t, l.refunded, 1, "what was waited for in vain is given back")

		_, _, err = send(t, t.Context(), &http.Client{Transport: tr}, "GET", "")
		require.ErrorIs(t, err, errors.CircuitOpen)
		require.Equal(t, 1, l.acquired, "nobody waits for a refusal")
		probe.Done(breaker.Ignored)
	})
}

// The first call after the time open asks the limiter before it takes a probe's place, and keeps none if it is refused.
func TestAProbeTheLimiterRefusesHoldsNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLimiter{err: &errors.Error{Kind: errors.RateLimited}}
		tr := halfOpen(t, l)
		c := &http.Client{Transport: tr}
		_, _, err := send(t, t.Context(), c, "GET", "")
		require.Equal(t, errors.StopRateLimited, errors.StopOf(err))
		require.Zero(t, tr.Breaker().Snapshot().ProbesInFlight)
		l.err = nil
		_, _, err = send(t, t.Context(), c, "GET", "")
		require.NoError(t, err)
		require.Equal(t, breaker.Closed, tr.Breaker().State())
		require.Equal(t, 2, l.acquired)
	})
}

// halfOpen returns a transport whose breaker was open, and whose next call is a probe.
func halfOpen(t *testing.T, l httpx.Limiter) *httpx.Transport {
	t.Helper()
	tr, err := httpx.NewTransport("vendor", httpx.Config{Base: follow(answer(200, "")), Limiter: l})
	require.NoError(t, err)
	openUp(t, tr)
	time.Sleep(time.Minute)
	return tr
}

// The caller left while the limiter waited, and the limiter did not notice.
func TestACallerThatLeftInTheLimiterIsNotServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		l, base := &fakeLimiter{wait: 2 * time.Second}, follow(answer(200, ""))
		_, _, err := send(t, ctx, client(t, httpx.Config{Base: base, Limiter: l}), "POST", "x")
		require.Equal(t, errors.StopDeadline, errors.StopOf(err))
		require.Zero(t, base.count())
		require.Len(t, l.refunded, 1)
	})
}

func TestTheLimitersWaitIsNotTheAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		heard := &recorder{}
		l := &fakeLimiter{wait: 4 * time.Second}
		c := client(t, httpx.Config{
			Base: follow(after(9*time.Second, answer(503, "")), after(9*time.Second, answer(200, "x"))), Limiter: l,
			AttemptTimeout: 10 * time.Second, TotalTimeout: 35 * time.Second, BackoffBase: noWait, Hooks: heard.hooks(),
		})
		_, _, err := send(t, t.Context(), c, "GET", "")
		require.NoError(t, err, "4 s in the limiter and 9 s at the vendor are no attempt of 13 s")
		require.Len(t, heard.attempts, 2)
		for _, a := range heard.attempts {
			require.Equal(t, 9*time.Second, a.Duration)
		}
		require.Equal(t, 22*time.Second, l.most, "what 4 s and 9 s have left of the call's 35 s")
		require.Equal(t, 26*time.Second, heard.calls[0].ToHeaders)
	})
}

func TestACallerThatLeavesWhileTheLimiterHoldsARetryIsCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	l := &fakeLimiter{}
	l.on = func() error {
		if l.acquired < 2 {
			return nil
		}
		cancel()
		return ctx.Err()
	}
	_, _, err := send(t, ctx, client(t, httpx.Config{Base: follow(answer(503, "")), BackoffBase: noWait, Limiter: l}), "GET", "")
	require.ErrorIs(t, err, context.Canceled, "an answer from before is not what a caller that left gets")
	require.Equal(t, errors.StopCanceled, errors.StopOf(err))
	require.Equal(t, errors.Unknown, errors.DeliveryOf(err))
}

// A date is one of the vendor's clock: what ours says meanwhile, an hour behind or a day ahead, makes the wait neither longer
// nor shorter.
func TestADateIsReadByTheVendorsClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, off := range map[string]time.Duration{"same": 0, "ours is an hour behind": time.Hour, "ours is a day ahead": -24 * time.Hour} {
			theirs := time.Now().Add(off)
			date, reset := theirs.UTC().Format(http.TimeFormat), theirs.Add(20*time.Second)
			l := &fakeLimiter{}
			c := client(t, httpx.Config{MaxAttempts: -1, Limiter: l, Base: follow(
				answer(200, "", "Date", date, "X-Left", "5", "X-Reset", strconv.FormatInt(reset.Unix(), 10)),
				answer(429, "", "Date", date, "X-Left", "0", "X-Reset", strconv.FormatInt(reset.Unix(), 10)),
				answer(429, "", "Date", date, "Retry-After", reset.UTC().Format(http.TimeFormat)),
			), Profile: httpx.Profile{Limits: []httpx.LimitHeaders{{Remaining: "X-Left", Reset: "X-Reset", Unit: httpx.UnitEpochSeconds}}}})
			for range 3 {
				_, _, err := send(t, t.Context(), c, "GET", "")
				require.NoError(t, err)
			}
			require.Equal(t, []string{"5 20s", "0 20s"}, l.learned, name)
			require.Equal(t, []time.Duration{20 * time.Second, 20 * time.Second}, l.paused, name)
		}
	})
}

// What a cache has kept says what was left when it was kept (section 7.3 of the draft).
func TestTheQuotaOfACachedAnswerIsNotLearned(t *testing.T) {
	l := &fakeLimiter{}
	c := client(t, httpx.Config{Limiter: l, Base: follow(
		answer(200, "", "RateLimit", `"default";r=0;t=60`, "Age", "50"),
		answer(200, "", "RateLimit", `"default";r=3;t=60`, "Age", "0"),
	)})
	for range 2 {
		_, _, err := send(t, t.Context(), c, "GET", "")
		require.NoError(t, err)
	}
	require.Equal(t, []string{"3 1m0s"}, l.learned)
}

// The limiter of package ratelimit in the pipeline: one caller is told to wait, and all do.
func TestOneRefusalPausesEveryCallerOfTheVendor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := ratelimit.New("vendor", ratelimit.Config{Limits: ratelimit.Limits{{Count: 1000, Period: time.Second}}})
		require.NoError(t, err)
		base := follow(answer(429, "", "Retry-After", "5"), answer(200, ""))
		c := client(t, httpx.Config{Base: base, Limiter: l.Outbound(""), MaxAttempts: -1})
		start := time.Now()
		resp, _, err := send(t, t.Context(), c, "POST", "x")
		require.NoError(t, err)
		require.Equal(t, 429, resp.StatusCode)

		var callers sync.WaitGroup
		for range 10 {
			callers.Go(func() {
				resp, _, err := send(t, t.Context(), c, "POST", "y")
				require.NoError(t, err)
				require.Equal(t, 200, resp.StatusCode)
			})
		}
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, _, err = send(t, impatient, c, "POST", "z")
		require.Equal(t, errors.StopRateLimited, errors.StopOf(err))
		after, ok := errors.RetryAfter(err)
		require.True(t, ok)
		require.Equal(t, 5*time.Second, after)
		require.Equal(t, time.Duration(0), time.Since(start), "who cannot wait that long is told at once")
		callers.Wait()
		require.Equal(t, 11, base.count())
		for _, s := range base.sent[1:] {
			require.GreaterOrEqual(t, s.at.Sub(start), 5*time.Second)
		}
	})
}

// What one limiter gave goes back as old as it is, where another kept the attempt waiting in vain.
func TestALimiterHearsHowLateItsRefundIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := &fakeLimiter{}, &fakeLimiter{}
		cfg := httpx.Config{Base: follow(answer(200, "")), Limiter: first, Profile: httpx.Profile{Rates: []httpx.Rate{{
			Name: "all", Limits: ratelimit.Limits{{Count: 1, Period: 10 * time.Second}},
		}}}}
		c := client(t, cfg)
		_, _, err := send(t, t.Context(), c, "GET", "")
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(4*time.Second, cancel)
		_, _, err = send(t, ctx, c, "GET", "")
		require.Equal(t, errors.StopCanceled, errors.StopOf(err))
		require.Equal(t, []time.Duration{4 * time.Second}, first.refunded)

		// The probe's place goes while the second limiter waits.
		cfg.Limiter = second
		tr, err := httpx.NewTransport("vendor", cfg)
		require.NoError(t, err)
		c = &http.Client{Transport: tr}
		_, _, err = send(t, t.Context(), c, "GET", "")
		require.NoError(t, err)
		time.AfterFunc(time.Second, tr.Breaker().ForceOpen)
		_, _, err = send(t, t.Context(), c, "GET", "")
		require.ErrorIs(t, err, errors.CircuitOpen)
		require.Equal(t, []time.Duration{10 * time.Second}, second.refunded)
	})
}

// A refusal of one route's rate is no word on the rate of another.
func TestARateHearsOfItsOwnRequestsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refuse := answer(429, "", "Retry-After", "600", "RateLimit", `"default";r=0;t=600`)
		base := follow(refuse, answer(200, ""), refuse)
		c := client(t, httpx.Config{Base: base, MaxAttempts: -1, Profile: httpx.Profile{Rates: []httpx.Rate{{
			Name: "posts", Match: func(r *http.Request) bool { return r.Method == "POST" },
			Limits: ratelimit.Limits{{Count: 100, Period: time.Second}},
		}}}})
		_, _, err := send(t, t.Context(), c, "GET", "")
		require.NoError(t, err)
		for range 2 {
			_, _, err = send(t, t.Context(), c, "POST", "x")
			require.NoError(t, err)
		}
		_, _, err = send(t, t.Context(), c, "POST", "x")
		require.Equal(t, errors.StopRateLimited, errors.StopOf(err))
		_, _, err = send(t, t.Context(), c, "GET", "")
		require.NoError(t, err, "nor is it held itself")
		require.Equal(t, 4, base.count())
	})
}

func TestTheRatesOfTheProfileAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		own := &fakeLimiter{}
		base := follow(answer(200, ""))
		tr, err := httpx.NewTransport("vendor", httpx.Config{Base: base, Limiter: own, Profile: httpx.Profile{Rates: []httpx.Rate{{
			Name: "posts", Match: func(r *http.Request) bool { return r.Method == "POST" },
			Limits: ratelimit.Limits{{Count: 1, Period: time.Second}},
		}}}})
		require.NoError(t, err)
		require.Contains(t, tr.Explain().String(), "1/second for posts")
		c := &http.Client{Transport: tr}
		start := time.Now()
		for range 3 {
			for _, method := range []string{"GET", "POST"} {
				_, _, err := send(t, t.Context(), c, method, "")
				require.NoError(t, err)
			}
		}
		var at []time.Duration
		for _, s := range base.sent {
			at = append(at, s.at.Sub(start))
		}
		require.Equal(t, []time.Duration{0, 0, 0, time.Second, time.Second, 2 * time.Second}, at, "a GET waits for nobody's turn")

		short, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		_, _, err = send(t, short, c, "POST", "")
		require.Equal(t, errors.StopRateLimited, errors.StopOf(err))
		require.Equal(t, errors.NotSent, errors.DeliveryOf(err))
		require.Equal(t, []time.Duration{0}, own.refunded, "one of two limiters refused: what the other gave goes back")
	})
	_, err := httpx.NewTransport("vendor", httpx.Config{Profile: httpx.Profile{Rates: []httpx.Rate{{Name: "posts"}}}})
	require.ErrorContains(t, err, `httpx "vendor": Profile.Rates[0]: ratelimit "vendor.posts": Limits = 0`)
}
