package httpx_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/ratelimit"
)

func TestARetryingEventIsTheBriefsJSON(t *testing.T) {
	raw, err := json.Marshal(httpx.Event{Status: httpx.StatusRetrying, Attempt: 2, MaxAttempts: 3, NextRetryIn: 4200 * time.Millisecond})
	require.NoError(t, err)
	require.JSONEq(t, `{"status":"retrying","attempt":2,"max_attempts":3,"next_retry_in_seconds":5}`, string(raw))
}

func TestACallReportsItsSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := follow(answer(503, "", "Retry-After", "5"), fail(errDial), answer(200, "fine"))
		var all, mine recorder
		c := client(t, httpx.Config{Base: base, Hooks: all.hooks()})
		ctx := httpx.WithObserver(correlation.WithID(t.Context(), "id-1"), mine.hooks().OnEvent)
		_, _, err := send(t, ctx, c, "GET", "")
		require.NoError(t, err)
		_, _, err = send(t, t.Context(), c, "GET", "") // another's call
		require.NoError(t, err)

		require.Equal(t, []httpx.Status{"attempt", "retrying", "attempt", "retrying", "attempt", "succeeded"}, mine.statuses())
		require.Len(t, all.events, len(mine.events)+2)
		for _, e := range mine.events {
			require.Equal(t, "vendor", e.Service)
			require.Equal(t, "id-1", e.CorrelationID)
			require.Equal(t, 3, e.MaxAttempts)
		}
		first := mine.events[1]
		require.Equal(t, 2, first.Attempt)
		require.Equal(t, "503", first.Reason)
		require.Equal(t, 503, first.HTTPStatus)
		require.GreaterOrEqual(t, first.NextRetryIn, 5*time.Second)
		require.Equal(t, "dial", mine.events[3].Reason)
		require.Equal(t, errors.Delivered, mine.events[5].Delivery)
		require.Equal(t, 3, mine.events[5].Attempt)

		require.Len(t, all.attempts, 4)
		require.Equal(t, []int{1, 2, 3, 1}, []int{all.attempts[0].Number, all.attempts[1].Number, all.attempts[2].Number, all.attempts[3].Number})
		require.Equal(t, "vendor.test", all.attempts[0].Host)
		require.Equal(t, "GET", all.attempts[0].Method)
		require.Equal(t, first.NextRetryIn, all.attempts[1].Wait)
		call := all.calls[0]
		require.Equal(t, 3, call.Attempts)
		require.Equal(t, 200, call.Status)
		require.Equal(t, int64(4), call.BodyBytes)
		require.Equal(t, call.Total, call.ToHeaders)
		require.GreaterOrEqual(t, call.Total, 5*time.Second)
		require.Nil(t, call.Err)
	})
}

func TestObserversCompose(t *testing.T) {
	var order []string
	ctx := httpx.WithObserver(t.Context(), func(httpx.Event) { order = append(order, "outer") })
	ctx = httpx.WithObserver(ctx, func(httpx.Event) { order = append(order, "inner") })
	require.Equal(t, ctx, httpx.WithObserver(ctx, nil))
	_, _, err := send(t, ctx, client(t, httpx.Config{Base: follow(answer(200, ""))}), "GET", "")
	require.NoError(t, err)
	require.Equal(t, []string{"outer", "inner", "outer", "inner"}, order)
}

