package page_test

import (
	"flag"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/examples/internal/browser"
	"github.com/prusik-go/prusik/httpx"
)

// eyes look at a page in a state: in both schemes, for pictures and with axe-core.
//
//	npm ci --prefix testdata                      // axe-core; without it that part is skipped
//	PRUSIK_SCREENSHOTS=/tmp/shots go test .       // and keep the pictures
type eyes struct {
	t   *testing.T
	p   *browser.Page
	dir string
}

// open opens the page, as wide as a laptop's.
func open(t *testing.T) (*eyes, *browser.Page, *service) {
	t.Helper()
	p := browser.Open(t, 1280, 900)
	s := start(t)
	t.Cleanup(func() {
		s.stop() // before the browser ends
		for _, c := range p.Complaints() {
			require.Contains(t, c, "Failed to load resource", "a script or the policy had to complain")
		}
	})
	p.Prefer("prefers-color-scheme: light", "prefers-reduced-motion: reduce")
	p.Before(late)
	p.Go(s.url)
	p.Shows("article", "Twilio", "Working", "The circuit is closed: calls go through.")
	p.Shows("article", "Text", "No text yet. Send the first one with the form above.")
	p.Shows("article", "Call", "No call was placed yet.")
	p.Shows("article", "Assistants of Vapi", "Vapi has no assistant yet.")
	e := &eyes{t: t, p: p}
	if os.Getenv("PRUSIK_SCREENSHOTS") != "" {
		e.dir = browser.Pictures(t)
	}
	return e, p, s
}

// late keeps the page's long timers, which remove what somebody may still be reading, until a test lets them run out. They
// have no number that clearing could mistake for another's.
const late = `(() => {
	const plain = setTimeout;
	window.late = [];
	window.setTimeout = (f, ms, ...rest) => (ms >= 10000 ? -window.late.push(f) : plain(f, ms, ...rest));
})()`

// look takes pictures, where PRUSIK_SCREENSHOTS names a directory for them, and lets axe-core look too.
func (e *eyes) look(name string) {
	e.t.Helper()
	for _, scheme := range []string{"dark", "light"} {
		e.p.Prefer("prefers-color-scheme: "+scheme, "prefers-reduced-motion: reduce")
		require.Equal(e.t, scheme == "dark", browser.Eval[bool](e.p, `matchMedia("(prefers-color-scheme: dark)").matches`))
		e.shoot(name + "-" + scheme)
		e.t.Run("axe-core/"+name+"/"+scheme, func(t *testing.T) {
			audit := e.p.Audit(browser.Axe(t, "testdata/node_modules/axe-core/axe.min.js"))
			require.Greater(t, audit.Passes, 20, "axe-core has looked at the page")
			for _, v := range audit.Violations {
				t.Errorf("%v", v)
			}
			for _, v := range audit.Undecided {
				t.Logf("axe-core cannot decide %v", v)
			}
			t.Logf("axe-core: %d rules kept, %d violated, %d undecided", audit.Passes, len(audit.Violations), len(audit.Undecided))
		})
	}
	e.p.Prefer("forced-colors: active", "prefers-reduced-motion: reduce")
	e.shoot(name + "-forced-colors")
	e.p.Prefer("prefers-color-scheme: light", "prefers-reduced-motion: reduce")
	e.p.Size(320, 700)
	require.LessOrEqual(e.t, browser.Eval[int](e.p, "document.documentElement.scrollWidth"), 320, "nothing sticks out (WCAG 2.2, 1.4.10)")
	e.shoot(name + "-narrow")
	require.Empty(e.t, browser.Eval[[]string](e.p, small), "less than 24 pixels (WCAG 2.2, 2.5.8)")
	e.p.Size(1280, 900)
}

func (e *eyes) shoot(name string) {
	if e.dir != "" {
		e.p.Shoot(e.dir, name)
	}
}

// small lists the controls that are hard to hit.
const small = `[...document.querySelectorAll("button, input, textarea, footer a")].filter((e) => e.checkVisibility())
	.filter((e) => { const r = e.getBoundingClientRect(); return r.width < 24 || r.height < 24; }).map((e) => e.outerHTML)`

// The picture that the README shows:
//
//	go test -run Draw . -page.draw=../page.png
var draw = flag.String("page.draw", "", "draw the README's picture of the page into this `file`")

func TestDraw(t *testing.T) {
	if *draw == "" {
		t.Skip("-page.draw is not set")
	}
	_, p, s := open(t)
	p.Size(1240, 880)
	p.Tab("button", "Busy")
	p.Press("\r")
	p.Shows("article", "Twilio", "It answers 429")
	text(p, "Your table is ready.")
	x := s.next(sendText)
	x.tell(httpx.Event{Status: httpx.StatusRetrying, Attempt: 2, NextRetryIn: 5 * time.Second, Reason: "429"})
	p.Await("some of the wait", func() bool { return strings.HasSuffix(p.Named("progressbar", "Sending the text")[0], "in 3 s") })
	browser.Eval[any](p, `(document.activeElement.blur(), scrollTo(0, 0), null)`)
	p.Draw(*draw)
	x.answer(http.StatusCreated, message("Your table is ready.", nil))
	p.Shows("status", "Notifications", "Text sent to")
}
