package tracing_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/tracing"
	"github.com/prusik-go/prusik/ratelimit"
)

func TestACallAndItsAttempts(t *testing.T) {
	s := record(t)
	var parents, ids []string
	answer := statuses(503, 503, 200)
	origin := serve(t, func(w http.ResponseWriter, r *http.Request) {
		parents = append(parents, r.Header.Get("Traceparent"))
		ids = append(ids, r.Header.Get(correlation.Header))
		answer(w, r)
	})
	u, err := url.Parse(origin)
	require.NoError(t, err)
	port, err := strconv.Atoi(u.Port())
	require.NoError(t, err)

	ctx, server := s.provider.Tracer("test").Start(t.Context(), "route")
	_, err = send(t, ctx, s.client(t, quick()), "PUT", origin+"/a/path?a=query", "")
	require.NoError(t, err)
	server.End()

	all := s.all(t)
	require.Len(t, all, 5)
	attempts, call := all[:3], all[3]
	require.Equal(t, server.SpanContext().SpanID(), call.Parent.SpanID())
	require.Equal(t, "vendor PUT", call.Name)
	require.Equal(t, trace.SpanKindInternal, call.SpanKind)
	require.Equal(t, codes.Unset, call.Status.Code)
	require.Equal(t, map[string]any{
		"http.request.method": "PUT", "service.peer.name": "vendor", "server.address": "127.0.0.1", "server.port": int64(port),
		"http.response.status_code": int64(200), "correlation_id": ids[0], "prusik.attempts": int64(3), "prusik.delivery": "delivered",
	}, attrs(call.Attributes))
	require.Equal(t, []string{"retrying", "retrying"}, events(call))
	require.Equal(t, map[string]any{"prusik.attempt": int64(2), "prusik.reason": "503", "prusik.wait_seconds": 0.0}, attrs(call.Events[0].Attributes))

	for i, a := range attempts {
		require.Equal(t, call.SpanContext.SpanID(), a.Parent.SpanID())
		require.Equal(t, "PUT", a.Name)
		require.Equal(t, trace.SpanKindClient, a.SpanKind)
		want := map[string]any{
			"http.request.method": "PUT", "service.peer.name": "vendor", "server.address": "127.0.0.1", "server.port": int64(port),
			"url.full": origin + "/REDACTED", "network.protocol.version": "1.1",
			"http.response.status_code": int64(503), "error.type": "503", "correlation_id": ids[i], "prusik.delivery": "unknown",
		}
		status := codes.Error
		if i > 0 {
			want["http.request.resend_count"] = int64(i)
		}
		if i == 2 {
			status = codes.Unset
			want["http.response.status_code"], want["prusik.delivery"] = int64(200), "delivered"
			delete(want, "error.type")
		}
		require.Equal(t, want, attrs(a.Attributes), i)
		require.Equal(t, sdktrace.Status{Code: status}, a.Status)
		require.Equal(t, "00-"+a.SpanContext.TraceID().String()+"-"+a.SpanContext.SpanID().String()+"-01", parents[i], "the attempt's own, on the wire")
		require.Equal(t, "https://opentelemetry.io/schemas/1.43.0", a.InstrumentationScope.SchemaURL)
	}
}

func TestTheWaitIsInTheEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := record(t)
		n := 0
		_, err := send(t, t.Context(), s.client(t, httpx.Config{Base: base(func(r *http.Request) (*http.Response, error) {
			resp, err := fine(r)
			if n++; n == 1 {
				resp.StatusCode = http.StatusTooManyRequests
				resp.Header.Set("Retry-After", "7")
			}
			return resp, err
		})}), "POST", "http://vendor.test/", "")
		require.NoError(t, err)
		call, attempts := s.call(t)
		wait, ok := attrs(call.Events[0].Attributes)["prusik.wait_seconds"].(float64)
		require.True(t, ok)
		require.InDelta(t, 7.5, wait, 0.5)
		require.GreaterOrEqual(t, attempts[1].StartTime.Sub(attempts[0].EndTime), 7*time.Second, "the wait is in no attempt")
	})
}

// full has everything of a span that leaves the process.
func full(s *spans, t *testing.T) string { return fmt.Sprintf("%+v", s.all(t)) }

func TestNothingOfARequestIsInASpanButWhereItGoes(t *testing.T) {
	s := record(t)
	c := s.client(t, quick())
	c.Transport = planted{c.Transport}
	origin := serve(t, statuses(503, 404))
	target := strings.Replace(origin, "http://", "http://planted-user:planted-password@", 1) + "/planted-path?planted=query#planted-fragment"
	_, err := send(t, t.Context(), c, "PUT", target, "planted-body")
	require.NoError(t, err)
	_, err = send(t, t.Context(), c, "GET", "http://127.0.0.1:1/planted-path?planted=query", "planted-body")
	require.Error(t, err)
	require.NotContains(t, full(s, t), "planted")
	require.Contains(t, full(s, t), origin+"/REDACTED")
}

