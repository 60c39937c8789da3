package twilioctx

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx"
)

var errTwice = errors.New("twilioctx: twilio-go wanted to send the request a second time")

// send is the transport of one request. It is used by one goroutine.
type send struct {
	ctx     context.Context //nolint:containedctx // see bound
	next    http.RoundTripper
	release []func() // of contexts that end with the request; none where there is but the caller's

	sent    bool
	outcome Outcome
	failed  *errors.Error // what the request came to, nil where it succeeded
}

// RoundTrip implements [http.RoundTripper].
func (s *send) RoundTrip(req *http.Request) (*http.Response, error) {
	if s.sent {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, errTwice
	}
	s.sent = true
	var last httpx.Event
	ctx := httpx.WithObserver(s.join(req.Context()), func(e httpx.Event) { last = e })
	resp, err := s.next.RoundTrip(req.WithContext(ctx))
	if err != nil {
		s.outcome, s.failed = ofError(err)
		return nil, err
	}
	s.outcome, s.failed = ofResponse(req.Method, resp, last)
	return resp, nil
}

// timeout ends the request after d, where d is set. It stands in for http.Client.Timeout, which starts a goroutine that
// lives until the body is closed or d is over: for twilio-go's errors, whose bodies it does not close, until d is over.
func (s *send) timeout(d time.Duration) {
	if d <= 0 {
		return
	}
	ctx, cancel := context.WithTimeout(s.ctx, d)
	s.ctx, s.release = ctx, append(s.release, cancel)
}

// join is the caller's context, ended early where twilio-go's own ends. In v1.31.0 that one is empty, and there is
// nothing to join.
func (s *send) join(sdk context.Context) context.Context {
	if sdk.Done() == nil {
		return s.ctx
	}
	ctx, cancel := context.WithCancelCause(s.ctx)
	s.release = append(s.release, func() { cancel(nil) })
	if at, ok := sdk.Deadline(); ok {
		deadline, end := context.WithDeadline(ctx, at)
		ctx, s.release = deadline, append(s.release, end)
	}
	stop := context.AfterFunc(sdk, func() {
		if sdk.Err() == context.Canceled { // a deadline is ctx's own by now
			cancel(context.Cause(sdk))
		}
	})
	s.release = append(s.release, func() { stop() })
	return ctx
}

func (s *send) end() {
	for _, release := range s.release {
		release()
	}
}

// guard ends the contexts with the body, which twilio-go closes where a call succeeds.
func (s *send) guard(resp *http.Response) *http.Response {
	if len(s.release) > 0 {
		resp.Body = &body{resp.Body, s.end}
	}
	return resp
}

type body struct {
	io.ReadCloser

	end func()
}

// Close implements [io.Closer].
func (b *body) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}
