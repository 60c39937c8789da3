package fault

import (
	"net/http"
	"net/url"
)

// Redirect returns a RoundTripper that sends every request to this server, whatever its host, keeping path, query
// and Host header. It is for SDKs whose base URL cannot be set. The caller's request is not changed, and
// CloseIdleConnections is forwarded. A nil next is [http.DefaultTransport].
func (s *Server) Redirect(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	return &redirect{next: next, scheme: s.scheme(), host: s.addr}
}

type redirect struct {
	next         http.RoundTripper
	scheme, host string
}

// RoundTrip implements [http.RoundTripper].
func (t *redirect) RoundTrip(r *http.Request) (*http.Response, error) {
	to := *r.URL
	to.Scheme, to.Host = t.scheme, t.host
	return t.next.RoundTrip(withURL(r, &to))
}

// CloseIdleConnections closes the idle connections of the transport underneath, if it can.
func (t *redirect) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// withURL is a shallow copy of r that goes to u and still names its first host.
func withURL(r *http.Request, u *url.URL) *http.Request {
	to := *r
	to.URL = u
	if to.Host == "" {
		to.Host = r.URL.Host
	}
	return &to
}
