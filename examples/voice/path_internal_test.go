package main

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/examples/internal/sim/fault"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/ratelimit/ratelimittest"
	"github.com/prusik-go/prusik/ratelimit/ratelimittest/chiroutes"
)

// The path of a request: middleware, route, SDK, vendor, and back, on real listeners.

func TestTheCalendarStubIsBehindItsFlag(t *testing.T) {
	g := start(t)
	for _, route := range []string{"GET /api/v1/integrations/calendar/google/events", "GET /api/v1/integrations/email/messages"} {
		p := g.send(t, route, "").problem(t, http.StatusForbidden, errors.FeatureDisabled)
		require.Equal(t, "Stub mode disabled", p.Detail)

		g.override(t, "INTEGRATIONS_STUB_MODE", "true") // between two requests
		require.Equal(t, true, g.send(t, route, "").object(t, http.StatusOK)["stub"])
		g.override(t, "INTEGRATIONS_STUB_MODE", "false")
		g.send(t, route, "").problem(t, http.StatusForbidden, errors.FeatureDisabled)
	}
	g.send(t, "POST /api/v1/integrations/email/messages", `{"to":"ann@example.com"}`).problem(t, http.StatusForbidden, errors.FeatureDisabled)
}

func TestTheCalendarStubOfADevelopersMachine(t *testing.T) {
	g := start(t, "INTEGRATIONS_STUB_MODE=true")
	require.Len(t, g.send(t, "GET /api/v1/integrations/calendar/google/events", "").object(t, http.StatusOK)["events"], 2)
	require.Len(t, g.send(t, "GET /api/v1/integrations/email/messages", "").object(t, http.StatusOK)["messages"], 1)
	g.send(t, "POST /api/v1/integrations/email/messages", `{"to":"ann@example.com","subject":"hi"}`).object(t, http.StatusCreated)
	p := g.send(t, "POST /api/v1/integrations/email/messages", `{"to":""}`).problem(t, http.StatusBadRequest, errors.Invalid)
	require.Contains(t, p.Extra["fields"], "to")
}

// Twilio goes down under calls that are being placed: the breaker opens at the threshold, refuses at once and says for how long, lets
// a probe through, and closes. Vapi does not notice.
func TestTwilioCallsAreGuardedByTheBreaker(t *testing.T) {
	g := start(t, "TWILIO_CIRCUIT_BREAKER_THRESHOLD=3", "TWILIO_CIRCUIT_BREAKER_RECOVERY_TIMEOUT=1")
	place := func(key string) reply {
		return g.send(t, "POST /api/v1/twilio/calls", `{"to":"`+person+`","say":"Hello <you> & yours"}`, "Idempotency-Key", key)
	}
	placed := place("well").object(t, http.StatusCreated)
	require.EqualValues(t, 1, placed["attempts"])
	require.Equal(t, "queued", placed["call"].(object)["status"])
	require.Equal(t, "<Response><Say>Hello &lt;you&gt; &amp; yours</Say></Response>", g.vendors.twilioSim.Calls(person)[0].Source)

	g.breaks(t, "twilio", "down")
	for i := range 3 {
		p := place(fmt.Sprint("down", i)).problem(t, http.StatusBadGateway, errors.VendorBadResponse)
		require.Equal(t, "unknown", p.Delivery, "a 503 does not say that nobody was called")
		require.Equal(t, 1, p.Retry.Attempt)
	}
	saw := len(g.vendors.twilioSim.Entries())
	require.Equal(t, 4, saw, "each of them was sent once")
	for i := range 5 {
		r := place(fmt.Sprint("open", i))
		p := r.problem(t, http.StatusServiceUnavailable, errors.CircuitOpen)
		require.Equal(t, "not_sent", p.Delivery)
		require.Contains(t, []string{"1", "2"}, r.header.Get("Retry-After"), "the time to the next probe, 1.1 s at most, rounded up")
	}
	g.send(t, "GET /api/v1/twilio/messages", "").problem(t, http.StatusServiceUnavailable, errors.CircuitOpen)
	require.Len(t, g.vendors.twilioSim.Entries(), saw, "Twilio was left alone")

	for range 5 {
		require.EqualValues(t, 1, g.send(t, "GET /api/v1/vapi/settings", "").object(t, http.StatusOK)["attempts"], "Vapi is well")
	}

	g.breaks(t, "twilio", "none")
	eventually(t, "a probe closes the breaker", func() bool { return place("again").status == http.StatusCreated })
	require.Len(t, g.vendors.twilioSim.Calls(person), 2, "who was refused was not called")
	for i := range 5 {
		require.Equal(t, http.StatusCreated, place(fmt.Sprint("recovered", i)).status)
	}
}

