package page_test

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/examples/internal/browser"
	"github.com/prusik-go/prusik/httpx"
)

const (
	sendText  = "POST /api/v1/twilio/messages"
	placeCall = "POST /api/v1/twilio/calls"
	readTexts = "GET /api/v1/twilio/messages"
)

func text(p *browser.Page, body string) {
	p.Fill("textbox", "Message", body)
	p.Click("button", "Send text", 1)
}

func message(body string, more object) object {
	m := object{"message": object{"sid": fmt.Sprintf("SM%032.16x", body), "to": "+15005550006", "body": body, "status": "queued"}, "attempts": 1}
	maps.Copy(m, more)
	return m
}

func TestATextFromEmptyToSent(t *testing.T) {
	t.Parallel()
	e, p, s := open(t)
	p.Shows("paragraph", "", "Both vendors are simulated inside this program")
	p.Shows("meter", "Your requests", "7 of 10 left")
	p.Shows("region", "Vendors", "7 of 10 left", "more in ")
	e.look("empty")

	// What is wrong is said at the field, and the focus goes to the first.
	p.Fill("textbox", "To", "12")
	p.Click("button", "Send text", 1)
	p.Shows("alert", "Failures", "Enter the number with its country code, such as +15005550006. Write a text.")
	role, name := p.Focused()
	require.Equal(t, "textbox To", role+" "+name)
	require.Equal(t, "Enter the number with its country code, such as +15005550006.", described(p))
	e.look("invalid")
	p.Fill("textbox", "To", "+15005550006")
	require.Empty(t, described(p), "it goes as soon as somebody mends it")
	s.quiet()

	// A retry, while it is under way.
	text(p, "Your table is ready.")
	x := s.next(sendText)
	require.Equal(t, object{"to": "+15005550006", "body": "Your table is ready."}, x.body)
	require.Regexp(t, `^"[0-9a-f-]{36}"$`, x.key, "a structured field's string")
	require.Regexp(t, `^[0-9a-f-]{36}$`, x.id)
	x.tell(httpx.Event{Status: httpx.StatusAttempt, Attempt: 1})
	p.Shows("progressbar", "Sending the text", "Sending, attempt 1 of 3")
	x.tell(httpx.Event{Status: httpx.StatusRetrying, Attempt: 2, NextRetryIn: 5 * time.Second, Reason: "429"})
	p.Shows("status", "Progress", "Retrying, attempt 2 of 3, next try in 5 s")
	p.Shows("progressbar", "Sending the text", "Retrying, attempt 2 of 3, next try in")
	require.Equal(t, []string{"2", "3", "0"}, browser.Eval[[]string](p, `["valuenow", "valuemax", "valuemin"].map((a) => document.querySelector("[role=progressbar]").getAttribute("aria-" + a))`))
	e.look("retrying")
	p.Await("a second less, by itself", func() bool {
		now := p.Named("progressbar", "Sending the text")[0]
		return strings.HasPrefix(now, "Retrying, attempt 2 of 3, next try") && !strings.HasSuffix(now, "in 5 s")
	})
	p.Shows("status", "Progress", "Retrying, attempt 2 of 3, next try in 5 s") // not announced each second
	x.tell(httpx.Event{Status: httpx.StatusAttempt, Attempt: 2})
	p.Shows("status", "Progress", "Trying again, attempt 2 of 3")

	s.receive("messages", 1)
	x.answer(http.StatusCreated, message("Your table is ready.", object{"attempts": 2}))
	p.Shows("status", "Notifications", "Text sent to +15005550006 after 2 attempts.")
	p.Shows("article", "Text", "Text sent to +15005550006 after 2 attempts.", "Twilio has it as SM596f7572")
	p.Shows("list", "Latest texts", "+15005550006", "queued", "Your table is ready.")
	p.Shows("article", "Twilio", "What people really received", "1 text, 0 calls")
	role, name = p.Focused()
	require.Equal(t, "button Send text", role+" "+name, "the focus is where it was")
	require.Equal(t, []string{""}, p.Named("textbox", "Message"))
	require.Empty(t, p.Named("progressbar", ""))
	e.look("success")
	require.Empty(t, p.Complaints(), "neither script nor policy had to complain")
}

