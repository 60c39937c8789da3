package correlation

import (
	"maps"
	"net/http"
)

// Handler gives every request an id: the one of its [Header], where it is accepted (see [Config]), and a new one
// otherwise; an id is never repaired. The id is in the request's context ([ID]) and in the response header, set before
// next runs, so that errors, panics, flushes and informational responses carry it too. Where an id was not
// accepted, next finds the new one in the request's header as well. A W3C traceparent is read into the context
// by the same rule ([TraceOf]).
//
// Mount it outside the router, and what reads Request.Pattern (metrics) inside: chi and http.ServeMux set the pattern
// only on the request that they are given, and Handler passes a copy on. Mounted twice it acts once. Behind it, an
// httputil.ReverseProxy adds the header of its upstream's response to ours: delete that in ModifyResponse.
func (c *Correlator) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !handled(w, r) {
			r = c.scoped(w, r)
		}
		next.ServeHTTP(w, r)
	})
}

// scoped returns r in a scope of its own, whose id is on w.
func (c *Correlator) scoped(w http.ResponseWriter, r *http.Request) *http.Request {
	trusted := c.trusts(r.RemoteAddr)
	id, reason := accept(r.Header, trusted)
	if id == "" {
		id = NewID()
	}
	var trace traceparent
	if trusted {
		trace = readTraceparent(r.Header)
	}
	s := &served{scope: makeScope(r.Context(), id, trace)}
	w.Header()[canonical] = s.echo[:]
	s.request = *r.WithContext(&s.scope) // a scope inherits
	if r = &s.request; reason != "" {
		r.Header = maps.Clone(r.Header)
		r.Header[canonical] = []string{id}
		c.hooks.replaced(r, id, reason, nil)
	}
	return r
}

// served is a request's scope and the request that has it: one allocation, and not two.
type served struct {
	scope

	request http.Request
}

// accept returns the id of the request's header, or why it is not accepted. Both are empty where there is none.
func accept(h http.Header, trusted bool) (string, Reason) {
	values := h[canonical]
	switch {
	case len(values) == 0:
		return "", ""
	case !trusted:
		return "", ReasonUntrusted
	case len(values) > 1:
		return "", ReasonRepeated
	case !Valid(values[0]):
		return "", ReasonInvalid
	default:
		return values[0], ""
	}
}

// handled reports whether the id of r's context is on the response already. An id in the context alone may be the
// server's, from http.Server.BaseContext, and is not this request's.
func handled(w http.ResponseWriter, r *http.Request) bool {
	echoed := w.Header()[canonical] // before the context, which is long in a server
	if len(echoed) != 1 {
		return false
	}
	id, ok := ID(r.Context())
	return ok && echoed[0] == id
}

// Transport sends the id of a request's context on the request, or a new one where the context has none; the new one
// is in the context that next sees. A header the caller has set wins if it is [Valid], and is replaced if it is not.
// The caller's request is never changed: next gets a copy, which costs three allocations, or the
// request itself where the header is there already. Responses and errors are passed on untouched. A nil next
// is http.DefaultTransport. CloseIdleConnections is forwarded.
func (c *Correlator) Transport(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	return &transport{next: next}
}

type transport struct{ next http.RoundTripper }

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if one(req.Header[canonical]) {
		return t.next.RoundTrip(req)
	}
	return t.next.RoundTrip(outbound(req))
}

func one(values []string) bool { return len(values) == 1 && Valid(values[0]) }

// outbound copies req, its header map but not the values in it, and adds the id.
func outbound(req *http.Request) *http.Request {
	ctx := req.Context() // a scope inherits
	// Header's own spelling is no canonical key, but an easy slip: req.Header[correlation.Header] = …
	if raw := req.Header[Header]; one(raw) { //nolint:staticcheck // SA1008: that is the point
		ctx = WithID(ctx, raw[0])
	}
	s := scopeOf(ctx)
	if s == nil || s.id == "" {
		ctx = WithID(ctx, NewID())
		s = scopeOf(ctx)
	}
	h := make(http.Header, len(req.Header)+1)
	for k, v := range req.Header {
		if k != Header {
			h[k] = v
		}
	}
	h[canonical] = s.sent[:]
	out := req.WithContext(ctx)
	out.Header = h
	return out
}

// CloseIdleConnections serves http.Client, which looks for it by type assertion.
func (t *transport) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
