package profile

import (
	"cmp"
	"net/http"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx"
)

// Stripe is api.stripe.com. All read on 2026-11-23.
//
//   - Idempotency: Idempotency-Key on POST (docs.stripe.com/api/idempotent_requests). v1 replays the stored
//     answer of a key, a 500 included: retrying one is safe and brings the same 500.
//   - Stripe-Should-Retry, true or false, goes before everything else (stripe-go v86.2 stripe.go:1302-1380).
//   - 409 is retried with its key, as stripe-go does. It is Unknown: what it conflicts with may be the first try of
//     this request.
//   - A 429 without that header is not retried, as in stripe-go. It is Limited, so the limiter backs off.
//   - 5xx are retried, as in stripe-go, by the standard rules: every POST is keyed.
//   - Retry-After: not verified, honoured if it is there.
//   - Errors: error.code, else error.type, and error.message; the id is in Request-Id.
func Stripe() httpx.Profile {
	return httpx.Profile{
		Vendor:            "stripe",
		Source:            "https://docs.stripe.com/api/idempotent_requests (read 2026-11-23)",
		IdempotencyHeader: "Idempotency-Key",
		HonoursKey:        func(r *http.Request) bool { return r != nil && r.Method == http.MethodPost },
		RequestIDHeader:   "Request-Id",
		Classify:          classifyStripe,
		DecodeError: func(r httpx.Response) httpx.VendorError {
			code := cmp.Or(text(find(r.Body, "error", "code")), text(find(r.Body, "error", "type")))
			return vendorError(code, text(find(r.Body, "error", "message")), r.Header.Get("Request-Id"))
		},
	}
}

func classifyStripe(r httpx.Response) (httpx.Verdict, bool) {
	if r.Status < 400 {
		return httpx.Verdict{}, false
	}
	v := httpx.Verdict{Delivery: refused(r.Status), Limited: r.Status == http.StatusTooManyRequests}
	if r.Status == http.StatusConflict {
		v.Delivery = errors.Unknown
	}
	if rule, ok := asked(r.Header.Get("Stripe-Should-Retry")); ok {
		v.Retry = rule
		return v, true
	}
	switch r.Status {
	case http.StatusConflict:
		return v, true
	case http.StatusTooManyRequests:
		v.Retry = httpx.RetryNever
		return v, true
	default:
		return httpx.Verdict{}, false
	}
}