// What one request asks to hear is the same as what the client's hooks hear of it, a refusal included, and nobody else's.
func TestHooksOfAContextHearTheirOwnCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all, mine, inner recorder
		c := client(t, httpx.Config{Base: follow(answer(503, ""), answer(200, "fine")), Hooks: all.hooks()})
		ctx := httpx.WithHooks(httpx.WithHooks(t.Context(), mine.hooks()), inner.hooks())
		_, _, err := send(t, ctx, c, "GET", "")
		require.NoError(t, err)
		pipeline(t, c).Breaker().ForceOpen()
		_, _, err = send(t, ctx, c, "GET", "")
		require.ErrorIs(t, err, errors.CircuitOpen)
		require.Equal(t, all.events, mine.events)
		require.Equal(t, all.attempts, mine.attempts)
		require.Equal(t, all.calls, mine.calls)
		require.Len(t, mine.attempts, 2)
		require.Len(t, mine.calls, 2)
		require.Equal(t, mine.calls, inner.calls)
		_, _, err = send(t, t.Context(), c, "GET", "")
		require.Error(t, err)
		require.Len(t, all.calls, 3)
		require.Len(t, mine.calls, 2)

		// Without hooks of the client, and with one of a kind.
		mine, inner = recorder{}, recorder{}
		c = client(t, httpx.Config{Base: follow(answer(200, "fine"))})
		_, _, err = send(t, httpx.WithHooks(t.Context(), httpx.Hooks{OnAttempt: mine.hooks().OnAttempt}), c, "GET", "")
		require.NoError(t, err)
		ctx = httpx.WithHooks(t.Context(), httpx.Hooks{OnCall: mine.hooks().OnCall})
		_, _, err = send(t, httpx.WithObserver(ctx, inner.hooks().OnEvent), c, "GET", "")
		require.NoError(t, err)
		require.Len(t, mine.attempts, 1)
		require.Len(t, mine.calls, 1)
		require.Equal(t, []httpx.Status{"attempt", "succeeded"}, inner.statuses())
	})
}

func pipeline(t *testing.T, c *http.Client) *httpx.Transport {
	t.Helper()
	tr, ok := c.Transport.(*httpx.Transport)
	require.True(t, ok)
	return tr
}

func TestTheVendorsLimitIsReported(t *testing.T) {
	var rec recorder
	c := client(t, httpx.Config{Base: follow(answer(429, "", "Retry-After", "60")), Hooks: rec.hooks()})
	_, _, err := send(t, t.Context(), c, "POST", "x")
	require.NoError(t, err)
	require.Equal(t, []httpx.Status{"attempt", "rate_limited", "failed"}, rec.statuses())
	require.Equal(t, time.Minute, rec.events[2].NextRetryIn)
	raw, err := json.Marshal(rec.events[2])
	require.NoError(t, err)
	require.Contains(t, string(raw), `"next_retry_in_seconds":60`)
	require.Contains(t, string(raw), `"delivery":"rejected"`)
	require.Contains(t, string(raw), `"stop":"rate_limited"`)
}

// Nothing secret of a request or an answer may reach an error, an event or a log line.
func TestPlantedSecretsStayWhereTheyAre(t *testing.T) {
	const planted = "planted"
	leak := &url.Error{Op: "Get", URL: "http://u:planted-user@vendor.test/planted-path?token=planted-query", Err: errReset}
	secretAnswer := answer(500, "planted-response-body", "Set-Cookie", "planted-cookie", "X-Secret", "planted-header")
	failure := func(s step, method string) {
		var logged bytes.Buffer
		var rec recorder
		c := client(t, httpx.Config{
			Base: follow(s), BackoffBase: noWait, Hooks: rec.hooks(),
			Logger:  slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})),
			Breaker: breaker.Config{Mode: breaker.Disabled},
			Profile: httpx.Profile{DecodeError: func(r httpx.Response) httpx.VendorError {
				return httpx.VendorError{Message: string(r.Body)}
			}},
		})
		req, err := http.NewRequestWithContext(t.Context(), method, "http://u:planted-user@vendor.test/planted-path?token=planted-query", strings.NewReader("planted-request-body"))
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer planted-token")
		req.Header.Set("Cookie", "planted-cookie")
		var text []string
		resp, err := c.Do(req)
		if err == nil {
			err = httpx.ResponseError(resp)
			_ = resp.Body.Close()
		}
		require.Error(t, err)
		e, ok := errors.AsType[*errors.Error](err)
		require.True(t, ok)
		text = append(text, e.Error(), fmt.Sprintf("%v", e), fmt.Sprint(e.LogValue()))
		problem, err := json.Marshal(errors.ProblemOf(e))
		require.NoError(t, err)
		text = append(text, string(problem), logged.String())
		require.NotEmpty(t, logged.String())
		require.NotEmpty(t, rec.calls)
		for _, ev := range rec.events {
			raw, err := json.Marshal(ev)
			require.NoError(t, err)
			text = append(text, string(raw), fmt.Sprintf("%+v", ev))
		}
		for _, ev := range rec.attempts {
			text = append(text, fmt.Sprintf("%+v", ev))
		}
		for _, ev := range rec.calls {
			text = append(text, fmt.Sprintf("%+v", ev))
		}
		for _, s := range text {
			require.NotContains(t, s, planted)
		}
	}
	for _, method := range []string{"GET", "POST"} {
		failure(fail(leak), method)
		failure(secretAnswer, method)
	}
}