// planted adds a header that holds a secret.
type planted struct{ http.RoundTripper }

func (p planted) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "planted-credential")
	return p.RoundTripper.RoundTrip(r)
}

func TestARefusalHasNoAttempt(t *testing.T) {
	limits, err := ratelimit.ParseLimits("1/hour")
	require.NoError(t, err)
	limiter, err := ratelimit.New("empty", ratelimit.Config{Limits: limits})
	require.NoError(t, err)
	_, err = limiter.Allow(t.Context(), "k")
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		cfg    httpx.Config
		event  string
		kind   errors.Kind
		stop   errors.Stop
		before func(*tracing.Transport)
	}{
		"breaker": {event: "circuit_open", kind: errors.CircuitOpen, stop: errors.StopBreakerOpen, before: func(tr *tracing.Transport) {
			p, _, _ := tr.Breaker().TryAcquire()
			p.Done(breaker.Failure)
		}},
		"limiter":     {cfg: httpx.Config{Limiter: limiter.Outbound("k")}, event: "rate_limited", kind: errors.VendorRateLimited, stop: errors.StopRateLimited},
		"bulkhead":    {cfg: httpx.Config{MaxConcurrent: 1}, event: "bulkhead_full", kind: errors.Unavailable, stop: errors.StopBulkheadFull},
		"kill switch": {cfg: httpx.Config{KillSwitch: func() bool { return true }}, kind: errors.FeatureDisabled, stop: errors.StopPermanent},
	} {
		t.Run(name, func(t *testing.T) {
			s := record(t)
			tc.cfg.Base = base(fine)
			tc.cfg.Breaker.Failures = 1
			c := s.client(t, tc.cfg)
			tr, ok := c.Transport.(*tracing.Transport)
			require.True(t, ok)
			if tc.before != nil {
				tc.before(tr)
			}
			if name == "bulkhead" { // another's call is in the only place, without a span
				resp, err := tr.Transport.RoundTrip(httptest.NewRequest(http.MethodGet, "http://vendor.test/", http.NoBody))
				require.NoError(t, err)
				defer resp.Body.Close()
			}
			_, err := send(t, correlation.WithID(t.Context(), "id-1"), c, "GET", "http://vendor.test/", "")
			require.ErrorIs(t, err, tc.kind)

			call, attempts := s.call(t)
			require.Empty(t, attempts)
			require.Equal(t, sdktrace.Status{Code: codes.Error, Description: string(tc.stop)}, call.Status)
			got := attrs(call.Attributes)
			require.Equal(t, string(tc.kind), got["error.type"])
			require.Equal(t, string(tc.stop), got["prusik.stop"])
			require.Equal(t, "id-1", got["correlation_id"])
			require.Equal(t, int64(0), got["prusik.attempts"])
			require.NotContains(t, got, "http.response.status_code")
			if tc.event == "" {
				require.Empty(t, call.Events)
				return
			}
			require.Equal(t, []string{tc.event}, events(call))
			if tc.event == "circuit_open" {
				after, ok := attrs(call.Events[0].Attributes)["prusik.retry_after_seconds"].(float64)
				require.True(t, ok)
				require.InDelta(t, 31.5, after, 1.6)
			}
		})
	}
}

