package profile_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/profile"
)

// answer is a case of a vendor's table: what came, and what it is read as. No want: left to the standard rules.
type answer struct {
	status int
	header http.Header
	body   string
	want   *httpx.Verdict
	err    httpx.VendorError
}

func (a answer) response() httpx.Response {
	return httpx.Response{Status: a.status, Header: a.header, Body: []byte(a.body)}
}

func run(t *testing.T, p httpx.Profile, cases map[string]answer) {
	t.Helper()
	for name, a := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, ok := p.Classify(a.response())
			if a.want == nil {
				require.False(t, ok, "%+v", v)
				require.Zero(t, v)
			} else {
				require.True(t, ok)
				require.Equal(t, *a.want, v)
			}
			require.Equal(t, a.err, p.DecodeError(a.response()))
		})
	}
}

// head makes a header of "Name: value" lines.
func head(lines ...string) http.Header {
	h := http.Header{}
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ":")
		h.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	return h
}

func limited(reason string, wait time.Duration) *httpx.Verdict {
	return &httpx.Verdict{Delivery: errors.Rejected, Limited: true, Wait: wait, Reason: reason}
}

func TestEveryProfile(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, p := range profile.All() {
		require.False(t, seen[p.Vendor], "%s twice", p.Vendor)
		seen[p.Vendor] = true
		t.Run(p.Vendor, func(t *testing.T) {
			t.Parallel()
			require.Regexp(t, `^[a-z]+$`, p.Vendor)
			require.Regexp(t, `^https://[^ ]+\.[^ ]+.* \(read 2026-11-23\)$`, p.Source)
			require.NotNil(t, p.HonoursKey, "nil would honour a key on every route")
			require.NotNil(t, p.Classify)
			require.NotNil(t, p.DecodeError)
			if p.IdempotencyHeader == "" {
				for _, r := range everywhere(t) {
					require.False(t, p.HonoursKey(r), "%+v", r)
				}
			}
			names := []string{p.RequestIDHeader, p.IdempotencyHeader}
			for _, l := range p.Limits {
				require.NotEmpty(t, l.Remaining)
				require.NotEmpty(t, l.Reset)
				require.NotEqual(t, httpx.UnitRetryAfter, l.Unit, "forgotten?")
				names = append(names, l.Remaining, l.Reset)
			}
			for _, w := range p.RetryAfter {
				names = append(names, w.Name)
			}
			for _, n := range names {
				require.Equal(t, http.CanonicalHeaderKey(n), n, "a header is found by its canonical name only")
			}
			for _, status := range p.InspectBody {
				require.Less(t, status, 400, "errors are seen anyway")
			}
		})
	}
	require.Len(t, seen, 9)
}

func everywhere(t *testing.T) []*http.Request {
	t.Helper()
	rs := []*http.Request{nil, {}}
	for _, u := range []string{
		"https://api.twilio.com/2010-04-01/Accounts/AC0/Messages.json", "https://voice.twilio.com/v3/Transcriptions",
		"https://api.vapi.ai/call", "https://api.stripe.com/v1/charges", "https://api.openai.com/v1/responses",
		"https://api.sendgrid.com/v3/mail/send", "https://slack.com/api/chat.postMessage", "https://api.github.com/repos/o/r/issues",
		"https://api.deepgram.com/v1/listen", "https://api.elevenlabs.io/v1/text-to-speech/x", "http://127.0.0.1:4010/",
	} {
		for _, m := range []string{http.MethodPost, http.MethodPatch, http.MethodGet} {
			rs = append(rs, request(t, m, u))
		}
	}
	return rs
}

// request is one on which the caller has set a key of its own.
func request(t *testing.T, method, rawURL string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, rawURL, nil)
	require.NoError(t, err)
	r.Header.Set("Idempotency-Key", "the caller's")
	r.Header.Set("I-Twilio-Idempotency-Token", "inert")
	return r
}

// Only what the vendors document honours a key: a POST that is falsely taken for keyed is sent twice.
func TestKeysAreHonouredOnlyWhereDocumented(t *testing.T) {
	t.Parallel()
	for _, p := range profile.All() {
		var honoured []string
		for _, r := range everywhere(t) {
			if p.HonoursKey(r) {
				honoured = append(honoured, r.Method+" "+r.URL.Host)
			}
		}
		switch p.Vendor {
		case "twilio":
			require.Equal(t, []string{"POST voice.twilio.com"}, honoured)
		case "stripe":
			require.Len(t, honoured, 11, "every POST: %q", honoured)
			require.False(t, slices.ContainsFunc(honoured, func(s string) bool { return !strings.HasPrefix(s, "POST ") }))
		default:
			require.Empty(t, honoured, p.Vendor)
			require.Empty(t, p.IdempotencyHeader, p.Vendor)
		}
	}
}

// Where the wait is until a point in time and the answer has no Date, it is counted from now.
func TestWaitWithoutDate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reset := time.Now().Add(90 * time.Second) // 2000-01-01 00:01:30 UTC
		h := head("X-RateLimit-Remaining: 0", "X-RateLimit-Reset: "+itoa(reset.Unix()), "Date: yesterday")
		for _, p := range []httpx.Profile{profile.GitHub(), profile.SendGrid()} {
			v, ok := p.Classify(httpx.Response{Status: 429, Header: h})
			require.True(t, ok)
			require.Equal(t, 90*time.Second, v.Wait, p.Vendor)
		}
	})
}

