package bench

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/failsafe-go/failsafe-go/ratelimiter"
	"github.com/failsafe-go/failsafe-go/timeout"
	"github.com/gojek/heimdall/v7"
	"github.com/gojek/heimdall/v7/httpclient"
	"github.com/gojek/heimdall/v7/hystrix"
	"github.com/hashicorp/go-retryablehttp"
	"resty.dev/v3"
)

// newFailsafeTwo leaves out what costs failsafehttp most: its timeout starts a goroutine for every attempt.
//
//nolint:bodyclose // no response here: a type argument
func newFailsafeTwo(base http.RoundTripper) (Do, error) {
	retry, breaker := failsafeRetry(), failsafeBreaker()
	return through(&http.Client{Transport: failsafehttp.NewRoundTripper(base, retry, breaker)}), nil
}

//nolint:bodyclose // no response here: a type argument
func newFailsafeFive(base http.RoundTripper) (Do, error) {
	return through(&http.Client{Transport: failsafehttp.NewRoundTripper(base,
		bulkhead.New[*http.Response](concurrency),
		failsafeRetry(),
		ratelimiter.NewBursty[*http.Response](perSecond, time.Second),
		failsafeBreaker(),
		timeout.New[*http.Response](attemptTimeout),
	)}), nil
}

// failsafeRetry gives up on an open breaker, which the library's own policy would retry, and returns the last
// response where it would return an error.
//
//nolint:bodyclose // no response here: a type argument
func failsafeRetry() failsafe.Policy[*http.Response] {
	return failsafehttp.NewRetryPolicyBuilder().
		WithMaxAttempts(maxAttempts).
		WithBackoff(backoffWait, 2*backoffWait).
		AbortOnErrors(circuitbreaker.ErrOpen).
		ReturnLastFailure().
		Build()
}

//nolint:bodyclose // no response here: a type argument
func failsafeBreaker() failsafe.Policy[*http.Response] {
	return circuitbreaker.NewBuilder[*http.Response]().
		HandleIf(func(resp *http.Response, err error) bool {
			return err != nil || resp != nil && resp.StatusCode >= http.StatusInternalServerError
		}).
		WithFailureThreshold(tripAfter).
		WithDelay(openFor).
		Build()
}

// newRetryable uses the library as its users with an http.Client do. Every request body is copied whole.
func newRetryable(base http.RoundTripper) (Do, error) {
	return through(retryable(base).StandardClient()), nil
}

// newRetryableNative uses the library's own request type, which can replay a byte slice without copying it.
func newRetryableNative(base http.RoundTripper) (Do, error) {
	client := retryable(base)
	return func(ctx context.Context, method, url string, body []byte) (*http.Response, error) {
		var raw any
		if body != nil {
			raw = body
		}
		req, err := retryablehttp.NewRequestWithContext(ctx, method, url, raw)
		if err != nil {
			return nil, err
		}
		if body != nil {
			req.Header.Set("Content-Type", "application/octet-stream")
		}
		return client.Do(req)
	}, nil
}

func retryable(base http.RoundTripper) *retryablehttp.Client {
	client := retryablehttp.NewClient()
	client.HTTPClient = &http.Client{Transport: base}
	client.Logger = nil
	client.RetryMax = maxAttempts - 1
	client.RetryWaitMin, client.RetryWaitMax = backoffWait, backoffWait
	client.ErrorHandler = retryablehttp.PassthroughErrorHandler
	return client
}

// heimdallWait is what the library's own backoffs cannot be: shorter than a millisecond.
func heimdallWait(int) time.Duration { return backoffWait }

func newHeimdall(base http.RoundTripper) (Do, error) {
	return doer(httpclient.NewClient(
		httpclient.WithHTTPClient(&http.Client{Transport: base}),
		httpclient.WithRetryCount(maxAttempts-1),
		httpclient.WithRetrier(heimdall.NewRetrierFunc(heimdallWait)),
	)), nil
}

// hystrixCommands numbers hystrix's commands, which are global to the process.
var hystrixCommands atomic.Int64 //nolint:gochecknoglobals // as hystrix's own

// newHeimdallHystrix trips at a failure rate of 100 %: the library has no other window, and every rate below
// 67 % would open on 503, 503, 200.
func newHeimdallHystrix(base http.RoundTripper) (Do, error) {
	return doer(hystrix.NewClient(
		hystrix.WithHTTPClient(&http.Client{Transport: base}),
		hystrix.WithCommandName(fmt.Sprint("bench-", hystrixCommands.Add(1))),
		hystrix.WithHystrixTimeout(attemptTimeout),
		hystrix.WithMaxConcurrentRequests(concurrency),
		hystrix.WithRequestVolumeThreshold(tripAfter),
		hystrix.WithErrorPercentThreshold(100),
		hystrix.WithSleepWindow(int(openFor/time.Millisecond)),
		hystrix.WithRetryCount(maxAttempts-1),
		hystrix.WithRetrier(heimdall.NewRetrierFunc(heimdallWait)),
	)), nil
}

func doer(client heimdall.Doer) Do {
	return func(ctx context.Context, method, url string, body []byte) (*http.Response, error) {
		req, err := newRequest(ctx, method, url, body)
		if err != nil {
			return nil, err
		}
		return client.Do(req)
	}
}

// newResty hands the body through unparsed, as the others do, and gives POST bodies as readers with their content
// type, which spares resty a copy and a look at the content.
func newResty(base http.RoundTripper) (Do, error) {
	client := resty.New().
		SetTransport(base).
		SetLogger(silent{}).
		SetResponseDoNotParse(true).
		SetRetryCount(maxAttempts - 1).
		SetRetryWaitTime(backoffWait).
		SetRetryMaxWaitTime(backoffWait).
		AddRetryConditions(resty.RetryConditionStatus5XX).
		SetCircuitBreaker(resty.NewCircuitBreakerRatio(1, tripAfter, openFor))
	return func(ctx context.Context, method, url string, body []byte) (*http.Response, error) {
		req := client.R().SetContext(ctx)
		if body != nil {
			req.SetContentType("application/octet-stream").SetBody(bytes.NewReader(body))
		}
		res, err := req.Execute(method, url)
		if err != nil {
			return nil, err
		}
		res.RawResponse.Body = res.Body
		return res.RawResponse, nil
	}, nil
}

type silent struct{}

func (silent) Errorf(string, ...any) {}
func (silent) Warnf(string, ...any)  {}
func (silent) Debugf(string, ...any) {}
