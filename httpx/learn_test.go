package httpx_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/profile"
	"github.com/prusik-go/prusik/ratelimit"
)

// peer is a server on loopback that counts, and a client of it with a limiter that has no say of its own.
type peer struct {
	t      *testing.T
	url    string
	sent   atomic.Int64
	client *http.Client
	tr     *httpx.Transport
	paused []ratelimit.PauseEvent
}

func newPeer(t *testing.T, p httpx.Profile, h func(n int64, w http.ResponseWriter, r *http.Request)) *peer {
	t.Helper()
	v := &peer{t: t}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h(v.sent.Add(1), w, r) }))
	l, err := ratelimit.New("vendor", ratelimit.Config{
		Limits: ratelimit.Limits{{Count: 1_000_000, Period: time.Second}},
		Hooks:  ratelimit.Hooks{OnPause: func(e ratelimit.PauseEvent) { v.paused = append(v.paused, e) }},
	})
	require.NoError(t, err)
	v.url = srv.URL
	v.client, err = httpx.NewClient("vendor", httpx.Config{Profile: p, Limiter: l.Outbound(""), MaxAttempts: -1})
	require.NoError(t, err)
	v.tr = v.client.Transport.(*httpx.Transport)
	t.Cleanup(func() {
		v.client.CloseIdleConnections()
		srv.Close()
	})
	return v
}

func (v *peer) do(ctx context.Context, method, path string) (*http.Response, string, error) {
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader(`{"a":1}`)
	}
	r, err := http.NewRequestWithContext(ctx, method, v.url+path, body)
	require.NoError(v.t, err)
	resp, err := v.client.Do(r)
	if err != nil {
		return nil, "", err
	}
	b, err := io.ReadAll(resp.Body)
	require.NoError(v.t, err)
	require.NoError(v.t, resp.Body.Close())
	return resp, string(b), nil
}

// refused is a call that does not leave, for a wait of about that long.
func (v *peer) refused(method string, wait time.Duration) {
	v.t.Helper()
	before := v.sent.Load()
	_, _, err := v.do(v.t.Context(), method, "/")
	require.Equal(v.t, errors.VendorRateLimited, errors.KindOf(err), "%v", err)
	require.Equal(v.t, errors.StopRateLimited, errors.StopOf(err))
	require.Equal(v.t, errors.NotSent, errors.DeliveryOf(err))
	after, known := errors.RetryAfter(err)
	require.True(v.t, known)
	require.LessOrEqual(v.t, after, wait+time.Second, "a date has whole seconds")
	require.Greater(v.t, after, wait-time.Minute)
	require.Equal(v.t, before, v.sent.Load())
}