// Ten a minute for each client, who are told apart behind our proxy by what the proxy says, and not by what they say.
func TestTenAMinutePerClientBehindAProxy(t *testing.T) {
	g := startWith(t, standard(), quick, "VOICE_TRUSTED_PROXIES=127.0.0.1, 10.0.0.0/8", "RATE_LIMIT_PER_MINUTE=10")
	ask := func(forwarded string) reply {
		return g.send(t, "GET /api/v1/vapi/settings", "", "X-Forwarded-For", forwarded)
	}
	began, n := time.Now(), 0
	r := ask("203.0.113.1")
	for ; r.status == http.StatusOK; n++ {
		require.Equal(t, `"api";q=10;w=60`, r.header.Get("RateLimit-Policy"))
		require.Less(t, n, 1000)
		r = ask("203.0.113.1, 10.1.2.3")
	}
	require.InDelta(t, 10, n, time.Since(began).Seconds()/6+1, "and one more each 6 s")
	p := r.problem(t, http.StatusTooManyRequests, errors.RateLimited)
	require.Contains(t, r.header.Get("RateLimit"), `"api";r=0`)
	require.Equal(t, fmt.Sprint(p.Retry.Seconds()), r.header.Get("Retry-After"))

	require.Equal(t, http.StatusTooManyRequests, ask("198.51.100.99, 203.0.113.1").status, "what a client writes there itself is nothing")
	require.Equal(t, http.StatusOK, ask("203.0.113.2").status, "another client")
	require.Equal(t, http.StatusTooManyRequests, g.send(t, "GET /api/v1/twilio/calls", "", "X-Forwarded-For", "203.0.113.1").status, "all routes count together")
	require.Equal(t, http.StatusOK, g.send(t, "GET /demo/vendors", "", "X-Forwarded-For", "203.0.113.1").status)

	direct := start(t, "RATE_LIMIT_PER_MINUTE=10")
	for i := range 12 {
		r = direct.send(t, "GET /api/v1/vapi/settings", "", "X-Forwarded-For", fmt.Sprintf("203.0.113.%d", i))
	}
	require.Equal(t, http.StatusTooManyRequests, r.status, "nobody is a proxy where none is named")
}

func TestEveryRouteOfTheAPIIsLimited(t *testing.T) {
	g := start(t, "RATE_LIMIT_PER_MINUTE=10")
	notLimited := []string{
		"GET /api/v1/progress/{correlation_id}", // a stream is one request, however long
		"GET /", "GET /assets/*", "GET /openapi.json", "GET /demo/vendors", "PUT /demo/vendors/{vendor}",
		"GET /metrics", "GET /ops/status", "GET /ops/flags", "GET /healthz", "GET /readyz",
		"POST /callbacks/twilio/{token}", "POST /callbacks/vapi/{token}", // a vendor's, signed
	}
	routes := chiroutes.List(t, g.router, notLimited...)
	require.Len(t, routes, 9)
	ratelimittest.RequireLimited(t, g.Handler, routes...)
}

// What the page shows while it waits: the stream is there before the request.
func TestRetriesAreSeenByTheBrowser(t *testing.T) {
	g := startWith(t, standard(), func(cfg httpx.Config) httpx.Config {
		cfg.BackoffBase = 10 * time.Millisecond
		return cfg
	})
	const id = "page-1"
	progress := g.follow(t, "/api/v1/progress/"+id)
	g.breaks(t, "vapi", "flaky")
	settings := g.send(t, "GET /api/v1/vapi/settings", "", correlation.Header, id).object(t, http.StatusOK)
	require.EqualValues(t, 2, settings["attempts"])
	require.Equal(t, id, settings["correlation_id"])
	for range 2 { // assistants, phone numbers
		require.Equal(t, "attempt", progress.next(t)["status"])
		retry := progress.next(t)
		require.Equal(t, "retrying", retry["status"])
		require.EqualValues(t, 2, retry["attempt"])
		require.EqualValues(t, 3, retry["max_attempts"])
		require.Contains(t, retry, "next_retry_in_seconds")
		require.Equal(t, "503", retry["reason"])
		require.Equal(t, "attempt", progress.next(t)["status"])
		require.Equal(t, "succeeded", progress.next(t)["status"])
	}

	// A failure says what was tried.
	g.breaks(t, "twilio", "down")
	p := g.send(t, "GET /api/v1/twilio/messages", "").problem(t, http.StatusBadGateway, errors.VendorBadResponse)
	require.Equal(t, 3, p.Retry.Attempt)
	require.Equal(t, 3, p.Retry.MaxAttempts)
	state := g.follow(t, "/ops/status").next(t)
	clients := state["clients"].([]any)
	require.Len(t, clients, 2)
	require.Equal(t, "open", clients[0].(object)["breakers"].([]any)[0].(object)["state"])
}

