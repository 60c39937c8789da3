package errors

import "net/http"

// Kind says what went wrong. The set is closed: each kind has one HTTP status, one [Fault] and one public
// sentence. A Kind is also a target for [Is].
type Kind string

// The kinds. The comment names the HTTP status a server of ours answers with, and whose fault it is.
const (
	Invalid           Kind = "invalid"             // 400, the caller's
	Unauthenticated   Kind = "unauthenticated"     // 401, the caller's
	Forbidden         Kind = "forbidden"           // 403, the caller's
	NotFound          Kind = "not_found"           // 404, the caller's
	Conflict          Kind = "conflict"            // 409, the caller's
	FeatureDisabled   Kind = "feature_disabled"    // 403, ours: a flag or a kill switch is off
	RateLimited       Kind = "rate_limited"        // 429, the caller's: over a limit of ours
	VendorRateLimited Kind = "vendor_rate_limited" // 503, ours: we are over a limit of the vendor's
	CircuitOpen       Kind = "circuit_open"        // 503, the vendor's
	Unavailable       Kind = "unavailable"         // 503, ours: no capacity left here
	VendorBadResponse Kind = "vendor_bad_response" // 502, the vendor's: unreachable, broken or a 5xx
	VendorTimeout     Kind = "vendor_timeout"      // 504, the vendor's
	Canceled          Kind = "canceled"            // 499, the caller's: it went away
	Internal          Kind = "internal"            // 500, ours
)

// StatusClientClosedRequest is the status of [Canceled]. It is nginx's; no RFC names one, and nobody is left
// to read it but the access log.
const StatusClientClosedRequest = 499

// Fault is the side that has to change something.
type Fault string

// The sides.
const (
	FaultCaller Fault = "caller" // who called us
	FaultUs     Fault = "us"     // this program, its configuration or its operators
	FaultVendor Fault = "vendor" // the service we call
)

type kindInfo struct {
	status int
	fault  Fault
	public string
}

// info is a switch, not a map: no package variable, nothing for a caller to change.
func (k Kind) info() kindInfo {
	switch k {
	case Invalid:
		return kindInfo{http.StatusBadRequest, FaultCaller, "The request is not valid."}
	case Unauthenticated:
		return kindInfo{http.StatusUnauthorized, FaultCaller, "Sign in to do this."}
	case Forbidden:
		return kindInfo{http.StatusForbidden, FaultCaller, "You are not allowed to do this."}
	case NotFound:
		return kindInfo{http.StatusNotFound, FaultCaller, "There is nothing here."}
	case Conflict:
		return kindInfo{http.StatusConflict, FaultCaller, "This conflicts with the current state."}
	case FeatureDisabled:
		return kindInfo{http.StatusForbidden, FaultUs, "This feature is switched off."}
	case RateLimited:
		return kindInfo{http.StatusTooManyRequests, FaultCaller, "Too many requests. Try again later."}
	case VendorRateLimited:
		return kindInfo{http.StatusServiceUnavailable, FaultUs, "A service we depend on asks us to slow down. Try again later."}
	case CircuitOpen:
		return kindInfo{http.StatusServiceUnavailable, FaultVendor, "A service we depend on is down. Try again later."}
	case Unavailable:
		return kindInfo{http.StatusServiceUnavailable, FaultUs, "We are busy right now. Try again later."}
	case VendorBadResponse:
		return kindInfo{http.StatusBadGateway, FaultVendor, "A service we depend on did not answer properly."}
	case VendorTimeout:
		return kindInfo{http.StatusGatewayTimeout, FaultVendor, "A service we depend on did not answer in time."}
	case Canceled:
		return kindInfo{StatusClientClosedRequest, FaultCaller, "The request was canceled."}
	default:
		return kindInfo{http.StatusInternalServerError, FaultUs, "Something went wrong on our side."}
	}
}

// Status is the HTTP status a server answers with for this kind. An unknown kind is [Internal].
func (k Kind) Status() int { return k.info().status }

// Fault is the side that has to change something.
func (k Kind) Fault() Fault { return k.info().fault }

// Public is the sentence a client may read. It holds nothing of the error itself.
func (k Kind) Public() string { return k.info().public }

// Error makes a Kind a target for [Is]; it returns the kind's name.
func (k Kind) Error() string { return string(k) }

// kind is k, and [Internal] where k is empty: an error is never no error.
func (k Kind) kind() Kind {
	if k == "" {
		return Internal
	}
	return k
}

// Kinds lists all kinds, for tables and tests.
func Kinds() []Kind {
	return []Kind{
		Invalid, Unauthenticated, Forbidden, NotFound, Conflict, FeatureDisabled, RateLimited, VendorRateLimited,
		CircuitOpen, Unavailable, VendorBadResponse, VendorTimeout, Canceled, Internal,
	}
}

// Delivery says what is known of a request at the vendor. It, and not the method alone, decides whether a
// request may be sent again. The zero value is [Unknown], the careful one.
type Delivery uint8

// What can be known.
const (
	Unknown   Delivery = iota // it may have been processed: a 5xx, a reset or a timeout after it was sent
	NotSent                   // it never left: refused here, or DNS, dial or TLS failed
	Rejected                  // it arrived and the vendor did not process it: a 429, another 4xx
	Delivered                 // it was processed: a 2xx or 3xx came back
)

// String returns "unknown", "not_sent", "rejected" or "delivered".
func (d Delivery) String() string {
	switch d {
	case NotSent:
		return "not_sent"
	case Rejected:
		return "rejected"
	case Delivered:
		return "delivered"
	default:
		return "unknown"
	}
}

// MarshalText renders [Delivery.String].
func (d Delivery) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what MarshalText wrote; anything else is [Unknown].
func (d *Delivery) UnmarshalText(b []byte) error {
	*d = Unknown
	for _, known := range []Delivery{NotSent, Rejected, Delivered} {
		if string(b) == known.String() {
			*d = known
		}
	}
	return nil
}

// Stop says why no further attempt was made. It is empty where the call succeeded or none was possible.
type Stop string

// The stop reasons. The set is closed.
const (
	StopExhausted         Stop = "exhausted"           // the attempts were used up
	StopBudget            Stop = "budget"              // the retry budget was empty: an outage is not multiplied
	StopDeadline          Stop = "deadline"            // the next wait, or attempt, did not fit the deadline
	StopUnsafeMethod      Stop = "unsafe_method"       // a retry might do it twice: not idempotent, no key
	StopBreakerOpen       Stop = "breaker_open"        // the circuit breaker refused
	StopRateLimited       Stop = "rate_limited"        // the outbound limiter refused, or the vendor asks for too long a wait
	StopBulkheadFull      Stop = "bulkhead_full"       // too many calls to this vendor are in flight
	StopPermanent         Stop = "permanent"           // it would fail the same way again
	StopBodyNotReplayable Stop = "body_not_replayable" // the request body cannot be sent a second time
	StopCanceled          Stop = "canceled"            // the caller went away
)

// Stops lists all stop reasons, for tables and tests.
func Stops() []Stop {
	return []Stop{
		StopExhausted, StopBudget, StopDeadline, StopUnsafeMethod, StopBreakerOpen, StopRateLimited,
		StopBulkheadFull, StopPermanent, StopBodyNotReplayable, StopCanceled,
	}
}
