package profile_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/profile"
)

func TestVapi(t *testing.T) {
	t.Parallel()
	blocked := &httpx.Verdict{Delivery: errors.Delivered, Retry: httpx.RetryNever, Limited: true, Reason: "concurrency"}
	over := &httpx.Verdict{
		Delivery: errors.Rejected, Retry: httpx.RetryAlways, Limited: true, Wait: 2 * time.Minute, Reason: "concurrency",
	}
	run(t, profile.Vapi(), map[string]answer{
		// VapiAI/docs fern/calls/call-concurrency.mdx.
		"201 blocked":      {201, nil, `{"id":"c1","status":"queued","subscriptionLimits":{"concurrencyBlocked":true,"concurrencyLimit":10,"remainingConcurrentCalls":0}}`, blocked, httpx.VendorError{RequestID: "c1"}},
		"201 not blocked":  {201, nil, `{"id":"c1","subscriptionLimits":{"concurrencyBlocked":false,"concurrencyLimit":10,"remainingConcurrentCalls":0}}`, nil, httpx.VendorError{RequestID: "c1"}},
		"201 batch":        {201, nil, `{"results":[{"id":"c1"}],"errors":[{"customer":{},"error":"x"}],"subscriptionLimits":{"concurrencyLimit":10,"concurrencyBlocked":true}}`, blocked, httpx.VendorError{}},
		"201 ended":        {201, nil, `{"id":"c1","status":"ended","endedReason":"call.start.error-subscription-concurrency-limit-reached"}`, blocked, httpx.VendorError{RequestID: "c1"}},
		"201 ended else":   {201, nil, `{"id":"c1","status":"ended","endedReason":"customer-ended-call"}`, nil, httpx.VendorError{RequestID: "c1"}},
		"200 ended":        {200, nil, `{"id":"c1","endedReason":"call.start.error-subscription-concurrency-limit-reached"}`, nil, httpx.VendorError{RequestID: "c1"}},
		"201 cut off":      {201, nil, `{"subscriptionLimits":{"concurrencyBlocked":true,"concurrencyLimit":10},"assistant":{"model":{"messages":["` + strings.Repeat("x", 100), blocked, httpx.VendorError{}},
		"201 elsewhere":    {201, nil, `{"assistant":{"subscriptionLimits":{"concurrencyBlocked":true}}}`, nil, httpx.VendorError{}},
		"201 without":      {201, nil, `{"id":"c1"}`, nil, httpx.VendorError{RequestID: "c1"}},
		"200 blocked":      {200, nil, `{"subscriptionLimits":{"concurrencyBlocked":true}}`, nil, httpx.VendorError{}},
		"201 wrong types":  {201, nil, `{"subscriptionLimits":{"concurrencyBlocked":1}}`, nil, httpx.VendorError{}},
		"201 limits: true": {201, nil, `{"subscriptionLimits":true}`, nil, httpx.VendorError{}},
		// VapiAI/docs PR 110, not verified today.
		"400 over":               {400, nil, `{"error":"Over Concurrency Limit"}`, over, httpx.VendorError{Code: "Over Concurrency Limit"}},
		"400 over, in message":   {400, nil, `{"message":"Over concurrency limit.","error":"Bad Request","statusCode":400}`, over, httpx.VendorError{Code: "Bad Request", Message: "Over concurrency limit."}},
		"400 over, in a list":    {400, nil, `{"message":["a","Over Concurrency Limit"],"error":"Bad Request"}`, over, httpx.VendorError{Code: "Bad Request", Message: "a; Over Concurrency Limit"}},
		"400 over, as user text": {400, nil, `{"input":"Over Concurrency Limit","error":"Bad Request"}`, nil, httpx.VendorError{Code: "Bad Request"}},
		"500 over":               {500, nil, `{"error":"Over Concurrency Limit"}`, nil, httpx.VendorError{Code: "Over Concurrency Limit"}},
		// A live sample: abracadabra50/claude-code-voice-skill issue 1.
		"400 list":    {400, nil, `{"message":["a must be a string","b should not exist"],"error":"Bad Request","statusCode":400}`, nil, httpx.VendorError{Code: "Bad Request", Message: "a must be a string; b should not exist"}},
		"400 string":  {400, nil, `{"message":"Couldn't find assistant","error":"Bad Request","statusCode":400}`, nil, httpx.VendorError{Code: "Bad Request", Message: "Couldn't find assistant"}},
		"400 nested":  {400, nil, `{"message":[["a"],{"b":1},"c",3],"error":{"x":1}}`, nil, httpx.VendorError{Message: "c; 3"}},
		"400 number":  {400, nil, `{"message":5,"error":6}`, nil, httpx.VendorError{Code: "6", Message: "5"}},
		"401":         {401, nil, `{"message":"Invalid Key","error":"Unauthorized","statusCode":401}`, nil, httpx.VendorError{Code: "Unauthorized", Message: "Invalid Key"}},
		"429":         {429, nil, `{"message":"Rate limit exceeded"}`, nil, httpx.VendorError{Message: "Rate limit exceeded"}},
		"500":         {500, nil, `{"message":"Internal server error","statusCode":500}`, nil, httpx.VendorError{Message: "Internal server error"}},
		"502 HTML":    {502, nil, "<!DOCTYPE html><title>502 Bad gateway | Cloudflare</title>", nil, httpx.VendorError{}},
		"503 delete":  {503, nil, `{"message":"The call was not deleted. Retry the request."}`, nil, httpx.VendorError{Message: "The call was not deleted. Retry the request."}},
		"nothing yet": {0, nil, "", nil, httpx.VendorError{}},
	})
	p := profile.Vapi()
	require.Equal(t, []int{201}, p.InspectBody)
	require.Equal(t, 10, p.MaxConcurrent)
}

func TestVapiHonoursNoKey(t *testing.T) {
	t.Parallel()
	for _, m := range []string{http.MethodPost, http.MethodPatch, http.MethodDelete} {
		require.False(t, profile.Vapi().HonoursKey(request(t, m, "https://api.vapi.ai/call")))
	}
	require.Empty(t, profile.Vapi().IdempotencyHeader)
}