// The answer is lost: what became of the text is not known. That is said, again to who asks again with the same key, and the text
// is not sent again until a person decides to.
func TestUnknownIsSaidAndNeverSentAgain(t *testing.T) {
	g := start(t)
	g.breaks(t, "twilio", "lost_answer")
	first := g.text(t, "k1", "hello")
	p := first.problem(t, http.StatusBadGateway, errors.VendorBadResponse)
	require.Equal(t, "unknown", p.Delivery)
	require.Equal(t, "It may have been sent: check before sending again.", p.Detail)
	g.breaks(t, "twilio", "none")
	again := g.text(t, "k1", "hello")
	require.Equal(t, "unknown", again.problem(t, http.StatusBadGateway, errors.VendorBadResponse).Delivery)
	require.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
	require.Equal(t, first.header.Get(correlation.Header), again.header.Get("Idempotency-Correlation-Id"))
	require.Len(t, g.vendors.twilioSim.Received(person), 1)

	found := g.send(t, "GET /api/v1/twilio/messages", "").object(t, http.StatusOK) // the means to check
	require.Equal(t, "hello", found["messages"].([]any)[0].(object)["body"])
	require.Equal(t, http.StatusCreated, g.text(t, "k2", "hello").status)
	require.Len(t, g.vendors.twilioSim.Received(person), 2)
	received := g.send(t, "GET /demo/vendors", "").object(t, http.StatusOK)["vendors"].([]any)[0].(object)["received"]
	require.Equal(t, object{"messages": 2.0, "calls": 0.0}, received)
}

func TestADoubleClickTextsOnce(t *testing.T) {
	g := start(t)
	replies := make(chan reply, 16)
	var clicks sync.WaitGroup
	for range cap(replies) {
		clicks.Go(func() { replies <- g.text(t, "click", "hello") })
	}
	clicks.Wait()
	close(replies)
	sent := map[string]bool{}
	for r := range replies {
		switch r.status {
		case http.StatusCreated:
			sent[r.object(t, http.StatusCreated)["message"].(object)["sid"].(string)] = true
		default:
			r.problem(t, http.StatusConflict, errors.Conflict)
		}
	}
	require.Len(t, sent, 1)
	require.Len(t, g.vendors.twilioSim.Received(person), 1)
	require.Equal(t, http.StatusUnprocessableEntity, g.text(t, "click", "another text").status, "the key was for another")
	g.send(t, "POST /api/v1/twilio/messages", `{"to":"`+person+`","body":"hello"}`).problem(t, http.StatusBadRequest, errors.Invalid)
	require.Len(t, g.vendors.twilioSim.Received(person), 1)
}

// A client that leaves while a retry is waited for: nothing is sent after it has gone, nothing is left over, and its key is free, as
// nothing was done.
func TestAClientLeavesInTheMiddleOfARetry(t *testing.T) {
	g := start(t)
	g.vendors.twilioSim.SetScript(fault.Always(fault.TooManyRequestsAfter(20 * time.Second)))
	const id = "leaver"
	progress := g.follow(t, "/api/v1/progress/"+id)
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, err := g.try(ctx, "POST /api/v1/twilio/messages", `{"to":"`+person+`","body":"hello"}`, correlation.Header, id, "Idempotency-Key", "k")
		gone <- err
	}()
	require.Equal(t, "attempt", progress.next(t)["status"])
	retry := progress.next(t)
	require.Equal(t, "retrying", retry["status"])
	require.EqualValues(t, 20, retry["next_retry_in_seconds"])
	leave()
	require.ErrorIs(t, receive(t, gone), context.Canceled)
	end := progress.next(t)
	if end["status"] == "rate_limited" { // by Twilio, which is why there was a wait
		end = progress.next(t)
	}
	require.Equal(t, "failed", end["status"])
	require.Equal(t, "canceled", end["stop"])
	require.Equal(t, "rejected", end["delivery"])
	require.Len(t, g.vendors.twilioSim.Entries(), 1, "the retry was not sent")

	g.breaks(t, "twilio", "none")
	eventually(t, "the key is free", func() bool { return g.text(t, "k", "hello").status == http.StatusCreated })
	require.Len(t, g.vendors.twilioSim.Received(person), 1)
}

