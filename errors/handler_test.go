package errors_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/errors"
)

// recorder keeps what hooks are told. They are told after the answer: the client may be ahead of them.
type recorder chan errors.HandlerEvent

func newRecorder() recorder { return make(recorder, 8) }

func (r recorder) hooks() errors.Hooks {
	return errors.Hooks{OnError: func(e errors.HandlerEvent) { r <- e }}
}

// one waits for the one event there is.
func (r recorder) one(t *testing.T) errors.HandlerEvent {
	t.Helper()
	select {
	case e := <-r:
		require.Empty(t, r)
		return e
	case <-time.After(10 * time.Second):
	}
	require.FailNow(t, "no event")
	return errors.HandlerEvent{}
}

func TestHandlerWithoutFailure(t *testing.T) {
	t.Parallel()
	rec := newRecorder()
	w := httptest.NewRecorder()
	errors.Handler(func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(http.StatusCreated)
		_, err := io.WriteString(w, "made")
		return err
	}, rec.hooks()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	require.Equal(t, http.StatusCreated, w.Code)
	require.Equal(t, "made", w.Body.String())
	require.Empty(t, rec)
}

func TestHandlerAnswersWithAProblemAndTellsTheHooks(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fn     errors.HandlerFunc
		status int
		panics any
	}{
		"error":    {func(http.ResponseWriter, *http.Request) error { return errors.Forbidden }, 403, nil},
		"foreign":  {func(http.ResponseWriter, *http.Request) error { return io.EOF }, 500, nil},
		"canceled": {func(http.ResponseWriter, *http.Request) error { return context.Canceled }, 499, nil},
		"deadline": {func(http.ResponseWriter, *http.Request) error { return context.DeadlineExceeded }, 503, nil},
		"panic":    {func(http.ResponseWriter, *http.Request) error { panic("boom") }, 500, "boom"},
		"panic of a kind": {func(http.ResponseWriter, *http.Request) error {
			panic(errors.NotFound)
		}, 500, errors.NotFound},
		"panic, not comparable": {func(http.ResponseWriter, *http.Request) error { panic([]int{1}) }, 500, []int{1}},
		"headers only": {func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Length", "1")
			return errors.Forbidden
		}, 403, nil},
		"early hints": {func(w http.ResponseWriter, _ *http.Request) error {
			w.WriteHeader(http.StatusEarlyHints)
			return errors.Forbidden
		}, 403, nil},
		"a reader that fails at once": {func(w http.ResponseWriter, _ *http.Request) error {
			_, err := io.Copy(w, iotest.ErrReader(errors.Forbidden))
			return err
		}, 403, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, second := newRecorder(), newRecorder()
			srv := httptest.NewServer(errors.Handler(test.fn, first.hooks(), errors.Hooks{}, second.hooks()))
			defer srv.Close()
			resp, err := srv.Client().Get(srv.URL)
			require.NoError(t, err)
			defer func() { _ = resp.Body.Close() }()
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.Equal(t, test.status, resp.StatusCode)
			require.Equal(t, errors.ContentType, resp.Header.Get("Content-Type"))
			p, err := errors.DecodeProblem(body)
			require.NoError(t, err)
			require.Equal(t, test.status, p.Status)
			for _, rec := range []recorder{first, second} {
				e := rec.one(t)
				require.True(t, e.Answered)
				require.Equal(t, "/", e.Request.URL.Path)
				require.Error(t, e.Err)
				require.Equal(t, test.panics, e.Panic)
				if test.panics != nil {
					require.Equal(t, errors.Internal, errors.KindOf(e.Err))
					require.Contains(t, string(e.Stack), "handler_test.go")
				} else {
					require.Empty(t, e.Stack)
				}
			}
		})
	}
}

