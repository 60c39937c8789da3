package profile_test

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/profile"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func verdict(d errors.Delivery, rule httpx.Rule, limited bool) *httpx.Verdict {
	return &httpx.Verdict{Delivery: d, Retry: rule, Limited: limited}
}

func TestStripe(t *testing.T) {
	t.Parallel()
	yes, no, id := head("Stripe-Should-Retry: true"), head("Stripe-Should-Retry: false"), head("Request-Id: req_1")
	run(t, profile.Stripe(), map[string]answer{
		// stripe-go v86.2 stripe.go:1302-1380.
		"409":              {409, id, `{"error":{"type":"idempotency_error","message":"in use"}}`, verdict(errors.Unknown, httpx.RetryByDelivery, false), httpx.VendorError{Code: "idempotency_error", Message: "in use", RequestID: "req_1"}},
		"409 should not":   {409, no, "", verdict(errors.Unknown, httpx.RetryNever, false), httpx.VendorError{}},
		"409 should":       {409, yes, "", verdict(errors.Unknown, httpx.RetryAlways, false), httpx.VendorError{}},
		"429":              {429, nil, `{"error":{"type":"invalid_request_error","code":"rate_limit","message":"slow down"}}`, verdict(errors.Rejected, httpx.RetryNever, true), httpx.VendorError{Code: "rate_limit", Message: "slow down"}},
		"429 should":       {429, yes, "", verdict(errors.Rejected, httpx.RetryAlways, true), httpx.VendorError{}},
		"429 should not":   {429, no, "", verdict(errors.Rejected, httpx.RetryNever, true), httpx.VendorError{}},
		"429 perhaps":      {429, head("Stripe-Should-Retry: maybe"), "", verdict(errors.Rejected, httpx.RetryNever, true), httpx.VendorError{}},
		"400 should":       {400, yes, "", verdict(errors.Rejected, httpx.RetryAlways, false), httpx.VendorError{}},
		"500":              {500, nil, `{"error":{"type":"api_error"}}`, nil, httpx.VendorError{Code: "api_error"}},
		"500 should not":   {500, no, "", verdict(errors.Unknown, httpx.RetryNever, false), httpx.VendorError{}},
		"503 should":       {503, yes, "", verdict(errors.Unknown, httpx.RetryAlways, false), httpx.VendorError{}},
		"402":              {402, nil, `{"error":{"type":"card_error","code":"card_declined","message":"declined","param":""}}`, nil, httpx.VendorError{Code: "card_declined", Message: "declined"}},
		"200 should not":   {200, no, "{}", nil, httpx.VendorError{}},
		"wrong types":      {400, nil, `{"error":{"code":7,"type":[],"message":{}}}`, nil, httpx.VendorError{Code: "7"}},
		"error is a text":  {400, nil, `{"error":"invalid_grant","error_description":"x"}`, nil, httpx.VendorError{}},
		"cut off in error": {400, nil, `{"error":{"code":"card_declined","message":"decl`, nil, httpx.VendorError{Code: "card_declined"}},
	})
	p := profile.Stripe()
	require.Equal(t, "Idempotency-Key", p.IdempotencyHeader)
	// docs.stripe.com/api/idempotent_requests.
	require.True(t, p.HonoursKey(request(t, http.MethodPost, "https://api.stripe.com/v1/charges")))
	require.False(t, p.HonoursKey(request(t, http.MethodPatch, "https://api.stripe.com/v1/charges")))
}

