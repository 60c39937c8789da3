package profile_test

import (
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/h2non/gock"
	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/profile"
)

// The profile on the path of a client: what it says is what the client does, host and path included.
func TestAProfileDecidesInItsClient(t *testing.T) {
	const messages = "/2010-04-01/Accounts/AC0/Messages.json"
	for name, tc := range map[string]struct {
		profile     httpx.Profile
		host, path  string
		status      int
		body        string
		headers     map[string]string
		sends       int
		stop        errors.Stop
		code        string
		key, ownKey bool
	}{
		"Twilio's 503 on a text is not sent again, whatever the key": {
			profile.Twilio(), "https://api.twilio.com", messages, 503, `{"code":20503,"message":"down"}`, nil, 1,
			errors.StopUnsafeMethod, "20503", true, false,
		},
		"Twilio's 429 on a text is": {
			profile.Twilio(), "https://api.twilio.com", messages, 429, `{"code":20429,"message":"slow down"}`, nil, 3,
			errors.StopExhausted, "20429", false, false,
		},
		"Vapi's 500 on a call is not sent again": {
			profile.Vapi(), "https://api.vapi.ai", "/call", 500, `{"message":["broken"],"statusCode":500}`, nil, 1,
			errors.StopUnsafeMethod, "", false, false,
		},
		"Stripe's 500 is, under a key of ours": {
			profile.Stripe(), "https://api.stripe.com", "/v1/charges", 500, `{"error":{"type":"api_error","code":"broken"}}`, nil, 3,
			errors.StopExhausted, "broken", false, true,
		},
		"Stripe's word against it holds": {
			profile.Stripe(), "https://api.stripe.com", "/v1/charges", 500, `{}`,
			map[string]string{"Stripe-Should-Retry": "false"},
			1,
			errors.StopPermanent, "", false, true,
		},
		"OpenAI's empty account is permanent": {
			profile.OpenAI(), "https://api.openai.com", "/v1/responses", 429, `{"error":{"code":"insufficient_quota"}}`, nil, 1,
			"", "insufficient_quota", false, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer gock.OffAll()
			sends, keys := 0, map[string]bool{}
			mock := gock.New(tc.host).Post(tc.path).Persist().AddMatcher(func(r *http.Request, _ *gock.Request) (bool, error) {
				sends++
				keys[onTheWire(r.Header, "Idempotency-Key")] = true
				return true, nil
			}).Reply(tc.status).BodyString(tc.body)
			for k, v := range tc.headers {
				mock.SetHeader(k, v)
			}
			c, err := httpx.NewClient("vendor", httpx.Config{Base: gock.NewTransport(), Profile: tc.profile, BackoffBase: -1})
			require.NoError(t, err)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, tc.host+tc.path, strings.NewReader("a=b"))
			require.NoError(t, err)
			if tc.key {
				req.Header.Set("Idempotency-Key", "the caller's")
			}
			resp, err := c.Do(req)
			require.NoError(t, err)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, tc.body, string(body))
			require.Equal(t, tc.sends, sends)
			require.Len(t, keys, 1, "one key a call")
			require.Equal(t, !tc.key && !tc.ownKey, keys[""])
			e, ok := errors.AsType[*errors.Error](httpx.ResponseError(resp))
			require.True(t, ok)
			if tc.stop != "" {
				require.Equal(t, tc.stop, e.Stop)
			}
			require.Equal(t, tc.code, e.VendorCode)
		})
	}
}

// Twilio starts one new call a second (docs/voice/api/call-resource): the rest waits here, and texts do not wait.
func TestTwilioGetsOneNewCallASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, sent := time.Now(), []string{}
		c, err := httpx.NewClient("twilio", httpx.Config{Profile: profile.Twilio(), Base: roundTripper(func(r *http.Request) *http.Response {
			sent = append(sent, fmt.Sprint(r.Method, " ", path.Base(r.URL.Path), " at ", time.Since(start)))
			return &http.Response{StatusCode: 201, Header: http.Header{}, Body: http.NoBody, Request: r}
		})})
		require.NoError(t, err)
		for _, what := range []string{"POST Calls.json", "POST Messages.json", "GET Calls.json", "POST Calls.json", "POST Messages.json", "POST Calls.json"} {
			method, name, _ := strings.Cut(what, " ")
			req, err := http.NewRequestWithContext(t.Context(), method, "https://api.ashburn.us1.twilio.com/2010-04-01/Accounts/AC0/"+name, http.NoBody)
			require.NoError(t, err)
			resp, err := c.Do(req)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
		}
		require.Equal(t, []string{
			"POST Calls.json at 0s", "POST Messages.json at 0s", "GET Calls.json at 0s",
			"POST Calls.json at 1s", "POST Messages.json at 1s", "POST Calls.json at 2s",
		}, sent)
	})
}

type roundTripper func(*http.Request) *http.Response

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r), nil }

// onTheWire is what a vendor reads under name: there names have no case, and a key that the vendor does not honour is sent
// under one that net/http does not look for.
func onTheWire(h http.Header, name string) string {
	for k, v := range h {
		if strings.EqualFold(k, name) {
			return v[0]
		}
	}
	return ""
}
