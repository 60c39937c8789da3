package profile

import (
	"cmp"
	"net/http"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx"
)

// OpenAI is api.openai.com. All read on 2026-11-23.
//
//   - 429 with insufficient_quota is permanent, whatever else the answer says: it ends when somebody pays.
//   - x-should-retry, true or false, is the vendor's word on a retry (openai-go
//     internal/requestconfig/requestconfig.go, shouldRetry).
//   - 409 is retried where a repeat is harmless. What it leaves behind is not verified: it is Unknown.
//   - 5xx and 408: openai-go sends a POST again. Here it is not, for there is no idempotency key in that SDK and
//     a repeat is paid twice; not even x-should-retry changes that.
//   - Retry-After-Ms is in milliseconds and goes before Retry-After.
//   - x-ratelimit-reset-requests and -tokens are durations ("1s", "6m0s") until the quota is whole again, not until
//     the next request is let in: so they are limits, not waits.
//   - Errors: error.code, else error.type, and error.message (this shape is not verified); the id is in x-request-id.
func OpenAI() httpx.Profile {
	return httpx.Profile{
		Vendor:          "openai",
		Source:          "https://github.com/openai/openai-go internal/requestconfig/requestconfig.go (read 2026-11-23)",
		HonoursKey:      never,
		RequestIDHeader: "X-Request-Id",
		RetryAfter:      []httpx.WaitHeader{{Name: "Retry-After-Ms", Unit: httpx.UnitMilliseconds}},
		Limits: []httpx.LimitHeaders{
			{
				Remaining: "X-Ratelimit-Remaining-Requests",
				Reset:     "X-Ratelimit-Reset-Requests",
				Unit:      httpx.UnitDuration,
			},
			{
				Remaining: "X-Ratelimit-Remaining-Tokens",
				Reset:     "X-Ratelimit-Reset-Tokens",
				Unit:      httpx.UnitDuration,
			},
		},
		Classify: classifyOpenAI,
		DecodeError: func(r httpx.Response) httpx.VendorError {
			code := cmp.Or(text(find(r.Body, "error", "code")), text(find(r.Body, "error", "type")))
			return vendorError(code, text(find(r.Body, "error", "message")), r.Header.Get("X-Request-Id"))
		},
	}
}

func classifyOpenAI(r httpx.Response) (httpx.Verdict, bool) {
	if r.Status < 400 {
		return httpx.Verdict{}, false
	}
	const quota = "insufficient_quota"
	if r.Status == http.StatusTooManyRequests &&
		(text(find(r.Body, "error", "code")) == quota || text(find(r.Body, "error", "type")) == quota) {
		return httpx.Verdict{Delivery: errors.Rejected, Retry: httpx.RetryNever, Reason: quota}, true
	}
	v := httpx.Verdict{Delivery: refused(r.Status), Limited: r.Status == http.StatusTooManyRequests}
	if r.Status == http.StatusConflict {
		v.Delivery = errors.Unknown
	}
	rule, ok := asked(r.Header.Get("X-Should-Retry"))
	v.Retry = rule
	if !ok && r.Status != http.StatusConflict {
		return httpx.Verdict{}, false
	}
	return v, true
}