// Half an answer must not look like a whole one.
func TestHandlerCutsTheConnectionWhereTheResponseHasBegun(t *testing.T) {
	t.Parallel()
	for name, fn := range map[string]errors.HandlerFunc{
		"error after Write and Flush": func(w http.ResponseWriter, _ *http.Request) error {
			_, _ = w.Write([]byte("half"))
			w.(http.Flusher).Flush()
			return errors.VendorBadResponse
		},
		"panic after Write and Flush": func(w http.ResponseWriter, _ *http.Request) error {
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic("boom")
		},
		"error after Flush": func(w http.ResponseWriter, _ *http.Request) error {
			w.(http.Flusher).Flush()
			return errors.VendorBadResponse
		},
		"error after ReadFrom": func(w http.ResponseWriter, _ *http.Request) error {
			_, err := io.Copy(w, long(iotest.ErrReader(io.ErrClosedPipe)))
			return err
		},
		"error after Write and an empty ReadFrom": func(w http.ResponseWriter, _ *http.Request) error {
			_, _ = io.WriteString(w, "half")
			_, err := io.Copy(w, iotest.ErrReader(io.ErrClosedPipe))
			return err
		},
		"panic in ReadFrom": func(w http.ResponseWriter, _ *http.Request) error {
			_, err := io.Copy(w, long(panics{}))
			return err
		},
	} {
		for _, http2 := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				rec := newRecorder()
				srv := httptest.NewUnstartedServer(errors.Handler(fn, rec.hooks()))
				srv.EnableHTTP2 = http2
				srv.StartTLS()
				defer srv.Close()
				resp, err := srv.Client().Get(srv.URL)
				if err == nil {
					require.Equal(t, http.StatusOK, resp.StatusCode)
					_, err = io.ReadAll(resp.Body)
					_ = resp.Body.Close()
					if !http2 {
						require.ErrorIs(t, err, io.ErrUnexpectedEOF)
					}
				}
				require.Error(t, err)
				require.False(t, rec.one(t).Answered)
			})
		}
	}
}

// long is 64 KiB and then rest. It has no WriteTo, which io.Copy would prefer to ReadFrom.
func long(rest io.Reader) io.Reader {
	return struct{ io.Reader }{io.MultiReader(strings.NewReader(strings.Repeat("x", 1<<16)), rest)}
}

type panics struct{}

func (panics) Read([]byte) (int, error) { panic("boom") }

// A status without a body is an answer too; it has not left yet, and is not sent.
func TestHandlerCutsTheConnectionAfterWriteHeader(t *testing.T) {
	t.Parallel()
	for _, h := range []http.Handler{
		errors.Handler(func(w http.ResponseWriter, _ *http.Request) error {
			w.WriteHeader(http.StatusNoContent)
			return errors.Conflict
		}),
		errors.Middleware()(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusOK)
			panic("boom")
		})),
	} {
		require.PanicsWithValue(t, http.ErrAbortHandler, func() {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
		})
	}
}

func TestErrAbortHandlerGoesThrough(t *testing.T) {
	t.Parallel()
	rec := newRecorder()
	w := httptest.NewRecorder()
	h := errors.Middleware(rec.hooks())(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	require.PanicsWithValue(t, http.ErrAbortHandler, func() { h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil)) })
	require.Empty(t, rec)
	require.Zero(t, w.Body.Len())
}

func TestMiddlewareTurnsAPanicIntoAProblem(t *testing.T) {
	t.Parallel()
	rec := newRecorder()
	w := httptest.NewRecorder()
	h := errors.Middleware(rec.hooks())(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") }))
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.Equal(t, "boom", rec.one(t).Panic)
	require.NotContains(t, w.Body.String(), "boom")

	w = httptest.NewRecorder()
	errors.Middleware()(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	require.Equal(t, "404 page not found\n", w.Body.String())
}

func TestHandlerOnHEAD(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(errors.Handler(func(http.ResponseWriter, *http.Request) error { return errors.NotFound }))
	defer srv.Close()
	for range 2 { // the connection is fit for use
		resp, err := srv.Client().Head(srv.URL)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Empty(t, body)
		require.Equal(t, http.StatusNotFound, resp.StatusCode)
		require.Positive(t, resp.ContentLength)
	}
}

func TestInformationalResponsesPass(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(errors.Handler(func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		return nil
	}))
	defer srv.Close()
	var hints []int
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(status int, _ textproto.MIMEHeader) error { hints = append(hints, status); return nil },
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL, nil)
	require.NoError(t, err)
	resp, err := srv.Client().Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, []int{http.StatusEarlyHints}, hints)
}

