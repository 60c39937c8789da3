package profile

import (
	"net/http"
	"strings"

	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/internal/headers"
	"github.com/prusik-go/prusik/internal/retryafter"
)

// SendGrid is api.sendgrid.com, v3. All read on 2026-11-23 in
// www.twilio.com/docs/sendgrid/api-reference/how-to-use-the-sendgrid-v3-api/rate-limits.
//
//   - 429: no request to that endpoint passes until X-RateLimit-Reset, a Unix time in seconds. The header is on
//     every answer, so it is the wait of a 429 and of nothing else. No Retry-After is documented.
//   - 5xx: by the standard rules a POST is held back, a repeat could send the mail twice.
//   - Idempotency: no key found. A caller's own makes no retry safe.
//   - Errors: errors[].message and errors[].field, which become the Message; there is no code. The page's own
//     sample is not valid JSON (a comma too many) and is read all the same.
func SendGrid() httpx.Profile {
	return httpx.Profile{
		Vendor:     "sendgrid",
		Source:     "https://www.twilio.com/docs/sendgrid/api-reference/how-to-use-the-sendgrid-v3-api/rate-limits (read 2026-11-23)",
		HonoursKey: never,
		Limits: []httpx.LimitHeaders{{
			Remaining: "X-Ratelimit-Remaining",
			Reset:     "X-Ratelimit-Reset",
			Unit:      httpx.UnitEpochSeconds,
		}},
		Classify: func(r httpx.Response) (httpx.Verdict, bool) {
			if r.Status != http.StatusTooManyRequests {
				return httpx.Verdict{}, false
			}
			wait, _ := headers.Wait(r.Header.Get("X-Ratelimit-Reset"), headers.EpochSeconds, retryafter.SentAt(r.Header))
			return limited("", wait), true
		},
		DecodeError: func(r httpx.Response) httpx.VendorError {
			var parts []string
			for _, e := range list(r.Body, "errors") {
				s := text(find(e, "message"))
				if field := text(find(e, "field")); field != "" && s != "" {
					s = field + ": " + s
				}
				if s != "" {
					parts = append(parts, s)
				}
			}
			return vendorError("", strings.Join(parts, "; "), "")
		},
	}
}
