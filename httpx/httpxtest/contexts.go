package httpxtest

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/prusik-go/prusik/errors"
)

func contextChecks() []Check {
	return family("context",
		check("canceled-before",
			"With a context that is done nothing is sent", "", canceledBefore),
		check("canceled-in-dial",
			"A cancel during the dial ends the call at once, with an error that is context.Canceled", "", canceledInDial),
		both("canceled-in-write",
			"A cancel while the request body is written ends the call at once, with an error that is context.Canceled", "",
			canceledInWrite),
		check("canceled-in-one-shot",
			"A cancel while a body without GetBody stalls ends the call at once, even where the body is being buffered", "",
			canceledInOneShot),
		both("canceled-awaiting-headers",
			"A cancel while the server thinks ends the call at once, with an error that is context.Canceled", "",
			canceledAwaitingHeaders),
		check("canceled-in-backoff",
			"A cancel between two attempts ends the call at once; nothing is sent after it", retries, canceledInBackoff),
		both("canceled-in-body",
			"A cancel while the body is read ends the read at once, with an error that is context.Canceled", "", canceledInBody),
		both("deadline",
			"A deadline ends the call at once, with an error that is context.DeadlineExceeded and a net.Error with Timeout", "",
			deadline),
		check("values",
			"The context's values reach base on every attempt, and httptrace works", "", values),
		check("cause",
			"The error of a canceled call matches the cause of the cancel", keepsCause, cause),
	)
}

// wantCanceled checks the result of a call whose context was canceled.
func (e *env) wantCanceled(where string, res result) {
	if res.err == nil || !errors.Is(res.err, context.Canceled) {
		e.errorf("%s: got %v, want an error that is context.Canceled", where, res)
	}
	if res.resp != nil && res.err != nil {
		e.errorf("%s: got a response beside the error", where)
	}
}

func canceledBefore(e *env) {
	ctx, cancel := context.WithCancel(e.ctx)
	cancel()
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		s := e.serve(func(http.ResponseWriter, *http.Request) {})
		rt := e.wrap(s.transport())
		e.wantCanceled(method, e.await(e.later(rt, e.request(method, s.URL).WithContext(ctx)), method))
		if n := s.hits.Load(); n != 0 {
			e.errorf("%s: the server got %d requests, want none", method, n)
		}

		// A base that does not look at the context must not be asked for a retry at least.
		f := &fake{answer: func(int, *http.Request) (*http.Response, error) { return nil, context.Canceled }}
		e.wantCanceled(method+", again", e.call(e.wrap(f), e.request(method, anyURL).WithContext(ctx)))
		if f.n() > 1 {
			e.errorf("%s: base was asked %d times, want at most once", method, f.n())
		}
	}
}

func canceledInDial(e *env) {
	ctx, cancel := context.WithCancel(e.ctx)
	defer cancel()
	var dials atomic.Int64
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		dials.Add(1)
		cancel()
		select {
		case <-ctx.Done():
		case <-e.over:
		}
		return nil, errRefused()
	}}
	e.wantCanceled("the dial hangs", e.await(e.later(e.wrap(tr), e.request(http.MethodGet, anyURL).WithContext(ctx)), "the dial hangs"))
	if n := dials.Load(); n > 1 {
		e.errorf("%d dials, want 1", n)
	}
}

func canceledInWrite(e *env) {
	ctx, cancel := context.WithCancel(e.ctx)
	defer cancel()
	var s *server
	s = e.serve(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		s.stall(r)
	})
	req := e.request(http.MethodPut, s.URL).WithContext(ctx)
	req.Body, req.ContentLength = e.flood(cancel), floodSize
	req.GetBody = func() (io.ReadCloser, error) { return e.flood(cancel), nil }
	e.wantCanceled("a large body", e.await(e.later(e.wrap(s.transport()), req), "a large body, of which the server reads nothing"))
	if n := s.hits.Load(); n != 1 {
		e.errorf("the server got %d requests, want 1", n)
	}
}

// canceledInOneShot cancels while the request's body stalls. The base is one that returns at once then; http.Transport
// is not, over HTTP/1.1 (it waits for the Read it is in), so that a server of ours would prove nothing.
func canceledInOneShot(e *env) {
	for _, length := range []int64{1024, -1} {
		ctx, cancel := context.WithCancel(e.ctx)
		defer cancel()
		f := &fake{manual: true, answer: func(_ int, r *http.Request) (*http.Response, error) {
			go func() { _, _ = io.Copy(io.Discard, r.Body) }()
			<-r.Context().Done()
			_ = r.Body.Close()
			return nil, context.Cause(r.Context())
		}}
		req := e.request(http.MethodPut, anyURL).WithContext(ctx)
		body := newStalledBody(cancel)
		e.onCleanup(func() { _ = body.Close() })
		req.Body, req.ContentLength = body, length
		e.wantCanceled("the body stalls", e.await(e.later(e.wrap(f), req), "the body stalls"))
	}
}

