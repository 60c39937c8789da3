package profile_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/profile"
)

func TestTwilio(t *testing.T) {
	t.Parallel()
	queueFull := &httpx.Verdict{
		Delivery: errors.Rejected, Retry: httpx.RetryAlways, Wait: 5 * time.Minute, Reason: "queue_full",
	}
	id := head("Twilio-Request-Id: RQ1", "Twilio-Concurrent-Requests: 1", "Retry-After: 1")
	run(t, profile.Twilio(), map[string]answer{
		// www.twilio.com/docs/api/errors/20429: the standard rules retry it.
		"429": {
			429, id, `{"code":20429,"message":"Too Many Requests","more_info":"https://www.twilio.com/docs/errors/20429","status":429}`,
			nil,
			httpx.VendorError{Code: "20429", Message: "Too Many Requests", RequestID: "RQ1"},
		},
		// docs/api/errors/21611.
		"From queue full":           {400, nil, `{"code":21611,"message":"queue","status":400}`, queueFull, httpx.VendorError{Code: "21611", Message: "queue"}},
		"From queue full, code 403": {403, nil, `{"status":403, "code": 21611 }`, queueFull, httpx.VendorError{Code: "21611"}},
		"From queue full, as text":  {400, nil, `{"code":"21611"}`, queueFull, httpx.VendorError{Code: "21611"}},
		"From queue full, cut off":  {400, nil, `{"code":21611,"message":"qu`, queueFull, httpx.VendorError{Code: "21611"}},
		"From queue full, 429": {429, nil, `{"code":21611}`, &httpx.Verdict{
			Delivery: errors.Rejected, Retry: httpx.RetryAlways, Limited: true, Wait: 5 * time.Minute, Reason: "queue_full",
		}, httpx.VendorError{Code: "21611"}},
		"a number that is cut off": {400, nil, `{"code":21611`, nil, httpx.VendorError{}},
		"members have a case":      {400, nil, `{"Code":21611,"CODE":21611}`, nil, httpx.VendorError{}},
		"a longer number":          {400, nil, `{"code":216110}`, nil, httpx.VendorError{Code: "216110"}},
		"the code in the message":  {400, nil, `{"code":21211,"message":"21611 is not a number"}`, nil, httpx.VendorError{Code: "21211", Message: "21611 is not a number"}},
		// docs/voice/api/call-resource; their HTTP status is not verified.
		"call queue full":  {400, nil, `{"code":22005}`, limited("call_queue_full", 5*time.Minute), httpx.VendorError{Code: "22005"}},
		"call concurrency": {429, nil, `{"code":10004}`, limited("call_concurrency", 5*time.Minute), httpx.VendorError{Code: "10004"}},
		// docs/api/errors/20500 and 20503: neither says "not processed", whatever the body.
		"500":              {500, nil, `{"code":20500,"message":"Internal Server Error","status":500}`, nil, httpx.VendorError{Code: "20500", Message: "Internal Server Error"}},
		"503":              {503, nil, `{"code":20503}`, nil, httpx.VendorError{Code: "20503"}},
		"503 with a 21611": {503, nil, `{"code":21611}`, nil, httpx.VendorError{Code: "21611"}},
		"503 with a 10004": {503, nil, `{"code":10004}`, nil, httpx.VendorError{Code: "10004"}},
		"408 with a 21611": {408, nil, `{"code":21611}`, nil, httpx.VendorError{Code: "21611"}},
		"201 with a 21611": {201, nil, `{"code":21611}`, nil, httpx.VendorError{Code: "21611"}},
		// twilio-go issue 130 and twilio-ruby issue 544.
		"503 HTML":  {503, id, "<html><head><title>503</title></head></html>", nil, httpx.VendorError{RequestID: "RQ1"}},
		"503 {}":    {503, nil, "{}", nil, httpx.VendorError{}},
		"503 empty": {503, nil, "", nil, httpx.VendorError{}},
		// twilio-go v1.31.0 client/error.go:10, RestErrorV1.
		"v1.0 service": {
			400, nil, `{"code":20001,"message":"Invalid","httpStatusCode":400,"params":{"a":1},"userError":true}`,
			nil,
			httpx.VendorError{Code: "20001", Message: "Invalid"},
		},
		// A recorded 400 (the sample samples-fastapi-twilio of Keploy).
		"not verified number": {
			400, id, `{"code":21608,"message":"The number is unverified.","more_info":"https://www.twilio.com/docs/errors/21608","status":400}`,
			nil,
			httpx.VendorError{Code: "21608", Message: "The number is unverified.", RequestID: "RQ1"},
		},
		"auth":          {401, nil, `{"code":20003,"message":"Authenticate","status":401}`, nil, httpx.VendorError{Code: "20003", Message: "Authenticate"}},
		"201":           {201, nil, `{"sid":"SM0","status":"queued","error_code":null,"error_message":null}`, nil, httpx.VendorError{}},
		"the first one": {400, nil, `{"code":1,"code":21611}`, nil, httpx.VendorError{Code: "1"}},
	})
}

