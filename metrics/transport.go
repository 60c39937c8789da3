package metrics

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/internal/answer"
)

// Transport counts what is sent through next as calls of the client called service (see [Metrics.Client] for what is a
// name): one attempt each, ended by the response's headers. It has no policies, and so no resilience_policy_info: that is
// how traffic without a breaker is told. Do not put it around an httpx client, which counts by itself. A nil next is
// [http.DefaultTransport].
//
// Request, response and error are passed on as they are, and CloseIdleConnections is forwarded. A panic of next is counted
// as an attempt of reason "panic" and goes on.
func (m *Metrics) Transport(service string, next http.RoundTripper) (http.RoundTripper, error) {
	if next == nil {
		next = http.DefaultTransport
	}
	t := &transport{next: next}
	var err error
	t.client, err = m.Client(service, ClientConfig{InFlight: func() int { return int(t.inFlight.Load()) }})
	if err != nil {
		return nil, err
	}
	return t, nil
}

type transport struct {
	client   *Client
	next     http.RoundTripper
	inFlight atomic.Int64
}

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	t.inFlight.Add(1)
	start := time.Now()
	call := Call{Method: req.Method, Kind: errors.Internal, Attempts: 1}
	attempt := Attempt{Reason: "panic"} // both stand unless next returns
	defer func() {
		defer t.inFlight.Add(-1)
		call.Duration = time.Since(start)
		call.TraceID = t.client.Trace(req.Context())
		attempt.Duration, attempt.TraceID = call.Duration, call.TraceID
		t.client.Attempted(attempt)
		t.client.Ended(call)
	}()
	resp, err := t.next.RoundTrip(req)
	switch {
	case err != nil:
		call.Kind, attempt.Reason, attempt.Delivery = failure(req.Context(), err)
	case resp == nil:
		call.Kind, attempt.Reason = errors.VendorBadResponse, "malformed"
	case resp.StatusCode < 400:
		call.Kind, attempt.Reason, attempt.Delivery = "", "", errors.Delivered
	default:
		call.Kind, attempt.Reason = answer.Kind(resp.StatusCode), answer.Reason(resp.StatusCode)
		attempt.Delivery = answer.Delivery(resp.StatusCode)
		if resp.StatusCode == http.StatusTooManyRequests {
			call.Kind = errors.VendorRateLimited
		}
	}
	return resp, err
}

// failure is what an error of a transport says: little, where it is not one of ours.
func failure(ctx context.Context, err error) (errors.Kind, string, errors.Delivery) {
	if e, ok := errors.AsType[*errors.Error](err); ok {
		return errors.KindOf(e), string(errors.KindOf(e)), e.Delivery
	}
	timeout, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return errors.Canceled, "canceled", errors.Unknown
	case errors.Is(err, context.DeadlineExceeded), ok && timeout.Timeout():
		return errors.VendorTimeout, "timeout", errors.Unknown
	default:
		return errors.VendorBadResponse, "transport", errors.Unknown
	}
}

// CloseIdleConnections serves http.Client, which looks for it by type assertion.
func (t *transport) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
