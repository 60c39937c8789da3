package httpx_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/profile"
)

// stalls answers with a body that never comes.
func stalls(status int, contentType string) step {
	return func(req *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: status, Header: http.Header{"Content-Type": {contentType}}, ContentLength: -1, Request: req,
			Body: stalledBody{req.Context()},
		}, nil
	}
}

type stalledBody struct{ ctx context.Context }

func (s stalledBody) Read([]byte) (int, error) { <-s.ctx.Done(); return 0, context.Cause(s.ctx) }
func (s stalledBody) Close() error             { return nil }

// outcomes makes a transport whose breaker's outcomes are recorded.
func outcomes(t *testing.T, cfg httpx.Config) (*httpx.Transport, *[]breaker.OutcomeEvent) {
	t.Helper()
	var heard []breaker.OutcomeEvent
	cfg.Breaker.Hooks.OnOutcome = func(e breaker.OutcomeEvent) { heard = append(heard, e) }
	tr, err := httpx.NewTransport("vendor", cfg)
	require.NoError(t, err)
	return tr, &heard
}

// openUp opens a breaker that counts failures in a row.
func openUp(t *testing.T, tr *httpx.Transport) {
	t.Helper()
	for range 3 {
		p, _, _ := tr.Breaker().TryAcquire()
		p.Done(breaker.Failure)
	}
	require.Equal(t, breaker.Open, tr.Breaker().State())
}

func TestABodyThatAProfileLooksAtHasTheAttemptsTime(t *testing.T) {
	for name, p := range map[string]httpx.Profile{"slack": profile.Slack(), "vapi": profile.Vapi()} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := client(t, httpx.Config{Base: follow(stalls(p.InspectBody[0], "application/json")), Profile: p})
				start := time.Now()
				_, _, err := send(t, t.Context(), c, "POST", "x")
				require.Equal(t, errors.VendorTimeout, errors.KindOf(err))
				require.Equal(t, errors.Unknown, errors.DeliveryOf(err), "the vendor may well have done it")
				require.Equal(t, 10*time.Second, time.Since(start))
			})
		})
	}
}

func TestABodyThatIsReadAtOnceHasTheIdleTimeWhereTheAttemptHasNone(t *testing.T) {
	for name, tc := range map[string]struct {
		status int
		base   httpx.Profile
	}{"an error's": {500, httpx.Profile{}}, "one a profile looks at": {200, profile.Slack()}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := client(t, httpx.Config{
					Base: follow(stalls(tc.status, "application/json")), Profile: tc.base, TotalTimeout: -1, AttemptTimeout: -1, MaxAttempts: -1,
				})
				start := time.Now()
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://vendor.test", http.NoBody)
				require.NoError(t, err)
				resp, err := c.Do(req)
				if err == nil {
					_, err = io.ReadAll(resp.Body)
				}
				require.Error(t, err)
				require.Equal(t, 30*time.Second, time.Since(start))
			})
		})
	}
}

// The vendor answers before the request's body has come: the decision about a retry does not wait for the rest of it.
func TestABodyThatWaitsForItsWriterHoldsUpNobody(t *testing.T) {
	early := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusTooManyRequests)
		_ = http.NewResponseController(w).Flush()
	})
	c := client(t, httpx.Config{TotalTimeout: time.Second, AttemptTimeout: 300 * time.Millisecond, MaxAttempts: 2, BackoffBase: noWait})
	defer c.CloseIdleConnections()
	body, writer := io.Pipe()
	defer writer.Close()
	go func() { _, _ = writer.Write([]byte("the first half, and no more")) }()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, listenAndServe(t, early), body)
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if resp, err := c.Do(req); err == nil {
			_ = resp.Body.Close()
		}
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Error("RoundTrip waits for its own request's body")
		_ = writer.Close()
		<-done
	}
}