// The vendor says of the third call from here on that it has to wait an hour, in each of the ways there are: two are sent, and
// the third is not.
func TestTheClientLearnsFromWhatTheVendorSays(t *testing.T) {
	t.Parallel()
	legacy := func(unit httpx.Unit) httpx.Profile {
		return httpx.Profile{Limits: []httpx.LimitHeaders{{Remaining: "X-RateLimit-Remaining", Reset: "X-RateLimit-Reset", Unit: unit}}}
	}
	epoch := func() string { return strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10) }
	for name, tc := range map[string]struct {
		profile httpx.Profile
		headers []string
		silent  bool
	}{
		"draft 07":                {httpx.Profile{}, []string{"RateLimit", "limit=100, remaining=2, reset=3600"}, false},
		"draft 08":                {httpx.Profile{}, []string{"RateLimit", `"default";r=2;t=3600`}, false},
		"draft 11, two policies":  {httpx.Profile{}, []string{"RateLimit", `"minute";r=50;t=60;pk=:cHsdsRa894==:,"hour";r=2;t=3600`}, false},
		"draft 11, two lines":     {httpx.Profile{}, []string{"RateLimit", `"hour";r=2;t=3600`, "RateLimit", `"day";r=900;t=86400`}, false},
		"beside a profile":        {profile.Twilio(), []string{"RateLimit", `"default";r=2;t=3600`}, false},
		"delta seconds":           {legacy(httpx.UnitSeconds), []string{"X-RateLimit-Remaining", "2", "X-RateLimit-Reset", "3600"}, false},
		"milliseconds":            {legacy(httpx.UnitMilliseconds), []string{"X-RateLimit-Remaining", "2", "X-RateLimit-Reset", "3600000"}, false},
		"epoch seconds":           {legacy(httpx.UnitEpochSeconds), []string{"X-RateLimit-Remaining", "2", "X-RateLimit-Reset", epoch()}, false},
		"GitHub, epoch seconds":   {profile.GitHub(), []string{"X-RateLimit-Limit", "60", "X-RateLimit-Remaining", "2", "X-RateLimit-Reset", epoch()}, false},
		"SendGrid, epoch seconds": {profile.SendGrid(), []string{"X-RateLimit-Limit", "500", "X-RateLimit-Remaining", "2", "X-RateLimit-Reset", epoch()}, false},
		"OpenAI, a duration": {profile.OpenAI(), []string{
			"X-RateLimit-Remaining-Requests", "2", "X-RateLimit-Reset-Requests", "1h0m0s",
			"X-RateLimit-Remaining-Tokens", "40000", "X-RateLimit-Reset-Tokens", "6m0s",
		}, false},
		"OpenAI, tokens": {profile.OpenAI(), []string{
			"X-RateLimit-Remaining-Requests", "500", "X-RateLimit-Reset-Requests", "120ms",
			"X-RateLimit-Remaining-Tokens", "2", "X-RateLimit-Reset-Tokens", "59m59.9s",
		}, false},

		"of nobody's unit":        {httpx.Profile{}, []string{"X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "3600"}, true},
		"malformed":               {httpx.Profile{}, []string{"RateLimit", `"default";r=0;t=`}, true},
		"in a unit that it isn't": {legacy(httpx.UnitDuration), []string{"X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "3600"}, true},
		"a reset that is past":    {profile.GitHub(), []string{"X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "1700000000"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newPeer(t, tc.profile, func(n int64, w http.ResponseWriter, _ *http.Request) {
				for i := 0; n == 1 && i < len(tc.headers); i += 2 {
					w.Header().Add(tc.headers[i], tc.headers[i+1])
				}
			})
			for n := range 3 {
				resp, _, err := v.do(t.Context(), http.MethodGet, "/")
				require.NoError(t, err, "call %d", n)
				require.Equal(t, 200, resp.StatusCode)
			}
			if tc.silent {
				_, _, err := v.do(t.Context(), http.MethodGet, "/")
				require.NoError(t, err)
				return
			}
			v.refused(http.MethodGet, time.Hour)
			v.refused(http.MethodPost, time.Hour)
			require.Equal(t, int64(3), v.sent.Load())
			require.Empty(t, v.paused, "nothing was refused there")
		})
	}
}

// What our own limiter tells its clients, our own client keeps to: nothing is ever refused by it.
func TestTheClientKeepsToOurOwnFields(t *testing.T) {
	t.Parallel()
	limits, err := ratelimit.ParseLimits("3/hour; 100/day")
	require.NoError(t, err)
	l, err := ratelimit.New("api", ratelimit.Config{Limits: limits})
	require.NoError(t, err)
	h := l.Handler(ratelimit.RemoteAddr)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	v := newPeer(t, httpx.Profile{}, func(_ int64, w http.ResponseWriter, r *http.Request) { h.ServeHTTP(w, r) })
	for range 3 {
		resp, _, err := v.do(t.Context(), http.MethodGet, "/")
		require.NoError(t, err)
		require.Equal(t, 200, resp.StatusCode)
	}
	v.refused(http.MethodGet, 20*time.Minute)
	require.Empty(t, v.paused)
}

// One caller is refused by the vendor, in each of the ways there are, and no other is sent.
func TestOne429PausesAllCallers(t *testing.T) {
	t.Parallel()
	in := func(d time.Duration) time.Time { return time.Now().Add(d) }
	for name, tc := range map[string]struct {
		profile httpx.Profile
		status  int
		headers map[string]string
	}{
		"seconds":              {httpx.Profile{}, 429, map[string]string{"Retry-After": "3600"}},
		"a date":               {httpx.Profile{}, 429, map[string]string{"Retry-After": in(time.Hour).UTC().Format(http.TimeFormat)}},
		"the reset of a quota": {httpx.Profile{}, 429, map[string]string{"RateLimit": `"default";r=0;t=3600`}},
		"draft 07":             {httpx.Profile{}, 429, map[string]string{"RateLimit": "limit=10, remaining=0, reset=3600"}},
		"OpenAI's":             {profile.OpenAI(), 429, map[string]string{"Retry-After-Ms": "3600000", "Retry-After": "1"}},
		"GitHub's 403": {profile.GitHub(), 403, map[string]string{
			"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": strconv.FormatInt(in(time.Hour).Unix(), 10),
		}},
		"SendGrid's": {profile.SendGrid(), 429, map[string]string{"X-RateLimit-Reset": strconv.FormatInt(in(time.Hour).Unix(), 10)}},
		"Twilio's":   {profile.Twilio(), 429, map[string]string{"Retry-After": "3600"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newPeer(t, tc.profile, func(n int64, w http.ResponseWriter, _ *http.Request) {
				if n > 1 {
					return
				}
				for k, value := range tc.headers {
					w.Header().Set(k, value)
				}
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, `{"message":"slow down"}`)
			})
			resp, body, err := v.do(t.Context(), http.MethodPost, "/")
			require.NoError(t, err)
			require.Equal(t, tc.status, resp.StatusCode)
			require.JSONEq(t, `{"message":"slow down"}`, body, "the answer is the caller's")
			e, ok := errors.AsType[*errors.Error](httpx.ResponseError(resp))
			require.True(t, ok)
			require.Equal(t, errors.VendorRateLimited, e.Kind)
			require.Equal(t, errors.Rejected, e.Delivery)
			require.InDelta(t, time.Hour, e.Retry.After, float64(time.Minute))
			var wg sync.WaitGroup
			for i := range 20 {
				wg.Go(func() {
					_, _, err := v.do(t.Context(), []string{http.MethodGet, http.MethodPost}[i%2], "/"+strconv.Itoa(i))
					if errors.KindOf(err) != errors.VendorRateLimited || errors.DeliveryOf(err) != errors.NotSent {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			v.refused(http.MethodGet, time.Hour)
			require.Equal(t, int64(1), v.sent.Load())
			require.Len(t, v.paused, 1)
			require.InDelta(t, time.Hour, v.paused[0].For, float64(time.Minute))
			require.Equal(t, breaker.Closed, v.tr.Breaker().State(), "a limit is no failure")
		})
	}
}

// Vapi's limit of concurrent calls, in every shape it is documented in.
func TestVapisOverLimitShapes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status   int
		body     string
		delivery errors.Delivery
		pause    time.Duration // 0: none
		wait     time.Duration // of the answer
	}{
		"made": {201, `{"id":"c1","status":"queued"}`, errors.Delivered, 0, 0},
		"made, the last one": {
			201, `{"id":"c1","subscriptionLimits":{"concurrencyBlocked":false,"concurrencyLimit":10,"remainingConcurrentCalls":0}}`,
			errors.Delivered, 0, 0,
		},
		"made and blocked": {
			201, `{"id":"c1","status":"queued","subscriptionLimits":{"concurrencyBlocked":true,"concurrencyLimit":10,"remainingConcurrentCalls":0}}`,
			errors.Delivered, time.Second, 0,
		},
		"a batch, some of it blocked": {
			201, `{"results":[{"id":"c1"}],"errors":[{"customer":{"number":"+15005550006"},"error":"Over Concurrency Limit"}],"subscriptionLimits":{"concurrencyBlocked":true,"concurrencyLimit":10,"remainingConcurrentCalls":0}}`,
			errors.Delivered, time.Second, 0,
		},
		"made and ended for it": {
			201, `{"id":"c1","status":"ended","endedReason":"call.start.error-subscription-concurrency-limit-reached"}`,
			errors.Delivered, time.Second, 0,
		},
		"refused by a 400": {400, `{"error":"Over Concurrency Limit"}`, errors.Rejected, 2 * time.Minute, 2 * time.Minute},
		"refused by a 400 in the usual shape": {
			400, `{"message":["Over Concurrency Limit"],"error":"Bad Request","statusCode":400}`, errors.Rejected, 2 * time.Minute, 2 * time.Minute,
		},
		"refused by a 429":        {429, `{"message":"Rate limit exceeded"}`, errors.Rejected, time.Second, 0},
		"Cloudflare's 429":        {429, `<html>error code: 1015</html>`, errors.Rejected, time.Second, 0},
		"another 400 is no limit": {400, `{"message":["assistantId must be a UUID"],"error":"Bad Request","statusCode":400}`, errors.Rejected, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newPeer(t, profile.Vapi(), func(_ int64, w http.ResponseWriter, r *http.Request) {
				if got, _ := io.ReadAll(r.Body); string(got) != `{"a":1}` || r.URL.Path != "/call" {
					t.Errorf("%s %s", r.URL.Path, got)
				}
				w.Header().Set("Content-Type", "application/json; charset=utf-8")
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, tc.body)
			})
			resp, body, err := v.do(t.Context(), http.MethodPost, "/call")
			require.NoError(t, err, "a status is an answer")
			require.Equal(t, tc.status, resp.StatusCode)
			require.Equal(t, tc.body, body, "for the vendor's SDK")
			outcome, ok := httpx.OutcomeOf(resp)
			require.True(t, ok)
			require.Equal(t, tc.delivery, outcome.Delivery)
			require.Equal(t, 1, outcome.Attempts)
			require.Equal(t, tc.wait, outcome.RetryAfter)
			var pauses []ratelimit.PauseEvent
			if tc.pause > 0 {
				pauses = []ratelimit.PauseEvent{{Name: "vendor", Key: "vendor", For: tc.pause}}
			}
			require.Equal(t, pauses, v.paused)
			if tc.pause > time.Minute {
				v.refused(http.MethodPost, tc.pause)
			}
			if tc.delivery == errors.Rejected && tc.pause > 0 {
				require.Equal(t, errors.VendorRateLimited, errors.KindOf(httpx.ResponseError(resp)))
			}
			require.Equal(t, int64(1), v.sent.Load(), "nobody is called twice")
			require.Equal(t, breaker.Closed, v.tr.Breaker().State())
		})
	}
}