func canceledAwaitingHeaders(e *env) {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		ctx, cancel := context.WithCancel(e.ctx)
		defer cancel()
		var s *server
		s = e.serve(func(_ http.ResponseWriter, r *http.Request) {
			cancel()
			s.stall(r)
		})
		res := e.await(e.later(e.wrap(s.transport()), e.request(method, s.URL).WithContext(ctx)), "no answer to "+method)
		e.wantCanceled(method, res)
		if n := s.hits.Load(); n != 1 {
			e.errorf("%s: the server got %d requests, want 1", method, n)
		}
	}
}

func canceledInBackoff(e *env) {
	for _, retryAfter := range []string{"", "8"} {
		ctx, cancel := context.WithCancel(e.ctx)
		defer cancel()
		var late atomic.Int64
		f := new(fake)
		f.answer = func(_ int, r *http.Request) (*http.Response, error) {
			if ctx.Err() != nil {
				late.Add(1)
			}
			if retryAfter == "" {
				cancel()
				return f.respond(r, 503, "busy"), nil
			}
			// The wait may be long. The cancel comes in the middle of it.
			time.AfterFunc(pause, cancel)
			return f.respond(r, 503, "busy", "Retry-After: "+retryAfter), nil
		}
		where := "503, Retry-After " + retryAfter
		res := e.await(e.later(e.wrap(f), e.request(http.MethodGet, anyURL).WithContext(ctx)), where)
		if res.err != nil {
			e.wantCanceled(where, res)
		} else if res.status() != 503 {
			e.errorf("%s: got %v, want the 503 or an error that is context.Canceled", where, res)
		}
		if n := late.Load(); n > 0 {
			e.errorf("%s: %d attempts were sent after the cancel", where, n)
		}
	}
}

func canceledInBody(e *env) {
	var s *server
	s = e.serve(func(w http.ResponseWriter, r *http.Request) {
		drip(w, "first")
		s.stall(r)
	})
	ctx, cancel := context.WithCancel(e.ctx)
	defer cancel()
	res := e.send(e.wrap(s.transport()), e.request(http.MethodGet, s.URL).WithContext(ctx))
	if res.err != nil || res.resp == nil {
		e.fatalf("got %v, want a response", res)
	}
	defer discard(res.resp.Body)
	if _, err := io.ReadFull(res.resp.Body, make([]byte, len("first"))); err != nil {
		e.fatalf("reading the body: %w", err)
	}
	var err error
	if !e.prompt(func() {
		time.AfterFunc(pause, cancel)
		_, err = io.ReadAll(res.resp.Body)
	}) {
		e.fatalf("the read goes on %v after the cancel", e.patience)
	}
	if !errors.Is(err, context.Canceled) {
		e.errorf("the read ended with %v, want an error that is context.Canceled", err)
	}
}

func deadline(e *env) {
	var s *server
	s = e.serve(func(_ http.ResponseWriter, r *http.Request) { s.stall(r) })
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		ctx, cancel := context.WithTimeout(e.ctx, 2*pause)
		defer cancel()
		res := e.await(e.later(e.wrap(s.transport()), e.request(method, s.URL).WithContext(ctx)), "no answer to "+method)
		if !errors.Is(res.err, context.DeadlineExceeded) {
			e.errorf("%s: got %v, want an error that is context.DeadlineExceeded", method, res)
		}
		if n, ok := errors.AsType[net.Error](res.err); !ok || !n.Timeout() {
			e.errorf("%s: got %v, want a net.Error that says Timeout", method, res)
		}
	}
}

type valueKey struct{}

func values(e *env) {
	ctx := context.WithValue(e.ctx, valueKey{}, "kept")
	f := statuses(503)
	e.call(e.wrap(f), e.request(http.MethodGet, anyURL).WithContext(ctx))
	for i, s := range f.sent() {
		if s.value != "kept" {
			e.errorf("attempt %d: the context has lost its values", i+1)
		}
	}

	s := e.serve(func(http.ResponseWriter, *http.Request) {})
	var conns, wrote atomic.Int64
	ctx = httptrace.WithClientTrace(e.ctx, &httptrace.ClientTrace{
		GotConn:      func(httptrace.GotConnInfo) { conns.Add(1) },
		WroteRequest: func(httptrace.WroteRequestInfo) { wrote.Add(1) },
	})
	e.call(e.wrap(s.transport()), e.request(http.MethodGet, s.URL).WithContext(ctx))
	if conns.Load() != 1 || wrote.Load() != 1 {
		e.errorf("the trace saw %d connections and %d requests written, want one each", conns.Load(), wrote.Load())
	}
}

func cause(e *env) {
	gone := errors.New("the user hung up")
	var s *server
	ctx, cancel := context.WithCancelCause(e.ctx)
	defer cancel(nil)
	s = e.serve(func(_ http.ResponseWriter, r *http.Request) {
		cancel(gone)
		s.stall(r)
	})
	rt := e.wrap(s.transport())
	for _, where := range []string{"in flight", "before the start"} {
		res := e.await(e.later(rt, e.request(http.MethodGet, s.URL).WithContext(ctx)), where)
		if !errors.Is(res.err, gone) {
			e.errorf("%s: got %v, want an error that is the cause, %q", where, res, gone)
		}
	}
}