func TestTheCausesOfACancelKeepTheirSecrets(t *testing.T) {
	sibling := &url.Error{Op: "Get", URL: "https://vendor.test/x?token=planted", Err: io.EOF} // as errgroup hands it on
	for when, base := range map[string]step{"before": hang, "during": hang, "body": stalls(200, "text/plain")} {
		t.Run(when, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				if when == "before" {
					cancel(sibling)
				} else {
					time.AfterFunc(time.Second, func() { cancel(sibling) })
				}
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://vendor.test", http.NoBody)
				require.NoError(t, err)
				resp, err := client(t, httpx.Config{Base: follow(base)}).Do(req)
				if err == nil {
					_, err = io.ReadAll(resp.Body)
				}
				e, ok := errors.AsType[*errors.Error](err)
				require.True(t, ok)
				require.Equal(t, errors.Canceled, e.Kind)
				require.ErrorIs(t, e, io.EOF)
				require.NotContains(t, e.Error(), "planted")
			})
		})
	}
}

func TestADeadlineWithACauseOfItsOwnIsATimeout(t *testing.T) {
	why := errors.New("the budget of this page")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, why)
		defer cancel()
		c := client(t, httpx.Config{Base: follow(hang)})
		for range 2 { // during a call, and before one
			_, _, err := send(t, ctx, c, "GET", "")
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorIs(t, err, why)
			require.Equal(t, errors.StopDeadline, errors.StopOf(err))
			var timeout interface{ Timeout() bool }
			require.ErrorAs(t, err, &timeout)
			require.True(t, timeout.Timeout())
		}
	})
}

// What net/http says of an answer it cannot read quotes it.
func TestAnAnswerThatIsNoneIsNotQuoted(t *testing.T) {
	for _, raw := range []string{
		"token=planted-secret nonsense\r\n\r\n",
		"HTTP/1.1 planted-secret\r\n\r\n",
		"HTTP/1.1 200 OK\r\nplanted-secret: \x00 line\r\nplanted-secret without colon\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: planted-secret\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: planted-secret\r\n\r\n",
	} {
		url := listenAndServe(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = io.WriteString(conn, raw)
				_ = conn.Close()
			}
		}))
		c := client(t, httpx.Config{MaxAttempts: -1})
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
		require.NoError(t, err)
		resp, err := c.Do(req)
		if err == nil {
			_, err = io.ReadAll(resp.Body)
		}
		require.Error(t, err, "%q", raw)
		e, ok := errors.AsType[*errors.Error](err)
		require.True(t, ok)
		require.NotContains(t, e.Error(), "planted", "%q", raw)
		c.CloseIdleConnections()
	}
}

func TestWhatTheBreakerHearsOfABodyThatStalls(t *testing.T) {
	for name, want := range map[string]breaker.Outcome{
		"until it is idle for too long": breaker.Failure,
		"until the caller's deadline":   breaker.Failure,
		"until the caller cancels":      breaker.Ignored,
		"until the caller closes it":    breaker.Ignored,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr, heard := outcomes(t, httpx.Config{Base: follow(stalls(200, "text/plain"))})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if strings.Contains(name, "deadline") {
					ctx, cancel = context.WithTimeout(ctx, 5*time.Second)
					defer cancel()
				}
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://vendor.test", http.NoBody)
				require.NoError(t, err)
				resp, err := tr.RoundTrip(req)
				require.NoError(t, err)
				switch {
				case strings.Contains(name, "cancels"):
					time.AfterFunc(time.Second, cancel)
				case strings.Contains(name, "closes"):
					time.AfterFunc(time.Second, func() { _ = resp.Body.Close() })
				}
				_, err = io.ReadAll(resp.Body)
				require.Error(t, err)
				require.NoError(t, resp.Body.Close())
				synctest.Wait()
				require.Len(t, *heard, 1)
				require.Equal(t, want, (*heard)[0].Outcome)
			})
		})
	}
}

