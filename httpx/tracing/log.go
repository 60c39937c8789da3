package tracing

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel/trace"

	"github.com/prusik-go/prusik/correlation"
)

// LogHandler takes the place of [correlation.LogHandler]: where a span is live in the context a record was logged with, its
// trace_id and span_id are in the record, at the root, and not those the request came with. All else is as there. next must
// not be nil.
func LogHandler(next slog.Handler) slog.Handler {
	return logHandler{correlation.LogHandler(next)}
}

type logHandler struct{ slog.Handler }

// Handle implements [slog.Handler].
func (h logHandler) Handle(ctx context.Context, r slog.Record) error {
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		ctx = correlation.WithTrace(ctx, correlation.Trace{
			TraceID: sc.TraceID().String(), SpanID: sc.SpanID().String(), Sampled: sc.IsSampled(),
		})
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return logHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements [slog.Handler].
func (h logHandler) WithGroup(name string) slog.Handler { return logHandler{h.Handler.WithGroup(name)} }

// TraceOf is for metrics.Config.Trace, so that exemplars point at the traces that are recorded here. It returns the trace
// of the span that is live in ctx and whether it is sampled; without a span, what [correlation.TraceOf] knows of the caller.
// Where the span is not sampled the id is left out, and nothing allocated.
func TraceOf(ctx context.Context) (traceID string, sampled bool) {
	sc := trace.SpanContextFromContext(ctx)
	switch {
	case !sc.IsValid():
		t, _ := correlation.TraceOf(ctx)
		return t.TraceID, t.Sampled
	case !sc.IsSampled():
		return "", false
	default:
		return sc.TraceID().String(), true
	}
}
