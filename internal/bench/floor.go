package bench

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"time"

	"golang.org/x/time/rate"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/httpx"
)

// floor is the least that Prusik's policies cost: id, limiter, breaker, retry of a 5xx, counter and histogram, and a
// timeout, in one function. It has no options, hooks, events, errors or records, knows no vendor, and retries what must
// not be retried. It is what Prusik's own cost is held against.
type floor struct {
	base    http.RoundTripper
	timeout time.Duration
	breaker *breaker.Breaker
	limiter *rate.Limiter
	count   *instruments
}

func newFloor(base http.RoundTripper, timeout time.Duration) (Do, error) {
	count, err := newInstruments()
	if err != nil {
		return nil, err
	}
	b, err := breaker.New("floor", breaker.Config{Failures: tripAfter, Window: tripAfter, OpenFor: openFor})
	if err != nil {
		return nil, err
	}
	return through(&http.Client{Transport: &floor{base, timeout, b, rate.NewLimiter(perSecond, concurrency), count}}), nil
}

func (f *floor) RoundTrip(r *http.Request) (*http.Response, error) {
	c, ctx := &floorCall{}, r.Context()
	if f.timeout > 0 {
		ctx, c.cancel = context.WithCancel(ctx)
		c.timer = time.AfterFunc(f.timeout, c.cancel)
	}
	out := r.WithContext(ctx)
	out.Header = make(http.Header)
	if len(r.Header) > 0 {
		out.Header = maps.Clone(r.Header)
	}
	c.id[0] = correlation.NewID()
	out.Header["X-Correlation-Id"] = c.id[:]
	start := time.Now()
	for attempt := 1; ; attempt++ {
		var ok bool
		if c.permit, _, ok = f.breaker.TryAcquire(); !ok || !f.limiter.Allow() {
			return nil, errRefused
		}
		resp, err := f.base.RoundTrip(out)
		now := time.Now()
		e := httpx.AttemptEvent{}
		if e.Duration = now.Sub(start); err == nil {
			e.Status = resp.StatusCode
		}
		f.count.attempt(e)
		start = now
		switch {
		case err != nil:
			c.end(breaker.Failure)
			return nil, err
		case e.Status >= http.StatusInternalServerError && attempt < maxAttempts:
			drop(resp)
			c.permit.Done(breaker.Failure)
			continue
		}
		c.ReadCloser, resp.Body = resp.Body, c
		return resp, nil
	}
}

// floorCall is the body of the answer, and ends the call.
type floorCall struct {
	io.ReadCloser

	id     [1]string
	permit breaker.Permit
	cancel context.CancelFunc
	timer  *time.Timer
	done   bool
}

// Read implements [io.Reader].
func (c *floorCall) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		c.end(breaker.Success)
	} else if err != nil {
		c.end(breaker.Failure)
	}
	return n, err
}

// Close implements [io.Closer].
func (c *floorCall) Close() error {
	c.end(breaker.Success)
	return c.ReadCloser.Close()
}

func (c *floorCall) end(o breaker.Outcome) {
	if c.done {
		return
	}
	c.done = true
	c.permit.Done(o)
	if c.timer != nil {
		c.timer.Stop()
		c.cancel()
	}
}