// What comes back is bounded, valid and its own, whatever the vendor sends.
func TestDecodedErrorsAreBounded(t *testing.T) {
	t.Parallel()
	long := "x" + strings.Repeat("ä", 5000) // the limits fall into the middle of a character
	id := head("Twilio-Request-Id: "+long, "Request-Id: "+long, "X-Request-Id: "+long, "X-GitHub-Request-Id: "+long)
	for vendor, body := range map[string]string{
		"twilio":     `{"code":"` + long + `","message":"` + long + `"}`,
		"vapi":       `{"error":"` + long + `","message":["` + long + `","` + long + `"],"id":"` + long + `"}`,
		"stripe":     `{"error":{"code":"` + long + `","message":"` + long + `"}}`,
		"openai":     `{"error":{"code":"` + long + `","message":"` + long + `"}}`,
		"sendgrid":   `{"errors":[{"message":"` + long + `"},{"message":"` + long + `"}]}`,
		"slack":      `{"ok":false,"error":"` + long + `"}`,
		"github":     `{"message":"` + long + `"}`,
		"deepgram":   `{"err_code":"` + long + `","err_msg":"` + long + `","request_id":"` + long + `"}`,
		"elevenlabs": `{"detail":{"status":"` + long + `","message":"` + long + `"}}`,
	} {
		e := byName(t, vendor).DecodeError(httpx.Response{Status: 400, Header: id, Body: []byte(body)})
		require.NotEmpty(t, e.Code+e.Message, vendor)
		requireBounded(t, e)
		require.LessOrEqual(t, len(e.Message), 1024)
		if e.Message != "" {
			require.GreaterOrEqual(t, len(e.Message), 1023, "%s: cut, not dropped", vendor)
		}
	}
	e := profile.Twilio().DecodeError(httpx.Response{
		Status: 400, Header: head("Twilio-Request-Id: RQ\xff1"),
		Body: []byte("{\"code\":\"a\\nb\\u0000c\",\"message\":\"one\\r\\ntwo \xff\\u001b[31m\"}"),
	})
	require.Equal(t, httpx.VendorError{Code: "a b c", Message: "one  two \uFFFD [31m", RequestID: "RQ\uFFFD1"}, e)
}

// What is looked for is among the first members, or it is not worth the time of a hostile body.
func TestObjectsAreCut(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{255: "21611", 256: ""} {
		body := "{" + strings.Repeat(`"a":1,`, n) + `"code":21611}`
		require.Equal(t, want, profile.Twilio().DecodeError(httpx.Response{Status: 400, Body: []byte(body)}).Code, "%d before it", n)
	}
}

func TestListsAreCut(t *testing.T) {
	t.Parallel()
	body := `{"errors":[` + strings.Repeat(`{"message":"m"},`, 1000) + `{"message":"m"}]}`
	e := profile.SendGrid().DecodeError(httpx.Response{Status: 400, Body: []byte(body)})
	require.Equal(t, strings.TrimSuffix(strings.Repeat("m; ", 10), "; "), e.Message)
}

func byName(t testing.TB, vendor string) httpx.Profile {
	t.Helper()
	for _, p := range profile.All() {
		if p.Vendor == vendor {
			return p
		}
	}
	t.Fatalf("no profile %q", vendor)
	return httpx.Profile{}
}

func requireBounded(t *testing.T, e httpx.VendorError) {
	t.Helper()
	require.LessOrEqual(t, len(e.Code), 64)
	require.LessOrEqual(t, len(e.Message), 1024)
	require.LessOrEqual(t, len(e.RequestID), 128)
	for _, s := range []string{e.Code, e.Message, e.RequestID} {
		require.True(t, utf8.ValidString(s), "%q", s)
		require.False(t, strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }), "%q", s)
	}
}

// Every profile survives what no vendor documents and leaves it to the standard rules.
func TestGarbageIsLeftToTheStandardRules(t *testing.T) {
	t.Parallel()
	bodies := []string{
		"", "{", "}", "[]", "null", "true", `"`, `""`, "21611", "\x00\xff", "<html><h1>503 Service Unavailable</h1></html>",
		`{"code":`, `{"code":{"code":21611}}`, `{"code":[21611]}`, `{"code":null}`, `{"code":2161`, `{"code":21611`, `{21611:"code"}`,
		`{"error":[["x"]],"message":{"a":1},"detail":[1],"errors":{"a":1},"ok":"false","subscriptionLimits":[true]}`,
		`{"error":true,"message":false,"detail":null,"errors":[[[]]],"ok":0,"subscriptionLimits":{"concurrencyBlocked":"true"}}`,
	}
	deep := []string{
		strings.Repeat("[", 20000), strings.Repeat(`{"error":`, 20000), strings.Repeat(`{"a":`, 20000) + `1` + strings.Repeat(`}`, 20000),
	}
	for _, p := range profile.All() {
		for i, body := range append(bodies, deep...) {
			statuses := []int{0, -1, 100, 200, 201, 204, 304, 400, 401, 403, 404, 408, 422, 500, 502, 503, 504, 999}
			if i >= len(bodies) {
				statuses = []int{201, 400}
			}
			for _, status := range statuses {
				for _, h := range []http.Header{nil, {"Date": nil, "Retry-After": {""}}} {
					r := httpx.Response{Status: status, Header: h, Body: []byte(body)}
					v, ok := p.Classify(r)
					if ok {
						t.Fatalf("%s: %d %.40q: %+v", p.Vendor, status, body, v)
					}
					requireBounded(t, p.DecodeError(r))
				}
			}
		}
	}
}

// mustURL is for the requests net/http would not build.
func mustURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	require.NoError(t, err)
	return u
}
