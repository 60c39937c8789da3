package breaker

import (
	"context"
	"net/http"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/internal/response"
)

// Transport guards next, or http.DefaultTransport where next is nil. A status of 500 or more is a failure, 400 to 499 is
// ignored (429 too: being over a limit is no outage), any other is a success; the outcome is known with the
// response's header. An error is judged by [Config.Classify], and ignored where the request's context was canceled;
// a deadline that passed is no cancellation. A panic of next is a failure and goes on.
//
// A refusal is the error [Do] describes; next is not called then, and the request's body is closed. The request is
// passed on as it is, and response and error are returned as they are. CloseIdleConnections is forwarded.
func (b *Breaker) Transport(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	return &transport{b: b, next: next}
}

type transport struct {
	b    *Breaker
	next http.RoundTripper
}

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	p, wait, ok := t.b.TryAcquire()
	if !ok {
		if req.Body != nil {
			_ = req.Body.Close() // nothing was read from it
		}
		return nil, t.b.refusal(wait)
	}
	o := Failure // stands unless next returns
	defer func() { p.Done(o) }()
	resp, err := t.next.RoundTrip(req)
	switch {
	case err != nil:
		o = t.b.judge(req.Context(), err)
	case resp != nil: // neither is a fault of next's, and a failure
		o = ofStatus(resp.StatusCode)
	}
	return resp, err
}

// CloseIdleConnections serves http.Client, which looks for it by type assertion.
func (t *transport) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func ofStatus(status int) Outcome {
	switch {
	case status >= 500:
		return Failure
	case status >= 400:
		return Ignored
	default:
		return Success
	}
}

// Handler guards next. A status of 500 or more is a failure, and so is a panic, which goes on; 400 to 499 is ignored, any
// other is a success. What would be a failure is ignored where the client has gone away: a proxy answers 502 to
// nobody then. The outcome is known when next returns. A refusal is answered with [errors.Write]: status 503, a
// problem of kind circuit_open, and Retry-After where the wait is known. Flush, Hijack and
// [http.ResponseController] keep working.
func (b *Breaker) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, wait, ok := b.TryAcquire()
		if !ok {
			_ = errors.Write(w, r, b.refusal(wait)) // the client is gone: nobody is left to tell
			return
		}
		sent := &response.Writer{ResponseWriter: w}
		o := Failure // stands unless next returns
		defer func() {
			if o == Failure && errors.Is(r.Context().Err(), context.Canceled) {
				o = Ignored
			}
			p.Done(o)
		}()
		next.ServeHTTP(sent, r)
		o = ofStatus(sent.Status)
	})
}
