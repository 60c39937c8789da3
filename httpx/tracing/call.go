package tracing

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx"
)

type callKey struct{}

// call is a call whose span is recorded. It is used by one goroutine at a time: the caller's, and then the one that ends
// the body.
type call struct {
	tracing *Tracing
	service string
	span    trace.Span
	spanID  trace.SpanID

	id       string     // the correlation id, once something is sent
	attempt  trace.Span // the last one, nil where it has ended
	protocol attribute.KeyValue
	sent     int
	returned bool
}

// begin starts the span of the next attempt. What it needs to know is known now: a sampler sees it.
func (c *call) begin(ctx context.Context, req *http.Request) context.Context {
	c.sent++
	c.id = req.Header.Get(correlation.Header) // the pipeline has made it
	attrs := attemptAttributes(req, c.service, c.id)
	if c.sent > 1 {
		attrs = append(attrs, semconv.HTTPRequestResendCount(c.sent-1))
	}
	ctx, c.attempt = c.tracing.tracer.Start(ctx, spanName(req),
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attrs...))
	return ctx
}

// attempted is called at an attempt's headers, or its failure. The body of an answer that means a failure has been read
// by then; any other ends with the call.
func (c *call) attempted(e httpx.AttemptEvent) {
	if c.attempt == nil {
		return
	}
	attrs := append(make([]attribute.KeyValue, 0, 4), keyDelivery.String(e.Delivery.String()))
	if e.Status > 0 {
		attrs = append(attrs, semconv.HTTPResponseStatusCode(e.Status))
	}
	if c.protocol.Valid() {
		attrs = append(attrs, c.protocol)
	}
	finish(c.attempt, attrs, failure(e.Status, e.Reason), "")
	if e.Delivery != errors.Delivered {
		c.endAttempt()
	}
}

func (c *call) endAttempt() {
	c.attempt.End()
	c.attempt, c.protocol = nil, attribute.KeyValue{}
}

// stepped makes events of what happens between the attempts, and of what refuses one.
func (c *call) stepped(e httpx.Event) {
	switch {
	case e.Status == httpx.StatusRetrying:
		c.span.AddEvent(string(e.Status), trace.WithAttributes(
			keyAttempt.Int(e.Attempt), keyReason.String(e.Reason), keyWait.Float64(e.NextRetryIn.Seconds())))
	case e.Status == httpx.StatusCircuitOpen, e.Status == httpx.StatusRateLimited:
		c.refused(string(e.Status), e.NextRetryIn)
	case e.Status == httpx.StatusFailed && e.Stop == errors.StopBulkheadFull:
		c.refused(string(e.Stop), e.NextRetryIn)
	}
}

func (c *call) refused(name string, after time.Duration) {
	var attrs []attribute.KeyValue
	if after > 0 {
		attrs = append(attrs, keyRetryAfter.Float64(after.Seconds()))
	}
	c.span.AddEvent(name, trace.WithAttributes(attrs...))
}

// ended ends the call's span, and before it that of the attempt whose answer the caller got.
func (c *call) ended(e httpx.CallEvent) {
	kind := failure(e.Status, e.Reason)
	switch {
	case e.Err != nil:
		kind = string(e.Err.Kind)
	case errors.Is(e.BodyErr, http.ErrBodyReadAfterClose):
		kind = string(errors.Canceled)
	case e.BodyErr != nil:
		kind = string(errors.KindOf(e.BodyErr))
	}
	if c.attempt != nil {
		if e.BodyErr != nil {
			finish(c.attempt, nil, kind, "")
		}
		c.endAttempt()
	}
	attrs := make([]attribute.KeyValue, 0, 6)
	attrs = append(attrs, keyCorrelation.String(e.CorrelationID), keyAttempts.Int(e.Attempts), keyDelivery.String(e.Delivery.String()))
	if e.Status > 0 {
		attrs = append(attrs, semconv.HTTPResponseStatusCode(e.Status))
	}
	if e.Stop != "" {
		attrs = append(attrs, keyStop.String(string(e.Stop)))
	}
	if e.Status >= http.StatusBadRequest {
		e.Stop = "" // the status says it; the conventions want no description then
	}
	finish(c.span, attrs, kind, string(e.Stop))
	c.span.End()
}

// abandon ends the spans of a call that does not return: its base, or a hook, panicked or ended the goroutine.
func (c *call) abandon() {
	if c.returned {
		return
	}
	const kind = "panic"
	if c.attempt != nil {
		finish(c.attempt, nil, kind, "")
		c.endAttempt()
	}
	finish(c.span, []attribute.KeyValue{keyCorrelation.String(c.id)}, kind, "")
	c.span.End()
}

// failure is the error.type of an answer or a failed attempt, empty where it is neither: the status from 400 on, as the
// conventions have it, and else the reason that is in the pipeline's metrics and events too.
func failure(status int, reason string) string {
	if status >= http.StatusBadRequest {
		return strconv.Itoa(status)
	}
	return reason
}

// finish sets what a span has come to, at once: each time costs. It is marked as failed where kind, its error.type, is not
// empty.
func finish(span trace.Span, attrs []attribute.KeyValue, kind, description string) {
	if kind != "" {
		attrs = append(attrs, semconv.ErrorTypeKey.String(kind))
		span.SetStatus(codes.Error, description)
	}
	span.SetAttributes(attrs...)
}