func TestTheLogHasOneRecordACall(t *testing.T) {
	for name, tc := range map[string]struct {
		steps []step
		level string
	}{
		"at once":          {[]step{answer(200, "x")}, "DEBUG"},
		"after a retry":    {[]step{answer(503, ""), answer(200, "x")}, "INFO"},
		"a client's error": {[]step{answer(404, "")}, "INFO"},
		"a vendor's error": {[]step{answer(503, "")}, "WARN"},
		"no answer":        {[]step{fail(errReset)}, "WARN"},
	} {
		t.Run(name, func(t *testing.T) {
			var logged bytes.Buffer
			h := slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})
			c := client(t, httpx.Config{Base: follow(tc.steps...), BackoffBase: noWait, Logger: slog.New(h)})
			_, _, _ = send(t, correlation.WithID(t.Context(), "id-1"), c, "GET", "")
			lines := strings.Split(strings.TrimSpace(logged.String()), "\n")
			require.Len(t, lines, 1)
			var got map[string]any
			require.NoError(t, json.Unmarshal([]byte(lines[0]), &got))
			require.Equal(t, tc.level, got["level"])
			require.Equal(t, "vendor", got["service"])
			require.Equal(t, "id-1", got["correlation_id"])
			require.Equal(t, "vendor.test", got["host"])
		})
	}
}

func TestEventStream(t *testing.T) {
	events, err := httpx.NewEventStream(httpx.EventStreamConfig{Keep: 2})
	require.NoError(t, err)
	srv := listenAndServe(t, events)
	publish := func(id string, attempt int) {
		events.Publish(httpx.Event{Status: httpx.StatusAttempt, CorrelationID: id, Attempt: attempt})
	}
	for n := range 4 {
		publish("mine", n+1)
	}
	publish("other", 9)
	publish("", 9)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	open := func(query, last string) (*http.Response, *reader) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv+query, http.NoBody)
		require.NoError(t, err)
		if last != "" {
			req.Header.Set("Last-Event-ID", last)
		}
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		t.Cleanup(func() { _ = resp.Body.Close() })
		return resp, &reader{t: t, r: resp.Body}
	}
	resp, r := open("/?id=mine", "")
	require.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
	require.Equal(t, "retry: 2000", r.next())
	third := r.next()
	life, event, ok := strings.Cut(strings.TrimPrefix(third, "id: "), "-")
	require.True(t, ok)
	require.Equal(t, "3\ndata: "+`{"status":"attempt","attempt":3,"max_attempts":0,"correlation_id":"mine"}`, event, "the last two are kept")
	require.Contains(t, r.next(), "-4\n")
	publish("other", 10)
	publish("mine", 5)
	require.Contains(t, r.next(), "-5\n", "another id's events are another's")

	_, r = open("/?id=mine", life+"-4")
	require.Equal(t, "retry: 2000", r.next())
	require.Contains(t, r.next(), "-5\n", "a reader that comes back goes on where it was")
	for _, other := range []string{"4", "another-4", life + "-99", life, "-"} {
		_, r = open("/?id=mine", other)
		require.Equal(t, "retry: 2000", r.next())
		require.Contains(t, r.next(), "-4\n", "a number of another life is as good as none: %s", other)
	}

	resp, _ = open("/?id=not%20an%20id", "")
	require.Equal(t, http.StatusBadRequest, resp.StatusCode)
	require.Equal(t, errors.ContentType, resp.Header.Get("Content-Type"))

	_, r = open("/?id=mine", "5")
	events.Close()
	r.drain()
}

func TestEventStreamIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events, err := httpx.NewEventStream(httpx.EventStreamConfig{MaxIDs: 2, MaxReaders: 1, KeepFor: time.Minute, Heartbeat: time.Second, MaxStream: 4500 * time.Millisecond})
		require.NoError(t, err)
		serve := func(id string) *flushRecorder {
			w := &flushRecorder{header: http.Header{}}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/?id="+id, http.NoBody)
			require.NoError(t, err)
			events.ServeHTTP(w, req)
			return w
		}
		for _, id := range []string{"a", "b", "c"} {
			events.Publish(httpx.Event{Status: httpx.StatusAttempt, CorrelationID: id})
		}
		begin := time.Now()
		require.NotContains(t, serve("a").String(), "data:", "the oldest id is forgotten")
		require.Equal(t, 4500*time.Millisecond, time.Since(begin), "a stream ends by itself")
		require.Contains(t, serve("c").String(), "data:")
		require.Equal(t, 4, strings.Count(serve("c").String(), ":\n\n"), "a heartbeat a second")
		time.Sleep(time.Hour)
		require.NotContains(t, serve("c").String(), "data:", "what is old is forgotten")

		go serve("a")
		synctest.Wait()
		w := serve("a")
		require.Equal(t, http.StatusServiceUnavailable, w.status)
		require.NotEmpty(t, w.header.Get("Retry-After"))
	})
	_, err := httpx.NewEventStream(httpx.EventStreamConfig{MaxIDs: -1, Keep: 99999, Heartbeat: -1})
	require.ErrorContains(t, err, "MaxIDs = -1")
	require.ErrorContains(t, err, "Keep = 99999")
	require.ErrorContains(t, err, "Heartbeat = -1ns")
}

type flushRecorder struct {
	bytes.Buffer

	header http.Header
	status int
}

func (f *flushRecorder) Header() http.Header { return f.header }
func (f *flushRecorder) WriteHeader(s int)   { f.status = s }
func (f *flushRecorder) Flush()              {}

// reader reads one SSE block at a time.
type reader struct {
	t   *testing.T
	r   io.Reader
	buf string
}

func (r *reader) next() string {
	r.t.Helper()
	for {
		if block, rest, ok := strings.Cut(r.buf, "\n\n"); ok {
			r.buf = rest
			return block
		}
		b := make([]byte, 1024)
		n, err := r.r.Read(b)
		require.NoError(r.t, err)
		r.buf += string(b[:n])
	}
}

func (r *reader) drain() {
	r.t.Helper()
	_, err := io.ReadAll(r.r)
	require.NoError(r.t, err, "a closed stream ends well")
}

func TestANewClientIsReportedOnceAndTellsWhatItIs(t *testing.T) {
	var heard []*httpx.Transport
	cfg := httpx.Config{
		Hooks: httpx.Hooks{OnNew: func(tr *httpx.Transport) {
			require.Equal(t, 3, tr.Config().MaxAttempts, "it is whole when it is reported")
			heard = append(heard, tr)
		}},
		Limiter: free{}, MaxConcurrent: -1,
		Profile: httpx.Profile{Rates: []httpx.Rate{{Name: "calls", Limits: ratelimit.Limits{{Count: 1, Period: time.Second}}}}},
	}
	tr, err := httpx.NewTransport("vendor", cfg)
	require.NoError(t, err)
	require.Equal(t, []*httpx.Transport{tr}, heard)
	require.Negative(t, tr.Config().MaxConcurrent)
	limiters := tr.Limiters()
	require.Len(t, limiters, 2)
	require.Equal(t, free{}, limiters[0])
	o, ok := limiters[1].(*ratelimit.Outbound)
	require.True(t, ok)
	require.Equal(t, "vendor.calls", o.Snapshot().Limiter.Name())

	cfg.MaxAttempts = 99
	_, err = httpx.NewTransport("vendor", cfg)
	require.Error(t, err)
	require.Len(t, heard, 1, "what was not made is not reported")
	none, err := httpx.NewTransport("vendor", httpx.Config{})
	require.NoError(t, err)
	require.Empty(t, none.Limiters())
}

// free is a limiter that admits everything.
type free struct{}

func (free) Acquire(context.Context, time.Duration) (time.Duration, error) { return 0, nil }
func (free) Refund(time.Duration)                                          {}
func (free) Pause(time.Duration)                                           {}
func (free) Learn(int64, time.Duration)                                    {}