func TestOpenAI(t *testing.T) {
	t.Parallel()
	yes, no := head("x-should-retry: true"), head("x-should-retry: false")
	quota := &httpx.Verdict{Delivery: errors.Rejected, Retry: httpx.RetryNever, Reason: "insufficient_quota"}
	run(t, profile.OpenAI(), map[string]answer{
		"429":                {429, head("x-request-id: req_1"), `{"error":{"message":"Rate limit reached","type":"requests","param":null,"code":"rate_limit_exceeded"}}`, nil, httpx.VendorError{Code: "rate_limit_exceeded", Message: "Rate limit reached", RequestID: "req_1"}},
		"429 quota":          {429, nil, `{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}`, quota, httpx.VendorError{Code: "insufficient_quota", Message: "You exceeded your current quota"}},
		"429 quota, by type": {429, nil, `{"error":{"type":"insufficient_quota","code":null}}`, quota, httpx.VendorError{Code: "insufficient_quota"}},
		"429 quota, asked":   {429, yes, `{"error":{"code":"insufficient_quota"}}`, quota, httpx.VendorError{Code: "insufficient_quota"}},
		"429 in the message": {429, nil, `{"error":{"message":"insufficient_quota"}}`, nil, httpx.VendorError{Message: "insufficient_quota"}},
		// openai-go internal/requestconfig/requestconfig.go, shouldRetry.
		"429 should not":          {429, no, "", verdict(errors.Rejected, httpx.RetryNever, true), httpx.VendorError{}},
		"429 should":              {429, yes, "", verdict(errors.Rejected, httpx.RetryAlways, true), httpx.VendorError{}},
		"400 should":              {400, yes, "", verdict(errors.Rejected, httpx.RetryAlways, false), httpx.VendorError{}},
		"500 should, still held":  {500, yes, "", verdict(errors.Unknown, httpx.RetryAlways, false), httpx.VendorError{}},
		"500 should not":          {500, no, "", verdict(errors.Unknown, httpx.RetryNever, false), httpx.VendorError{}},
		"408 should":              {408, yes, "", verdict(errors.Unknown, httpx.RetryAlways, false), httpx.VendorError{}},
		"409":                     {409, nil, "", verdict(errors.Unknown, httpx.RetryByDelivery, false), httpx.VendorError{}},
		"409 should not":          {409, no, "", verdict(errors.Unknown, httpx.RetryNever, false), httpx.VendorError{}},
		"500":                     {500, nil, `{"error":{"message":"server had an error","type":"server_error"}}`, nil, httpx.VendorError{Code: "server_error", Message: "server had an error"}},
		"500 with the quota code": {500, nil, `{"error":{"code":"insufficient_quota"}}`, nil, httpx.VendorError{Code: "insufficient_quota"}},
		"401":                     {401, nil, `{"error":{"code":"invalid_api_key","message":"Incorrect API key"}}`, nil, httpx.VendorError{Code: "invalid_api_key", Message: "Incorrect API key"}},
		"200 should":              {200, yes, `{}`, nil, httpx.VendorError{}},
		"header in other words":   {500, head("x-should-retry: 1"), "", nil, httpx.VendorError{}},
	})
	p := profile.OpenAI()
	require.Equal(t, []httpx.WaitHeader{{Name: "Retry-After-Ms", Unit: httpx.UnitMilliseconds}}, p.RetryAfter)
	require.Len(t, p.Limits, 2)
	for _, l := range p.Limits {
		require.Equal(t, httpx.UnitDuration, l.Unit)
	}
}

func TestSendGrid(t *testing.T) {
	t.Parallel()
	const date = "Date: Wed, 19 Feb 2014 13:07:13 GMT" // 30 s before the sample's reset
	run(t, profile.SendGrid(), map[string]answer{
		// The page's own sample, trailing comma included.
		"429":              {429, head(date, "X-RateLimit-Limit: 150", "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 1392815263"), `{"errors": [{"field": null, "message": "too many requests"},]}`, limited("", 30*time.Second), httpx.VendorError{Message: "too many requests"}},
		"429 no remaining": {429, head(date, "X-RateLimit-Reset: 1392815263"), "", limited("", 30*time.Second), httpx.VendorError{}},
		"429 past":         {429, head(date, "X-RateLimit-Reset: 1392815000"), "", limited("", 0), httpx.VendorError{}},
		"429 no header":    {429, nil, "", limited("", 0), httpx.VendorError{}},
		"429 garbage":      {429, head(date, "X-RateLimit-Reset: soon"), "", limited("", 0), httpx.VendorError{}},
		// Every answer has the headers: on another one they are no wait.
		"500":         {500, head(date, "X-RateLimit-Remaining: 7", "X-RateLimit-Reset: 1392815263"), "", nil, httpx.VendorError{}},
		"202":         {202, head(date, "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 1392815263"), "", nil, httpx.VendorError{}},
		"400":         {400, nil, `{"errors":[{"field":"from.email","message":"is invalid","help":null},{"message":"and more"}]}`, nil, httpx.VendorError{Message: "from.email: is invalid; and more"}},
		"wrong types": {400, nil, `{"errors":[1,"x",[],{"message":[]},{"field":"f"},{"field":3,"message":"m"}]}`, nil, httpx.VendorError{Message: "3: m"}},
		"cut off":     {400, nil, `{"errors":[{"message":"one"},{"message":"tw`, nil, httpx.VendorError{Message: "one"}},
	})
	require.Equal(t, httpx.UnitEpochSeconds, profile.SendGrid().Limits[0].Unit)
}