// described is the text that describes what has the focus, where that is marked as wrong.
func described(p *browser.Page) string {
	return browser.Eval[string](p, `(() => {
		const f = document.activeElement;
		if (f.getAttribute("aria-invalid") !== "true") return "";
		return f.getAttribute("aria-describedby").split(" ").map((id) => document.getElementById(id).textContent).join(" ");
	})()`)
}

func TestAnOpenCircuit(t *testing.T) {
	t.Parallel()
	e, p, s := open(t)
	s.down.Store(true)
	s.call(2)
	p.Shows("article", "Twilio", "Having trouble", "calls go through. 2 of the last 2 failed.")
	s.call(1)
	p.Shows("article", "Twilio", "Circuit open", "Twilio fails, so calls are refused at once. Next probe in")
	p.Shows("status", "Progress", "Twilio: Circuit open. Twilio fails, so calls are refused at once. Next probe in")
	p.Shows("article", "Vapi", "Working", "The circuit is closed: calls go through.")
	text(p, "Are you there?")
	x := s.next(sendText)
	x.refuse(&errors.Error{
		Kind: errors.CircuitOpen, Service: "twilio", Delivery: errors.NotSent, Stop: errors.StopBreakerOpen,
		Retry: errors.Retry{After: 23 * time.Second, MaxAttempts: 3}, CorrelationID: x.id,
	})
	p.Shows("alert", "Failures", "Twilio is down, so it is not being asked.", "Nothing was sent.", "Next probe in 23 seconds. You may try at any time.")
	p.Await("it counts", func() bool {
		return !strings.Contains(p.Named("article", "Text")[0], "in 23 seconds") && !strings.Contains(p.Named("article", "Twilio")[0], "in 40 seconds")
	})
	p.Shows("article", "Text", "Reference for support: "+x.id)
	e.look("open-circuit")

	// The button works, and what is tried again is the same intention.
	p.Click("button", "Send text", 1)
	again := s.next(sendText)
	require.Equal(t, x.key, again.key)
	require.NotEqual(t, x.id, again.id)
	again.refuse(&errors.Error{Kind: errors.CircuitOpen, Delivery: errors.NotSent, Stop: errors.StopBreakerOpen, Retry: errors.Retry{After: time.Second}})
	p.Shows("article", "Text", "The next try goes to Twilio.")
	p.Shows("status", "Progress", "The next try goes to Twilio.")

	s.breaker().ForceOpen()
	p.Shows("article", "Twilio", "Stopped by hand", "an operator has stopped all calls to Twilio.")
	s.breaker().Disable()
	p.Shows("article", "Twilio", "Unguarded", "failures are not counted")
	s.down.Store(false)
	s.breaker().Reset()
	p.Shows("article", "Twilio", "Working", "The circuit is closed: calls go through.")
	p.Shows("status", "Progress", "Twilio: Working. The circuit is closed")
}

