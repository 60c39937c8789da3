//go:build !race

package tracing_test

import (
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/tracing"
)

// The figures of the package's documentation.
func TestCostIsAsDocumented(t *testing.T) {
	allocs := func(c *http.Client, err error) float64 {
		require.NoError(t, err)
		return testing.AllocsPerRun(500, func() {
			req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://vendor.test/", http.NoBody)
			require.NoError(t, err)
			resp, err := c.Do(req)
			require.NoError(t, err)
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		})
	}
	cfg := httpx.Config{Base: base(fine)}
	traced := func(s sdktrace.Sampler) *tracing.Tracing {
		return tracing.New(tracing.Config{Provider: sdktrace.NewTracerProvider(
			sdktrace.WithSyncer(tracetest.NewNoopExporter()), sdktrace.WithSampler(s))})
	}
	plain := allocs(httpx.NewClient("vendor", cfg))
	require.LessOrEqual(t, allocs(traced(sdktrace.NeverSample()).NewClient("vendor", cfg))-plain, 16.0)
	require.LessOrEqual(t, allocs(traced(sdktrace.AlwaysSample()).NewClient("vendor", cfg))-plain, 43.0)
}
