package breaker

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"

	"github.com/prusik-go/prusik/errors"
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
		sent := &statusWriter{ResponseWriter: w}
		o := Failure // stands unless next returns
		defer func() {
			if o == Failure && errors.Is(r.Context().Err(), context.Canceled) {
				o = Ignored
			}
			p.Done(o)
		}()
		next.ServeHTTP(sent, r)
		o = ofStatus(sent.status)
	})
}

// statusWriter remembers the status that was sent; zero stands for the 200 that net/http sends by itself.
type statusWriter struct {
	http.ResponseWriter

	status int
}

func (w *statusWriter) WriteHeader(status int) {
	// An informational response (100-199, but not 101) is followed by the real one; a second real one is not sent.
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) begun() {
	if w.status == 0 {
		w.status = http.StatusOK
	}
}

func (w *statusWriter) Write(b []byte) (int, error) {
	w.begun()
	return w.ResponseWriter.Write(b)
}

// ReadFrom keeps net/http's sendfile path.
func (w *statusWriter) ReadFrom(src io.Reader) (int64, error) {
	w.begun()
	return io.Copy(w.ResponseWriter, src)
}

// Flush serves callers that assert http.Flusher; where the writer below cannot flush, nothing happens.
func (w *statusWriter) Flush() { _ = w.FlushError() }

// FlushError serves [http.ResponseController], which is told where the writer below cannot flush.
func (w *statusWriter) FlushError() error {
	err := http.NewResponseController(w.ResponseWriter).Flush()
	if err == nil {
		w.begun()
	}
	return err
}

// Hijack serves callers that assert http.Hijacker.
func (w *statusWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// Unwrap serves [http.ResponseController].
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
