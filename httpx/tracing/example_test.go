package tracing_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/tracing"
)

// The vendor fails twice, and the trace shows it: one call, three attempts.
func Example() {
	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	tracer := tracing.New(tracing.Config{Provider: provider})
	client, err := tracer.NewClient("twilio", httpx.Config{Base: failing(2), BackoffBase: -1})
	if err != nil {
		fmt.Println(err)
		return
	}
	resp, err := client.Get("http://vendor.test/calls/CA123")
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = resp.Body.Close()
	for _, s := range spans.GetSpans() {
		fmt.Println(s.Name, s.SpanKind, s.Status.Code)
		for _, a := range s.Attributes {
			switch a.Key {
			case "http.response.status_code", "http.request.resend_count", "error.type":
				fmt.Println(" ", a.Key, a.Value.String())
			}
		}
	}
	// Output:
	// GET client Error
	//   http.response.status_code 503
	//   error.type 503
	// GET client Error
	//   http.request.resend_count 1
	//   http.response.status_code 503
	//   error.type 503
	// GET client Unset
	//   http.request.resend_count 2
	//   http.response.status_code 200
	// twilio GET internal Unset
	//   http.response.status_code 200
}

// What is logged while a span is live has its ids.
func ExampleLogHandler() {
	provider := sdktrace.NewTracerProvider(sdktrace.WithIDGenerator(ids{}))
	logger := slog.New(tracing.LogHandler(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	})))
	ctx, span := provider.Tracer("example").Start(correlation.WithID(context.Background(), "id-1"), "route")
	defer span.End()
	logger.WithGroup("vendor").InfoContext(ctx, "calling", "name", "twilio")
	// Output: level=INFO msg=calling vendor.name=twilio correlation_id=id-1 trace_id=4bf92f3577b34da6a3ce929d0e0e4736 span_id=00f067aa0ba902b7
}

// failing answers 503 to the first requests, then 200.
func failing(n int) http.RoundTripper {
	return base(func(r *http.Request) (*http.Response, error) {
		resp, err := fine(r)
		if n--; n >= 0 {
			resp.StatusCode = http.StatusServiceUnavailable
		}
		return resp, err
	})
}