func TestSlack(t *testing.T) {
	t.Parallel()
	notOK := &httpx.Verdict{Delivery: errors.Rejected, Retry: httpx.RetryNever, Reason: "not_ok"}
	open := &httpx.Verdict{Delivery: errors.Unknown, Retry: httpx.RetryNever, Reason: "internal_error"}
	run(t, profile.Slack(), map[string]answer{
		"ok":              {200, nil, `{"ok":true,"channel":"C0","ts":"1.2","message":{"ok":false,"error":"ratelimited"}}`, nil, httpx.VendorError{}},
		"ratelimited":     {200, nil, `{"ok":false,"error":"ratelimited"}`, limited("ratelimited", 0), httpx.VendorError{Code: "ratelimited"}},
		"error first":     {200, nil, `{"error":"ratelimited","ok":false}`, limited("ratelimited", 0), httpx.VendorError{Code: "ratelimited"}},
		"not in channel":  {200, nil, `{"ok":false,"error":"not_in_channel"}`, notOK, httpx.VendorError{Code: "not_in_channel"}},
		"no error":        {200, nil, `{"ok":false}`, notOK, httpx.VendorError{}},
		"error is a list": {200, nil, `{"ok":false,"error":["ratelimited"]}`, notOK, httpx.VendorError{}},
		"fatal_error":     {200, nil, `{"ok":false,"error":"fatal_error"}`, open, httpx.VendorError{Code: "fatal_error"}},
		"internal_error":  {200, nil, `{"ok":false,"error":"internal_error"}`, open, httpx.VendorError{Code: "internal_error"}},
		"a webhook's ok":  {200, nil, `ok`, nil, httpx.VendorError{}},
		"ok is a text":    {200, nil, `{"ok":"false","error":"x"}`, nil, httpx.VendorError{Code: "x"}},
		"not a 200":       {201, nil, `{"ok":false,"error":"x"}`, nil, httpx.VendorError{Code: "x"}},
		"429":             {429, head("Retry-After: 30"), `{"ok":false,"error":"ratelimited"}`, nil, httpx.VendorError{Code: "ratelimited"}},
		"503 HTML":        {503, nil, "<!DOCTYPE html><html>", nil, httpx.VendorError{}}, // slack-go misc.go:504-517
	})
	require.Equal(t, []int{200}, profile.Slack().InspectBody)
}

func TestGitHub(t *testing.T) {
	t.Parallel()
	const date = "Date: Mon, 23 Nov 2026 12:00:00 GMT"
	reset := "X-RateLimit-Reset: " + itoa(time.Date(2026, 11, 23, 12, 10, 0, 0, time.UTC).Unix())
	const secondary = `{"message":"You have exceeded a secondary rate limit. Please wait a few minutes.","documentation_url":"https://docs.github.com/"}`
	said := httpx.VendorError{Message: "You have exceeded a secondary rate limit. Please wait a few minutes."}
	for _, status := range []string{"403", "429"} { // docs.github.com, Troubleshooting the REST API: either
		n, _ := strconv.Atoi(status)
		run(t, profile.GitHub(), map[string]answer{
			status + " retry-after":            {n, head(date, "Retry-After: 30", "X-RateLimit-Remaining: 0", reset), "", limited("rate_limit", 0), httpx.VendorError{}},
			status + " remaining 0":            {n, head(date, "X-RateLimit-Remaining: 0", reset), `{"message":"API rate limit exceeded"}`, limited("rate_limit", 10*time.Minute), httpx.VendorError{Message: "API rate limit exceeded"}},
			status + " remaining 0, past":      {n, head(date, "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 1"), "", limited("rate_limit", 0), httpx.VendorError{}},
			status + " remaining 0, no reset":  {n, head(date, "X-RateLimit-Remaining: 0"), "", limited("rate_limit", time.Minute), httpx.VendorError{}},
			status + " secondary":              {n, head(date, "X-RateLimit-Remaining: 4000", reset), secondary, limited("secondary_rate_limit", time.Minute), said},
			status + " secondary, garbled":     {n, head("Retry-After: soon", "X-RateLimit-Remaining: none"), secondary, limited("secondary_rate_limit", time.Minute), said},
			status + " secondary, upper, text": {n, nil, "SECONDARY Rate Limit", limited("secondary_rate_limit", time.Minute), httpx.VendorError{}},
		})
	}
	run(t, profile.GitHub(), map[string]answer{
		"429 alone":         {429, nil, "", limited("secondary_rate_limit", time.Minute), httpx.VendorError{}},
		"403 alone":         {403, head("X-GitHub-Request-Id: A:B"), `{"message":"Resource not accessible by integration"}`, nil, httpx.VendorError{Message: "Resource not accessible by integration", RequestID: "A:B"}},
		"403 with quota":    {403, head(date, "X-RateLimit-Remaining: 4000", reset), `{"message":"Must have admin rights"}`, nil, httpx.VendorError{Message: "Must have admin rights"}},
		"403 bad retry":     {403, head("Retry-After: soon"), "", nil, httpx.VendorError{}},
		"403 bad remaining": {403, head("X-RateLimit-Remaining: -1"), "", nil, httpx.VendorError{}},
		"404 remaining 0":   {404, head(date, "X-RateLimit-Remaining: 0", reset), `{"message":"Not Found"}`, nil, httpx.VendorError{Message: "Not Found"}},
		"200 remaining 0":   {200, head(date, "X-RateLimit-Remaining: 0", reset), "{}", nil, httpx.VendorError{}},
		"502 retry-after":   {502, head("Retry-After: 30"), "", nil, httpx.VendorError{}},
	})
	require.Equal(t, httpx.UnitEpochSeconds, profile.GitHub().Limits[0].Unit)
}

