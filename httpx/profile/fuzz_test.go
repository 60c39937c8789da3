package profile_test

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx"
)

// reasons are the labels a profile may use: they become metric labels, so the set is closed.
var reasons = []string{
	"", "queue_full", "call_queue_full", "call_concurrency", "concurrency", "insufficient_quota", "ratelimited", "internal_error",
	"not_ok", "rate_limit", "secondary_rate_limit", "system_busy",
}

// fuzz asserts what must hold of a profile for any answer. Headers are given as lines of "Name: value".
func fuzz(f *testing.F, vendor string, seeds ...string) {
	p := byName(f, vendor)
	seeds = append(seeds, "", "{}", "null", "<html>", `{"code":`, `{"a":"\ud800"}`, "\xff\xfe", `{"message":["a",["b"],1e999]}`)
	for _, body := range seeds {
		for _, status := range []int{0, 200, 201, 400, 403, 408, 409, 429, 500, 503} {
			f.Add(status, "", []byte(body))
			f.Add(status, "Date: Mon, 23 Nov 2026 12:00:00 GMT\nX-RateLimit-Remaining: 0\nX-RateLimit-Reset: 1795435800", []byte(body))
		}
	}
	f.Add(429, "Retry-After: 99999999999999999999\nX-RateLimit-Reset: 99999999999999999999\nX-RateLimit-Remaining: 0", []byte("{}"))
	f.Add(500, "Stripe-Should-Retry: true\nX-Should-Retry: true", []byte("{}"))
	f.Add(409, "Stripe-Should-Retry: FALSE\nX-Should-Retry: False", []byte("{}"))
	f.Add(400, "Twilio-Request-Id: \xff\nRequest-Id: \x00\nX-Request-Id: "+strings.Repeat("é", 99), []byte("{}"))
	f.Fuzz(func(t *testing.T, status int, lines string, body []byte) {
		h := http.Header{}
		for l := range strings.SplitSeq(lines, "\n") {
			if name, value, ok := strings.Cut(l, ":"); ok {
				h.Add(name, strings.TrimSpace(value))
			}
		}
		h.Add("Date", "Mon, 23 Nov 2026 12:00:00 GMT")
		r := httpx.Response{Status: status, Header: h, Body: bytes.Clone(body)}

		v, ok := p.Classify(r)
		e := p.DecodeError(r)
		require.True(t, bytes.Equal(body, r.Body), "the body is only read")

		// Kept nothing: the caller reuses the body's memory.
		before := strings.Clone(e.Code + "|" + e.Message + "|" + e.RequestID + "|" + v.Reason)
		for i := range r.Body {
			r.Body[i] = '#'
		}
		require.Equal(t, before, e.Code+"|"+e.Message+"|"+e.RequestID+"|"+v.Reason)
		requireBounded(t, e)

		if !ok {
			require.Zero(t, v)
			return
		}
		if status < 400 {
			require.Contains(t, p.InspectBody, status)
		}
		if v.Delivery == errors.Delivered {
			require.Less(t, status, 400)
			require.Equal(t, httpx.RetryNever, v.Retry)
		}
		require.NotEqual(t, errors.NotSent, v.Delivery, "an answer came")
		if status >= 500 || status == http.StatusRequestTimeout {
			require.Equal(t, errors.Unknown, v.Delivery, "may have been processed")
			require.False(t, v.Limited)
		}
		if v.Delivery == errors.Unknown && v.Retry == httpx.RetryAlways {
			says := h.Get("Stripe-Should-Retry") + h.Get("X-Should-Retry")
			require.Contains(t, strings.ToLower(says), "true", "only the vendor's own word")
		}
		if status == http.StatusTooManyRequests {
			require.Equal(t, errors.Rejected, v.Delivery)
			require.True(t, v.Limited || v.Reason == "insufficient_quota")
		}
		require.GreaterOrEqual(t, v.Wait, time.Duration(0))
		require.True(t, slices.Contains(reasons, v.Reason), "%q", v.Reason)
		r.Body = bytes.Clone(body)
		again, _ := p.Classify(r)
		if _, err := http.ParseTime(h.Get("Date")); err == nil {
			require.Equal(t, v, again)
		}
	})
}

func FuzzTwilio(f *testing.F) {
	fuzz(f, "twilio", `{"code":20429,"message":"Too Many Requests","more_info":"x","status":429}`, `{"code":21611}`, `{"code":"22005"}`,
		`{"code":10004,"httpStatusCode":400,"params":{},"userError":true}`, `{"code":2161`)
}

func FuzzVapi(f *testing.F) {
	fuzz(f, "vapi", `{"id":"c","subscriptionLimits":{"concurrencyBlocked":true}}`, `{"error":"Over Concurrency Limit"}`,
		`{"message":["Over concurrency limit"],"error":"Bad Request","statusCode":400}`)
}

func FuzzStripe(f *testing.F) {
	fuzz(f, "stripe", `{"error":{"type":"card_error","code":"card_declined","message":"m","param":"p"}}`, `{"error":"x"}`)
}

func FuzzOpenAI(f *testing.F) {
	fuzz(f, "openai", `{"error":{"message":"m","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}`, `{"error":[]}`)
}

func FuzzSendGrid(f *testing.F) {
	fuzz(f, "sendgrid", `{"errors":[{"field":null,"message":"too many requests"},]}`, `{"errors":[{"field":"a","message":"b"},1]}`)
}

func FuzzSlack(f *testing.F) {
	fuzz(f, "slack", `{"ok":false,"error":"ratelimited"}`, `{"ok":false,"error":"fatal_error"}`, `{"ok":true}`, `{"error":1,"ok":false}`)
}

func FuzzGitHub(f *testing.F) {
	fuzz(f, "github", `{"message":"You have exceeded a secondary rate limit","documentation_url":"u"}`, `{"message":1}`)
}

func FuzzDeepgram(f *testing.F) {
	fuzz(f, "deepgram", `{"err_code":"a","err_msg":"b","request_id":"c"}`, `{"category":"a","message":"b","details":"c","request_id":"d"}`)
}

func FuzzElevenLabs(f *testing.F) {
	fuzz(f, "elevenlabs", `{"detail":{"status":"system_busy","message":"m"}}`, `{"detail":{"status":"too_many_concurrent_requests"}}`,
		`{"detail":"text"}`, `{"detail":[{"msg":"m"}]}`)
}
