package httpx_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx"
)

func TestTheRequestIsNotChangedAndTheBaseSeesTheID(t *testing.T) {
	base := follow(answer(200, ""))
	c := client(t, httpx.Config{Base: base})
	req, err := http.NewRequestWithContext(correlation.WithID(t.Context(), "id-1"), http.MethodGet, "http://vendor.test", http.NoBody)
	require.NoError(t, err)
	req.Header["X-Mine"] = []string{"1"}
	_, err = c.Transport.RoundTrip(req)
	require.NoError(t, err)
	require.Equal(t, http.Header{"X-Mine": {"1"}}, req.Header)
	require.Equal(t, "id-1", base.sent[0].header.Get(correlation.Header))
	require.Equal(t, "1", base.sent[0].header.Get("X-Mine"))
}

func TestTheIDOnTheRequestWinsAndABadOneIsReplaced(t *testing.T) {
	base := follow(answer(200, ""))
	c := client(t, httpx.Config{Base: base})
	ctx := correlation.WithID(t.Context(), "of-the-context")
	_, _, err := send(t, ctx, c, "GET", "", correlation.Header, "of-the-caller")
	require.NoError(t, err)
	_, _, err = send(t, ctx, c, "GET", "", correlation.Header, "not an id")
	require.NoError(t, err)
	_, _, err = send(t, t.Context(), c, "GET", "")
	require.NoError(t, err)
	require.Equal(t, "of-the-caller", base.sent[0].header.Get(correlation.Header))
	require.Equal(t, "of-the-context", base.sent[1].header.Get(correlation.Header))
	require.True(t, correlation.Valid(base.sent[2].header.Get(correlation.Header)))
}

func TestEveryAttemptCarriesTheSameIDAndTheWholeBody(t *testing.T) {
	base := follow(answer(429, ""), answer(429, ""), answer(200, ""))
	c := client(t, httpx.Config{Base: base, BackoffBase: noWait})
	_, _, err := send(t, t.Context(), c, "POST", "hello")
	require.NoError(t, err)
	require.Equal(t, []string{"hello", "hello", "hello"}, base.bodies())
	for _, a := range base.sent {
		require.Equal(t, base.sent[0].header, a.header)
	}
}

func TestABodyThatCannotBeReplayedEndsTheCall(t *testing.T) {
	for name, tc := range map[string]struct {
		body io.Reader
		cfg  httpx.Config
	}{
		"longer than the buffer": {io.LimitReader(zeros{}, 11), httpx.Config{MaxBodyBuffer: 10}},
		"buffer off":             {io.LimitReader(zeros{}, 1), httpx.Config{MaxBodyBuffer: -1}},
	} {
		t.Run(name, func(t *testing.T) {
			base := follow(answer(503, "busy"))
			tc.cfg.Base, tc.cfg.BackoffBase = base, noWait
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://vendor.test", tc.body)
			require.NoError(t, err)
			resp, err := client(t, tc.cfg).Do(req)
			require.NoError(t, err)
			defer func() { _ = resp.Body.Close() }()
			out, _ := httpx.OutcomeOf(resp)
			require.Equal(t, errors.StopBodyNotReplayable, out.Stop)
			require.Equal(t, 1, base.count())
		})
	}
}

func TestABodyWithinTheBufferIsReplayed(t *testing.T) {
	base := follow(answer(503, ""), answer(200, ""))
	src := &closeCounter{Reader: strings.NewReader("abc")}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://vendor.test", src)
	require.NoError(t, err)
	resp, err := client(t, httpx.Config{Base: base, BackoffBase: noWait}).Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, []string{"abc", "abc"}, base.bodies())
	require.Equal(t, 1, src.closes)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestAnErrorBodyIsBoundedAndSaysSo(t *testing.T) {
	base := follow(answer(404, strings.Repeat("x", 100)))
	c := client(t, httpx.Config{Base: base, MaxErrorBody: 10})
	resp, err := c.Get("http://vendor.test")
	require.NoError(t, err)
	got, err := io.ReadAll(resp.Body)
	require.Len(t, got, 10)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF, "what is cut off is not passed off as whole")
}

func TestErrorBodiesThatNobodyClosesLeakNothing(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, strings.Repeat("<html>", 2000))
	}))
	defer srv.Close()
	tr, err := httpx.NewTransport("vendor", httpx.Config{MaxAttempts: -1, Breaker: breaker.Config{Mode: breaker.Disabled}, MaxConcurrent: 3})
	require.NoError(t, err)
	c := &http.Client{Transport: tr}
	defer c.CloseIdleConnections()
	before := runtime.NumGoroutine()
	for range 20 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL, http.NoBody)
		require.NoError(t, err)
		resp, err := c.Do(req)
		require.NoError(t, err, "the bulkhead has three places: an answer that holds its place would end here")
		require.Equal(t, 503, resp.StatusCode)
	}
	require.Zero(t, tr.InFlight())
	require.Less(t, runtime.NumGoroutine(), before+8, "one connection, used again and again")
}

