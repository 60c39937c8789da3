package ratelimit

import (
	"net/http"

	"github.com/prusik-go/prusik/internal/retryafter"
)

// Transport limits the requests of a client to each host, and calls next, or http.DefaultTransport where next is nil. The
// host, with its port, is the key: see [Limiter.Outbound]. A request waits for its turn as long as its context and
// [Config.MaxWait] let; otherwise it is not sent, its body is closed, and the error is that of [Outbound.Acquire].
//
// A 429 pauses every request to that host for as long as its Retry-After says; who reads the vendor's own headers, as an
// httpx client does by profile, does better. Requests, responses and errors are passed on as they are.
// CloseIdleConnections is forwarded.
func (l *Limiter) Transport(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	return &transport{l: l, next: next}
}

type transport struct {
	l    *Limiter
	next http.RoundTripper
}

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.l.cfg.Mode == Disabled || req.URL == nil || req.URL.Host == "" { // the latter is next's to refuse
		return t.next.RoundTrip(req)
	}
	t.l.mu.Lock()
	o := t.l.outbound(req.URL.Host)
	o.users.Add(1) // it must hear of a refusal
	t.l.mu.Unlock()
	defer o.users.Add(-1)
	if _, err := o.Acquire(req.Context(), t.l.maxWait()); err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // nothing was read from it
		}
		return nil, err
	}
	resp, err := t.next.RoundTrip(req)
	if err == nil && resp != nil && resp.StatusCode == http.StatusTooManyRequests {
		wait, _ := retryafter.Parse(resp.Header.Get("Retry-After"), retryafter.SentAt(resp.Header))
		o.Pause(wait)
	}
	return resp, err
}

// CloseIdleConnections serves http.Client, which looks for it by type assertion.
func (t *transport) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
