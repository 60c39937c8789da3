package httpx_test

import (
	"context"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx"
)

// Rules that no other test would miss if they were changed: each was found by changing it.

func TestWhatTheBreakerHearsOfAnAttempt(t *testing.T) {
	rejected := httpx.Profile{Classify: func(httpx.Response) (httpx.Verdict, bool) {
		return httpx.Verdict{Delivery: errors.Rejected, Retry: httpx.RetryNever}, true
	}}
	limited := httpx.Profile{Classify: func(httpx.Response) (httpx.Verdict, bool) {
		return httpx.Verdict{Delivery: errors.Rejected, Limited: true, Retry: httpx.RetryNever}, true
	}}
	for name, tc := range map[string]struct {
		base    step
		profile httpx.Profile
		leave   string
		want    breaker.Outcome
	}{
		"the caller's deadline":                 {hang, httpx.Profile{}, "deadline", breaker.Failure},
		"the caller's cancellation":             {hang, httpx.Profile{}, "cancel", breaker.Ignored},
		"a success that means it was refused":   {answer(200, ""), rejected, "", breaker.Ignored},
		"a 5xx that means a limit":              {answer(503, ""), limited, "", breaker.Ignored},
		"a success that means a vendor's limit": {answer(200, ""), limited, "", breaker.Ignored},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr, heard := outcomes(t, httpx.Config{Base: follow(tc.base), Profile: tc.profile, MaxAttempts: -1})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				switch tc.leave {
				case "deadline":
					ctx, cancel = context.WithTimeout(ctx, time.Second)
					defer cancel()
				case "cancel":
					time.AfterFunc(time.Second, cancel)
				}
				_, _, _ = send(t, ctx, &http.Client{Transport: tr}, "GET", "")
				require.Len(t, *heard, 1)
				require.Equal(t, tc.want, (*heard)[0].Outcome)
			})
		})
	}
}

// What arrived and was refused stays so when the next attempt does not even arrive.
func TestARejectionIsNotForgotten(t *testing.T) {
	base := follow(answer(429, ""), fail(&net.OpError{Op: "dial", Err: errors.New("refused")}))
	_, _, err := send(t, t.Context(), client(t, httpx.Config{Base: base, BackoffBase: noWait}), "POST", "x")
	require.Equal(t, errors.Rejected, errors.DeliveryOf(err))
}

// The connection of one attempt says nothing of the next.
func TestARefusedDialAfterAnAnswerWasNotSent(t *testing.T) {
	url := listenAndServe(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	dials := 0
	base := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if dials++; dials > 1 {
			return nil, &net.OpError{Op: "dial", Err: errors.New("refused")}
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}
	c := client(t, httpx.Config{Base: base, BackoffBase: noWait})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, http.NoBody)
	require.NoError(t, err)
	_, err = c.Do(req)
	e, ok := errors.AsType[*errors.Error](err)
	require.True(t, ok)
	require.Len(t, e.Attempts, 3)
	require.Equal(t, []errors.Delivery{errors.Rejected, errors.NotSent, errors.NotSent},
		[]errors.Delivery{e.Attempts[0].Delivery, e.Attempts[1].Delivery, e.Attempts[2].Delivery})
	c.CloseIdleConnections()
}

func TestOnlyASuccessAtTheFirstTryPaysTheBudgetBack(t *testing.T) {
	tr, err := httpx.NewTransport("vendor", httpx.Config{
		Base: follow(answer(503, ""), answer(200, ""), answer(200, "")), BackoffBase: noWait, RetryBudget: 10, RetryBudgetRefill: 0.5,
	})
	require.NoError(t, err)
	c := &http.Client{Transport: tr}
	for _, want := range []float64{0.9, 0.95, 1, 1} {
		_, _, err := send(t, t.Context(), c, "GET", "")
		require.NoError(t, err)
		require.InDelta(t, want, tr.BudgetLeft(), 1e-9)
	}
}

// Callers that were told the same second do not all come back in it, and none comes too soon.
func TestAVendorsWaitIsKeptWholeAndSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		waits := map[time.Duration]bool{}
		for range 20 {
			base := follow(answer(429, "", "Retry-After", "10"), answer(200, ""))
			_, _, err := send(t, t.Context(), client(t, httpx.Config{Base: base}), "GET", "")
			require.NoError(t, err)
			wait := base.sent[1].at.Sub(base.sent[0].at)
			require.GreaterOrEqual(t, wait, 10*time.Second)
			require.LessOrEqual(t, wait, 11*time.Second)
			waits[wait] = true
		}
		require.Greater(t, len(waits), 10)
	})
}

func TestAPanicOfTheBaseEndsTheAttemptsContext(t *testing.T) {
	var attempt context.Context
	c := client(t, httpx.Config{Base: follow(func(r *http.Request) (*http.Response, error) {
		attempt = r.Context()
		panic("the base's")
	})})
	require.Panics(t, func() { _, _, _ = send(t, t.Context(), c, "GET", "") })
	require.Error(t, attempt.Err())
}

func TestTheTimeOfACallWithoutABody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		heard := &recorder{}
		none := func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 204, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
		}
		hooks := heard.hooks()
		hooks.OnAttempt = func(httpx.AttemptEvent) { time.Sleep(time.Second) } // between the headers and the end
		_, _, err := send(t, t.Context(), client(t, httpx.Config{Base: follow(after(2*time.Second, none)), Hooks: hooks}), "GET", "")
		require.NoError(t, err)
		require.Equal(t, 3*time.Second, heard.calls[0].Total)
	})
}

// A listener, or the machine, took longer over the pause than the call had left.
func TestAPauseThatIsOversleptIsTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := follow(answer(503, "", "Retry-After", "1"))
		c := client(t, httpx.Config{Base: base, Hooks: httpx.Hooks{OnEvent: func(e httpx.Event) {
			if e.Status == httpx.StatusRetrying {
				time.Sleep(time.Minute)
			}
		}}})
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://vendor.test", http.NoBody)
		require.NoError(t, err)
		resp, err := c.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		outcome, ok := httpx.OutcomeOf(resp)
		require.True(t, ok)
		require.Equal(t, errors.StopDeadline, outcome.Stop)
		require.Equal(t, 1, base.count(), "no attempt of a nanosecond")
	})
}
