package tracing_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/httpxtest"
	"github.com/prusik-go/prusik/httpx/tracing"
)

// The promises of a RoundTripper hold with spans, and no span is left open by anything the kit does.
func TestATracedClientConforms(t *testing.T) {
	for name, tc := range map[string]struct {
		sampler    sdktrace.Sampler
		propagator propagation.TextMapPropagator
	}{
		"sampled": {sdktrace.AlwaysSample(), nil}, "not sampled": {sdktrace.NeverSample(), nil},
		"nothing sent": {sdktrace.AlwaysSample(), propagation.NewCompositeTextMapPropagator()},
	} {
		t.Run(name, func(t *testing.T) {
			s := record(t, sdktrace.WithSampler(tc.sampler))
			tr := tracing.New(tracing.Config{Provider: s.provider, Propagator: tc.propagator})
			build := func(refuse bool) func(http.RoundTripper) (http.RoundTripper, error) {
				return func(base http.RoundTripper) (http.RoundTripper, error) {
					return tr.NewTransport("conformance", httpx.Config{
						Base: base, BackoffBase: time.Millisecond, BackoffMax: 2 * time.Millisecond, RetryBudget: 1000,
						Breaker: breaker.Config{Failures: 1000}, KillSwitch: func() bool { return refuse },
					})
				}
			}
			httpxtest.Run(t, httpxtest.Subject{
				Wrap: build(false), Refusing: build(true), MaxAttempts: 3, ReplaysUpTo: 1 << 20, RetriesKeyed: true,
				ClosesErrorBodies: true, KeepsCause: true, ChecksBase: true, PrusikErrors: true,
			})
			t.Cleanup(func() { // once the parallel ones are through
				if tc.sampler == sdktrace.NeverSample() {
					require.Empty(t, s.Started())
					return
				}
				require.NotEmpty(t, s.all(t))
			})
		})
	}
}
