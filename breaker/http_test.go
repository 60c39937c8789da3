package breaker_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func request(t testing.TB, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://vendor.example/", body)
	require.NoError(t, err)
	return r
}

func answer(status int) roundTrip {
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Body: http.NoBody}, nil
	}
}

var statuses = []struct {
	status int
	want   breaker.Outcome
}{
	{200, ok},
	{204, ok},
	{302, ok},
	{399, ok},
	{400, ign},
	{401, ign},
	{404, ign},
	{408, ign},
	{429, ign},
	{499, ign},
	{500, bad},
	{501, bad},
	{502, bad},
	{503, bad},
	{504, bad},
	{599, bad},
}

// outcomeOf tells by its effect on a half-open breaker how a call was judged.
func outcomeOf(t *testing.T, call func(b *breaker.Breaker)) breaker.Outcome {
	t.Helper()
	b := halfOpened(t, breaker.Config{})
	call(b)
	require.Zero(t, b.Snapshot().ProbesInFlight, "the permit is back")
	switch b.State() {
	case breaker.Closed:
		return ok
	case breaker.Open:
		return bad
	case breaker.HalfOpen:
		return ign
	default:
		t.Fatal(b.State())
		return 0
	}
}

func TestTransportJudgesStatuses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, c := range append(statuses, struct {
			status int
			want   breaker.Outcome
		}{101, ok}) {
			require.Equal(t, c.want.String(), outcomeOf(t, func(b *breaker.Breaker) {
				resp, err := b.Transport(answer(c.status)).RoundTrip(request(t, nil))
				require.NoError(t, err)
				require.Equal(t, c.status, resp.StatusCode)
				require.NoError(t, resp.Body.Close())
			}).String(), "%d", c.status)
		}
	})
}

func TestTransportJudgesErrors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		expired, cancel := context.WithTimeout(t.Context(), 1)
		defer cancel()
		time.Sleep(time.Nanosecond)
		for _, c := range []struct {
			name string
			ctx  context.Context
			err  error
			want breaker.Outcome
		}{
			{"reset", t.Context(), io.ErrUnexpectedEOF, bad},
			{"the caller canceled", canceled, canceled.Err(), ign},
			{"and the transport said so in its own words", canceled, io.ErrClosedPipe, ign},
			{"the caller's deadline", expired, expired.Err(), bad},
			{"a refusal of a limiter below", t.Context(), &errors.Error{Kind: errors.RateLimited}, ign},
		} {
			require.Equal(t, c.want.String(), outcomeOf(t, func(b *breaker.Breaker) {
				next := roundTrip(func(*http.Request) (*http.Response, error) { return nil, c.err })
				_, err := b.Transport(next).RoundTrip(request(t, nil).WithContext(c.ctx))
				require.Equal(t, c.err, err)
			}).String(), c.name)
		}
		require.Equal(t, bad, outcomeOf(t, func(b *breaker.Breaker) {
			next := roundTrip(func(*http.Request) (*http.Response, error) { panic("boom") })
			require.PanicsWithValue(t, "boom", func() { _, _ = b.Transport(next).RoundTrip(request(t, nil)) })
		}))
		require.Equal(t, bad, outcomeOf(t, func(b *breaker.Breaker) {
			next := roundTrip(func(*http.Request) (*http.Response, error) { return nil, nil }) // the fault under test
			_, _ = b.Transport(next).RoundTrip(request(t, nil))
		}))
	})
}

type closeRecorder struct {
	io.Reader

	closed, read int
}

func (c *closeRecorder) Read(b []byte) (int, error) { c.read++; return c.Reader.Read(b) }
func (c *closeRecorder) Close() error               { c.closed++; return nil }

func TestTransportRefusalClosesTheBodyUnread(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := opened(t, breaker.Config{})
		next := roundTrip(func(*http.Request) (*http.Response, error) { t.Error("called"); return nil, io.EOF })
		body := &closeRecorder{Reader: strings.NewReader("text")}
		client := &http.Client{Transport: b.Transport(next)}
		_, err := client.Do(request(t, body))
		require.ErrorIs(t, err, errors.CircuitOpen)
		wait, known := errors.RetryAfter(err)
		require.True(t, known)
		require.Equal(t, 30*time.Second, wait)
		require.Equal(t, errors.NotSent, errors.DeliveryOf(err))
		require.Equal(t, errors.StopBreakerOpen, errors.StopOf(err))
		require.Equal(t, 1, body.closed)
		require.Zero(t, body.read)

		_, err = b.Transport(next).RoundTrip(request(t, nil))
		require.ErrorIs(t, err, errors.CircuitOpen, "without a body")
	})
}

func TestTransportPassesTheRequestOn(t *testing.T) {
	t.Parallel()
	b := newBreaker(t, breaker.Config{})
	req := request(t, strings.NewReader("text"))
	before := req.Clone(t.Context())
	want := &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}
	got, err := b.Transport(roundTrip(func(r *http.Request) (*http.Response, error) {
		require.Same(t, req, r)
		return want, nil
	})).RoundTrip(req)
	require.NoError(t, err)
	require.Same(t, want, got)
	require.Equal(t, before.Header, req.Header)
	require.Equal(t, before.URL, req.URL)
}

type idleCloser struct {
	http.RoundTripper

	closed int
}

func (c *idleCloser) CloseIdleConnections() { c.closed++ }

func TestTransportForwardsCloseIdleConnections(t *testing.T) {
	t.Parallel()
	b := newBreaker(t, breaker.Config{})
	next := &idleCloser{RoundTripper: answer(200)}
	(&http.Client{Transport: b.Transport(next)}).CloseIdleConnections()
	require.Equal(t, 1, next.closed)
	require.NotPanics(t, func() { (&http.Client{Transport: b.Transport(answer(200))}).CloseIdleConnections() })
}