func TestAStreamIsHandedOnAsItComesAndHoldsItsPlaceToTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pr, pw := io.Pipe()
		var rec recorder
		base := follow(func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: pr, ContentLength: -1, Request: req}, nil
		})
		tr, err := httpx.NewTransport("vendor", httpx.Config{Base: base, Hooks: rec.hooks()})
		require.NoError(t, err)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://vendor.test", http.NoBody)
		require.NoError(t, err)
		resp, err := tr.RoundTrip(req)
		require.NoError(t, err)
		require.Equal(t, 1, tr.InFlight())
		go func() {
			for range 4 { // far longer than total and attempt timeout, but never idle for as long as the idle one
				time.Sleep(29 * time.Second)
				_, _ = pw.Write([]byte("tick\n"))
			}
			_ = pw.Close()
		}()
		lines := bufio.NewScanner(resp.Body)
		n := 0
		for lines.Scan() {
			n++
		}
		require.NoError(t, lines.Err(), "a healthy stream lives")
		require.Equal(t, 4, n)
		require.Zero(t, tr.InFlight())
		require.Len(t, rec.calls, 1)
		require.Equal(t, int64(20), rec.calls[0].BodyBytes)
		require.Equal(t, 4*29*time.Second, rec.calls[0].Total)
		require.Zero(t, rec.calls[0].ToHeaders)
		require.NoError(t, resp.Body.Close())
		require.Len(t, rec.calls, 1, "the record is completed once")
	})
}

func TestAStalledBodyEndsAndCountsAsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rec recorder
		base := follow(func(req *http.Request) (*http.Response, error) {
			pr, pw := io.Pipe()
			context.AfterFunc(req.Context(), func() { _ = pw.CloseWithError(context.Cause(req.Context())) })
			go func() { _, _ = pw.Write([]byte("half")) }()
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: pr, ContentLength: 8, Request: req}, nil
		})
		tr, err := httpx.NewTransport("vendor", httpx.Config{Base: base, Hooks: rec.hooks()})
		require.NoError(t, err)
		for range 3 {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://vendor.test", http.NoBody)
			require.NoError(t, err)
			resp, err := tr.RoundTrip(req)
			require.NoError(t, err)
			begin := time.Now()
			got, err := io.ReadAll(resp.Body)
			require.Equal(t, "half", string(got))
			require.Equal(t, 30*time.Second, time.Since(begin))
			require.Equal(t, errors.VendorTimeout, errors.KindOf(err))
			require.Equal(t, errors.Delivered, errors.DeliveryOf(err), "the vendor had answered 200")
			require.NoError(t, resp.Body.Close())
		}
		require.Equal(t, breaker.Open, tr.Breaker().State(), "a vendor whose every body stalls is down")
		require.Zero(t, tr.InFlight())
		require.ErrorIs(t, rec.calls[0].BodyErr, context.DeadlineExceeded)
	})
}

func TestSlowIsTheTimeToTheHeadersNotToTheEndOfTheBody(t *testing.T) {
	for name, tc := range map[string]struct {
		headers, body time.Duration
		want          breaker.State
	}{
		"slow headers": {2 * time.Second, 0, breaker.Open},
		"slow body":    {0, 2 * time.Second, breaker.Closed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base := follow(after(tc.headers, answer(200, "x")))
				tr, err := httpx.NewTransport("vendor", httpx.Config{Base: base, Breaker: breaker.Config{SlowCall: time.Second}})
				require.NoError(t, err)
				for range 3 {
					req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://vendor.test", http.NoBody)
					require.NoError(t, err)
					resp, err := tr.RoundTrip(req)
					require.NoError(t, err)
					time.Sleep(tc.body)
					_, err = io.ReadAll(resp.Body)
					require.NoError(t, err)
					require.NoError(t, resp.Body.Close())
				}
				require.Equal(t, tc.want, tr.Breaker().State())
			})
		})
	}
}

func TestAnEventStreamDoesNotHoldAProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pr, pw := io.Pipe()
		defer func() { _ = pw.Close() }()
		base := follow(func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: pr, ContentLength: -1, Request: req}, nil
		})
		tr, err := httpx.NewTransport("vendor", httpx.Config{Base: base, Breaker: breaker.Config{OpenFor: time.Second, Jitter: -1}})
		require.NoError(t, err)
		openIt(t, tr)
		time.Sleep(time.Second)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://vendor.test", http.NoBody)
		require.NoError(t, err)
		resp, err := tr.RoundTrip(req)
		require.NoError(t, err)
		require.Equal(t, breaker.Closed, tr.Breaker().State(), "its headers are proof enough")
		require.NoError(t, resp.Body.Close())
	})
}

func TestTheBulkheadRefusesOrWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := follow(after(5*time.Second, answer(200, "")))
		busy := func(wait time.Duration) (*httpx.Transport, *http.Client) {
			tr, err := httpx.NewTransport("vendor", httpx.Config{Base: base, MaxConcurrent: 1, BulkheadWait: wait})
			require.NoError(t, err)
			c := &http.Client{Transport: tr}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://vendor.test", http.NoBody)
			require.NoError(t, err)
			go func() {
				if resp, err := c.Do(req); err == nil {
					_ = resp.Body.Close()
				}
			}()
			synctest.Wait()
			return tr, c
		}
		_, c := busy(0)
		_, _, err := send(t, t.Context(), c, "GET", "")
		require.Equal(t, errors.StopBulkheadFull, errors.StopOf(err))
		require.Equal(t, errors.Unavailable, errors.KindOf(err))
		require.Equal(t, errors.NotSent, errors.DeliveryOf(err))

		_, c = busy(time.Second)
		begin := time.Now()
		_, _, err = send(t, t.Context(), c, "GET", "")
		require.Equal(t, errors.StopBulkheadFull, errors.StopOf(err))
		require.Equal(t, time.Second, time.Since(begin))

		tr, c := busy(10 * time.Second)
		_, _, err = send(t, t.Context(), c, "GET", "")
		require.NoError(t, err)
		require.Zero(t, tr.InFlight())

		_, c = busy(10 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, _, err = send(t, ctx, c, "GET", "")
		require.Equal(t, errors.StopDeadline, errors.StopOf(err))
		require.Equal(t, errors.NotSent, errors.DeliveryOf(err))
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestAPanicOfTheBaseLeavesNothingTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		boom := func(*http.Request) (*http.Response, error) { panic("base") }
		base := follow(boom, boom, boom, answer(200, ""))
		tr, err := httpx.NewTransport("vendor", httpx.Config{Base: base, MaxConcurrent: 1, Breaker: breaker.Config{OpenFor: time.Second, Jitter: -1}})
		require.NoError(t, err)
		c := &http.Client{Transport: tr}
		for range 3 {
			require.PanicsWithValue(t, "base", func() { _, _, _ = send(t, t.Context(), c, "GET", "") })
			require.Zero(t, tr.InFlight())
		}
		require.Equal(t, breaker.Open, tr.Breaker().State(), "a panic is a failure")
		time.Sleep(time.Second)
		_, _, err = send(t, t.Context(), c, "GET", "")
		require.NoError(t, err)
	})
}

func TestAPanicOfAHookLeavesNothingTaken(t *testing.T) {
	boom := func(status httpx.Status) httpx.Hooks {
		return httpx.Hooks{OnEvent: func(e httpx.Event) {
			if e.Status == status {
				panic("hook")
			}
		}}
	}
	for name, tc := range map[string]struct {
		cfg httpx.Config
		src step
	}{
		"before an attempt": {httpx.Config{Hooks: boom(httpx.StatusAttempt)}, answer(200, "x")},
		"before a retry":    {httpx.Config{Hooks: boom(httpx.StatusRetrying)}, answer(429, "x")},
		"before a second attempt": {httpx.Config{Hooks: httpx.Hooks{OnEvent: func(e httpx.Event) {
			if e.Status == httpx.StatusAttempt && e.Attempt == 2 {
				panic("hook")
			}
		}}}, answer(429, "x")},
		"with the answer":       {httpx.Config{Hooks: boom(httpx.StatusSucceeded)}, answer(200, "x")},
		"with a failure":        {httpx.Config{Hooks: boom(httpx.StatusFailed)}, fail(errReset)},
		"after an attempt":      {httpx.Config{Hooks: httpx.Hooks{OnAttempt: func(httpx.AttemptEvent) { panic("hook") }}}, answer(200, "x")},
		"in the limiter":        {httpx.Config{Limiter: panickyLimiter{}}, answer(200, "x")},
		"in the profile's keys": {httpx.Config{Profile: httpx.Profile{HonoursKey: func(*http.Request) bool { panic("hook") }}}, answer(200, "x")},
	} {
		t.Run(name, func(t *testing.T) {
			bodies := &closeCounter{}
			tc.cfg.BackoffBase, tc.cfg.MaxConcurrent = noWait, 1
			tc.cfg.Base = follow(func(req *http.Request) (*http.Response, error) {
				resp, err := tc.src(req)
				if resp != nil {
					bodies.closes--
					resp.Body = &closeBoth{resp.Body, bodies}
				}
				return resp, err
			})
			tr, err := httpx.NewTransport("vendor", tc.cfg)
			require.NoError(t, err)
			for range 5 {
				body := &closeCounter{Reader: strings.NewReader("x")}
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, "http://vendor.test", body)
				require.NoError(t, err)
				require.PanicsWithValue(t, "hook", func() { _, _ = tr.RoundTrip(req) })
				require.Zero(t, tr.InFlight())
				require.Equal(t, 1, body.closes)
				require.Zero(t, bodies.closes, "a response that nobody gets is closed")
			}
			if name != "with a failure" {
				require.Equal(t, breaker.Closed, tr.Breaker().State(), "a hook's fault is not the vendor's")
			}
			require.InDelta(t, 1, tr.BudgetLeft(), 0)
		})
	}
}

