package profile

import (
	"net/http"

	"github.com/prusik-go/prusik/httpx"
)

// ElevenLabs is api.elevenlabs.io. All read on 2026-11-23 in help.elevenlabs.io article 19571824571921 and
// elevenlabs.io/blog/ai-rate-limiting-for-voice.
//
//   - 429 with too_many_concurrent_requests is the plan's limit of requests at once, with system_busy the vendor's
//     own load. Both were not processed, and are Limited. That the status stands in detail.status is from third
//     parties, not verified: a 429 without it follows the standard rules.
//   - current-concurrent-requests and maximum-concurrent-requests tell the plan's limit. They are a number in use
//     and its maximum, which httpx.LimitHeaders cannot say; set httpx.Config.MaxConcurrent to your plan's.
//   - 5xx: by the standard rules a POST is held back; a repeat is paid twice.
//   - Idempotency: no key found. A caller's own makes no retry safe.
//   - Errors: detail.status and detail.message (not verified), or a detail that is a plain string.
func ElevenLabs() httpx.Profile {
	return httpx.Profile{
		Vendor:     "elevenlabs",
		Source:     "https://help.elevenlabs.io article 19571824571921 (read 2026-11-23)",
		HonoursKey: never,
		Classify: func(r httpx.Response) (httpx.Verdict, bool) {
			if r.Status != http.StatusTooManyRequests {
				return httpx.Verdict{}, false
			}
			switch text(find(r.Body, "detail", "status")) {
			case "too_many_concurrent_requests":
				return limited("concurrency", 0), true
			case "system_busy":
				return limited("system_busy", 0), true
			default:
				return httpx.Verdict{}, false
			}
		},
		DecodeError: func(r httpx.Response) httpx.VendorError {
			message := text(find(r.Body, "detail", "message"))
			if message == "" {
				message = text(find(r.Body, "detail"))
			}
			return vendorError(text(find(r.Body, "detail", "status")), message, "")
		},
	}
}
