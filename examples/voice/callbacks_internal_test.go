package main

import (
	"crypto/hmac"
	"crypto/sha1" // it is what Twilio signs with
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/examples/internal/sim/fault"
)

const public = "https://voice.example.com"

// signed is a form with Twilio's signature, which is made here once more by what its page says.
func signed(token, path string, form url.Values) (body, signature string) {
	text := public + path
	for _, name := range slices.Sorted(maps.Keys(form)) {
		text += name + form.Get(name)
	}
	mac := hmac.New(sha1.New, []byte(token))
	mac.Write([]byte(text))
	return form.Encode(), base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

const formType = "application/x-www-form-urlencoded"

// A real account would be texted from: stub mode keeps the simulator in Twilio's place, and the secret is there.
func withSecrets() []string {
	return []string{
		"TWILIO_ACCOUNT_SID=ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "TWILIO_AUTH_TOKEN=callbacktoken", "TWILIO_FROM=+15005550006",
		"TWILIO_INTEGRATIONS_STUB_MODE=true", "VAPI_CALLBACK_SECRET=a shared secret", "VOICE_PUBLIC_URL=" + public + "/",
		"VOICE_CALLBACK_KEY=a key of 16 bytes or more",
	}
}

// From the text to the report on it: the id of the request goes to Twilio in the URL and comes back with the report, which is heard once.
func TestATwilioCallbackBringsTheIDBack(t *testing.T) {
	g := start(t, withSecrets()...)
	asked := make(chan string, 1)
	g.vendors.twilioSim.SetScript(fault.ScriptFunc(func(r *http.Request) fault.Fault {
		form, _ := url.ParseQuery(string(fault.Body(r)))
		asked <- form.Get("StatusCallback")
		return fault.None()
	}))
	sid := g.text(t, "k", "hello", correlation.Header, "order-7").object(t, http.StatusCreated)["message"].(object)["sid"].(string)
	to := receive(t, asked)
	path, ok := strings.CutPrefix(to, public+"/callbacks/twilio/")
	require.True(t, ok, to)
	path = "/callbacks/twilio/" + path

	report := func(status string) reply {
		body, signature := signed("callbacktoken", path, url.Values{"MessageSid": {sid}, "MessageStatus": {status}, "To": {person}})
		return g.send(t, "POST "+path, body, "Content-Type", formType, "X-Twilio-Signature", signature)
	}
	for _, status := range []string{"sent", "delivered", "delivered"} {
		r := report(status)
		require.Equal(t, http.StatusNoContent, r.status, "%s", r.body)
		require.Equal(t, "order-7", r.header.Get(correlation.Header))
	}
	heard := g.log.with(t, "callback")
	require.Len(t, heard, 3)
	for i, want := range []object{
		{"status": "sent", "duplicate": false}, {"status": "delivered", "duplicate": false}, {"status": "delivered", "duplicate": true},
	} {
		require.Equal(t, "order-7", heard[i]["correlation_id"])
		require.Equal(t, sid, heard[i]["subject"])
		require.Equal(t, want["status"], heard[i]["status"])
		require.Equal(t, want["duplicate"], heard[i]["duplicate"])
	}
	metrics := string(g.send(t, "GET /metrics", "").body)
	require.Contains(t, strings.Split(metrics, "\n"), `http_server_requests_total{code="204",method="POST",route="/callbacks/twilio/{token}"} 3`)
}

func TestACallbackThatIsNotTwiliosIsRefused(t *testing.T) {
	g := start(t, withSecrets()...)
	const path = "/callbacks/twilio/no-token"
	form := url.Values{"CallSid": {"CA1"}, "CallStatus": {"completed"}}
	body, good := signed("callbacktoken", path, form)
	_, other := signed("another token", path, form)
	_, elsewhere := signed("callbacktoken", "/callbacks/twilio/other", form)
	for why, c := range map[string][2]string{
		"no signature": {body, ""}, "another token": {body, other}, "another path": {body, elsewhere},
		"another form": {body + "&X=1", good}, "a parameter twice": {body + "&CallSid=CA2", good},
	} {
		g.send(t, "POST "+path, c[0], "Content-Type", formType, "X-Twilio-Signature", c[1]).problem(t, http.StatusForbidden, errors.Forbidden)
		require.Empty(t, g.log.with(t, "callback"), why)
	}
	r := g.send(t, "POST "+path, body, "Content-Type", formType, "X-Twilio-Signature", good)
	require.Equal(t, http.StatusNoContent, r.status, "a token that is not ours costs the id only")
	require.NotEmpty(t, r.header.Get(correlation.Header))
	g.send(t, "POST "+path, strings.Repeat("x", maxBody+1), "Content-Type", formType).problem(t, http.StatusBadRequest, errors.Invalid)
}

func TestAVapiCallbackIsVerified(t *testing.T) {
	g := start(t, withSecrets()...)
	token := reportsOf(t, g).Token("order-8", 0)
	path := "POST /callbacks/vapi/" + token
	const body = `{"message":{"type":"status-update","status":"ended","call":{"id":"c-1"}}}`
	sign := func(secret, stamp, body string) []string {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(stamp + "." + body))
		return []string{"X-Timestamp", stamp, "X-Signature", hex.EncodeToString(mac.Sum(nil))}
	}
	now := time.Now()
	seconds := func(d time.Duration) string { return fmt.Sprint(now.Add(d).Unix()) }
	for why, header := range map[string][]string{
		"nothing": nil, "another secret": {"X-Vapi-Secret", "a shared secre"}, "signed by another": sign("other", seconds(0), body),
		"another body": sign("a shared secret", seconds(0), body+" "), "of yesterday": sign("a shared secret", seconds(-24*time.Hour), body),
		"of tomorrow": sign("a shared secret", seconds(24*time.Hour), body), "no time": sign("a shared secret", "", body),
		"no hexadecimal": {"X-Timestamp", seconds(0), "X-Signature", "zz"}, "a signature beats the secret": {"X-Signature", "00", "X-Vapi-Secret", "a shared secret"},
	} {
		g.send(t, path, body, header...).problem(t, http.StatusForbidden, errors.Forbidden)
		require.Empty(t, g.log.with(t, "callback"), why)
	}
	for _, header := range [][]string{
		{"X-Vapi-Secret", "a shared secret"},
		sign("a shared secret", seconds(0), body),
		sign("a shared secret", fmt.Sprint(now.UnixMilli()), body),
	} {
		r := g.send(t, path, body, header...)
		require.Equal(t, http.StatusNoContent, r.status, "%s", r.body)
		require.Equal(t, "order-8", r.header.Get(correlation.Header))
	}
	heard := g.log.with(t, "callback")
	require.Len(t, heard, 3)
	require.Equal(t, []any{false, true, true}, []any{heard[0]["duplicate"], heard[1]["duplicate"], heard[2]["duplicate"]})
	require.Equal(t, "order-8", heard[0]["correlation_id"])
	g.send(t, path, `no JSON`, "X-Vapi-Secret", "a shared secret").problem(t, http.StatusBadRequest, errors.Invalid)
}