// Delivery is unknown: nothing is sent again until a person says so, and there are means to find out.
func TestItMayHaveBeenSent(t *testing.T) {
	t.Parallel()
	e, p, s := open(t)
	lost := &errors.Error{Kind: errors.VendorBadResponse, Service: "twilio", Delivery: errors.Unknown, Stop: errors.StopUnsafeMethod, Retry: errors.Retry{Attempt: 1, MaxAttempts: 3}}
	text(p, "Your code is 4711.")
	x := s.next(sendText)
	x.refuse(lost)
	p.Shows("alert", "Failures", "Unknown: it may have been sent. Check before sending again.")
	p.Shows("article", "Text", "Unknown: it may have been sent. Check before sending again.", x.id)
	e.look("unknown")

	// The plain button is the same intention, with the same key: the service answers from memory.
	p.Click("button", "Send text", 1)
	same := s.next(sendText)
	require.Equal(t, x.key, same.key)
	same.refuse(lost)
	p.Shows("button", "Check", "Check")

	// The vendor has none such.
	s.reply(readTexts, http.StatusOK, object{"messages": []object{}, "attempts": 1})
	p.Click("button", "Check", 1)
	p.Shows("status", "Progress", "Twilio has no such text to +15005550006. You can send it again.")
	_, name := p.Focused()
	require.Equal(t, "Check", name)

	// It has one.
	s.reply(readTexts, http.StatusOK, object{"attempts": 1, "messages": []object{
		{"sid": "SM2", "to": "+15005550006", "body": "Your code is 4711.", "status": "delivered"},
		{"sid": "SM1", "to": "+15005550001", "body": "Something else", "status": "delivered"},
	}})
	p.Click("button", "Check", 1)
	p.Shows("status", "Progress", "Twilio has one such text to +15005550006. There is no need to send it again.")
	p.Shows("list", "Latest texts", "Something else")
	e.look("unknown-checked")

	// It cannot even be asked.
	s.refuse(readTexts, &errors.Error{Kind: errors.VendorTimeout, Delivery: errors.Unknown, Stop: errors.StopExhausted, Retry: errors.Retry{Attempt: 3, MaxAttempts: 3}})
	p.Click("button", "Check", 1)
	p.Shows("alert", "Failures", "Asking Twilio: Twilio did not answer in time. It was tried 3 times.")

	// Again all the same: a deliberate act, and a new key. The content is that of the first one.
	p.Fill("textbox", "Message", "Something new")
	p.Click("button", "Send again", 1)
	again := s.next(sendText)
	require.NotEqual(t, x.key, again.key)
	require.Equal(t, "Your code is 4711.", again.body["body"])
	role, name := p.Focused()
	require.Equal(t, "button Send text", role+" "+name, "its own button is gone, the focus is not")
	again.answer(http.StatusCreated, message("Your code is 4711.", nil))
	p.Shows("status", "Notifications", "Text sent to +15005550006.")

	// A call is no text: other words, the same rules.
	p.Fill("textbox", "What to say", "Your taxi waits.")
	p.Click("button", "Place call", 1)
	c := s.next(placeCall)
	require.Equal(t, object{"to": "+15005550006", "say": "Your taxi waits."}, c.body)
	c.refuse(lost)
	p.Shows("article", "Call", "Unknown: it may have been placed. Check before calling again.", "this rings them twice")
	p.Click("button", "Call again", 1)
	c2 := s.next(placeCall)
	require.NotEqual(t, c.key, c2.key)
	c2.answer(http.StatusCreated, object{"call": object{"sid": "CA1", "to": "+15005550006", "status": "queued"}, "attempts": 1})
	p.Shows("status", "Notifications", "Call placed to +15005550006.")
	p.Shows("list", "Latest calls", "+15005550006", "queued")
}

