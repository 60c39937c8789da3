package tracing_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/tracing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// spans is a provider that keeps what it is given.
type spans struct {
	*tracetest.SpanRecorder

	provider *sdktrace.TracerProvider
}

func record(t testing.TB, opts ...sdktrace.TracerProviderOption) *spans {
	t.Helper()
	r := tracetest.NewSpanRecorder()
	p := sdktrace.NewTracerProvider(append(opts, sdktrace.WithSpanProcessor(r))...)
	t.Cleanup(func() { _ = p.Shutdown(context.WithoutCancel(t.Context())) })
	return &spans{r, p}
}

func (s *spans) client(t testing.TB, cfg httpx.Config) *http.Client {
	t.Helper()
	c, err := tracing.New(tracing.Config{Provider: s.provider}).NewClient("vendor", cfg)
	require.NoError(t, err)
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// calls are the spans that have ended, in order: attempts, and last the call. None may be open.
func (s *spans) all(t testing.TB) tracetest.SpanStubs {
	t.Helper()
	ended := s.Ended()
	require.Len(t, ended, len(s.Started()), "a span was left open")
	return tracetest.SpanStubsFromReadOnlySpans(ended)
}

// call is the one call that was made, and its attempts.
func (s *spans) call(t testing.TB) (call tracetest.SpanStub, attempts tracetest.SpanStubs) {
	t.Helper()
	all := s.all(t)
	require.NotEmpty(t, all)
	call, attempts = all[len(all)-1], all[:len(all)-1]
	require.Equal(t, trace.SpanKindInternal, call.SpanKind)
	for _, a := range attempts {
		require.Equal(t, trace.SpanKindClient, a.SpanKind)
		require.Equal(t, call.SpanContext.SpanID(), a.Parent.SpanID())
		require.Equal(t, call.SpanContext.TraceID(), a.SpanContext.TraceID())
		require.False(t, a.EndTime.After(call.EndTime))
	}
	return call, attempts
}

// attrs are attributes as plain values.
func attrs(kvs []attribute.KeyValue) map[string]any {
	m := map[string]any{}
	for _, kv := range kvs {
		m[string(kv.Key)] = kv.Value.AsInterface()
	}
	return m
}

// events are the names of a span's events.
func events(s tracetest.SpanStub) []string {
	var names []string
	for _, e := range s.Events {
		names = append(names, e.Name)
	}
	return names
}

// send makes the call, and reads and closes the body.
func send(t testing.TB, ctx context.Context, c *http.Client, method, url, body string) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	require.NoError(t, err)
	resp, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, resp.Body.Close())
	return resp, err
}

// serve answers by h on loopback.
func serve(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}

// statuses answers with each in turn, the last one for ever.
func statuses(each ...int) http.HandlerFunc {
	n := 0
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(each[min(n, len(each)-1)])
		n++
		_, _ = io.WriteString(w, "answer")
	}
}

// base is a transport without a network.
type base func(*http.Request) (*http.Response, error)

func (b base) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
	return b(r)
}

func fine(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("ok")), Request: r}, nil
}

// quick does not wait between attempts.
func quick() httpx.Config { return httpx.Config{BackoffBase: -1} }