func TestTheBreakersHooksHearOfACallOnce(t *testing.T) {
	for name, cfg := range map[string]httpx.Config{
		"without a limiter": {}, "with one": {Limiter: &fakeLimiter{}},
		"in shadow": {Breaker: breaker.Config{Mode: breaker.Shadow}}, "in shadow, with one": {Limiter: &fakeLimiter{}, Breaker: breaker.Config{Mode: breaker.Shadow}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rejected := 0
				cfg.Base = follow(answer(200, ""))
				cfg.Breaker.Hooks.OnReject = func(breaker.RejectEvent) { rejected++ }
				tr, heard := outcomes(t, cfg)
				openUp(t, tr)
				*heard = nil
				_, _, err := send(t, t.Context(), &http.Client{Transport: tr}, "GET", "")
				require.Equal(t, 1, rejected)
				if cfg.Breaker.Mode == breaker.Shadow {
					require.NoError(t, err)
					require.Len(t, *heard, 1)
				}
				time.Sleep(40 * time.Second)
				*heard = nil
				_, _, err = send(t, t.Context(), &http.Client{Transport: tr}, "GET", "")
				require.NoError(t, err)
				require.Len(t, *heard, 1, "the probe's own outcome and no other")
				require.Equal(t, 1, rejected)
			})
		})
	}
}

// Nobody is in flight, but for one who is being refused.
func TestWhoIsRefusedAPlaceHoldsNone(t *testing.T) {
	release, entered := make(chan struct{}), make(chan struct{})
	tr, err := httpx.NewTransport("vendor", httpx.Config{MaxConcurrent: 1, Base: follow(func(r *http.Request) (*http.Response, error) {
		close(entered)
		<-release
		return answer(200, "")(r)
	}, answer(200, ""))})
	require.NoError(t, err)
	c := &http.Client{Transport: tr}
	first := make(chan error)
	plain, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://vendor.test", http.NoBody)
	require.NoError(t, err)
	go func() {
		resp, err := c.Do(plain)
		if err == nil {
			_ = resp.Body.Close()
		}
		first <- err
	}()
	<-entered
	held := &slowContext{Context: t.Context(), asked: make(chan struct{}), leave: make(chan struct{})}
	refused := make(chan error)
	go func() {
		req, _ := http.NewRequestWithContext(held, http.MethodGet, "http://vendor.test", http.NoBody)
		_, err := tr.RoundTrip(req)
		refused <- err
	}()
	<-held.asked // it was refused, and its error is being made
	close(release)
	require.NoError(t, <-first)
	_, _, err = send(t, t.Context(), c, "GET", "")
	require.NoError(t, err, "nothing is in flight")
	close(held.leave)
	require.Equal(t, errors.StopBulkheadFull, errors.StopOf(<-refused))
}

// slowContext takes its time over the second value it is asked for: the id of a refusal.
type slowContext struct {
	context.Context

	n            int
	asked, leave chan struct{}
}

func (s *slowContext) Value(key any) any {
	if s.n++; s.n == 2 {
		close(s.asked)
		<-s.leave
	}
	return s.Context.Value(key)
}

func TestAListenersTimeIsNotTheVendors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		heard := &recorder{}
		hooks := heard.hooks()
		hooks.OnEvent = func(httpx.Event) { time.Sleep(2 * time.Second) }
		tr, outs := outcomes(t, httpx.Config{
			Base: follow(after(10*time.Millisecond, answer(200, ""))), Hooks: hooks, Breaker: breaker.Config{SlowCall: time.Second},
		})
		_, _, err := send(t, t.Context(), &http.Client{Transport: tr}, "GET", "")
		require.NoError(t, err)
		require.Equal(t, 10*time.Millisecond, heard.attempts[0].Duration)
		require.Equal(t, breaker.Success, (*outs)[0].Outcome)
	})
}

// liar is a limiter that waits for nothing and reports an hour.
type liar struct{ admitAll }

