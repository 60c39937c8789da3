package tracing

import (
	"maps"
	"net/http"
	"slices"

	"go.opentelemetry.io/otel/trace"
)

// attempts is around the base of a client: a span for each attempt of a call that is recorded, and the trace on all.
type attempts struct {
	base    http.RoundTripper
	tracing *Tracing
}

// RoundTrip sends a copy of req: a header with the trace may not be put on one that is somebody else's.
func (a *attempts) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	c, _ := ctx.Value(callKey{}).(*call)
	if c != nil && trace.SpanContextFromContext(ctx).SpanID() != c.spanID {
		c = nil // a call made within an attempt of c, and not recorded itself
	}
	if c != nil {
		ctx = c.begin(ctx, req)
	}
	out := req.WithContext(ctx)
	a.tracing.propagator.Inject(ctx, &carrier{req: out})
	resp, err := a.base.RoundTrip(out)
	if resp != nil {
		if resp.Request == out {
			resp.Request = req
		}
		if c != nil {
			c.protocol = protocol(resp)
		}
	}
	return resp, err
}

// CloseIdleConnections serves the client's, which looks for it by type assertion.
func (a *attempts) CloseIdleConnections() {
	if c, ok := a.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// carrier is the header of a request that is ours, whose map is somebody else's until something is put in.
type carrier struct {
	req *http.Request
	own bool
}

// Get implements propagation.TextMapCarrier.
func (c *carrier) Get(key string) string { return c.req.Header.Get(key) }

// Set implements propagation.TextMapCarrier.
func (c *carrier) Set(key, value string) {
	if !c.own {
		c.own = true
		if c.req.Header = maps.Clone(c.req.Header); c.req.Header == nil {
			c.req.Header = make(http.Header)
		}
	}
	c.req.Header.Set(key, value)
}

// Keys implements propagation.TextMapCarrier.
func (c *carrier) Keys() []string { return slices.Collect(maps.Keys(c.req.Header)) }