type panickyLimiter struct{}

func (panickyLimiter) Acquire(context.Context, time.Duration) (time.Duration, error) { panic("hook") }
func (panickyLimiter) Refund(time.Duration)                                          {}
func (panickyLimiter) Pause(time.Duration)                                           {}
func (panickyLimiter) Learn(int64, time.Duration)                                    {}

type closeBoth struct {
	io.ReadCloser

	also *closeCounter
}

func (c *closeBoth) Close() error { c.also.closes++; return c.ReadCloser.Close() }

func TestAMissingURLIsTheBasesToRefuse(t *testing.T) {
	tr, err := httpx.NewTransport("vendor", httpx.Config{BreakerPerHost: true, Hooks: (&recorder{}).hooks()})
	require.NoError(t, err)
	resp, err := tr.RoundTrip((&http.Request{}).WithContext(t.Context()))
	if err == nil {
		_ = resp.Body.Close()
	}
	require.Equal(t, errors.Invalid, errors.KindOf(err))
	require.Equal(t, errors.NotSent, errors.DeliveryOf(err))
}

func TestMalformedAnswersOfABase(t *testing.T) {
	for name, s := range map[string]step{
		"neither": fail(nil),
		"no body": func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, ContentLength: 5}, nil
		},
		"status 0":    func(*http.Request) (*http.Response, error) { return &http.Response{}, nil },
		"status 1000": func(*http.Request) (*http.Response, error) { return &http.Response{StatusCode: 1000}, nil },
	} {
		t.Run(name, func(t *testing.T) {
			base := follow(s)
			_, _, err := send(t, t.Context(), client(t, httpx.Config{Base: base}), "GET", "")
			require.Equal(t, errors.VendorBadResponse, errors.KindOf(err))
			require.Equal(t, errors.StopPermanent, errors.StopOf(err))
			require.Equal(t, 1, base.count())
		})
	}
	t.Run("a response beside an error is closed", func(t *testing.T) {
		body := &closeCounter{Reader: strings.NewReader("x")}
		base := follow(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: body}, errReset
		})
		_, _, err := send(t, t.Context(), client(t, httpx.Config{Base: base, MaxAttempts: -1}), "GET", "")
		require.ErrorIs(t, err, errReset)
		require.Equal(t, 1, body.closes)
	})
	t.Run("no body and no header is an empty answer", func(t *testing.T) {
		base := follow(func(*http.Request) (*http.Response, error) { return &http.Response{StatusCode: 204}, nil })
		resp, _, err := send(t, t.Context(), client(t, httpx.Config{Base: base}), "GET", "")
		require.NoError(t, err)
		require.NotNil(t, resp.Header)
	})
}

func TestEachHostHasItsOwnBreaker(t *testing.T) {
	base := follow(func(req *http.Request) (*http.Response, error) {
		if req.URL.Host == "down.test" {
			return answer(503, "")(req)
		}
		return answer(200, "")(req)
	})
	tr, err := httpx.NewTransport("vendor", httpx.Config{Base: base, BreakerPerHost: true, MaxAttempts: -1})
	require.NoError(t, err)
	try := func(host string) error {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host, http.NoBody)
		require.NoError(t, err)
		resp, err := tr.RoundTrip(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		return err
	}
	for range 3 {
		require.NoError(t, try("down.test"))
	}
	require.ErrorIs(t, try("down.test"), errors.CircuitOpen)
	require.NoError(t, try("up.test"))
	require.Nil(t, tr.Breaker())
	require.NotNil(t, tr.Breakers())
}

