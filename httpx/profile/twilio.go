package profile

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/ratelimit"
)

// twilioQueue is the wait where a queue of Twilio's is full. Its pages give none (an SMS may queue for ten hours); five
// minutes are ours, chosen to be longer than a client should sleep.
const twilioQueue = 5 * time.Minute

// Twilio is Twilio's REST API: Messages, Calls and the other products. All read on 2026-11-23.
//
//   - 429, code 20429: "never processed and is always safe to retry" (www.twilio.com/docs/api/errors/20429). The
//     standard rules do that. The size of the cap is not published, so MaxConcurrent is zero.
//   - 5xx: a retry of a create may text or call a person twice (docs/api/errors/20500), and 20503 does not say
//     "not processed" (docs/api/errors/20503). The standard rules hold back a POST.
//   - 21611, the queue of this From is full (docs/api/errors/21611): refused before it was queued. Its HTTP
//     status, 400, is from usage and not from a specification. The wait of five minutes is beyond the longest a
//     client sleeps by default (30 s), so the answer is returned at once, with that wait as its Retry-After. Not
//     Limited: another From is not full.
//   - 22005 and 10004, the queue of calls and the number of calls are full: with which HTTP status they come is
//     not verified. On a 4xx they are Limited, with the same wait.
//   - Retry-After on Messages and Calls: not verified, honoured if it is there.
//   - Idempotency: Messages and Calls take no key (twilio_api_v2010.json has none), so there a caller's own
//     Idempotency-Key makes no retry safe. I-Twilio-Idempotency-Token is a header Twilio sends, not one it takes.
//     The header is honoured by POST voice.twilio.com/v3/Transcriptions and POST
//     conversations.twilio.com/v2/ControlPlane/Configurations, the creates for which twilio-go v1.31.0 has it
//     (rest/voice/v3/transcriptions.go:31, rest/conversations/v2/control_plane_configurations.go:30), at an edge
//     and a region too (client/request_handler.go:38). Under any other host, a simulator's included, nothing is.
//   - Errors: code, message, more_info, status, or for the v1.0 services code, message, httpStatusCode
//     (client/error.go:10). Twilio-Request-Id was seen on a recorded answer.
//   - New calls are started at one a second and queue at Twilio beyond that (docs/voice/api/call-resource), where a
//     201 is not yet a call. So POSTs to Calls go out at one a second and wait on our side, where their callers can still
//     leave; set Rates to what Twilio has granted your account, or to nil to let Twilio queue.
func Twilio() httpx.Profile {
	return httpx.Profile{
		Vendor:            "twilio",
		Source:            "https://www.twilio.com/docs/api/errors/20429 (read 2026-11-23)",
		IdempotencyHeader: "Idempotency-Key",
		HonoursKey:        twilioHonoursKey,
		RequestIDHeader:   "Twilio-Request-Id",
		Rates: []httpx.Rate{{
			Name: "calls", Match: newTwilioCall, Limits: ratelimit.Limits{{Count: 1, Period: time.Second}},
		}},
		Classify: classifyTwilio,
		DecodeError: func(r httpx.Response) httpx.VendorError {
			return vendorError(text(find(r.Body, "code")), text(find(r.Body, "message")), r.Header.Get("Twilio-Request-Id"))
		},
	}
}

func classifyTwilio(r httpx.Response) (httpx.Verdict, bool) {
	if refused(r.Status) != errors.Rejected {
		return httpx.Verdict{}, false
	}
	switch text(find(r.Body, "code")) {
	case "21611":
		return httpx.Verdict{
			Delivery: errors.Rejected,
			Retry:    httpx.RetryAlways,
			Limited:  r.Status == http.StatusTooManyRequests,
			Wait:     twilioQueue,
			Reason:   "queue_full",
		}, true
	case "22005":
		return limited("call_queue_full", twilioQueue), true
	case "10004":
		return limited("call_concurrency", twilioQueue), true
	default:
		return httpx.Verdict{}, false
	}
}

// newTwilioCall goes by the path alone: a region, an edge or a simulator has another host.
func newTwilioCall(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL != nil && strings.HasSuffix(r.URL.Path, "/Calls.json")
}

// twilioHonoursKey goes by where the request is sent, not by its Host header.
func twilioHonoursKey(r *http.Request) bool {
	if r == nil || r.URL == nil || r.URL.Opaque != "" || r.Method != http.MethodPost {
		return false
	}
	switch twilioProduct(r.URL.Hostname()) {
	case "voice":
		return r.URL.Path == "/v3/Transcriptions"
	case "conversations":
		return r.URL.Path == "/v2/ControlPlane/Configurations"
	default:
		return false
	}
}

// twilioProduct returns the product of PRODUCT.twilio.com, PRODUCT.REGION.twilio.com and
// PRODUCT.EDGE.REGION.twilio.com, and "" for any other host.
func twilioProduct(host string) string {
	labels := strings.Split(strings.ToLower(host), ".")
	n := len(labels)
	if n < 3 || n > 5 || labels[n-2] != "twilio" || labels[n-1] != "com" || slices.Contains(labels, "") {
		return ""
	}
	return labels[0]
}
