package page_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/examples/internal/browser"
	"github.com/prusik-go/prusik/httpx"
)

// An impatient hand: whatever it does, one text is sent.
func TestADoubleClickSendsOne(t *testing.T) {
	t.Parallel()
	_, p, s := open(t)
	p.Fill("textbox", "Message", "Hello")
	p.Click("button", "Send text", 3)
	p.Press(kb.Enter) // the focus is on the button
	x := s.next(sendText)
	p.Click("button", "Send text", 2)
	require.Equal(t, "true", browser.Eval[string](p, `document.activeElement.getAttribute("aria-disabled")`), "and it says so")
	x.answer(http.StatusCreated, message("Hello", nil))
	p.Shows("status", "Notifications", "Text sent to +15005550006.")
	s.quiet()

	// The answer comes between the two clicks of a double one: the second is no new intention. The button is pressed as
	// a mouse does it, so that nothing but the page decides.
	p.Fill("textbox", "Message", "Hello again")
	browser.Eval[any](p, `(() => {
		const button = document.querySelector("#text button");
		button.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, detail: 1 }));
		return null;
	})()`)
	s.next(sendText).answer(http.StatusCreated, message("Hello again", nil))
	p.Shows("textbox", "Message", "")
	p.Await("an empty message", func() bool { return p.Named("textbox", "Message")[0] == "" })
	p.Fill("textbox", "Message", "A second text of the same kind")
	browser.Eval[any](p, `(() => {
		const button = document.querySelector("#text button");
		button.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, detail: 2 }));
		return null;
	})()`)
	require.Empty(t, p.Named("progressbar", ""), "nothing is under way")
	browser.Eval[any](p, `(document.querySelector("#text-to").focus(), null)`)
	p.Hold()
	require.Empty(t, p.Named("progressbar", ""), "nor after an Enter that is held down")
	s.quiet()

	// A new content is a new intention; a content that failed and comes back is the old one.
	refused := &errors.Error{Kind: errors.Unavailable, Delivery: errors.NotSent, Stop: errors.StopBulkheadFull}
	keys := map[string]string{}
	for _, body := range []string{"one", "two", "one"} {
		text(p, body)
		x := s.next(sendText)
		if keys[body] != "" {
			require.Equal(t, keys[body], x.key)
		}
		keys[body] = x.key
		x.refuse(refused)
		p.Shows("alert", "Failures", "This service is busy.")
	}
	require.NotEqual(t, keys["one"], keys["two"])
	s.quiet()
}

// A browser has six connections to a server. What goes on does not hold up what is asked for next.
func TestAThirdRequestIsNotHeldUp(t *testing.T) {
	t.Parallel()
	_, p, s := open(t)
	text(p, "Hello")
	first := s.next(sendText)
	p.Fill("textbox", "What to say", "Hello")
	p.Click("button", "Place call", 1)
	second := s.next(placeCall)
	const settings = "GET /api/v1/vapi/settings"
	s.reply(settings, 0, nil)
	p.Click("button", "Read again: settings", 1)
	select {
	case third := <-s.held:
		require.Equal(t, settings, third.what)
		require.False(t, third.subscribed, "it goes without its progress")
		third.answer(http.StatusOK, object{"assistants": []object{{"id": "a1", "name": "Reception"}}, "attempts": 1})
	case <-time.After(time.Minute):
		require.Fail(t, "the third request was held up")
	}
	p.Shows("form", "Assistant Reception")
	first.answer(http.StatusCreated, message("Hello", nil))
	second.answer(http.StatusCreated, object{"call": object{"sid": "CA1", "to": "+15005550006", "status": "queued"}, "attempts": 1})
	p.Shows("status", "Notifications", "Text sent to +15005550006.", "Call placed to +15005550006.")
	p.Click("button", "Read again: settings", 1) // and now there is room again
	s.next(settings).answer(http.StatusOK, object{"assistants": []object{}, "attempts": 1})
}

// Everything can be done without a mouse, and the focus is never lost.
func TestByTheKeyboardAlone(t *testing.T) {
	t.Parallel()
	_, p, s := open(t)
	p.Tab("link", "Skip to sending a text")
	p.Press(kb.Enter)
	p.Tab("textbox", "Message")
	p.Press("Hello", "\t")
	role, name := p.Focused()
	require.Equal(t, "button Send text", role+" "+name)
	require.NotEqual(t, "none", browser.Eval[string](p, `getComputedStyle(document.activeElement).outlineStyle`), "it is seen where the focus is")
	p.Press(" ")
	x := s.next(sendText)
	x.tell(httpx.Event{Status: httpx.StatusRetrying, Attempt: 2, NextRetryIn: time.Second})
	p.Shows("status", "Progress", "Retrying, attempt 2 of 3, next try in 1 s")
	_, name = p.Focused()
	require.Equal(t, "Send text", name)
	x.refuse(&errors.Error{Kind: errors.VendorTimeout, Delivery: errors.Unknown, Stop: errors.StopUnsafeMethod})
	p.Shows("alert", "Failures", "Unknown: it may have been sent.")
	p.Press("\t") // the means are next to where one is
	role, name = p.Focused()
	require.Equal(t, "button Check", role+" "+name)
	p.Press(kb.Enter)
	p.Shows("status", "Progress", "Twilio has no such text")
	p.Press("\t")
	role, name = p.Focused()
	require.Equal(t, "button Send again", role+" "+name)
	p.Press(kb.Enter)
	s.next(sendText).answer(http.StatusCreated, message("Hello", nil))
	p.Shows("status", "Notifications", "Text sent to +15005550006.")
	_, name = p.Focused()
	require.Equal(t, "Send text", name)

	p.Tab("button", "Down")
	p.Press(kb.Enter)
	p.Shows("status", "Progress", "Twilio: Down.")
	p.Tab("button", "Show calendar")
	p.Tab("link", "Status page")

	// A toast is reached, and gone again, and the focus is back where the toast came from.
	p.Tab("button", "Dismiss: Text sent to +15005550006.")
	p.Press(kb.Enter)
	require.Empty(t, p.Named("button", "Dismiss: Text sent to +15005550006."))
	_, name = p.Focused()
	require.Equal(t, "Send text", name)
}

// A toast stays as long as somebody may be reading it.
func TestAToastStaysUntilItIsRead(t *testing.T) {
	t.Parallel()
	_, p, s := open(t)
	send := func() {
		text(p, "Hello")
		s.next(sendText).answer(http.StatusCreated, message("Hello", nil))
		p.Shows("status", "Notifications", "Text sent to +15005550006.")
	}
	elapse := func() { browser.Eval[any](p, `(window.late.splice(0).forEach((f) => f()), null)`) }
	const dismiss = "Dismiss: Text sent to +15005550006."

	send()
	p.Point("button", dismiss)
	elapse()
	require.Len(t, p.Named("button", dismiss), 1, "it is pointed at")
	p.Point("heading", "Voice")
	browser.Eval[any](p, `(document.querySelector("#toasts button").focus(), null)`)
	elapse()
	require.Len(t, p.Named("button", dismiss), 1, "it has the focus")
	p.Press(kb.Escape)
	require.Empty(t, p.Named("button", dismiss))
	_, name := p.Focused()
	require.Equal(t, "Send text", name)

	send()
	elapse()
	require.Empty(t, p.Named("button", dismiss), "it was there long enough")
	for range 4 {
		send()
	}
	require.Len(t, p.Named("button", dismiss), 3, "they do not pile up")
	p.Shows("article", "Text", "Text sent to +15005550006.") // and what it said stands where it happened
}