func TestTransportOfNilIsTheDefault(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	defer server.Close()
	client := &http.Client{Transport: newBreaker(t, breaker.Config{}).Transport(nil)}
	defer client.CloseIdleConnections()
	resp, err := client.Get(server.URL)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusTeapot, resp.StatusCode)
}

func TestHandlerJudgesStatuses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, c := range statuses {
			require.Equal(t, c.want.String(), outcomeOf(t, func(b *breaker.Breaker) {
				rec := httptest.NewRecorder()
				b.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					w.WriteHeader(http.StatusEarlyHints)
					w.WriteHeader(c.status)
				})).ServeHTTP(rec, request(t, nil))
			}).String(), "%d", c.status)
		}
	})
}

func TestHandlerJudgesWhatWasSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		fiveHundred := func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) }
		for _, c := range []struct {
			name  string
			ctx   context.Context
			serve func(w http.ResponseWriter)
			panic any
			want  breaker.Outcome
		}{
			{"nothing", t.Context(), func(http.ResponseWriter) {}, nil, ok},
			{"a body", t.Context(), func(w http.ResponseWriter) { _, _ = w.Write([]byte("x")); fiveHundred(w) }, nil, ok},
			{"a copy", t.Context(), func(w http.ResponseWriter) { _, _ = w.(io.ReaderFrom).ReadFrom(strings.NewReader("x")); fiveHundred(w) }, nil, ok},
			{"a flush", t.Context(), func(w http.ResponseWriter) { w.(http.Flusher).Flush(); fiveHundred(w) }, nil, ok},
			{"a flush through the controller", t.Context(), func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush(); fiveHundred(w) }, nil, ok},
			{"only the first status is sent", t.Context(), func(w http.ResponseWriter) { w.WriteHeader(http.StatusOK); fiveHundred(w) }, nil, ok},
			{"a panic", t.Context(), func(http.ResponseWriter) { panic("boom") }, "boom", bad},
			{"a panic after an answer", t.Context(), func(w http.ResponseWriter) { w.WriteHeader(http.StatusOK); panic(http.ErrAbortHandler) }, http.ErrAbortHandler, bad},
			{"a failure nobody waits for", canceled, fiveHundred, nil, ign},
			{"an abort because the client has gone", canceled, func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, http.ErrAbortHandler, ign},
			{"a success nobody waits for", canceled, func(w http.ResponseWriter) { w.WriteHeader(http.StatusOK) }, nil, ok},
		} {
			require.Equal(t, c.want.String(), outcomeOf(t, func(b *breaker.Breaker) {
				h := b.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { c.serve(w) }))
				serve := func() { h.ServeHTTP(httptest.NewRecorder(), request(t, nil).WithContext(c.ctx)) }
				if c.panic == nil {
					serve()
				} else {
					require.PanicsWithValue(t, c.panic, serve)
				}
			}).String(), c.name)
		}
	})
}

func TestHandlerRefusalIsAProblem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := opened(t, breaker.Config{})
		time.Sleep(500 * time.Millisecond)
		h := b.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("called") }))
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, request(t, nil))
		require.Equal(t, http.StatusServiceUnavailable, rec.Code)
		require.Equal(t, "30", rec.Header().Get("Retry-After"), "29.5 s, rounded up")
		require.Equal(t, errors.ContentType, rec.Header().Get("Content-Type"))
		p, err := errors.DecodeProblem(rec.Body.Bytes())
		require.NoError(t, err)
		require.Equal(t, errors.CircuitOpen, p.Kind)
		require.Equal(t, 30*time.Second, p.Retry.After)

		b.ForceOpen()
		rec = httptest.NewRecorder()
		h.ServeHTTP(rec, request(t, nil))
		require.Equal(t, http.StatusServiceUnavailable, rec.Code)
		require.NotContains(t, rec.Header(), "Retry-After")
	})
}

func TestHandlerKeepsHijackAndUnwrap(t *testing.T) {
	t.Parallel()
	for name, hijack := range map[string]func(http.ResponseWriter) (io.Closer, *bufio.ReadWriter, error){
		"asserted": func(w http.ResponseWriter) (io.Closer, *bufio.ReadWriter, error) { return w.(http.Hijacker).Hijack() },
		"controller": func(w http.ResponseWriter) (io.Closer, *bufio.ReadWriter, error) {
			return http.NewResponseController(w).Hijack()
		},
	} {
		b := newBreaker(t, breaker.Config{})
		server := httptest.NewServer(b.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, rw, err := hijack(w)
			if err != nil {
				t.Error(name, err)
				return
			}
			defer func() { _ = conn.Close() }()
			_, _ = rw.WriteString("HTTP/1.1 204 No Content\r\nConnection: close\r\nX-By: hijack\r\n\r\n")
			_ = rw.Flush()
		})))
		resp, err := server.Client().Get(server.URL)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, "hijack", resp.Header.Get("X-By"))
		server.Close()
	}
	newBreaker(t, breaker.Config{}).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(w).Flush(); !errors.Is(err, http.ErrNotSupported) {
			t.Error("flushed what cannot flush:", err)
		}
	})).ServeHTTP(struct{ http.ResponseWriter }{httptest.NewRecorder()}, request(t, nil))

	unwrapped := false
	rec := httptest.NewRecorder()
	newBreaker(t, breaker.Config{}).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		u, is := w.(interface{ Unwrap() http.ResponseWriter })
		unwrapped = is && u.Unwrap() == http.ResponseWriter(rec)
	})).ServeHTTP(rec, request(t, nil))
	require.True(t, unwrapped)
}