// reportsOf signs as the service does.
func reportsOf(t *testing.T, g *rig) *correlation.Signer {
	t.Helper()
	s, err := correlation.NewSigner(g.set.signingKey())
	require.NoError(t, err)
	return s
}

func TestWithoutASecretNoCallbackIsAccepted(t *testing.T) {
	g := start(t)
	body, signature := signed("", "/callbacks/twilio/x", url.Values{"CallSid": {"CA1"}})
	g.send(t, "POST /callbacks/twilio/x", body, "Content-Type", formType, "X-Twilio-Signature", signature).
		problem(t, http.StatusServiceUnavailable, errors.Unavailable)
	g.send(t, "POST /callbacks/vapi/x", `{}`).problem(t, http.StatusServiceUnavailable, errors.Unavailable)
	g.send(t, "POST /callbacks/vapi/x", `{}`, "X-Vapi-Secret", "").problem(t, http.StatusServiceUnavailable, errors.Unavailable)
	require.Empty(t, g.log.with(t, "callback"))
}

func TestWhatIsRememberedOfCallbacksIsBounded(t *testing.T) {
	var s seen
	for i := range 3 * maxSeen {
		require.False(t, s.before(fmt.Sprint(i)))
	}
	require.Len(t, s.keys, maxSeen)
	require.True(t, s.before(fmt.Sprint(3*maxSeen-1)))
	require.False(t, s.before("0"), "the oldest are forgotten")
}
