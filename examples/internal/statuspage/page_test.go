package statuspage_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/examples/internal/browser"
	"github.com/prusik-go/prusik/examples/internal/sim/fault"
	"github.com/prusik-go/prusik/examples/internal/sim/twiliosim"
	"github.com/prusik-go/prusik/examples/internal/sim/vapisim"
	"github.com/prusik-go/prusik/flags"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/profile"
	"github.com/prusik-go/prusik/httpx/status"
	"github.com/prusik-go/prusik/ratelimit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// service is a program with two vendors, a limiter and the page.
type service struct {
	t            *testing.T
	twilio, vapi *fault.Server
	url          string
	opened       chan time.Time // when twilio's breaker did
	commands     chan status.CommandEvent
	refuse       sync.Mutex // held while the guard says no
	stop         func()     // ends the server
	flags        *flags.Set
}

func start(t *testing.T) *service {
	t.Helper()
	tw, err := twiliosim.New(twiliosim.Config{})
	require.NoError(t, err)
	va, err := vapisim.New(vapisim.Config{})
	require.NoError(t, err)
	s := &service{
		t: t, twilio: tw.Server, vapi: va.Server,
		opened: make(chan time.Time, 100), commands: make(chan status.CommandEvent, 100),
	}
	st, err := status.New(status.Config{
		Guard: func(*http.Request) (string, error) {
			if !s.refuse.TryLock() {
				return "", http.ErrNoCookie
			}
			s.refuse.Unlock()
			return "anna", nil
		},
		Hooks:  status.Hooks{OnCommand: func(e status.CommandEvent) { s.commands <- e }},
		Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	s.flags = flags.New("voice", flags.Config{})
	governed := httpx.FromFlags(s.flags, "mail")
	require.NoError(t, s.flags.Load([]string{"CIRCUIT_BREAKER_THRESHOLD=5"}))
	st.WatchFlags(s.flags)
	governed.Base = tw.Transport() // nobody calls it
	_, err = httpx.NewClient("mail", st.WatchClient(governed))
	require.NoError(t, err)
	twilio, err := httpx.NewClient("twilio", st.WatchClient(httpx.Config{
		Base: tw.Transport(), Profile: profile.Twilio(), BackoffBase: 10 * time.Millisecond, BackoffMax: 10 * time.Millisecond,
		Breaker: breaker.Config{OpenFor: 3 * time.Second, MaxOpenFor: 3 * time.Second, Hooks: breaker.Hooks{OnTransition: func(e breaker.TransitionEvent) {
			if e.To == breaker.Open {
				s.opened <- e.At
			}
		}}},
	}))
	require.NoError(t, err)
	vapi, err := httpx.NewClient("vapi", st.WatchClient(httpx.Config{Base: va.Transport(), Profile: profile.Vapi(), BackoffBase: 10 * time.Millisecond}))
	require.NoError(t, err)
	limits, err := ratelimit.ParseLimits("10/minute; 100 per 2 hours")
	require.NoError(t, err)
	api, err := ratelimit.New("api", st.WatchLimiter(ratelimit.Config{Limits: limits}))
	require.NoError(t, err)
	for range 12 {
		_, err := api.Allow(t.Context(), "somebody")
		require.NoError(t, err)
	}

	mux := http.NewServeMux()
	mux.Handle("/ops/status", st)
	srv := httptest.NewServer(mux)
	s.url = srv.URL + "/ops/status"
	s.stop = func() {
		st.Close()
		srv.Close()
	}

	ctx, hush := context.WithCancel(t.Context())
	var traffic sync.WaitGroup
	traffic.Go(func() { s.traffic(ctx, twilio, tw.URL()+"/2010-04-01/Accounts/"+twiliosim.AccountSID+"/Messages.json") })
	traffic.Go(func() { s.traffic(ctx, vapi, va.URL()+"/call") })
	t.Cleanup(func() {
		hush()
		traffic.Wait()
		s.stop()
		twilio.CloseIdleConnections()
		vapi.CloseIdleConnections()
		require.NoError(t, tw.Close())
		require.NoError(t, va.Close())
	})
	return s
}

// traffic calls a vendor until ctx is done, some 50 times a second.
func (s *service) traffic(ctx context.Context, c *http.Client, url string) {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return
		}
		req.SetBasicAuth(twiliosim.AccountSID, twiliosim.AuthToken)
		if strings.HasSuffix(url, "/call") {
			req.Header.Set("Authorization", "Bearer "+vapisim.Token)
		}
		if resp, err := c.Do(req); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func TestAnOutageAsThePageShowsIt(t *testing.T) {
	p := browser.Open(t, 1180, 800)
	s := start(t)
	dir := browser.Pictures(t)
	p.Prefer("prefers-color-scheme: light", "prefers-reduced-motion: reduce")
	p.Go(s.url)
	p.Shows("status", "", "Every vendor is up.")
	p.Shows("heading", "Every vendor is up")
	p.Shows("article", "twilio", "Closed", "Calls pass.", "Limit twilio.calls: 1/second", "Never opened.")
	p.Shows("article", "vapi", "Closed", "of 10")
	p.Shows("meter", "Retry budget left", "100 %")
	p.Shows("article", "api", "10/minute", "Enabled", "Denied\n2")
	p.Shows("listitem", "", "Limited: by 10/minute")
	picture(t, p, dir, "up")

	// The page notes when it says what, by the clock that this process has too.
	browser.Eval[any](p, `(() => {
		window.said = [];
		const say = document.querySelector("[role=status][aria-live]");
		new MutationObserver(() => window.said.push({ at: Date.now(), text: say.textContent })).observe(say, { childList: true });
		return null;
	})()`)
	fastest := time.Hour
	for outage := range 3 { // a machine that runs tests may be busy once
		for len(s.opened) > 0 {
			<-s.opened
		}
		browser.Eval[any](p, `(window.said = [], null)`)
		s.twilio.Down()
		p.Shows("status", "", "twilio: Open. Calls are refused. Next probe in")
		p.Shows("heading", "twilio is down")
		p.Shows("article", "twilio", "Open", "Calls are refused. Next probe in", "Refused")
		p.Shows("link", "twilio")
		p.Shows("article", "vapi", "Closed", "Calls pass.")
		if outage == 0 {
			p.Shows("listitem", "", "twilio", "Open: too many failures")
			p.Shows("listitem", "", "twilio", "Refused: by the breaker")
			p.Shows("listitem", "", "twilio", "Retry: no connection")
			picture(t, p, dir, "down")
		}
		require.NoError(t, s.twilio.Up())
		p.Shows("status", "", "twilio: Closed. Calls pass.")
		p.Shows("heading", "Every vendor is up")
		p.Shows("listitem", "", "twilio", "Closed: the probe succeeded")

		opened := <-s.opened
		for _, said := range browser.Eval[[]struct {
			At   int64
			Text string
		}](p, "window.said") {
			if strings.Contains(said.Text, "twilio: Open") {
				fastest = min(fastest, time.UnixMilli(said.At).Sub(opened))
				break
			}
		}
	}
	t.Logf("from the opened breaker to the page: %v, the fastest of three", fastest)
	require.Less(t, fastest, time.Second)

	p.Size(360, 780)
	require.LessOrEqual(t, browser.Eval[int](p, "document.documentElement.scrollWidth"), 360, "nothing sticks out on a narrow screen")
	picture(t, p, dir, "recovered-narrow")
	require.Empty(t, p.Complaints(), "neither script nor policy had to complain")
}

// picture takes one in both colour schemes, and looks at whether every text can be read in them.
func picture(t *testing.T, p *browser.Page, dir, name string) {
	t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		p.Prefer("prefers-color-scheme: "+scheme, "prefers-reduced-motion: reduce")
		dark := browser.Eval[bool](p, `matchMedia("(prefers-color-scheme: dark)").matches`)
		require.Equal(t, scheme == "dark", dark)
		for _, text := range browser.Eval[[]string](p, faint) {
			t.Errorf("%s, %s: less contrast than 4.5 to 1 (WCAG 2.2, 1.4.3): %s", name, scheme, text)
		}
		p.Shoot(dir, name+"-"+scheme)
	}
}

// faint lists the texts with too little contrast to what is behind them.
const faint = `(() => {
	const pixel = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
	const rgba = (color) => {
		pixel.clearRect(0, 0, 1, 1);
		pixel.fillStyle = color;
		pixel.fillRect(0, 0, 1, 1);
		return pixel.getImageData(0, 0, 1, 1).data;
	};
	const luminance = ([r, g, b]) => {
		const [x, y, z] = [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
		return 0.2126 * x + 0.7152 * y + 0.0722 * z;
	};
	const behind = (e) => {
		for (; e; e = e.parentElement) {
			const c = rgba(getComputedStyle(e).backgroundColor);
			if (c[3] === 255) return c;
		}
		return [255, 255, 255];
	};
	const found = [];
	const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let n; (n = texts.nextNode()); ) {
		const e = n.parentElement;
		if (!n.data.trim() || !e.checkVisibility() || e.closest("script, button:disabled, .unseen")) continue;
		const [a, b] = [luminance(rgba(getComputedStyle(e).color)), luminance(behind(e))].sort((x, y) => y - x);
		const ratio = (a + 0.05) / (b + 0.05);
		if (ratio < 4.5) found.push(n.data.trim() + " " + ratio.toFixed(2));
	}
	return found;
})()`

func TestCommandsByTheKeyboardAlone(t *testing.T) {
	p := browser.Open(t, 1180, 800)
	s := start(t)
	dir := browser.Pictures(t)
	p.Prefer("prefers-color-scheme: light", "prefers-reduced-motion: reduce")
	p.Go(s.url)
	p.Shows("article", "twilio", "Closed")

	p.Tab("link", "Skip to recent decisions")
	p.Press(kb.Enter)
	p.Await("the focus on the decisions", func() bool { _, name := p.Focused(); return name == "Recent decisions" })
	p.Go(s.url) // from the top again
	p.Shows("article", "twilio", "Closed")

	// A question that is answered with no, by Escape, changes nothing and gives the focus back.
	p.Tab("button", "Force open twilio")
	p.Press(kb.Enter)
	p.Shows("dialog", "Force open twilio?", "Every call to it is refused at once")
	picture(t, p, dir, "question")
	role, name := p.Focused()
	require.Equal(t, "button Cancel", role+" "+name, "the careful answer is the near one")
	p.Press(kb.Escape)
	p.Await("the focus back", func() bool { _, name := p.Focused(); return name == "Force open twilio" })
	require.Empty(t, s.commands)

	// Yes.
	p.Press(kb.Enter)
	p.Tab("button", "Force open")
	p.Press(kb.Enter)
	p.Shows("status", "", "twilio is forced open. The audit has it under")
	p.Shows("article", "twilio", "Forced open", "Calls are refused by command")
	p.Shows("status", "", "twilio: Forced open.")
	p.Shows("listitem", "", "twilio", "Force open by anna")
	_, name = p.Focused()
	require.Equal(t, "Force open twilio", name, "what has the focus keeps it")
	e := <-s.commands
	require.NoError(t, e.Err)
	require.Equal(t, "anna", e.Who)
	require.Equal(t, status.ForceOpen, e.Command)
	require.Equal(t, breaker.ForcedOpen, e.To)
	p.Shows("status", "", e.CorrelationID)
	picture(t, p, dir, "forced-open")

	// And a guard that says no.
	s.refuse.Lock()
	p.Tab("button", "Reset twilio")
	p.Press(kb.Enter)
	p.Tab("button", "Reset")
	p.Press(kb.Enter)
	p.Shows("status", "", "twilio was not reset. You are not allowed to do this.")
	p.Shows("article", "twilio", "Forced open")
	require.Error(t, (<-s.commands).Err)
	s.refuse.Unlock()

	p.Press(kb.Enter)
	p.Tab("button", "Reset")
	p.Press(kb.Enter)
	p.Shows("article", "twilio", "Closed", "Calls pass.")

	// What is on the path, read where it stands.
	p.Tab("DisclosureTriangle", "What is on the path")
	p.Press(kb.Enter)
	p.Shows("listitem", "", "retry budget", "20 retries")
	p.Shows("listitem", "", "worst case", "3 attempts")
	picture(t, p, dir, "path")
}

// A threshold that is changed on the page is the threshold of the breaker of the client that is in use.
func TestAFlagByTheKeyboardAlone(t *testing.T) {
	p := browser.Open(t, 1180, 900)
	s := start(t)
	dir := browser.Pictures(t)
	p.Prefer("prefers-color-scheme: light", "prefers-reduced-motion: reduce")
	p.Go(s.url)
	p.Shows("article", "mail", "Closed")
	p.Shows("paragraph", "", "voice runs in production, which nobody has said")
	p.Shows("paragraph", "", "Nothing is overridden.")

	p.Tab("DisclosureTriangle", "All 14")
	p.Press(kb.Enter)
	p.Shows("listitem", "", "CIRCUIT_BREAKER_THRESHOLD", "5", "Set by the environment.")
	p.Shows("listitem", "", "MAIL_CIRCUIT_BREAKER_THRESHOLD", "5", "As CIRCUIT_BREAKER_THRESHOLD.")
	picture(t, p, dir, "switches")
	p.Tab("button", "Change MAIL_CIRCUIT_BREAKER_THRESHOLD")
	p.Press(kb.Enter)
	p.Shows("dialog", "Change MAIL_CIRCUIT_BREAKER_THRESHOLD?", "in this process only")
	role, name := p.Focused()
	require.Equal(t, "New value", name, role)
	picture(t, p, dir, "switch-question")
	p.Press(kb.Home + "x")
	p.Tab("textbox", "Why")
	p.Press("it limps" + kb.Enter)
	p.Shows("alert", "", `MAIL_CIRCUIT_BREAKER_THRESHOLD = "x5": want a whole number`)
	require.Error(t, (<-s.commands).Err)
	p.Tab("combobox", "New value") // around the dialog
	p.Press(kb.Home + kb.Delete + kb.Enter)
	p.Shows("status", "", "MAIL_CIRCUIT_BREAKER_THRESHOLD is 5. The audit has it under")
	p.Shows("listitem", "", "MAIL_CIRCUIT_BREAKER_THRESHOLD", "Set by anna at", "it limps.", "left.")
	p.Shows("listitem", "", "voice", "MAIL_CIRCUIT_BREAKER_THRESHOLD is 5", "by anna: it limps")
	e := <-s.commands
	require.NoError(t, e.Err)
	require.Equal(t, "MAIL_CIRCUIT_BREAKER_THRESHOLD", e.Flag)
	picture(t, p, dir, "switch-overridden")

	require.NoError(t, s.flags.Override(flags.Change{Flag: "MAIL_CIRCUIT_BREAKER_THRESHOLD", Value: "7", Author: "bob", Reason: "better"}))
	p.Shows("listitem", "", "MAIL_CIRCUIT_BREAKER_THRESHOLD", "7", "Set by bob at", "better. Until it is cleared.")
	p.Tab("button", "Clear MAIL_CIRCUIT_BREAKER_THRESHOLD")
	p.Press(kb.Enter)
	p.Shows("dialog", "Clear MAIL_CIRCUIT_BREAKER_THRESHOLD?", "what the deployment says")
	p.Press("it is well" + kb.Enter)
	p.Shows("status", "", "MAIL_CIRCUIT_BREAKER_THRESHOLD is cleared.")
	p.Shows("paragraph", "", "Nothing is overridden.")
	require.NoError(t, (<-s.commands).Err)

	p.Size(360, 780)
	require.LessOrEqual(t, browser.Eval[int](p, "document.documentElement.scrollWidth"), 360, "nothing sticks out on a narrow screen")
	picture(t, p, dir, "switches-narrow")
	for _, c := range p.Complaints() { // neither script nor policy had to complain, but for the value that was refused
		require.Contains(t, c, "status of 400")
	}
}

func TestAServerThatIsGone(t *testing.T) {
	p := browser.Open(t, 800, 600)
	s := start(t)
	p.Go(s.url)
	p.Shows("status", "", "Every vendor is up.")
	s.stop()
	p.Shows("status", "", "Not connected, trying again. What is shown may be old.")
	p.Shows("paragraph", "", "Not connected")
}