func TestRefusalsInPlainWords(t *testing.T) {
	t.Parallel()
	e, p, s := open(t)
	p.Grant(s.url, "clipboard-write")
	refuse := func(err *errors.Error) *exchange {
		t.Helper()
		text(p, "Hello")
		x := s.next(sendText)
		x.refuse(err)
		return x
	}
	// One's own limit.
	s.limit.Store(`"10/minute";r=0;t=17`)
	refuse(&errors.Error{Kind: errors.RateLimited, Retry: errors.Retry{After: 17 * time.Second}})
	p.Shows("alert", "Failures", "That was one request too many.", "Nothing was sent.", "You can try again in 17 seconds.")
	p.Shows("meter", "Your requests", "0 of 10 left")
	e.look("limited")

	// The vendor's.
	refuse(&errors.Error{Kind: errors.VendorRateLimited, Delivery: errors.Rejected, Stop: errors.StopRateLimited, Retry: errors.Retry{After: 40 * time.Second}})
	p.Shows("alert", "Failures", "Twilio is busy and asks us to slow down. Nothing was sent. You can try again in 40 seconds.")

	// A failure that says nothing of delivery: the careful reading is the right one, whatever it came from.
	text(p, "Hello")
	s.next(sendText).answered <- func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "<h1>Bad Gateway</h1>", http.StatusBadGateway)
	}
	p.Shows("alert", "Failures", "Unknown: it may have been sent.")

	// Ours: the reference to quote.
	x := refuse(&errors.Error{Kind: errors.Internal, Delivery: errors.NotSent, Stop: errors.StopPermanent})
	p.Shows("alert", "Failures", "Something went wrong on our side.")
	p.Shows("article", "Text", "Reference for support: "+x.id)
	e.look("internal")
	p.Click("button", "Copy", 1)
	p.Shows("status", "Progress", "Copied.")
	p.Shows("button", "Copied", "Copied")

	x = refuse(&errors.Error{Kind: errors.Unavailable, Delivery: errors.NotSent, Stop: errors.StopBulkheadFull, Retry: errors.Retry{After: 2 * time.Second}})
	p.Shows("alert", "Failures", "This service is busy.", "Nothing was sent.")
	p.Shows("article", "Text", x.id)
	p.Shows("article", "Text", "You can try again now.") // two seconds later

	// The server finds something wrong with a field.
	refuse(&errors.Error{Kind: errors.Invalid, Public: "The number cannot be reached.", Delivery: errors.Rejected, Stop: errors.StopPermanent, Details: object{"fields": object{"to": "Twilio cannot reach this number."}}})
	p.Shows("alert", "Failures", "Twilio cannot reach this number.")
	require.Equal(t, "Twilio cannot reach this number.", described(p))

	// The first one is still under way.
	refuse(&errors.Error{Kind: errors.Conflict, Public: "A request with this key is under way.", Retry: errors.Retry{After: time.Second}})
	p.Shows("alert", "Failures", "The first one is still under way.")

	// And it was done already: the service has answered from memory.
	text(p, "Hello")
	x = s.next(sendText)
	x.answered <- func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Idempotency-Replayed", "true")
		asJSON(http.StatusCreated, message("Hello", nil))(w, r)
	}
	p.Shows("status", "Notifications", "Text was sent already, and not a second time.")
}

func TestNoAnswerAndNoNetwork(t *testing.T) {
	t.Parallel()
	e, p, s := open(t)
	text(p, "Hello")
	x := s.next(sendText)
	x.lose()
	p.Await("that there was no answer", func() bool {
		select {
		case resent := <-s.held: // Chromium itself sends a POST again where a connection breaks that it had used before
			require.Equal(t, x.key, resent.key, "this is what the key is for")
			require.Equal(t, x.id, resent.id)
			resent.lose()
		default:
		}
		return strings.Contains(p.Named("alert", "Failures")[0], "No answer from this service.")
	})
	p.Shows("alert", "Failures", "It is safe to try again: this text has a key, and is not sent twice.")
	p.Shows("article", "Text", x.id)
	p.Click("button", "Send text", 1)
	again := s.next(sendText)
	require.Equal(t, x.key, again.key)
	again.answer(http.StatusCreated, message("Hello", nil))
	p.Shows("status", "Notifications", "Text sent to +15005550006.")

	p.Offline(true)
	p.Shows("alert", "Failures", "You are offline. What is shown may be old.")
	p.Shows("paragraph", "", "You are offline")
	text(p, "Hello again")
	p.Shows("alert", "Failures", "You are offline. What you have typed is kept.")
	e.look("offline")
	s.quiet()
	p.Offline(false)
	p.Shows("status", "Progress", "Connected again.")
	p.Click("button", "Send text", 1)
	s.next(sendText).answer(http.StatusCreated, message("Hello again", nil))
	p.Shows("list", "Latest texts", "Hello again")

	s.stop()
	p.Shows("alert", "Failures", "Not connected, trying again. What is shown may be old.")
}

