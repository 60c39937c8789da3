package httpx

import (
	"fmt"
	"net/http"
	"time"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx/internal/headers"
	"github.com/prusik-go/prusik/internal/check"
	"github.com/prusik-go/prusik/ratelimit"
)

// Profile is what is known of a vendor: data, and a few pure functions over its answers. The zero value is an
// unknown vendor, for which the rules of RFC 9110 hold. Ready ones are in package httpx/profile.
type Profile struct {
	// Vendor is the vendor's name, for [Transport.Explain]. Source is the page its facts were read on.
	Vendor, Source string

	// IdempotencyHeader is the header under which the vendor takes an idempotency key, such as "Idempotency-Key".
	// The caller's key is looked for under it, and under "Idempotency-Key" where it is empty. Where it is set, a request
	// that is not idempotent by its method gets a key of ours, one for all its attempts, unless the caller has put one
	// there.
	IdempotencyHeader string
	// HonoursKey reports whether the vendor honours a key on this route. Where it does not, a key on the request
	// (the caller's included) makes no retry safe. Nil means it does on every route.
	HonoursKey func(r *http.Request) bool

	// RequestIDHeader is the response header with the vendor's own id of the request, for [errors.Error.VendorRequestID]
	// where DecodeError finds none.
	RequestIDHeader string

	// MaxConcurrent is the vendor's documented concurrency, used as the bulkhead's size where Config.MaxConcurrent
	// is zero. Zero: not known.
	MaxConcurrent int

	// Rates are rates the vendor documents. Each becomes a limiter of the client: an attempt waits for its turn, as long as
	// its call has time, and is refused where that is not enough. Nil them for an account that may do more.
	Rates []Rate

	// RetryAfter are headers with a wait, tried in order before the standard Retry-After.
	RetryAfter []WaitHeader
	// Limits are the sets of rate limit headers the vendor sends.
	Limits []LimitHeaders

	// InspectBody lists the statuses below 400 whose JSON body [Profile.Classify] needs to see.
	InspectBody []int
	// Classify decides what an answer means. False leaves it to the standard rules. It must not keep r.Body.
	Classify func(r Response) (Verdict, bool)
	// DecodeError reads the vendor's error body. It must not keep r.Body.
	DecodeError func(r Response) VendorError
}

// check reports what is wrong with the profile. A rate is checked by making its limiter.
func (p *Profile) check(f *check.Faults) {
	if p.IdempotencyHeader != "" {
		f.Header("Profile.IdempotencyHeader", p.IdempotencyHeader)
	}
	if p.RequestIDHeader != "" {
		f.Header("Profile.RequestIDHeader", p.RequestIDHeader)
	}
	if p.MaxConcurrent < 0 {
		f.Add("Profile.MaxConcurrent", p.MaxConcurrent, "0 or more; Config.MaxConcurrent turns it off")
	}
	for i, w := range p.RetryAfter {
		field := fmt.Sprintf("Profile.RetryAfter[%d]", i)
		f.Header(field+".Name", w.Name)
		check.Range(f, field+".Unit", w.Unit, UnitRetryAfter, UnitDuration)
	}
	for i, l := range p.Limits {
		field := fmt.Sprintf("Profile.Limits[%d]", i)
		f.Header(field+".Remaining", l.Remaining)
		f.Header(field+".Reset", l.Reset)
		check.Range(f, field+".Unit", l.Unit, UnitRetryAfter, UnitDuration)
	}
	for i, status := range p.InspectBody {
		check.Range(f, fmt.Sprintf("Profile.InspectBody[%d]", i), status, 200, 399)
	}
	if len(p.InspectBody) > 0 && p.Classify == nil {
		f.Add("Profile.InspectBody", p.InspectBody, "none where Classify is nil: nobody would look")
	}
}

// Rate is a rate of a vendor's for some of its routes.
type Rate struct {
	// Name is a short label, such as "calls": part of the limiter's name, and of [Transport.Explain].
	Name string
	// Match says which requests count. Nil: all.
	Match func(r *http.Request) bool
	// Limits are the rate.
	Limits ratelimit.Limits
}

// Unit is the unit of a header that holds a wait or a point in time.
type Unit = headers.Unit

// The units vendors use.
const (
	UnitRetryAfter   = headers.RetryAfter   // RFC 9110: whole seconds, or an HTTP-date, by the Date of the answer
	UnitSeconds      = headers.Seconds      // seconds from now, a fraction allowed
	UnitMilliseconds = headers.Milliseconds // milliseconds from now, a fraction allowed
	UnitEpochSeconds = headers.EpochSeconds // a Unix time in seconds, by the Date of the answer
	UnitDuration     = headers.GoDuration   // "1s", "6m0s"
)

// WaitHeader names a response header that holds a wait, and its unit.
type WaitHeader = headers.WaitHeader

// LimitHeaders names one set of rate limit headers. Reset says when the quota is whole again, in Unit.
type LimitHeaders struct {
	Remaining, Reset string
	Unit             Unit
}

// Response is what a Profile sees of an answer. Body is up to Config.MaxErrorBody of it for statuses from 400 on and
// for those in [Profile.InspectBody], and nil otherwise.
type Response struct {
	Request *http.Request
	Status  int
	Header  http.Header
	Body    []byte
}

// Rule says whether an answer may be retried.
type Rule uint8

// The rules.
const (
	RetryByDelivery Rule = iota // what Delivery and the method allow; a Rejected answer is retried only where Limited
	RetryAlways                 // the vendor says the request was not processed, or asks for the retry
	RetryNever                  // it would fail the same way, or the vendor forbids it
)

// Verdict is what an answer means.
type Verdict struct {
	// Delivery is what is known of the request at the vendor.
	Delivery errors.Delivery
	// Retry says whether it may be retried. RetryAlways with a Delivery of Unknown still holds back a request that
	// is neither idempotent nor keyed: nothing overrules the rule that a person is not texted twice.
	Retry Rule
	// Limited marks the vendor's rate or concurrency limit: the limiter hears it, the breaker ignores it.
	Limited bool
	// Wait is how long to wait at least where no header says it.
	Wait time.Duration
	// Reason is a short label of bounded cardinality for metrics and events, such as "concurrency". Empty: the status.
	Reason string
}

// VendorError is a vendor's own account of an error.
type VendorError struct {
	Code, Message, RequestID string
}