func TestTwilioHonoursAKey(t *testing.T) {
	t.Parallel()
	honours := profile.Twilio().HonoursKey
	for u, want := range map[string]bool{
		// twilio-go v1.31.0 rest/voice/v3/transcriptions.go:31, rest/conversations/v2/control_plane_configurations.go:30.
		"https://voice.twilio.com/v3/Transcriptions":                                     true,
		"https://VOICE.Twilio.COM:443/v3/Transcriptions?x=1":                             true,
		"https://voice.ie1.twilio.com/v3/Transcriptions":                                 true,
		"https://conversations.twilio.com/v2/ControlPlane/Configurations":                true,
		"https://conversations.dublin.ie1.twilio.com/v2/ControlPlane/Configurations":     true,
		"https://conversations.twilio.com/v2/Conversations":                              false, // no key in that create
		"https://conversations.twilio.com/v2/Conversations/CH0/Participants":             false,
		"https://conversations.twilio.com/v2/Conversations/CH0/Communications":           false,
		"https://conversations.twilio.com/v1/Conversations":                              false,
		"https://conversations.twilio.com/v3/Transcriptions":                             false,
		"https://voice.twilio.com/v2/ControlPlane/Configurations":                        false,
		"https://voice.twilio.com/v1/Transcriptions":                                     false,
		"https://voice.twilio.com/v3/Transcriptions/x":                                   false,
		"https://voice.twilio.com/v3/transcriptions":                                     false,
		"https://voice.twilio.com/v3":                                                    false,
		"https://voice.twilio.com/2010-04-01/Accounts/AC0/Calls.json":                    false,
		"https://voice.twilio.com/v3/../2010-04-01/Accounts/AC0/Messages.json":           false,
		"https://voice.twilio.com/v3/%2e%2e/2010-04-01/Accounts/AC0/Messages.json":       false,
		"https://api.twilio.com/2010-04-01/Accounts/AC0/Messages.json":                   false,
		"https://api.twilio.com/2010-04-01/Accounts/AC0/Calls.json":                      false,
		"https://api.dublin.ie1.twilio.com/2010-04-01/Accounts/AC0/Messages.json":        false,
		"https://api.twilio.com/2010-04-01/Accounts/AC0/Calls/CA0/Payments.json":         false, // a form field there
		"https://api.twilio.com/v3/Transcriptions":                                       false,
		"http://127.0.0.1:4010/v3/Transcriptions":                                        false,
		"http://localhost/v3/Transcriptions":                                             false,
		"http://[::1]:80/v3/Transcriptions":                                              false,
		"https://voice.twilio.com.example.com/v3/Transcriptions":                         false,
		"https://voice.eviltwilio.com/v3/Transcriptions":                                 false,
		"https://voice.twilio.org/v3/Transcriptions":                                     false,
		"https://twilio.com/v3/Transcriptions":                                           false,
		"https://a.b.voice.twilio.com/v3/Transcriptions":                                 false,
		"https://voice.a.b.c.twilio.com/v3/Transcriptions":                               false,
		"https://voice..twilio.com/v3/Transcriptions":                                    false,
		"https://voice.twilio.com/v3/Transcriptions/../../2010-04-01/Accounts/AC0/Calls": false,
	} {
		require.Equal(t, want, honours(request(t, http.MethodPost, u)), u)
		require.False(t, honours(request(t, http.MethodPatch, u)), u)
		r := request(t, http.MethodPost, "http://127.0.0.1:4010/v3/Transcriptions")
		r.Host = mustURL(t, u).Host
		require.False(t, honours(r), "the Host header is not where it is sent")
	}
	require.False(t, honours(nil))
	require.False(t, honours(&http.Request{Method: http.MethodPost}))
	require.False(t, honours(&http.Request{Method: http.MethodPost, URL: &url.URL{
		Host: "voice.twilio.com", Path: "/v3/Transcriptions", Opaque: "//voice.twilio.com/2010-04-01/Accounts/AC0/Calls.json",
	}}))
}
