package inbound_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/ratelimit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type middleware = func(http.Handler) http.Handler

// route is a pattern that chi and http.ServeMux both read, "POST /calls/{id}", with middlewares of its own.
type route struct {
	pattern string
	with    []middleware
	handler http.HandlerFunc
}

// server is what is to be served: middlewares around all routes, outermost first.
type server struct {
	use    []middleware
	routes []route
}

func wrap(h http.Handler, mws []middleware) http.Handler {
	for _, mw := range slices.Backward(mws) {
		h = mw(h)
	}
	return h
}

// onChi has the middlewares in the router, as chi's documentation does.
func (s server) onChi() http.Handler {
	r := chi.NewRouter()
	r.Use(s.use...)
	for _, rt := range s.routes {
		method, path, _ := strings.Cut(rt.pattern, " ")
		r.With(rt.with...).Method(method, path, rt.handler)
	}
	return r
}

// aroundChi has them around it, and the routes in a router that is mounted.
func (s server) aroundChi() http.Handler {
	sub := chi.NewRouter()
	for _, rt := range s.routes {
		method, path, _ := strings.Cut(rt.pattern, " ")
		sub.Group(func(r chi.Router) {
			r.Use(rt.with...)
			r.Method(method, path, rt.handler)
		})
	}
	r := chi.NewRouter()
	r.Mount("/", sub)
	return wrap(r, s.use)
}

func (s server) onServeMux() http.Handler {
	mux := http.NewServeMux()
	for _, rt := range s.routes {
		mux.Handle(rt.pattern, wrap(rt.handler, rt.with))
	}
	return wrap(mux, s.use)
}

// onEveryRouter runs test on every router, over both versions of HTTP. What serve is given is served until the test ends.
func onEveryRouter(t *testing.T, test func(t *testing.T, serve func(server) client)) {
	t.Helper()
	for name, handler := range map[string]func(server) http.Handler{
		"chi": server.onChi, "around chi": server.aroundChi, "ServeMux": server.onServeMux,
	} {
		for _, proto := range []string{http1, http2} {
			t.Run(name+", "+proto, func(t *testing.T) {
				t.Parallel()
				test(t, func(s server) client { return start(t, handler(s), proto) })
			})
		}
	}
}

const http1, http2 = "HTTP/1.1", "HTTP/2.0"

// start serves h until the test ends.
func start(t *testing.T, h http.Handler, proto string) client {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0) // it tells of a panic that cuts a connection
	if s.EnableHTTP2 = proto == http2; s.EnableHTTP2 {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return client{Client: s.Client(), url: s.URL, proto: proto}
}

// client sends to one server.
type client struct {
	*http.Client

	url, proto string
}

// open sends a request and returns the answer with its body unread. header are pairs.
func (c client) open(t testing.TB, route string, header ...string) *http.Response {
	t.Helper()
	method, path, _ := strings.Cut(route, " ")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, method, c.url+path, nil)
	require.NoError(t, err)
	for pair := range slices.Chunk(header, 2) {
		r.Header.Set(pair[0], pair[1])
	}
	resp, err := c.Do(r)
	require.NoError(t, err)
	t.Cleanup(func() { _ = resp.Body.Close() })
	if r.Header.Get("Upgrade") == "" {
		require.Equal(t, c.proto, resp.Proto)
	}
	return resp
}

// send sends a request and reads the answer.
func (c client) send(t testing.TB, route string, header ...string) (*http.Response, string) {
	t.Helper()
	resp := c.open(t, route, header...)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(body)
}

// problem is send where the answer has to be a problem with the id of its request.
func (c client) problem(t testing.TB, status int, route string, header ...string) (*http.Response, errors.Problem, string) {
	t.Helper()
	resp, body := c.send(t, route, header...)
	require.Equal(t, status, resp.StatusCode, body)
	require.Equal(t, errors.ContentType, resp.Header.Get("Content-Type"))
	p, err := errors.DecodeProblem([]byte(body))
	require.NoError(t, err)
	require.Equal(t, status, p.Status)
	require.NotEmpty(t, p.CorrelationID)
	require.Equal(t, []string{p.CorrelationID}, resp.Header.Values(correlation.Header), "header and body name one id")
	return resp, p, body
}

func correlator(t testing.TB, cfg correlation.Config) *correlation.Correlator {
	t.Helper()
	c, err := correlation.New(cfg)
	require.NoError(t, err)
	return c
}

func limiter(t testing.TB, name, text string) *ratelimit.Limiter {
	t.Helper()
	limits, err := ratelimit.ParseLimits(text)
	require.NoError(t, err)
	l, err := ratelimit.New(name, ratelimit.Config{Limits: limits})
	require.NoError(t, err)
	return l
}

// stack is what a service uses: the id, then errors, then the limits.
func stack(t testing.TB, limits ...*ratelimit.Limiter) []middleware {
	t.Helper()
	mws := []middleware{correlator(t, correlation.Config{}).Handler, errors.Middleware()}
	for _, l := range limits {
		mws = append(mws, l.Handler(ratelimit.RemoteAddr))
	}
	return mws
}

func ok(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }

// journal is a log that is written by several goroutines.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

func (j *journal) logger() *slog.Logger {
	return slog.New(correlation.LogHandler(slog.NewJSONHandler(j, nil)))
}

// patience is for what must happen, on a busy machine.
const patience = 20 * time.Second

// receive waits for what another goroutine sends.
func receive[T any](t testing.TB, from <-chan T) (v T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	select {
	case v = <-from:
	case <-ctx.Done():
		require.FailNow(t, "nothing came")
	}
	return v
}

// failures stands in for a T whose test has to fail.
type failures struct {
	testing.TB

	all []string
}

// Helper does nothing.
func (*failures) Helper() {}

// Errorf keeps the failure.
func (f *failures) Errorf(format string, args ...any) {
	f.all = append(f.all, fmt.Sprintf(format, args...))
}
