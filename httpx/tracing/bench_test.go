package tracing_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/tracing"
)

// BenchmarkGET is a GET on a transport without a network. A span that is recorded goes to an exporter that drops it, as one
// of a batch does on a goroutine of its own.
func BenchmarkGET(b *testing.B) {
	exporter := tracetest.NewNoopExporter()
	sampled := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	dropped := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter), sdktrace.WithSampler(sdktrace.NeverSample()))
	cfg := httpx.Config{Base: base(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("ok")), Request: r}, nil
	})}
	traced := func(c tracing.Config) *http.Client {
		client, err := tracing.New(c).NewClient("vendor", cfg)
		require.NoError(b, err)
		return client
	}
	plain, err := httpx.NewClient("vendor", cfg)
	require.NoError(b, err)
	for _, tc := range []struct {
		name   string
		client *http.Client
	}{
		{"plain", plain},
		{"no-sdk", traced(tracing.Config{Provider: noop.NewTracerProvider()})},
		{"not-sampled", traced(tracing.Config{Provider: dropped})},
		{"sampled", traced(tracing.Config{Provider: sampled})},
	} {
		b.Run(tc.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ctx, cancel := context.WithCancel(b.Context())
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://vendor.test/", http.NoBody)
				require.NoError(b, err)
				resp, err := tc.client.Do(req)
				require.NoError(b, err)
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				cancel()
			}
		})
	}
}
