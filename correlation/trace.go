package correlation

import (
	"context"
	"net/http"
)

// Trace is what a W3C traceparent header says of the caller, or what a tracer says of itself ([WithTrace]).
type Trace struct {
	// TraceID is the trace, 32 lower-case hex digits. SpanID is the span in it, 16 of them: the caller's, until a tracer
	// says otherwise.
	TraceID, SpanID string
	// Sampled is the sampled flag: whoever made the span may have recorded it.
	Sampled bool
}

// WithTrace returns a context that carries t, in place of the trace ctx may have; the id is kept. It is for tracers: log
// records then have the live span's ids, and not those the request came with. A t whose ids are not those of W3C Trace
// Context changes nothing and ctx itself is returned.
func WithTrace(ctx context.Context, t Trace) context.Context {
	if len(t.TraceID) != traceIDLen || len(t.SpanID) != spanIDLen || !hexID(t.TraceID) || !hexID(t.SpanID) {
		return ctx
	}
	id, _ := ID(ctx)
	return newScope(ctx, id, t)
}

// TraceOf returns the trace the request of ctx is part of, and whether there is one.
func TraceOf(ctx context.Context) (Trace, bool) {
	s := scopeOf(ctx)
	if s == nil || s.trace.TraceID == "" {
		return Trace{}, false
	}
	return s.trace, true
}

const (
	traceparent    = "Traceparent"
	traceIDLen     = 32
	spanIDLen      = 16
	traceparentLen = len("00-0123456789abcdef0123456789abcdef-0123456789abcdef-01")
)

// parseTraceparent reads W3C Trace Context, version 00, to the letter. Anything else is the zero Trace: other
// versions, capitals, all-zero ids, a repeated header.
func parseTraceparent(h http.Header) Trace {
	values := h[traceparent]
	if len(values) != 1 {
		return Trace{}
	}
	v := values[0]
	if len(v) != traceparentLen || v[:3] != "00-" || v[35] != '-' || v[52] != '-' {
		return Trace{}
	}
	trace, span, flags := v[3:35], v[36:52], v[53:]
	if !hexID(trace) || !hexID(span) || !isHex(flags) {
		return Trace{}
	}
	return Trace{TraceID: trace, SpanID: span, Sampled: unhex(flags[1])&1 != 0}
}

// hexID reports whether s is lower-case hex and not all zero.
func hexID(s string) bool {
	for i := range len(s) {
		if s[i] != '0' {
			return isHex(s)
		}
	}
	return false
}

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func unhex(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}
