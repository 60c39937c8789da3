package ratelimittest

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prusik-go/prusik/errors"
)

// Burst says how a route is asked for. The zero value works.
type Burst struct {
	// Max is the most requests sent to a route before it counts as not limited. 0 means 1000: more than the burst of any
	// limit that protects something.
	Max int
	// Prepare may change each request before it is sent: sign it, or add the header that is the key. Nil: nothing. By
	// default all requests to one route come from one address, and those to another route from another.
	Prepare func(*http.Request)
}

// RequireLimited sends bursts through h, to each of routes, which read "POST /calls" or, for GET, "/calls", and fails t for
// each that does not come to refuse requests for their rate: with 429 and a problem of kind rate_limited, and not from
// the first one on. The handlers do run: pass an h whose vendors are fakes. Patterns of an http.ServeMux that name no host
// are routes as they stand, wildcards and "{$}" included.
func RequireLimited(t testing.TB, h http.Handler, routes ...string) {
	t.Helper()
	Burst{}.RequireLimited(t, h, routes...)
}

// RequireLimited is the function of that name, with bursts as b says.
func (b Burst) RequireLimited(t testing.TB, h http.Handler, routes ...string) {
	t.Helper()
	if len(routes) == 0 {
		t.Errorf("ratelimittest: no routes given: this proves nothing")
	}
	if b.Max <= 0 {
		b.Max = 1000
	}
	for _, route := range routes {
		if err := b.send(h, route); err != nil {
			t.Errorf("ratelimittest: %s is not limited: %v", route, err)
		}
	}
}

// send sends a burst to a route, until it is refused.
func (b Burst) send(h http.Handler, route string) error {
	method, path, ok := strings.Cut(route, " ")
	if !ok {
		method, path = http.MethodGet, route
	}
	path = strings.TrimSuffix(strings.TrimSpace(path), "{$}") // of a ServeMux: this path and none below it
	if !strings.HasPrefix(path, "/") {
		return fmt.Errorf("%q is no route such as \"GET /path\"", route)
	}
	// A /64 of the documentation's (RFC 3849), another each time: what was sent before does not count.
	subscriber := rand.Uint32() //nolint:gosec // it guards nothing
	client := fmt.Sprintf("[2001:db8:%x:%x::1]:4711", subscriber>>16, subscriber&0xffff)
	last := 0
	for n := range b.Max {
		r, err := newRequest(method, path)
		if err != nil {
			return fmt.Errorf("%q is no route such as \"GET /path\": %w", route, err)
		}
		r.RemoteAddr = client
		if b.Prepare != nil {
			b.Prepare(r)
		}
		w, panicked := serve(h, r)
		if panicked != nil {
			return fmt.Errorf("the handler panics: %v", panicked)
		}
		last = w.Code
		switch {
		case !refused(w, method):
			continue
		case n == 0:
			return errors.New("it refuses the first request: what comes after it is not seen")
		default:
			return nil
		}
	}
	return fmt.Errorf("%d requests from one client, and none was refused for its rate; the last was answered with %d", b.Max, last)
}

// newRequest makes an error of the panic that httptest has for what is no request.
func newRequest(method, path string) (r *http.Request, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	return httptest.NewRequest(method, path, nil), nil //nolint:noctx // it has the background's
}

// refused reports whether an answer is a limiter's refusal, and not a vendor's that was passed on, say.
func refused(w *httptest.ResponseRecorder, method string) bool {
	if w.Code != http.StatusTooManyRequests {
		return false
	}
	if method == http.MethodHead { // it has no body to tell by
		return w.Header().Get("Content-Type") == errors.ContentType
	}
	p, err := errors.DecodeProblem(w.Body.Bytes())
	return err == nil && p.Kind == errors.RateLimited
}

func serve(h http.Handler, r *http.Request) (w *httptest.ResponseRecorder, panicked any) {
	w = httptest.NewRecorder()
	defer func() { panicked = recover() }()
	h.ServeHTTP(w, r)
	return w, nil
}
