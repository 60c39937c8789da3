package bench

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/sony/gobreaker/v2"
	"golang.org/x/time/rate"
)

// handwritten is what a good engineer makes of the common parts in an afternoon: sony/gobreaker, x/time/rate,
// cenkalti/backoff, google/uuid and promhttp. It keeps the RoundTripper contract, rewinds bodies by GetBody, drains
// and closes what it drops, retries only what may be retried, and hears Retry-After in seconds.
type handwritten struct {
	next           http.RoundTripper
	breaker        *gobreaker.CircuitBreaker[*http.Response]
	limiter        *rate.Limiter
	total, attempt time.Duration
}

//nolint:bodyclose // no response here: a type argument
func newHandwritten(base http.RoundTripper, total, attempt time.Duration) (Do, error) {
	registry := prometheus.NewRegistry()
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "client_requests_total", Help: "Requests.",
	}, []string{"code", "method"})
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "client_request_duration_seconds", Help: "Duration of requests.", Buckets: prometheus.DefBuckets,
	}, []string{"code", "method"})
	for _, c := range []prometheus.Collector{requests, seconds} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return through(&http.Client{Transport: &handwritten{
		next: promhttp.InstrumentRoundTripperDuration(seconds, promhttp.InstrumentRoundTripperCounter(requests, base)),
		breaker: gobreaker.NewCircuitBreaker[*http.Response](gobreaker.Settings{
			Name:        "bench",
			Timeout:     openFor,
			ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= tripAfter },
			IsExcluded:  func(err error) bool { return errors.Is(err, context.Canceled) },
		}),
		limiter: rate.NewLimiter(perSecond, concurrency),
		total:   total,
		attempt: attempt,
	}}), nil
}

// errServer marks a response of 500 and above for the breaker and for the retry.
var errServer = errors.New("server error")

func (t *handwritten) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := r.Context(), context.CancelFunc(nil)
	if t.total > 0 {
		ctx, cancel = context.WithTimeout(ctx, t.total)
	}
	req := r.Clone(ctx)
	req.Header.Set("X-Correlation-ID", uuid.NewString())

	c := exchange{t: t, req: req}
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = backoffWait, backoffWait
	resp, err := backoff.Retry(ctx, c.once,
		backoff.WithBackOff(wait), backoff.WithMaxTries(maxAttempts), backoff.WithMaxElapsedTime(0))
	if errors.Is(err, errServer) || isRetryAfter(err) {
		err = nil
	}
	if !c.sent && req.Body != nil {
		_ = req.Body.Close()
	}
	if err != nil {
		c.release()
		if cancel != nil {
			cancel()
		}
		return nil, err
	}
	if cancel != nil || c.cancel != nil {
		resp.Body = &releasing{ReadCloser: resp.Body, attempt: c.cancel, total: cancel}
	}
	return resp, nil
}

// exchange is the state of one call.
type exchange struct {
	t      *handwritten
	req    *http.Request
	sent   bool
	last   *http.Response
	cancel context.CancelFunc
}

// release drops the response of the attempt before, if there is one.
func (c *exchange) release() {
	if c.last != nil {
		drop(c.last)
		c.last = nil
	}
	if c.cancel != nil {
		c.cancel()
		c.cancel = nil
	}
}

func (c *exchange) once() (*http.Response, error) {
	c.release()
	if err := c.t.limiter.Wait(c.req.Context()); err != nil {
		return nil, backoff.Permanent(err)
	}
	resp, err := c.t.breaker.Execute(c.send)
	switch {
	case errors.Is(err, errServer):
		c.last = resp
		if !c.repeatable() {
			return resp, backoff.Permanent(err)
		}
		if after, atoi := strconv.Atoi(resp.Header.Get("Retry-After")); atoi == nil {
			return resp, backoff.RetryAfter(after)
		}
		return resp, err
	case err == nil:
		return resp, nil
	case errors.Is(err, gobreaker.ErrOpenState), errors.Is(err, gobreaker.ErrTooManyRequests),
		c.req.Context().Err() != nil, !c.repeatable():
		return nil, backoff.Permanent(err)
	default:
		return nil, err
	}
}

func (c *exchange) send() (*http.Response, error) {
	ctx, req := c.req.Context(), c.req
	if c.t.attempt > 0 {
		ctx, c.cancel = context.WithTimeout(ctx, c.t.attempt)
		req = req.WithContext(ctx)
	}
	if c.sent && req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return nil, err
		}
		again := *req
		again.Body = body
		req = &again
	}
	c.sent = true
	resp, err := c.t.next.RoundTrip(req)
	if err == nil && resp.StatusCode >= http.StatusInternalServerError {
		err = errServer
	}
	return resp, err
}

func isRetryAfter(err error) bool {
	_, ok := errors.AsType[*backoff.RetryAfterError](err)
	return ok
}

func (c *exchange) repeatable() bool {
	if c.req.Body != nil && c.req.Body != http.NoBody && c.req.GetBody == nil {
		return false
	}
	switch c.req.Method {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// releasing is a response body that ends the timeouts of its call when it is closed.
type releasing struct {
	io.ReadCloser
	attempt, total context.CancelFunc
}

func (b *releasing) Close() error {
	err := b.ReadCloser.Close()
	if b.attempt != nil {
		b.attempt()
	}
	if b.total != nil {
		b.total()
	}
	return err
}
