package correlation

import (
	"maps"
	"net/http"
	"net/url"
)

// Handler restores the id on routes that vendors call back. It reads the token from the query parameter param, by default
// ("") [TokenParam]. The id of a valid token replaces the request's, in the context and in both headers. Without a
// valid token the request keeps the id it has, from [Correlator.Handler], or gets a new one; it is never
// refused, and a token that was not valid is reported to hooks. Mount it inside of Correlator.Handler.
//
// Vendors sign the URL they call, so the parameter stays in it: where an access log writes queries, redact this one.
func (s *Signer) Handler(param string, hooks ...Hooks) func(http.Handler) http.Handler {
	if param == "" {
		param = TokenParam
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			id, err := s.restore(r.URL.RawQuery, param)
			if id == "" && handled(w, r) {
				id, _ = ID(r.Context())
			}
			if id == "" {
				id = NewID()
			}
			var trace traceparent
			if outer := scopeOf(r.Context()); outer != nil {
				trace = outer.trace
			}
			ctx := newScope(r.Context(), id, trace)
			w.Header()[canonical] = ctx.echo[:]
			r = r.WithContext(ctx) // a scope inherits
			if h := r.Header[canonical]; h != nil && (len(h) != 1 || h[0] != id) {
				r.Header = maps.Clone(r.Header)
				r.Header[canonical] = []string{id}
			}
			if err != nil {
				for _, h := range hooks {
					h.replaced(r, id, ReasonToken, err)
				}
			}
			next.ServeHTTP(w, r)
		})
	}
}

// restore returns the id of the query's token; both results are empty where there is none.
func (s *Signer) restore(query, param string) (string, error) {
	values, _ := url.ParseQuery(query) // what can be read of it
	switch tokens := values[param]; len(tokens) {
	case 0:
		return "", nil
	case 1:
		return s.Verify(tokens[0])
	default:
		return "", refuse(TokenMalformed)
	}
}
