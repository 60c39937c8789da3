package profile

import (
	"net/http"
	"time"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx"
)

// vapiCall is about as long as a call takes until its place is free again. Vapi gives no number; it is ours.
const vapiCall = 2 * time.Minute

// Vapi is api.vapi.ai. All read on 2026-11-23; files are those of github.com/VapiAI/docs at eabfa530.
//
//   - Idempotency: none, the specification (fern/apis/api/openapi.json) has no such parameter. A key, the caller's
//     too, makes no retry of POST /call safe: it could dial a person twice.
//   - The limit of concurrent calls, ten by default (fern/calls/call-concurrency.mdx), is not reliably a 429. It is
//     documented as subscriptionLimits.concurrencyBlocked in the body of a 201, and as a call that was made and has ended
//     for it (endedReason): both are Limited, so that the limiter hears of it, and never retried, for the call (or, of a
//     batch, a part of them) is made. They carry no wait: a place may be free at once. A call that ends for it later
//     says so in a webhook or in GET /call, which this profile does not look at: the list has those of last week too.
//   - A 400 that says "Over Concurrency Limit" (VapiAI/docs PR 110; whether it is still sent is not verified) was
//     not processed. Its wait of two minutes, about a call's length, is beyond the longest a client sleeps by default
//     (30 s): the answer is returned at once, with that wait as its Retry-After.
//   - A 429 is not in the specification, and neither is Retry-After: not verified, read by the standard rules.
//   - 500 is a "System failure (database, queue, or internal infra)": the standard rules hold back a POST.
//   - MaxConcurrent bounds requests in flight. The vendor counts calls, which outlive their request.
//   - Errors: message (a string or a list of them), error, statusCode (a live sample, abracadabra50/
//     claude-code-voice-skill issue 1); those of 401, 5xx and of Cloudflare in front are not verified. Code is
//     the member error. There is no request id; RequestID is the id of the call where there is one.
//
// Vapi's own SDK retries POST /call: turn that off (option.WithMaxAttempts(1)).
func Vapi() httpx.Profile {
	return httpx.Profile{
		Vendor:        "vapi",
		Source:        "https://github.com/VapiAI/docs fern/calls/call-concurrency.mdx (read 2026-11-23)",
		HonoursKey:    never,
		MaxConcurrent: 10,
		InspectBody:   []int{http.StatusCreated},
		Classify:      classifyVapi,
		DecodeError: func(r httpx.Response) httpx.VendorError {
			return vendorError(text(find(r.Body, "error")), texts(find(r.Body, "message")), text(find(r.Body, "id")))
		},
	}
}

func classifyVapi(r httpx.Response) (httpx.Verdict, bool) {
	switch r.Status {
	case http.StatusCreated:
		const ended = "call.start.error-subscription-concurrency-limit-reached"
		if string(find(r.Body, "subscriptionLimits", "concurrencyBlocked")) != "true" && text(find(r.Body, "endedReason")) != ended {
			return httpx.Verdict{}, false
		}
		return httpx.Verdict{Delivery: errors.Delivered, Retry: httpx.RetryNever, Limited: true, Reason: "concurrency"}, true
	case http.StatusBadRequest:
		const phrase = "over concurrency limit"
		if !says(text(find(r.Body, "error")), phrase) && !says(texts(find(r.Body, "message")), phrase) {
			return httpx.Verdict{}, false
		}
		v := limited("concurrency", vapiCall)
		v.Retry = httpx.RetryAlways
		return v, true
	default:
		return httpx.Verdict{}, false
	}
}