func TestAProfileSeesBodiesBelow400WhereItAsks(t *testing.T) {
	slack := httpx.Profile{
		InspectBody: []int{200},
		Classify: func(r httpx.Response) (httpx.Verdict, bool) {
			switch {
			case strings.Contains(string(r.Body), "ratelimited"):
				return httpx.Verdict{Delivery: errors.Rejected, Retry: httpx.RetryAlways, Limited: true, Reason: "ratelimited"}, true
			case strings.Contains(string(r.Body), `"ok":false`):
				return httpx.Verdict{Delivery: errors.Rejected, Retry: httpx.RetryNever, Reason: "refused"}, true
			}
			return httpx.Verdict{}, false
		},
	}
	base := follow(answer(200, `{"ok":false,"error":"ratelimited"}`), answer(200, `{"ok":true}`), answer(200, `{"ok":false}`))
	c := client(t, httpx.Config{Base: base, BackoffBase: noWait, Profile: slack})
	resp, body, err := send(t, t.Context(), c, "POST", "hi")
	require.NoError(t, err)
	require.JSONEq(t, `{"ok":true}`, body, "the body is still whole for the SDK")
	require.Equal(t, 2, base.count())
	require.NoError(t, httpx.ResponseError(resp))
	resp, body, err = send(t, t.Context(), c, "POST", "hi")
	require.NoError(t, err)
	require.JSONEq(t, `{"ok":false}`, body)
	require.Equal(t, 3, base.count())
	require.Equal(t, errors.StopPermanent, errors.StopOf(httpx.ResponseError(resp)))
	require.Equal(t, errors.Rejected, errors.DeliveryOf(httpx.ResponseError(resp)))
}

func TestAnInspectedBodyBeyondTheBoundStillStreams(t *testing.T) {
	seen := -1
	p := httpx.Profile{InspectBody: []int{200}, Classify: func(r httpx.Response) (httpx.Verdict, bool) {
		seen = len(r.Body)
		return httpx.Verdict{}, false
	}}
	long := strings.Repeat("x", 1000)
	c := client(t, httpx.Config{Base: follow(answer(200, long)), Profile: p, MaxErrorBody: 100})
	_, body, err := send(t, t.Context(), c, "GET", "")
	require.NoError(t, err)
	require.Equal(t, long, body)
	require.Zero(t, seen, "half a document is not for a parser")
}

func TestResponseError(t *testing.T) {
	decode := httpx.Profile{DecodeError: func(r httpx.Response) httpx.VendorError {
		return httpx.VendorError{Code: "21211", Message: "bad number " + string(r.Body)}
	}}
	for status, kind := range map[int]errors.Kind{
		400: errors.Invalid, 401: errors.Internal, 403: errors.Internal, 404: errors.NotFound, 409: errors.Conflict,
		422: errors.Invalid, 429: errors.VendorRateLimited, 408: errors.VendorTimeout, 500: errors.VendorBadResponse, 504: errors.VendorTimeout,
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			resp, body, err := send(t, t.Context(), client(t, httpx.Config{Base: follow(answer(status, "+15005550001")), MaxAttempts: -1, Profile: decode}), "GET", "")
			require.NoError(t, err)
			require.Equal(t, "+15005550001", body)
			verr := httpx.ResponseError(resp)
			e, ok := errors.AsType[*errors.Error](verr)
			require.True(t, ok)
			require.Equal(t, kind, e.Kind)
			require.Equal(t, "21211", e.VendorCode)
			require.Contains(t, e.VendorMessage, "bad number")
			require.NotContains(t, e.Error(), "+1500", "a phone number is not for the log")
			require.Equal(t, 1, e.Retry.Attempt)
		})
	}
	require.NoError(t, httpx.ResponseError(nil))
	require.NoError(t, httpx.ResponseError(&http.Response{StatusCode: 200}))
	require.Equal(t, errors.Unknown, errors.DeliveryOf(httpx.ResponseError(&http.Response{StatusCode: 500})))
	_, ok := httpx.OutcomeOf(&http.Response{StatusCode: 500})
	require.False(t, ok)
}

func TestARedirectLoopIsAnErrorOfOurs(t *testing.T) {
	base := follow(answer(302, "", "Location", "/again"))
	_, _, err := send(t, t.Context(), client(t, httpx.Config{Base: base}), "GET", "")
	require.Equal(t, errors.VendorBadResponse, errors.KindOf(err))
	require.Equal(t, errors.NotSent, errors.DeliveryOf(err))
	require.Equal(t, errors.StopPermanent, errors.StopOf(err))
	require.Equal(t, 10, base.count())
}