func TestSettingsAndStubs(t *testing.T) {
	t.Parallel()
	e, p, s := open(t)
	s.reply("GET /api/v1/vapi/settings", http.StatusOK, object{
		"attempts": 3, "assistants": []object{{"id": "a1", "name": "Reception", "first_message": "Hello, how can I help?"}, {"id": "a2", "name": "After hours", "first_message": "We are closed."}},
		"phone_numbers": []object{{"id": "p1", "number": "+15005550009", "name": "Front desk"}},
	})
	p.Click("button", "Read again: settings", 1)
	p.Shows("article", "Assistants of Vapi", "Read after 3 attempts.")
	p.Shows("list", "Phone numbers", "+15005550009", "Front desk")
	const patch = "PATCH /api/v1/vapi/settings/assistants/a2"
	second := func(label, value string) { // both assistants have such a field
		browser.Eval[any](p, `(document.querySelector("form[aria-label='Assistant After hours'] [name=`+label+`]").focus(), document.activeElement.select(), null)`)
		p.Press(value)
	}
	save := func() { p.Press("\t"); p.Press("\r") }

	second("name", " ")
	p.Press("\r")
	p.Shows("alert", "Failures", "Give the assistant a name.")
	require.Equal(t, "Give the assistant a name.", described(p))
	second("name", "N")
	second("first_message", "L")
	save()
	x := s.next(patch)
	require.Equal(t, object{"name": "N", "first_message": "L"}, x.body, "what has changed, and nothing else")
	x.tell(httpx.Event{Status: httpx.StatusRetrying, Attempt: 2, NextRetryIn: time.Second})
	p.Shows("progressbar", "Saving After hours", "Retrying, attempt 2 of 3")
	x.answer(http.StatusOK, object{"assistant": object{"id": "a2", "name": "N", "first_message": "L"}, "attempts": 2})
	p.Shows("status", "Notifications", "N saved after 2 attempts.")
	p.Shows("form", "Assistant N")
	e.look("settings")

	save = func() { p.Press("\r") } // the focus is on the button
	save()
	p.Shows("status", "Progress", "Nothing to save: nothing was changed.")
	s.quiet()

	// The calendar and the e-mail, made up.
	s.reply("GET /api/v1/integrations/calendar/google/events", http.StatusOK, object{"stub": true, "events": []object{{"summary": "Visit of the dentist", "start": "2026-05-04T09:30:00Z"}}})
	s.reply("GET /api/v1/integrations/email/messages", http.StatusOK, object{"stub": true, "messages": []object{{"subject": "Your invoice", "from": "billing@example.com"}}})
	p.Click("button", "Show calendar", 1)
	p.Shows("article", "Calendar", "Stub data", "Visit of the dentist")
	p.Click("button", "Show e-mail", 1)
	p.Shows("article", "E-mail", "Stub data", "Your invoice", "billing@example.com")
	p.Shows("status", "Progress", "1 shown, made-up data.")
	e.look("stubs")

	// And switched off.
	off := &errors.Error{Kind: errors.FeatureDisabled, Public: "Stub mode disabled"}
	s.refuse("GET /api/v1/integrations/calendar/google/events", off)
	p.Click("button", "Show calendar", 1)
	p.Shows("article", "Calendar", "Stub mode disabled", "An operator turns them on by", "INTEGRATIONS_STUB_MODE=true")
	require.Empty(t, p.Named("list", "Events"))
	e.look("stubs-off")
}

func TestPlayingAnOutage(t *testing.T) {
	t.Parallel()
	e, p, s := open(t)
	for fault, says := range map[string]string{
		"Down": "503 to everything", "Slow": "but late", "Flaky": "Every second request", "Busy": "429", "Lost answer": "the answer is lost", "Healthy": "as it should",
	} {
		button := func() bool {
			return browser.Eval[bool](p, `[...document.querySelectorAll("[role=group][aria-label='Break Twilio'] button")].find((b) => b.textContent === "`+fault+`").getAttribute("aria-pressed") === "true"`)
		}
		browser.Eval[any](p, `([...document.querySelectorAll("[role=group][aria-label='Break Twilio'] button")].find((b) => b.textContent === "`+fault+`").focus(), null)`)
		p.Press("\r")
		p.Shows("status", "Progress", "Twilio: "+fault+". ", says)
		p.Await(fault+" is pressed", button)
		p.Shows("article", "Twilio", says)
	}
	require.Equal(t, int64(6), s.demo.Load())
	p.Shows("article", "Vapi", "It answers as it should.")
	e.look("outage")

	s.real.Store(true) // the real vendors
	p.Go(s.url)
	p.Shows("paragraph", "", "These are the real vendors: what you send reaches people")
	p.Shows("article", "Twilio", "Working")
	require.Empty(t, p.Named("group", "Break Twilio"))
}