func TestEmptyListsSayWhatToDo(t *testing.T) {
	g := start(t)
	for route, list := range map[string]string{"GET /api/v1/twilio/messages": "messages", "GET /api/v1/twilio/calls": "calls"} {
		r := g.send(t, route, "").object(t, http.StatusOK)
		require.Equal(t, []any{}, r[list])
		require.NotEmpty(t, r["guidance"])
	}
	g.text(t, "k", "hello")
	require.NotContains(t, g.send(t, "GET /api/v1/twilio/messages", "").object(t, http.StatusOK), "guidance")
	require.NotContains(t, g.send(t, "GET /api/v1/vapi/settings", "").object(t, http.StatusOK), "guidance")
}

func TestASettingIsChanged(t *testing.T) {
	g := start(t)
	settings := g.send(t, "GET /api/v1/vapi/settings", "").object(t, http.StatusOK)
	id := settings["assistants"].([]any)[0].(object)["id"].(string)
	require.Equal(t, "Main line", settings["phone_numbers"].([]any)[0].(object)["name"])
	changed := g.send(t, "PATCH /api/v1/vapi/settings/assistants/"+id, `{"first_message":"Good day."}`).object(t, http.StatusOK)
	require.Equal(t, object{"id": id, "name": "Front desk", "first_message": "Good day."}, changed["assistant"])
	settings = g.send(t, "GET /api/v1/vapi/settings", "").object(t, http.StatusOK)
	require.Equal(t, "Good day.", settings["assistants"].([]any)[0].(object)["first_message"])

	p := g.send(t, "PATCH /api/v1/vapi/settings/assistants/00000000-0000-4000-8000-00000000ffff", `{"name":"x"}`).
		problem(t, http.StatusNotFound, errors.NotFound)
	require.Equal(t, "rejected", p.Delivery)
	for body, field := range map[string]string{`{}`: "name", `{"name":""}`: "name"} {
		p := g.send(t, "PATCH /api/v1/vapi/settings/assistants/"+id, body).problem(t, http.StatusBadRequest, errors.Invalid)
		require.Contains(t, p.Extra["fields"], field)
	}
}

func TestWhatIsWrongIsSaidAtItsField(t *testing.T) {
	g := start(t)
	g.vendors.twilioSim.Refuse("+15550001111", 21610)
	n := 0
	for _, c := range []struct{ route, body, field, says string }{
		{"POST /api/v1/twilio/messages", `{"to":"555","body":"x"}`, "to", "country"},
		{"POST /api/v1/twilio/messages", `{"to":"` + person + `","body":""}`, "body", "1 to 1600"},
		{"POST /api/v1/twilio/messages", `{"to":"+15550001111","body":"x"}`, "to", "opted out"},
		{"POST /api/v1/twilio/calls", `{"to":"","say":"x"}`, "to", "country"},
		{"POST /api/v1/twilio/calls", `{"to":"` + person + `","say":""}`, "say", "1 to 500"},
		{"PUT /demo/vendors/twilio", `{"fault":"other"}`, "fault", "none, down"},
	} {
		n++
		p := g.send(t, c.route, c.body, "Idempotency-Key", fmt.Sprint("k", n)).problem(t, http.StatusBadRequest, errors.Invalid)
		require.Contains(t, p.Extra["fields"].(object)[c.field], c.says)
		require.Contains(t, p.Detail, c.says)
	}
	for _, body := range []string{``, `[]`, `{"to":1}`, `{"to":"a","other":1}`, `{} {}`} {
		g.send(t, "POST /api/v1/twilio/messages", body, "Idempotency-Key", "k").problem(t, http.StatusBadRequest, errors.Invalid)
	}
	require.Empty(t, g.vendors.twilioSim.Received(person))
	require.NotContains(t, string(g.text(t, "k", "x").body), "AC", "no account in an answer")
}

