package flags

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/prusik-go/prusik/errors"
)

// Gate is what a closed gate answers. The zero value answers 403 with the sentence of [errors.FeatureDisabled].
type Gate struct {
	// Detail is the sentence that the caller reads, such as "Stub mode disabled".
	Detail string
	// NotFound answers 404 as if nothing were there, and Detail is not told.
	NotFound bool
}

// Handler returns the middleware that lets a request through while the flag is on. It asks at each request, of the values
// that the request's context is pinned to, where it is; otherwise of the present ones. A closed gate answers a problem of kind feature_disabled, which
// is a 403, or as g says. Where [Set.Load] has not succeeded it is a 500 of kind internal: nobody knows then whether the gate is
// open.
func (b *Bool) Handler(g Gate) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !b.owner.pinned(r.Context()).loaded {
				_ = errors.Write(w, r, &errors.Error{Kind: errors.Internal, Op: "flag " + b.name, Err: b.owner.Err()})
				return
			}
			if b.In(r.Context()) {
				next.ServeHTTP(w, r)
				return
			}
			if h := b.owner.hooks.Load().OnGate; h != nil {
				h(GateEvent{Flag: b.name})
			}
			_ = errors.Write(w, r, g.refusal(b.name))
		})
	}
}

func (g *Gate) refusal(name string) error {
	if g.NotFound {
		return &errors.Error{Kind: errors.NotFound}
	}
	return &errors.Error{Kind: errors.FeatureDisabled, Op: "flag " + name, Public: g.Detail}
}

// Handler pins each request to the values at its start: see [Set.Pin].
func (s *Set) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ctx := s.Pin(r.Context()); ctx != r.Context() {
			r = r.WithContext(ctx)
		}
		next.ServeHTTP(w, r)
	})
}

// ListHandler serves the set's [Listing] as JSON. It changes nothing, and shows no secret; it shows how the program is
// configured, so mount it where operators are.
func (s *Set) ListHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		body, err := json.MarshalIndent(s.List(), "", "  ")
		if err != nil {
			_ = errors.Write(w, r, err)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Length", strconv.Itoa(len(body)+1))
		if r.Method == http.MethodGet {
			_, _ = w.Write(append(body, '\n')) // the client has gone away
		}
	})
}
