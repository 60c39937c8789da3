package errors

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Error is the error of every Prusik package. Build it as a literal; treat it as read-only once returned.
type Error struct {
	Kind Kind
	// Op is what was done, without anything secret: "POST api.twilio.com". Never a path, a query or a body.
	Op string
	// Service is the name the client, breaker or limiter was made with.
	Service string
	// Public is the sentence a client may read. Empty means the kind's own.
	Public string
	// Delivery is what is known of the request at the vendor.
	Delivery Delivery
	// Stop is why no further attempt was made.
	Stop Stop
	// Retry says when to come back, and how many attempts were made of how many.
	Retry Retry
	// CorrelationID is the id of the request, where there is one.
	CorrelationID string
	// VendorCode and VendorMessage are the vendor's own words, where its answer could be read. The message
	// may name people (phone numbers): it is in neither [Error.Error] nor a problem.
	VendorCode, VendorMessage string
	// VendorRequestID is the vendor's own id of the request, to name to its support.
	VendorRequestID string
	// Attempts are the attempts in order. Empty where none was made.
	Attempts []Attempt
	// Details are public members to add to the problem document, such as the limit that was exceeded.
	Details map[string]any
	// Err is the cause, or nil.
	Err error
}

// Attempt is the record of one attempt.
type Attempt struct {
	// Status is the HTTP status, or zero where no response came.
	Status int
	// Reason is a short label of bounded cardinality: "503", "timeout", "dial", "tls", "reset", "breaker_open".
	Reason string
	// Delivery is what is known of this attempt at the vendor.
	Delivery Delivery
	// Wait is the time slept before this attempt; Duration is the time to the response headers or the failure.
	Wait, Duration time.Duration
}

// Error says service, operation, kind, delivery, stop reason, attempts and cause, in that order. It holds
// neither the URL's path nor its query, no header and no body.
func (e *Error) Error() string {
	var b strings.Builder
	for _, part := range []string{e.Service, e.Op} {
		if part != "" {
			b.WriteString(part)
			b.WriteString(": ")
		}
	}
	b.WriteString(string(e.kind()))
	var notes []string
	if e.Stop != "" || len(e.Attempts) > 0 || e.Delivery != Unknown {
		notes = append(notes, "delivery "+e.Delivery.String())
	}
	if e.Stop != "" {
		notes = append(notes, "stopped by "+string(e.Stop))
	}
	if n := len(e.Attempts); n > 0 {
		of := strconv.Itoa(n)
		if e.Retry.MaxAttempts > 0 {
			of += " of " + strconv.Itoa(e.Retry.MaxAttempts)
		}
		notes = append(notes, "attempt "+of)
	}
	if e.VendorCode != "" {
		notes = append(notes, "vendor code "+e.VendorCode)
	}
	if e.Retry.After > 0 {
		notes = append(notes, "retry after "+e.Retry.After.Round(time.Millisecond).String())
	}
	if len(notes) > 0 {
		b.WriteString(" (")
		b.WriteString(strings.Join(notes, ", "))
		b.WriteString(")")
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

func (e *Error) kind() Kind { return e.Kind.kind() }

// kinded is what carries a kind: an [*Error] or a [Kind].
type kinded interface {
	error
	kind() Kind
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is matches a [Kind], and [context.DeadlineExceeded] and [context.Canceled] by the kinds that stand for them.
func (e *Error) Is(target error) bool {
	switch target { // Is compares with the target itself, it does not walk a tree
	case context.DeadlineExceeded:
		return e.Kind == VendorTimeout
	case context.Canceled:
		return e.Kind == Canceled
	}
	k, ok := target.(Kind)
	return ok && k == e.kind()
}

// Timeout reports whether time ran out; it makes an Error a [net.Error], as callers of net/http expect.
func (e *Error) Timeout() bool {
	if e.Kind == VendorTimeout {
		return true
	}
	t, ok := AsType[interface {
		error
		Timeout() bool
	}](e.Err)
	return ok && t.Timeout()
}

// Temporary completes [net.Error]. It reports whether a later try may succeed without a change on our side.
func (e *Error) Temporary() bool {
	switch e.Kind {
	case RateLimited, VendorRateLimited, CircuitOpen, Unavailable, VendorBadResponse, VendorTimeout:
		return e.Stop != StopPermanent
	default:
		return false
	}
}

// Fault is the side that has to change something, by kind.
func (e *Error) Fault() Fault { return e.kind().Fault() }

// LogValue renders the error as a group of attributes, without the vendor's message.
func (e *Error) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("kind", string(e.kind())), slog.String("delivery", e.Delivery.String())}
	add := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	add("service", e.Service)
	add("op", e.Op)
	add("stop", string(e.Stop))
	add("vendor_code", e.VendorCode)
	add("vendor_request_id", e.VendorRequestID)
	add("correlation_id", e.CorrelationID)
	if len(e.Attempts) > 0 {
		attrs = append(attrs, slog.Int("attempts", len(e.Attempts)))
	}
	if e.Retry.After > 0 {
		attrs = append(attrs, slog.Duration("retry_after", e.Retry.After))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String("cause", e.Err.Error()))
	}
	return slog.GroupValue(attrs...)
}

// KindOf returns the kind of the first [*Error] or [Kind] in err's tree, "" for nil. For others, [context.Canceled] is
// [Canceled], [context.DeadlineExceeded] is [Unavailable], [*http.MaxBytesError] is [Invalid] and the rest is [Internal].
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	if k, ok := AsType[kinded](err); ok {
		return k.kind()
	}
	if Is(err, context.Canceled) {
		return Canceled
	}
	if Is(err, context.DeadlineExceeded) {
		return Unavailable
	}
	if _, ok := AsType[*http.MaxBytesError](err); ok {
		return Invalid
	}
	return Internal
}

// RetryAfter returns the wait until a next try is worthwhile, and whether it is known.
func RetryAfter(err error) (time.Duration, bool) {
	if e, ok := AsType[*Error](err); ok && e.Retry.After > 0 {
		return e.Retry.After, true
	}
	return 0, false
}

// DeliveryOf says what is known of the request at the vendor: [Delivered] for nil, and [Unknown] for an error
// that does not say.
func DeliveryOf(err error) Delivery {
	if err == nil {
		return Delivered
	}
	if e, ok := AsType[*Error](err); ok {
		return e.Delivery
	}
	return Unknown
}

// StopOf returns why no further attempt was made, and "" where the error does not say.
func StopOf(err error) Stop {
	if e, ok := AsType[*Error](err); ok {
		return e.Stop
	}
	return ""
}
