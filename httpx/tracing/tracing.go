package tracing

import (
	"context"
	"net/http"
	"slices"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/httpx"
)

// scope is the instrumentation scope of the spans.
const scope = "github.com/prusik-go/prusik/httpx/tracing"

// Config says where spans go and how a trace travels. The zero value works.
type Config struct {
	// Provider makes the spans. Nil: OpenTelemetry's global one, which may be set later.
	Provider trace.TracerProvider
	// Propagator puts the trace on each attempt. Nil: W3C Trace Context, and not OpenTelemetry's global one, which in most
	// programs sends baggage too: what that holds of a user is not for a vendor. To send nothing, give an empty
	// [propagation.NewCompositeTextMapPropagator].
	Propagator propagation.TextMapPropagator
}

// Tracing makes clients that trace. It is safe for concurrent use, and is made by [New].
type Tracing struct {
	tracer     trace.Tracer
	propagator propagation.TextMapPropagator
}

// New returns a Tracing. There is nothing in a Config that could be wrong.
func New(cfg Config) *Tracing {
	if cfg.Provider == nil {
		cfg.Provider = otel.GetTracerProvider()
	}
	if cfg.Propagator == nil {
		cfg.Propagator = propagation.TraceContext{}
	}
	return &Tracing{cfg.Provider.Tracer(scope, trace.WithSchemaURL(semconv.SchemaURL)), cfg.Propagator}
}

// NewClient is [httpx.NewClient] with spans: the client's Transport is a [*Transport]. The error is that of httpx.
func (t *Tracing) NewClient(name string, cfg httpx.Config) (*http.Client, error) {
	client, err := httpx.NewClient(name, t.attempts(cfg))
	if err != nil {
		return nil, err
	}
	if inner, ok := client.Transport.(*httpx.Transport); ok {
		client.Transport = &Transport{inner, t}
	}
	return client, nil
}

// NewTransport is [httpx.NewTransport] with spans. The error is that of httpx.
func (t *Tracing) NewTransport(name string, cfg httpx.Config) (*Transport, error) {
	inner, err := httpx.NewTransport(name, t.attempts(cfg))
	if err != nil {
		return nil, err
	}
	return &Transport{inner, t}, nil
}

// attempts puts the tracer of attempts around the base and what else decorates it.
func (t *Tracing) attempts(cfg httpx.Config) httpx.Config {
	inner := cfg.Decorate
	cfg.Decorate = func(base http.RoundTripper) http.RoundTripper {
		if inner != nil {
			base = inner(base)
		}
		if base == nil {
			return nil // httpx reports it
		}
		return &attempts{base, t}
	}
	return cfg
}

// Transport is the pipeline of one vendor inside a span per call. It is safe for concurrent use, and is made by
// [Tracing.NewTransport].
type Transport struct {
	// Transport is the pipeline itself: its breaker, its numbers. What is sent through it directly has no span of its call.
	*httpx.Transport

	tracing *Tracing
}

// RoundTrip sends req through the pipeline, in a span that ends when the call does: with its response body, or where there
// is none to come. The span is a child of the one in req's context; where that has none, of the caller's, as
// [correlation.TraceOf] has it.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, span := t.tracing.tracer.Start(parent(req.Context()), t.Name()+" "+spanName(req),
		trace.WithAttributes(callAttributes(req, t.Name())...))
	if !span.IsRecording() {
		resp, err := t.Transport.RoundTrip(req.WithContext(ctx))
		span.End()
		return resp, err
	}
	c := &call{tracing: t.tracing, service: t.Name(), span: span, spanID: span.SpanContext().SpanID()}
	defer c.abandon()
	ctx = httpx.WithHooks(context.WithValue(ctx, callKey{}, c), httpx.Hooks{
		OnEvent: c.stepped, OnAttempt: c.attempted, OnCall: c.ended,
	})
	resp, err := t.Transport.RoundTrip(req.WithContext(ctx))
	c.returned = true
	return resp, err
}

// Explain says what is on the path of every request, in order, and that tracing is.
func (t *Transport) Explain() httpx.Explanation {
	e := t.Transport.Explain()
	e.Stages = slices.Insert(e.Stages, 0, httpx.Stage{
		Policy: "tracing", Detail: "a span per call and one per attempt, the trace on every attempt",
	})
	return e
}

// parent is ctx with the caller's span as the remote one, where no span is live in ctx: a service that reads traceparent
// with package correlation only has calls that belong to the trace its log names.
func parent(ctx context.Context) context.Context {
	if trace.SpanContextFromContext(ctx).IsValid() {
		return ctx
	}
	caller, ok := correlation.TraceOf(ctx)
	if !ok {
		return ctx
	}
	// What correlation has read is hex of the right length.
	traceID, _ := trace.TraceIDFromHex(caller.TraceID)
	spanID, _ := trace.SpanIDFromHex(caller.SpanID)
	return trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: traceID, SpanID: spanID, TraceFlags: trace.TraceFlags(0).WithSampled(caller.Sampled), Remote: true,
	}))
}