func TestAPageOfAnotherSiteSendsNothing(t *testing.T) {
	g := start(t)
	g.text(t, "k", "hello", "Sec-Fetch-Site", "cross-site").problem(t, http.StatusForbidden, errors.Forbidden)
	g.send(t, "PUT /demo/vendors/twilio", `{"fault":"down"}`, "Origin", "https://other.example").problem(t, http.StatusForbidden, errors.Forbidden)
	require.Equal(t, http.StatusCreated, g.text(t, "k", "hello", "Sec-Fetch-Site", "same-origin").status)
}

func TestASwitchIsThrownAtRunTime(t *testing.T) {
	g := start(t)
	g.override(t, "TWILIO_KILL_SWITCH", "true")
	p := g.text(t, "k", "hello").problem(t, http.StatusForbidden, errors.FeatureDisabled)
	require.Equal(t, "not_sent", p.Delivery)
	require.Equal(t, http.StatusOK, g.send(t, "GET /api/v1/vapi/settings", "").status)
	g.override(t, "TWILIO_KILL_SWITCH", "false")
	require.Equal(t, http.StatusCreated, g.text(t, "k", "hello").status)

	g.override(t, "RATE_LIMIT_PER_MINUTE", "1")
	eventually(t, "the limit holds", func() bool { return g.send(t, "GET /api/v1/vapi/settings", "").status == http.StatusTooManyRequests })
}

func TestTheRestIsThere(t *testing.T) {
	g := start(t)
	require.Equal(t, "ok", g.send(t, "GET /healthz", "").object(t, http.StatusOK)["status"])
	require.Equal(t, "ready", g.send(t, "GET /readyz", "").object(t, http.StatusOK)["status"])
	g.text(t, "k", "hello")
	metrics := string(g.send(t, "GET /metrics", "").body)
	for _, series := range []string{
		`circuit_breaker_state{key="",service="twilio"} 0`, `circuit_breaker_state{key="",service="vapi"} 0`, `feature_flag_enabled{flag="INTEGRATIONS_STUB_MODE"} 0`,
		`http_server_requests_total{code="201",method="POST",route="/api/v1/twilio/messages"} 1`,
		`resilience_policy_info{policy="breaker",service="twilio"} 1`,
	} {
		require.Contains(t, strings.Split(metrics, "\n"), series)
	}
	flags := string(g.send(t, "GET /ops/flags", "").body)
	require.Contains(t, flags, "TWILIO_CIRCUIT_BREAKER_THRESHOLD")
	r, err := g.try(t.Context(), "GET /nowhere", "")
	require.NoError(t, err)
	r.problem(t, http.StatusNotFound, errors.NotFound)
	r, err = g.try(t.Context(), "DELETE /api/v1/twilio/messages", "")
	require.NoError(t, err)
	r.problem(t, http.StatusMethodNotAllowed, errors.Invalid)
	require.Equal(t, []string{"GET", "POST"}, r.header.Values("Allow"))
	g.send(t, "PUT /demo/vendors/stripe", `{"fault":"none"}`).problem(t, http.StatusNotFound, errors.NotFound)
}

// With accounts there are no simulators, and nothing to break. Nothing is sent here.
func TestRealVendorsCannotBeBroken(t *testing.T) {
	g := start(t, "TWILIO_ACCOUNT_SID=ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "TWILIO_AUTH_TOKEN=token", "TWILIO_FROM=+15005550006", "VAPI_API_KEY=key",
		"KILL_SWITCH=true")
	g.send(t, "GET /demo/vendors", "").problem(t, http.StatusNotFound, errors.NotFound)
	g.send(t, "PUT /demo/vendors/twilio", `{"fault":"down"}`).problem(t, http.StatusNotFound, errors.NotFound)
	g.text(t, "k", "hello").problem(t, http.StatusForbidden, errors.FeatureDisabled)
	require.Nil(t, g.vendors.base("twilio"))
	require.Nil(t, g.vendors.base("vapi"))
}

func TestThePageIsServed(t *testing.T) {
	g := start(t)
	r := g.send(t, "GET /", "")
	require.Equal(t, http.StatusOK, r.status)
	assets := regexp.MustCompile(`(?:src|href)="(/?assets/[^"]+)"`).FindAllStringSubmatch(string(r.body), -1)
	require.NotEmpty(t, assets)
	for _, a := range assets {
		require.Equal(t, http.StatusOK, g.send(t, "GET /"+strings.TrimPrefix(a[1], "/"), "").status, a[1])
	}
	g.send(t, "GET /assets/nothing.js", "").problem(t, http.StatusNotFound, errors.NotFound)
}