func TestAnAttemptEndsWithItsBodyAndSoDoesTheCall(t *testing.T) {
	for name, tc := range map[string]struct {
		end  func(t *testing.T, resp *http.Response, cancel func(), gate chan struct{})
		kind any
	}{
		"EOF": {func(t *testing.T, resp *http.Response, _ func(), gate chan struct{}) {
			close(gate)
			_, err := io.Copy(io.Discard, resp.Body)
			require.NoError(t, err)
		}, nil},
		"Close": {func(_ *testing.T, resp *http.Response, _ func(), _ chan struct{}) { _ = resp.Body.Close() }, nil},
		"cancel": {func(t *testing.T, resp *http.Response, cancel func(), _ chan struct{}) {
			cancel()
			_, err := io.Copy(io.Discard, resp.Body)
			require.Error(t, err)
		}, "canceled"},
		"a stall": {func(t *testing.T, resp *http.Response, _ func(), _ chan struct{}) {
			_, err := io.Copy(io.Discard, resp.Body)
			require.ErrorIs(t, err, errors.VendorTimeout)
		}, "vendor_timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			s, gate := record(t), make(chan struct{})
			origin := serve(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, "first")
				_ = http.NewResponseController(w).Flush()
				select {
				case <-gate:
				case <-r.Context().Done():
				}
			})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, origin, http.NoBody)
			require.NoError(t, err)
			cfg := httpx.Config{}
			if name == "a stall" {
				cfg.BodyIdleTimeout = 20 * time.Millisecond
			}
			resp, err := s.client(t, cfg).Do(req)
			require.NoError(t, err)
			require.Empty(t, s.Ended(), "the body is on the wire")
			require.Len(t, s.Started(), 2)
			outcome, ok := httpx.OutcomeOf(resp)
			require.True(t, ok)
			require.Equal(t, 1, outcome.Attempts)
			tc.end(t, resp, cancel, gate)
			call, attempts := s.call(t)
			require.Len(t, attempts, 1)
			for _, span := range []map[string]any{attrs(call.Attributes), attrs(attempts[0].Attributes)} {
				require.Equal(t, tc.kind, span["error.type"])
				require.Equal(t, int64(200), span["http.response.status_code"])
			}
			require.Equal(t, tc.kind != nil, call.Status.Code == codes.Error)
			require.Equal(t, tc.kind != nil, attempts[0].Status.Code == codes.Error)
			require.NoError(t, resp.Body.Close())
			s.all(t)
		})
	}
}

func TestFailuresByTheConventions(t *testing.T) {
	boom := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("refused")}
	classify := httpx.Profile{InspectBody: []int{200}, Classify: func(httpx.Response) (httpx.Verdict, bool) {
		return httpx.Verdict{Delivery: errors.Rejected, Retry: httpx.RetryNever, Reason: "not_ok"}, true
	}}
	status := func(n int) base {
		return func(r *http.Request) (*http.Response, error) {
			resp, err := fine(r)
			resp.StatusCode = n
			return resp, err
		}
	}
	for name, tc := range map[string]struct {
		cfg               httpx.Config
		method            string
		attempt, call     any
		description, stop string
	}{
		"304":                  {httpx.Config{Base: status(304)}, "GET", nil, nil, "", ""},
		"404":                  {httpx.Config{Base: status(404)}, "GET", "404", "404", "", "permanent"},
		"500":                  {httpx.Config{Base: status(500)}, "POST", "500", "500", "", "unsafe_method"},
		"no connection":        {httpx.Config{Base: base(func(*http.Request) (*http.Response, error) { return nil, boom }), MaxAttempts: -1}, "GET", "dial", "vendor_bad_response", "exhausted", "exhausted"},
		"no answer":            {httpx.Config{Base: base(func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() }), AttemptTimeout: time.Millisecond}, "POST", "timeout", "vendor_timeout", "unsafe_method", "unsafe_method"},
		"200 that is not well": {httpx.Config{Base: status(200), Profile: classify}, "GET", "not_ok", "not_ok", "permanent", "permanent"},
	} {
		t.Run(name, func(t *testing.T) {
			s := record(t)
			_, _ = send(t, t.Context(), s.client(t, tc.cfg), tc.method, "https://vendor.test/", "")
			call, attempts := s.call(t)
			require.Len(t, attempts, 1)
			require.Equal(t, tc.attempt, attrs(attempts[0].Attributes)["error.type"])
			require.Equal(t, tc.call, attrs(call.Attributes)["error.type"])
			require.Equal(t, tc.description, call.Status.Description)
			require.Empty(t, attempts[0].Status.Description)
			require.Equal(t, tc.call != nil, call.Status.Code == codes.Error)
			require.Equal(t, tc.attempt != nil, attempts[0].Status.Code == codes.Error)
			if tc.stop != "" {
				require.Equal(t, tc.stop, attrs(call.Attributes)["prusik.stop"])
			}
			require.Equal(t, int64(443), attrs(attempts[0].Attributes)["server.port"])
		})
	}
}

func TestAMethodThatNobodyKnows(t *testing.T) {
	s := record(t)
	_, err := send(t, t.Context(), s.client(t, httpx.Config{Base: base(fine)}), "BREW", "http://vendor.test/", "")
	require.NoError(t, err)
	call, attempts := s.call(t)
	require.Equal(t, "vendor HTTP", call.Name)
	require.Equal(t, "HTTP", attempts[0].Name)
	got := attrs(attempts[0].Attributes)
	require.Equal(t, "_OTHER", got["http.request.method"])
	require.Equal(t, "BREW", got["http.request.method_original"])
	require.Equal(t, int64(80), got["server.port"])
	require.Equal(t, "vendor.test", got["server.address"])
}