func (liar) Acquire(context.Context, time.Duration) (time.Duration, error) { return time.Hour, nil }

func TestALimitersReportDoesNotMoveTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, _, err := send(t, t.Context(), client(t, httpx.Config{Base: follow(hang), Limiter: liar{}, MaxAttempts: -1}), "GET", "")
		require.Equal(t, errors.VendorTimeout, errors.KindOf(err))
		require.Equal(t, 10*time.Second, time.Since(start))
	})
}

// A vendor of long answers: a probe is judged by its first bytes, or the breaker would stay half-open, one call at a time.
func TestAProbeWithALongBodyClosesTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, heard := outcomes(t, httpx.Config{Base: follow(func(req *http.Request) (*http.Response, error) {
			return &http.Response{
				StatusCode: 200, Header: http.Header{"Content-Type": {"audio/mpeg"}}, ContentLength: -1, Request: req,
				Body: io.NopCloser(&slowReader{left: 90}),
			}, nil
		})})
		openUp(t, tr)
		time.Sleep(time.Minute)
		*heard = nil
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://vendor.test", http.NoBody)
		require.NoError(t, err)
		resp, err := tr.RoundTrip(req)
		require.NoError(t, err)
		require.Equal(t, breaker.HalfOpen, tr.Breaker().State(), "headers alone prove little")
		_, err = resp.Body.Read(make([]byte, 1))
		require.NoError(t, err)
		require.Equal(t, breaker.Closed, tr.Breaker().State())
		_, err = io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Len(t, *heard, 1, "and is judged once")
	})
}

// slowReader gives a byte a second.
type slowReader struct{ left int }

func (s *slowReader) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	s.left--
	time.Sleep(time.Second)
	p[0] = 'x'
	return 1, nil
}

func TestABreakerThatCouldNeverActIsAFault(t *testing.T) {
	_, err := httpx.NewTransport("vendor", httpx.Config{Breaker: breaker.Config{
		ProbeLease: 10 * time.Second, SlowCall: 10 * time.Second, Classify: breaker.DefaultClassify,
	}})
	for _, want := range []string{
		"Breaker.ProbeLease = 10s: want more than AttemptTimeout (10s)", "Breaker.SlowCall = 10s: want less than AttemptTimeout (10s)",
		"Breaker.Classify = set: want nil",
	} {
		require.ErrorContains(t, err, want)
	}
	for _, attempt := range []time.Duration{10 * time.Second, 2 * time.Minute} {
		tr, err := httpx.NewTransport("vendor", httpx.Config{AttemptTimeout: attempt})
		require.NoError(t, err)
		require.Greater(t, tr.Breaker().Config().ProbeLease, attempt+30*time.Second-1)
	}
}

// The bulkhead stands outside the total timeout, and what Explain says of the worst case holds.
func TestTheTimeInTheQueueIsNotTheTotals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		heard := &recorder{}
		release := make(chan struct{})
		tr, err := httpx.NewTransport("vendor", httpx.Config{
			MaxConcurrent: 1, BulkheadWait: 9 * time.Second, TotalTimeout: 10 * time.Second, AttemptTimeout: 10 * time.Second, MaxAttempts: -1,
			Base: follow(func(r *http.Request) (*http.Response, error) { <-release; return answer(200, "")(r) }, hang), Hooks: heard.hooks(),
		})
		require.NoError(t, err)
		c := &http.Client{Transport: tr}
		first := make(chan struct{})
		plain, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://vendor.test", http.NoBody)
		require.NoError(t, err)
		go func() {
			defer close(first)
			if resp, err := c.Do(plain); err == nil {
				_ = resp.Body.Close()
			}
		}()
		synctest.Wait()
		time.AfterFunc(8*time.Second, func() { close(release) })
		start := time.Now()
		_, _, err = send(t, t.Context(), c, "GET", "")
		require.Equal(t, errors.VendorTimeout, errors.KindOf(err))
		require.Equal(t, 18*time.Second, time.Since(start))
		require.LessOrEqual(t, time.Since(start), tr.Explain().Worst.Latency)
		<-first
		require.Equal(t, 10*time.Second, heard.attempts[1].Duration)
		require.Equal(t, 18*time.Second, heard.calls[1].Total, "the caller has waited for all of it")
	})
}