func TestDeepgram(t *testing.T) {
	t.Parallel()
	run(t, profile.Deepgram(), map[string]answer{
		// developers.deepgram.com/docs/working-with-concurrency-rate-limits, reference/errors.
		"429":         {429, nil, `{"err_code":"TOO_MANY_REQUESTS","err_msg":"Too many requests.","request_id":"r1"}`, limited("concurrency", 0), httpx.VendorError{Code: "TOO_MANY_REQUESTS", Message: "Too many requests.", RequestID: "r1"}},
		"400 new":     {400, nil, `{"category":"INVALID_JSON","message":"Invalid JSON submitted.","details":"...","request_id":"r2"}`, nil, httpx.VendorError{Code: "INVALID_JSON", Message: "Invalid JSON submitted.", RequestID: "r2"}},
		"503":         {503, nil, "upstream connect error", nil, httpx.VendorError{}},
		"wrong types": {400, nil, `{"err_code":{},"category":4,"err_msg":[],"message":true,"request_id":[]}`, nil, httpx.VendorError{Code: "4"}},
	})
}

func TestElevenLabs(t *testing.T) {
	t.Parallel()
	run(t, profile.ElevenLabs(), map[string]answer{
		// help.elevenlabs.io 19571824571921; where the status stands is not verified.
		"429 too many":      {429, head("current-concurrent-requests: 5", "maximum-concurrent-requests: 5"), `{"detail":{"status":"too_many_concurrent_requests","message":"Too many"}}`, limited("concurrency", 0), httpx.VendorError{Code: "too_many_concurrent_requests", Message: "Too many"}},
		"429 busy":          {429, nil, `{"detail":{"status":"system_busy","message":"busy"}}`, limited("system_busy", 0), httpx.VendorError{Code: "system_busy", Message: "busy"}},
		"429 other":         {429, nil, `{"detail":{"status":"new_one"}}`, nil, httpx.VendorError{Code: "new_one"}},
		"429 status beside": {429, nil, `{"status":"system_busy"}`, nil, httpx.VendorError{}},
		"429 text":          {429, nil, `{"detail":"Too many requests"}`, nil, httpx.VendorError{Message: "Too many requests"}},
		"422 list":          {422, nil, `{"detail":[{"loc":["body"],"msg":"field required"}]}`, nil, httpx.VendorError{}},
		"500 busy":          {500, nil, `{"detail":{"status":"system_busy"}}`, nil, httpx.VendorError{Code: "system_busy"}},
		"401":               {401, nil, `{"detail":{"status":"invalid_api_key","message":"Invalid API key"}}`, nil, httpx.VendorError{Code: "invalid_api_key", Message: "Invalid API key"}},
	})
}
