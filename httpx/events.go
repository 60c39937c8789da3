package httpx

import (
	"context"
	"encoding/json"
	"time"

	"github.com/prusik-go/prusik/errors"
)

// Status is what an [Event] reports.
type Status string

// The statuses. A call reports any number of the first three and ends with one of the others; circuit_open and
// rate_limited are followed by failed, unless an earlier attempt's answer is returned as it is.
const (
	StatusAttempt     Status = "attempt"      // an attempt is about to be sent
	StatusRetrying    Status = "retrying"     // an attempt failed, another follows after NextRetryIn
	StatusCircuitOpen Status = "circuit_open" // the breaker refused an attempt
	StatusRateLimited Status = "rate_limited" // the limiter refused an attempt, or the vendor's limit ended the call
	StatusSucceeded   Status = "succeeded"    // the call ended well
	StatusFailed      Status = "failed"       // the call ended, and not well; Stop says why no attempt followed
)

// Event is one step of a call. It holds no URL, header, body or credential.
type Event struct {
	Status        Status
	Service       string
	CorrelationID string
	// Attempt is the attempt this is about, from 1: for retrying the one that follows. Zero where none was made.
	Attempt, MaxAttempts int
	// NextRetryIn is the wait before the attempt of a retrying event. On circuit_open, rate_limited and failed it is
	// the wait until a new call is worthwhile, where that is known.
	NextRetryIn time.Duration
	// Reason is why the attempt before failed, as in [errors.Attempt].
	Reason string
	// HTTPStatus is the status of the attempt's answer, zero where there was none.
	HTTPStatus int
	// Delivery and Stop are set on events that end a call, and Delivery on retrying too.
	Delivery errors.Delivery
	Stop     errors.Stop
}

// MarshalJSON renders the object a front end shows, such as
// {"status":"retrying","attempt":2,"max_attempts":3,"next_retry_in_seconds":5}, and the other members where they say
// something. Seconds are rounded up, as in [errors.Retry].
func (e Event) MarshalJSON() ([]byte, error) {
	w := struct {
		Status        Status      `json:"status"`
		Attempt       int         `json:"attempt"`
		MaxAttempts   int         `json:"max_attempts"`
		Next          *int64      `json:"next_retry_in_seconds,omitempty"`
		Service       string      `json:"service,omitempty"`
		CorrelationID string      `json:"correlation_id,omitempty"`
		Reason        string      `json:"reason,omitempty"`
		HTTPStatus    int         `json:"http_status,omitempty"`
		Delivery      string      `json:"delivery,omitempty"`
		Stop          errors.Stop `json:"stop,omitempty"`
	}{
		Status: e.Status, Attempt: e.Attempt, MaxAttempts: e.MaxAttempts, Service: e.Service,
		CorrelationID: e.CorrelationID, Reason: e.Reason, HTTPStatus: e.HTTPStatus, Stop: e.Stop,
	}
	if e.NextRetryIn > 0 || e.Status == StatusRetrying {
		s := errors.Retry{After: e.NextRetryIn}.Seconds()
		w.Next = &s
	}
	if e.Status == StatusSucceeded || e.Status == StatusFailed {
		w.Delivery = e.Delivery.String()
	}
	return json.Marshal(w)
}

// AttemptEvent is the record of one attempt, at its response headers or its failure.
type AttemptEvent struct {
	Service, CorrelationID, Method, Host string
	Number                               int
	errors.Attempt
}

// CallEvent is the record of one call, when its response body has ended or there is none to come.
type CallEvent struct {
	Service, CorrelationID, Method, Host string
	// Status is the status of the answer the caller got, zero where it got an error.
	Status int
	// Err is the error the caller got, or nil.
	Err *errors.Error
	// Delivery, Stop and Reason say how the last attempt ended; Reason is empty where it succeeded.
	Delivery errors.Delivery
	Stop     errors.Stop
	Reason   string
	// Attempts is how many were sent, MaxAttempts how many could have been.
	Attempts, MaxAttempts int
	// ToHeaders is the time until the caller got its answer; Total the time until the body ended.
	ToHeaders, Total time.Duration
	// BodyBytes is how much of a streamed body was read. BodyErr is what ended it, or nil for EOF and Close. Both are
	// zero for an answer of 400 or above, whose body is handed on from memory.
	BodyBytes int64
	BodyErr   error
}

// Hooks are callbacks of a client. Each takes one event by value, is called synchronously on the goroutine of the call
// (OnCall on the one that ends the body) and in order per call, under no lock. Several calls run at once: a hook must be
// safe for concurrent use. It must not block, and a panic in it is the caller's. Nil ones are skipped and cost nothing.
type Hooks struct {
	// OnNew is called once, by [NewTransport] with the transport it is about to return: for what shows or measures clients.
	// [WithHooks] has no use for it.
	OnNew     func(*Transport)
	OnEvent   func(Event)
	OnAttempt func(AttemptEvent)
	OnCall    func(CallEvent)
}

type hooksKey struct{}

// WithHooks returns a context whose calls report to h, after Config.Hooks and the hooks that are already there. They are
// called like those ([Hooks]), for the calls made with this context only: what traces or records one request needs no
// client of its own. Without an OnCall or Logger in the client's Config, one here costs the call a look at the clock.
func WithHooks(ctx context.Context, h Hooks) context.Context {
	if earlier := hooksOf(ctx); earlier != nil {
		h.OnEvent = both(earlier.OnEvent, h.OnEvent)
		h.OnAttempt = both(earlier.OnAttempt, h.OnAttempt)
		h.OnCall = both(earlier.OnCall, h.OnCall)
	}
	return context.WithValue(ctx, hooksKey{}, &h)
}

// WithObserver is [WithHooks] with an OnEvent alone: the way to show one user the progress of one request.
func WithObserver(ctx context.Context, observe func(Event)) context.Context {
	if observe == nil {
		return ctx
	}
	return WithHooks(ctx, Hooks{OnEvent: observe})
}

func both[E any](first, second func(E)) func(E) {
	if first == nil || second == nil {
		if first == nil {
			return second
		}
		return first
	}
	return func(e E) {
		first(e)
		second(e)
	}
}

// hooksOf returns the hooks of ctx, or nil.
func hooksOf(ctx context.Context) *Hooks {
	h, _ := ctx.Value(hooksKey{}).(*Hooks)
	return h
}