// With its retries on: whatever the shape, POST /call is sent once where the call was made, and a 400 is not waited for.
func TestVapisLimitDialsNobodyTwice(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status int
		body   string
		stop   errors.Stop
	}{
		"made and blocked": {201, `{"subscriptionLimits":{"concurrencyBlocked":true}}`, ""},
		"refused by a 400": {400, `{"error":"Over Concurrency Limit"}`, errors.StopRateLimited},
		"a failure":        {500, `{"message":"Internal server error","statusCode":500}`, errors.StopUnsafeMethod},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var sent atomic.Int64
			url := listenAndServe(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				sent.Add(1)
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, tc.body)
			}))
			c, err := httpx.NewClient("vapi", httpx.Config{Profile: profile.Vapi()})
			require.NoError(t, err)
			defer c.CloseIdleConnections()
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/call", strings.NewReader("{}"))
			require.NoError(t, err)
			resp, err := c.Do(r)
			require.NoError(t, err)
			outcome, _ := httpx.OutcomeOf(resp)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, tc.stop, outcome.Stop)
			require.Equal(t, int64(1), sent.Load())
		})
	}
}

// Ten calls at a time, as Vapi documents: the eleventh is refused here, and does not reach Vapi.
func TestVapisConcurrencyIsTheBulkhead(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}), make(chan struct{})
	v := newPeer(t, profile.Vapi(), func(_ int64, w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-release
		w.WriteHeader(http.StatusCreated)
	})
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if _, _, err := v.do(t.Context(), http.MethodPost, "/call"); err != nil {
				t.Error(err)
			}
		})
	}
	for range 10 {
		<-arrived
	}
	require.Equal(t, 10, v.tr.InFlight())
	_, _, err := v.do(t.Context(), http.MethodPost, "/call")
	require.Equal(t, errors.StopBulkheadFull, errors.StopOf(err), "%v", err)
	require.Equal(t, errors.NotSent, errors.DeliveryOf(err))
	require.Equal(t, int64(10), v.sent.Load())
	close(release)
	wg.Wait()
	require.Zero(t, v.tr.InFlight())
	wg.Go(func() { <-arrived })
	_, _, err = v.do(t.Context(), http.MethodPost, "/call")
	require.NoError(t, err, "a place is free again")
	wg.Wait()
}
