package bench

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"
)

// Settings that every contestant shares as far as it knows them. Waits are as short as can be, rates and
// concurrency wide enough never to be felt, so that what is measured is the machinery and not the policy.
const (
	maxAttempts    = 3
	backoffWait    = time.Nanosecond
	totalTimeout   = 30 * time.Second
	attemptTimeout = 10 * time.Second
	perSecond      = 1 << 30
	concurrency    = 1024
	// tripAfter consecutive failures open a breaker: more than parallel workers of RetryTwice can line up.
	tripAfter = 200
	openFor   = time.Hour
)

// Do makes one call; body may be nil. Whoever calls it reads and closes the response body.
type Do func(ctx context.Context, method, url string, body []byte) (*http.Response, error)

// Contestant is a client under comparison.
type Contestant struct {
	// Name is the row in the table.
	Name string
	// Does says what is switched on.
	Does string
	// Retries and Breaks say which scenarios the contestant can run.
	Retries, Breaks bool
	// RetriesOnly keeps the contestant to the scenarios that retry.
	RetriesOnly bool
	// Leaks marks clients that neither read nor close a response they retry: each holds on to its connection.
	Leaks bool
	// New makes the client over base.
	New func(base http.RoundTripper) (Do, error)
}

// The names that ratios and limits refer to.
const (
	Bare            = "http.Client, bare"
	Loop            = "http.Client, retry loop"
	FailsafeFive    = "failsafehttp v0.9.8, five policies"
	Hand            = "written by hand"
	HandTimeouts    = "written by hand, timeouts"
	Floor           = "floor"
	FloorTimeout    = "floor, timeout"
	Prusik          = "Prusik"
	PrusikUntimed   = "Prusik, timeouts off"
	PrusikSilent    = "Prusik, nothing counted"
	PrusikMetrics   = "Prusik, package metrics"
	Gobreaker       = "gobreaker Execute"
	PrusikBreaker   = "Prusik breaker.Do"
	PrusikPermit    = "Prusik TryAcquire and Done"
	PrusikTimed     = PrusikPermit + timeWindow
	FailsafePermits = "failsafe-go TryAcquirePermit and Record"
)

// Contestants returns every client, the bare one first.
func Contestants() []Contestant {
	return append([]Contestant{
		{
			Name: Bare, Does: "nothing",
			New: func(base http.RoundTripper) (Do, error) { return through(&http.Client{Transport: base}), nil },
		},
		{
			Name: Loop, Does: "drains, closes, rewinds and goes again at once", Retries: true, RetriesOnly: true,
			New: func(base http.RoundTripper) (Do, error) { return loop(&http.Client{Transport: base}, false), nil },
		},
		{
			Name: Loop + ", timer", Does: "the same, with a timer and the context between attempts",
			Retries: true, RetriesOnly: true,
			New: func(base http.RoundTripper) (Do, error) { return loop(&http.Client{Transport: base}, true), nil },
		},
		{
			Name: "heimdall v7.0.3", Does: "retry", Retries: true, New: newHeimdall,
		},
		{
			Name: "heimdall v7.0.3, hystrix", Does: "retry, breaker, timeout, bulkhead", Retries: true, Breaks: true,
			New: newHeimdallHystrix,
		},
		{
			Name: "go-retryablehttp v0.7.8", Does: "retry, as an http.Client", Retries: true,
			New: newRetryable,
		},
		{
			Name: "go-retryablehttp v0.7.8, own request", Does: "retry, by its own request type", Retries: true,
			New: newRetryableNative,
		},
		{
			Name: "resty v3.0.0-rc.4", Does: "retry, breaker", Retries: true, Breaks: true, New: newResty,
		},
		{
			Name: "failsafehttp v0.9.8, retry and breaker", Does: "retry, breaker", Retries: true, Breaks: true, Leaks: true,
			New: newFailsafeTwo,
		},
		{
			Name: FailsafeFive, Does: "bulkhead, retry, rate limit, breaker, attempt timeout",
			Retries: true, Breaks: true, Leaks: true, New: newFailsafeFive,
		},
		{
			Name: Hand, Does: "id header, retry, rate limit, breaker, counter and histogram", Retries: true, Breaks: true,
			New: func(base http.RoundTripper) (Do, error) { return newHandwritten(base, 0, 0) },
		},
		{
			Name: HandTimeouts, Does: "the same, with total and attempt timeout", Retries: true, Breaks: true,
			New: func(base http.RoundTripper) (Do, error) {
				return newHandwritten(base, totalTimeout, attemptTimeout)
			},
		},
	}, prusikContestants()...)
}

// through makes calls through an [http.Client].
func through(client *http.Client) Do {
	return func(ctx context.Context, method, url string, body []byte) (*http.Response, error) {
		req, err := newRequest(ctx, method, url, body)
		if err != nil {
			return nil, err
		}
		return client.Do(req)
	}
}

// newRequest returns a request whose body, where it has one, can be rewound by GetBody.
func newRequest(ctx context.Context, method, url string, body []byte) (*http.Request, error) {
	if body == nil {
		return http.NewRequestWithContext(ctx, method, url, nil)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	return req, nil
}

// loop is the retry loop people write around client.Do, with nothing left out that it needs to be right.
func loop(client *http.Client, timer bool) Do {
	return func(ctx context.Context, method, url string, body []byte) (*http.Response, error) {
		req, err := newRequest(ctx, method, url, body)
		if err != nil {
			return nil, err
		}
		for attempt := 1; ; attempt++ {
			resp, err := client.Do(req)
			if err != nil || attempt == maxAttempts || resp.StatusCode < http.StatusInternalServerError {
				return resp, err
			}
			drop(resp)
			if req.GetBody != nil {
				if req.Body, err = req.GetBody(); err != nil {
					return nil, err
				}
			}
			if !timer {
				if err := ctx.Err(); err != nil {
					return nil, err
				}
				continue
			}
			wait := time.NewTimer(backoffWait)
			select {
			case <-wait.C:
			case <-ctx.Done():
				wait.Stop()
				return nil, ctx.Err()
			}
		}
	}
}

// drop reads what a response still has, to a bound, so that its connection can be used again, and closes it.
func drop(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	_ = resp.Body.Close()
}