// A header set past http.Header.Set keeps the case it was written in, and is on the wire all the same.
func TestAHeaderInAnotherCaseIsNotDoubled(t *testing.T) {
	base := follow(answer(500, ""))
	c := client(t, httpx.Config{Base: base, Profile: profile.Stripe(), BackoffBase: noWait})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://api.stripe.com/v1/charges", strings.NewReader("x"))
	require.NoError(t, err)
	req.Header["idempotency-key"] = []string{"the-callers"}
	req.Header["X-Correlation-ID"] = []string{"the-callers-too"}
	resp, err := c.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 3, base.count(), "it is keyed")
	for _, s := range base.sent {
		found := map[string][]string{}
		for name, values := range s.header {
			found[strings.ToLower(name)] = append(found[strings.ToLower(name)], values...)
		}
		require.Equal(t, []string{"the-callers"}, found["idempotency-key"])
		require.Equal(t, []string{"the-callers-too"}, found["x-correlation-id"])
	}
}

func TestATotalWithNoRoomForItsAttemptsIsAFault(t *testing.T) {
	_, err := httpx.NewClient("vendor", httpx.Config{TotalTimeout: 2 * time.Second})
	require.ErrorContains(t, err, "TotalTimeout = 2s: want at least 4.5s, for 3 attempts of 1s and their longest waits (1.5s)")
	for _, cfg := range []httpx.Config{
		{TotalTimeout: 2 * time.Second, AttemptTimeout: time.Second, MaxAttempts: 2, BackoffBase: -1},
		{TotalTimeout: 2 * time.Second, MaxAttempts: -1},
	} {
		_, err := httpx.NewClient("vendor", cfg)
		require.NoError(t, err)
	}
}

func TestTheVendorsOwnIDOfARequestIsInTheError(t *testing.T) {
	for name, p := range map[string]httpx.Profile{
		"by the profile's header": {RequestIDHeader: "X-Vendor-Id"},
		"by the body, before the header": {RequestIDHeader: "X-Other", DecodeError: func(r httpx.Response) httpx.VendorError {
			return httpx.VendorError{RequestID: r.Header.Get("X-Vendor-Id")}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c := client(t, httpx.Config{Base: follow(answer(404, "", "X-Vendor-Id", "RQ1", "X-Other", "none")), Profile: p})
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://vendor.test", http.NoBody)
			require.NoError(t, err)
			resp, err := c.Do(req)
			require.NoError(t, err)
			defer resp.Body.Close()
			e, ok := errors.AsType[*errors.Error](httpx.ResponseError(resp))
			require.True(t, ok)
			require.Equal(t, "RQ1", e.VendorRequestID)
		})
	}
}

func TestAnAnswerWithoutABodyHasItsOutcome(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	defer srv.Close()
	for _, method := range []string{http.MethodDelete, http.MethodHead} {
		over := 0
		client, err := httpx.NewClient("vendor", httpx.Config{Hooks: httpx.Hooks{OnCall: func(httpx.CallEvent) { over++ }}})
		require.NoError(t, err)
		req, err := http.NewRequestWithContext(t.Context(), method, srv.URL, http.NoBody)
		require.NoError(t, err)
		resp, err := client.Do(req)
		require.NoError(t, err)
		outcome, ok := httpx.OutcomeOf(resp)
		require.True(t, ok)
		require.Equal(t, errors.Delivered, outcome.Delivery)
		require.Equal(t, 1, outcome.Attempts)
		got, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Empty(t, got)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, 1, over, "the call ends once")
		client.CloseIdleConnections()
	}
}
