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
	flags := "00"
	if t.Sampled {
		flags = "01"
	}
	id, _ := ID(ctx)
	return newScope(ctx, id, traceparent("00-"+t.TraceID+"-"+t.SpanID+"-"+flags))
}

// TraceOf returns the trace the request of ctx is part of, and whether there is one.
func TraceOf(ctx context.Context) (Trace, bool) {
	s := scopeOf(ctx)
	if s == nil || s.trace == "" {
		return Trace{}, false
	}
	return s.trace.read(), true
}

// traceparent is a valid value of the header of that name, or "". A request carries it as it came: it is read where
// somebody asks, which is not in every request.
type traceparent string

const (
	headerTraceparent = "Traceparent"
	traceIDLen        = 32
	spanIDLen         = 16
	traceparentLen    = len("00-0123456789abcdef0123456789abcdef-0123456789abcdef-01")
)

// readTraceparent reads W3C Trace Context, version 00, to the letter. Anything else is "": other versions, capitals,
// all-zero ids, a repeated header.
func readTraceparent(h http.Header) traceparent {
	values := h[headerTraceparent]
	if len(values) != 1 {
		return ""
	}
	v := values[0]
	if len(v) != traceparentLen || v[:3] != "00-" || v[35] != '-' || v[52] != '-' || !hexID(v[3:35]) || !hexID(v[36:52]) || !isHex(v[53:]) {
		return ""
	}
	return traceparent(v)
}

// read takes it apart.
func (t traceparent) read() Trace {
	if t == "" {
		return Trace{}
	}
	return Trace{TraceID: string(t[3:35]), SpanID: string(t[36:52]), Sampled: unhex(t[54])&1 != 0}
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