// An informational response is not the answer: the problem still is.
func TestAFailureAfterAnInformationalResponseIsAnswered(t *testing.T) {
	t.Parallel()
	for name, fn := range map[string]errors.HandlerFunc{
		"error": func(w http.ResponseWriter, _ *http.Request) error {
			w.WriteHeader(http.StatusEarlyHints)
			return errors.Conflict
		},
		"panic": func(w http.ResponseWriter, _ *http.Request) error {
			w.WriteHeader(http.StatusProcessing)
			panic(errors.Conflict)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := newRecorder()
			srv := httptest.NewServer(errors.Handler(fn, rec.hooks()))
			defer srv.Close()
			resp, err := srv.Client().Get(srv.URL)
			require.NoError(t, err)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			p, err := errors.DecodeProblem(body)
			require.NoError(t, err)
			require.Equal(t, map[string]errors.Kind{"error": errors.Conflict, "panic": errors.Internal}[name], p.Kind)
			require.Equal(t, p.Kind.Status(), resp.StatusCode)
			require.True(t, rec.one(t).Answered)
		})
	}
}

// http.MaxBytesReader tells the server's own writer to close the connection, so that nobody reads the rest; it does not know
// a wrapped one.
func TestABodyThatIsTooLargeClosesTheConnection(t *testing.T) {
	t.Parallel()
	for name, read := range map[string]errors.HandlerFunc{
		"at once": func(w http.ResponseWriter, r *http.Request) error {
			_, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 10))
			return err
		},
		"with a kind": func(w http.ResponseWriter, r *http.Request) error {
			_, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 10))
			return &errors.Error{Kind: errors.Invalid, Err: err}
		},
		"not too large": func(w http.ResponseWriter, r *http.Request) error {
			_, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 100_000))
			return errors.Join(err, errors.Invalid)
		},
	} {
		for _, http2 := range []bool{false, true} {
			srv := httptest.NewUnstartedServer(errors.Handler(read))
			srv.EnableHTTP2 = http2
			srv.StartTLS()
			resp, err := srv.Client().Post(srv.URL, "text/plain", strings.NewReader(strings.Repeat("x", 10_000)))
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, http.StatusBadRequest, resp.StatusCode)
			require.Equal(t, name != "not too large" && !http2, resp.Close, "%s, HTTP/2 %v", name, http2)
			srv.Close()
		}
	}
}

// upgrade answers 101 on a hijacked connection and fails.
func upgrade(conn net.Conn, err error) error {
	if err != nil {
		return err
	}
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n\r\nraw")
	_ = conn.Close()
	return errors.Conflict
}

func TestHijackKeepsWorking(t *testing.T) {
	t.Parallel()
	for name, fn := range map[string]errors.HandlerFunc{
		"http.Hijacker": func(w http.ResponseWriter, _ *http.Request) error {
			conn, _, err := w.(http.Hijacker).Hijack()
			return upgrade(conn, err)
		},
		"http.ResponseController": func(w http.ResponseWriter, _ *http.Request) error {
			conn, _, err := http.NewResponseController(w).Hijack()
			return upgrade(conn, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := newRecorder()
			h := errors.Handler(fn, rec.hooks())
			panicked := make(chan any, 1)
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer func() { panicked <- recover() }()
				h.ServeHTTP(w, r)
			}))
			defer srv.Close()
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", srv.Listener.Addr().String())
			require.NoError(t, err)
			defer func() { _ = conn.Close() }()
			_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			require.NoError(t, err)
			all, err := io.ReadAll(bufio.NewReader(conn))
			require.NoError(t, err)
			require.Equal(t, "HTTP/1.1 101 Switching Protocols\r\n\r\nraw", string(all), "no problem is written into it")
			require.Nil(t, <-panicked, "the connection is the handler's to close")
			require.False(t, rec.one(t).Answered)
		})
	}
}