func TestAnUpgradedConnectionIsTheCallers(t *testing.T) {
	s := record(t)
	origin := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_ = rw.Flush()
		line, _ := bufio.NewReader(conn).ReadString('\n')
		_, _ = io.WriteString(conn, line)
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, origin, http.NoBody)
	require.NoError(t, err)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	resp, err := s.client(t, httpx.Config{}).Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	call, attempts := s.call(t) // both are over
	require.Equal(t, int64(101), attrs(attempts[0].Attributes)["http.response.status_code"])
	require.Equal(t, codes.Unset, call.Status.Code)
	conn, ok := resp.Body.(io.ReadWriteCloser)
	require.True(t, ok)
	_, err = io.WriteString(conn, "hello\n")
	require.NoError(t, err)
	line, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "hello\n", line)
}

func TestACallThatDoesNotReturnEndsItsSpans(t *testing.T) {
	for name, leave := range map[string]func(){"panic": func() { panic("boom") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			s := record(t)
			c := s.client(t, httpx.Config{Base: base(func(*http.Request) (*http.Response, error) { leave(); return nil, io.EOF })})
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://vendor.test/", http.NoBody)
			require.NoError(t, err)
			done := make(chan struct{})
			go func() {
				defer close(done)
				defer func() { _ = recover() }()
				_, _ = c.Do(req)
			}()
			<-done
			call, attempts := s.call(t)
			require.Len(t, attempts, 1)
			for _, span := range append(attempts, call) {
				require.Equal(t, "panic", attrs(span.Attributes)["error.type"])
				require.Equal(t, codes.Error, span.Status.Code)
				require.NotEmpty(t, attrs(span.Attributes)["correlation_id"])
			}
		})
	}
}

// A client's own hooks, and the context's, hear what they would without spans.
func TestHooksAndObserversStillHear(t *testing.T) {
	s := record(t)
	var calls, attempts, mine, all int
	cfg := quick()
	cfg.Base = base(fine)
	cfg.Hooks = httpx.Hooks{
		OnCall: func(httpx.CallEvent) { calls++ }, OnAttempt: func(httpx.AttemptEvent) { attempts++ }, OnEvent: func(httpx.Event) { all++ },
	}
	ctx := httpx.WithObserver(t.Context(), func(httpx.Event) { mine++ })
	_, err := send(t, ctx, s.client(t, cfg), "GET", "http://vendor.test/", "")
	require.NoError(t, err)
	require.Equal(t, []int{1, 1, 2, 2}, []int{calls, attempts, mine, all})
}

func TestWhatIsTheClientsStaysTheClients(t *testing.T) {
	s := record(t)
	closed := 0
	var decorated []trace.SpanContext
	c := s.client(t, httpx.Config{Base: closer{base(func(r *http.Request) (*http.Response, error) {
		resp, err := fine(r)
		resp.StatusCode = http.StatusFound
		resp.Header.Set("Location", "/again")
		return resp, err
	}), &closed}, Decorate: func(next http.RoundTripper) http.RoundTripper {
		return closer{base(func(r *http.Request) (*http.Response, error) {
			decorated = append(decorated, trace.SpanContextFromContext(r.Context()))
			return next.RoundTrip(r)
		}), &closed}
	}})
	_, err := send(t, t.Context(), c, "GET", "http://vendor.test/", "")
	require.ErrorIs(t, err, errors.VendorBadResponse, "the redirect loop is still httpx's to judge")
	c.CloseIdleConnections()
	require.Equal(t, 1, closed)
	require.Len(t, s.all(t), 20, "every hop is a call")
	require.Len(t, decorated, 10)
	require.Equal(t, s.all(t)[0].SpanContext.SpanID(), decorated[0].SpanID(), "a decorator runs in the attempt's span")

	tr, err := tracing.New(tracing.Config{Provider: s.provider}).NewTransport("vendor", httpx.Config{})
	require.NoError(t, err)
	require.Equal(t, "vendor", tr.Name())
	require.Equal(t, "tracing", tr.Explain().Stages[0].Policy)
	require.Equal(t, tr.Transport.Explain().Stages, tr.Explain().Stages[1:])

	_, err = tracing.New(tracing.Config{}).NewClient("no name!", httpx.Config{MaxAttempts: 11})
	require.ErrorContains(t, err, "MaxAttempts")
	_, err = tracing.New(tracing.Config{}).NewTransport("vendor", httpx.Config{
		Decorate: func(http.RoundTripper) http.RoundTripper { return nil },
	})
	require.ErrorContains(t, err, "Decorate")
}

type closer struct {
	http.RoundTripper

	n *int
}

func (c closer) CloseIdleConnections() { *c.n++ }
