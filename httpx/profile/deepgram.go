package profile

import (
	"cmp"
	"net/http"

	"github.com/prusik-go/prusik/httpx"
)

// Deepgram is api.deepgram.com. All read on 2026-11-23.
//
//   - 429: the limit is one of concurrent requests, by project and plan
//     (developers.deepgram.com/docs/working-with-concurrency-rate-limits): back off, and set
//     httpx.Config.MaxConcurrent to your plan's. A Retry-After is not verified, honoured if it is there.
//   - 5xx: by the standard rules a POST is held back. Transcribing twice would be harmless, and paid twice.
//   - Idempotency: no key found. A caller's own makes no retry safe.
//   - Errors: err_code, err_msg, request_id, or category, message, details, request_id
//     (developers.deepgram.com/reference/errors).
func Deepgram() httpx.Profile {
	return httpx.Profile{
		Vendor:     "deepgram",
		Source:     "https://developers.deepgram.com/docs/working-with-concurrency-rate-limits (read 2026-11-23)",
		HonoursKey: never,
		Classify: func(r httpx.Response) (httpx.Verdict, bool) {
			if r.Status != http.StatusTooManyRequests {
				return httpx.Verdict{}, false
			}
			return limited("concurrency", 0), true
		},
		DecodeError: func(r httpx.Response) httpx.VendorError {
			code := cmp.Or(text(find(r.Body, "err_code")), text(find(r.Body, "category")))
			message := cmp.Or(text(find(r.Body, "err_msg")), text(find(r.Body, "message")))
			return vendorError(code, message, text(find(r.Body, "request_id")))
		},
	}
}