func TestResponseControllerKeepsWorking(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(errors.Handler(func(w http.ResponseWriter, _ *http.Request) error {
		rc := http.NewResponseController(w)
		return errors.Join(
			rc.SetReadDeadline(time.Now().Add(time.Minute)),
			rc.SetWriteDeadline(time.Now().Add(time.Minute)),
			rc.EnableFullDuplex(),
			rc.Flush(),
		)
	}))
	defer srv.Close()
	resp, err := srv.Client().Get(srv.URL)
	require.NoError(t, err)
	_, err = io.ReadAll(resp.Body)
	require.NoError(t, err, "the handler returned no error")
	require.NoError(t, resp.Body.Close())
}

// The inner one had its own idea of that, and put its problem behind what was there.
func TestAHandlerInAHandlerKnowsThatTheResponseHasBegun(t *testing.T) {
	t.Parallel()
	inner := errors.Handler(func(http.ResponseWriter, *http.Request) error { return errors.Conflict })
	outer := errors.Handler(func(w http.ResponseWriter, r *http.Request) error {
		_, _ = io.WriteString(w, "half")
		inner.ServeHTTP(w, r)
		return nil
	})
	w := httptest.NewRecorder()
	require.PanicsWithValue(t, http.ErrAbortHandler, func() {
		outer.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	})
	require.Equal(t, "half", w.Body.String())
}

// bare is a writer that can nothing but write.
type bare struct{ w *httptest.ResponseRecorder }

func (b bare) Header() http.Header         { return b.w.Header() }
func (b bare) WriteHeader(status int)      { b.w.WriteHeader(status) }
func (b bare) Write(p []byte) (int, error) { return b.w.Write(p) }

func TestWriterThatCannotFlush(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	errors.Handler(func(w http.ResponseWriter, _ *http.Request) error {
		assert.ErrorIs(t, http.NewResponseController(w).Flush(), http.ErrNotSupported)
		w.(http.Flusher).Flush() // nothing happens
		_, _, err := w.(http.Hijacker).Hijack()
		assert.ErrorIs(t, err, http.ErrNotSupported)
		return errors.Conflict
	}).ServeHTTP(bare{w}, httptest.NewRequest(http.MethodGet, "/", nil))
	require.Equal(t, http.StatusConflict, w.Code, "the response had not begun")
}

type readerFrom struct {
	bare

	src io.Reader
}

func (r *readerFrom) ReadFrom(src io.Reader) (int64, error) {
	r.src = src
	return io.Copy(r.w, src)
}

// net/http sends files without copying them; that is asked for by ReadFrom.
func TestReadFromReachesTheServersWriter(t *testing.T) {
	t.Parallel()
	w := &readerFrom{bare: bare{httptest.NewRecorder()}}
	src := io.LimitReader(strings.NewReader("file"), 4)
	errors.Handler(func(w http.ResponseWriter, _ *http.Request) error {
		n, err := io.Copy(w, src)
		assert.Equal(t, int64(4), n)
		return err
	}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	require.Same(t, src, w.src)
	require.Equal(t, "file", w.w.Body.String())
}

// stringWriter counts what is written to it as a string.
type stringWriter struct {
	bare

	strings int
}

func (w *stringWriter) WriteString(s string) (int, error) { w.strings++; return w.w.WriteString(s) }

// io.WriteString copied every string because of the writer between: one allocation an answer.
func TestAStringReachesTheServersWriterAsAString(t *testing.T) {
	t.Parallel()
	w := &stringWriter{bare: bare{httptest.NewRecorder()}}
	errors.Handler(func(w http.ResponseWriter, _ *http.Request) error {
		_, err := io.WriteString(w, "text")
		return err
	}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	require.Equal(t, 1, w.strings)
	require.Equal(t, "text", w.w.Body.String())

	without := bare{httptest.NewRecorder()}
	errors.Handler(func(w http.ResponseWriter, _ *http.Request) error {
		_, err := io.WriteString(w, "text")
		return err
	}).ServeHTTP(without, httptest.NewRequest(http.MethodGet, "/", nil))
	require.Equal(t, "text", without.w.Body.String())
}
