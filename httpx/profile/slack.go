package profile

import (
	"net/http"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx"
)

// Slack is slack.com/api, the Web API. All read on 2026-11-23.
//
//   - An error is an HTTP 200 with {"ok":false,"error":"..."}. "ratelimited" was not processed, and is Limited; the
//     others fail the same way again and are not retried.
//   - Of those, fatal_error and internal_error leave it open: "It's possible some aspect of the operation
//     succeeded before the error was raised" (the list of common errors on each method's page, read in the copy
//     at hexdocs.pm/slack_kit). They are Unknown, not Rejected.
//   - 429 with a Retry-After in seconds, about one message a second and channel (docs.slack.dev, rate limits):
//     the standard rules.
//   - 5xx have HTML bodies (slack-go misc.go:504-517). By the standard rules a POST is held back.
//   - Idempotency: no key found for chat.postMessage. A caller's own makes no retry safe.
func Slack() httpx.Profile {
	return httpx.Profile{
		Vendor:      "slack",
		Source:      "https://docs.slack.dev, rate limits (read 2026-11-23)",
		HonoursKey:  never,
		InspectBody: []int{http.StatusOK},
		Classify:    classifySlack,
		DecodeError: func(r httpx.Response) httpx.VendorError {
			return vendorError(text(find(r.Body, "error")), "", "")
		},
	}
}

func classifySlack(r httpx.Response) (httpx.Verdict, bool) {
	if r.Status != http.StatusOK || string(find(r.Body, "ok")) != "false" {
		return httpx.Verdict{}, false
	}
	switch text(find(r.Body, "error")) {
	case "ratelimited":
		return limited("ratelimited", 0), true
	case "fatal_error", "internal_error":
		return httpx.Verdict{Delivery: errors.Unknown, Retry: httpx.RetryNever, Reason: "internal_error"}, true
	default:
		return httpx.Verdict{Delivery: errors.Rejected, Retry: httpx.RetryNever, Reason: "not_ok"}, true
	}
}
