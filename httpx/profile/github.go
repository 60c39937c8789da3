package profile

import (
	"net/http"
	"time"

	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/internal/headers"
	"github.com/prusik-go/prusik/internal/retryafter"
)

// GitHub is api.github.com. All read on 2026-11-23 in docs.github.com, "Troubleshooting the REST API", and
// go-github github.go:1136-1157.
//
//   - A limit is a 403 or a 429. The wait is Retry-After (seconds) if it is there; else, where
//     X-RateLimit-Remaining is 0, until X-RateLimit-Reset (a Unix time in seconds); else a minute, to grow from
//     try to try. A 403 is a limit only by one of these headers or by "secondary rate limit" in its body; any other
//     is a refusal, for good.
//   - 5xx: by the standard rules a POST is held back.
//   - Idempotency: none. A caller's own key makes no retry safe.
//   - Errors: message; there is no code. That X-GitHub-Request-Id holds the id is not verified.
func GitHub() httpx.Profile {
	return httpx.Profile{
		Vendor:          "github",
		Source:          "https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api (read 2026-11-23)",
		HonoursKey:      never,
		RequestIDHeader: "X-Github-Request-Id",
		Limits: []httpx.LimitHeaders{{
			Remaining: "X-Ratelimit-Remaining",
			Reset:     "X-Ratelimit-Reset",
			Unit:      httpx.UnitEpochSeconds,
		}},
		Classify: classifyGitHub,
		DecodeError: func(r httpx.Response) httpx.VendorError {
			return vendorError("", text(find(r.Body, "message")), r.Header.Get("X-Github-Request-Id"))
		},
	}
}

func classifyGitHub(r httpx.Response) (httpx.Verdict, bool) {
	if r.Status != http.StatusForbidden && r.Status != http.StatusTooManyRequests {
		return httpx.Verdict{}, false
	}
	now := retryafter.SentAt(r.Header)
	if _, ok := headers.Wait(r.Header.Get("Retry-After"), headers.RetryAfter, now); ok {
		return limited("rate_limit", 0), true // the header says how long
	}
	if n, ok := headers.Int(r.Header, "X-Ratelimit-Remaining"); ok && n == 0 {
		wait, ok := headers.Wait(r.Header.Get("X-Ratelimit-Reset"), headers.EpochSeconds, now)
		if !ok {
			wait = time.Minute
		}
		return limited("rate_limit", wait), true
	}
	if r.Status == http.StatusTooManyRequests || says(string(r.Body), "secondary rate limit") {
		return limited("secondary_rate_limit", time.Minute), true
	}
	return httpx.Verdict{}, false
}
