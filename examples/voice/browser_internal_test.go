package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/examples/internal/browser"
	"github.com/prusik-go/prusik/httpx"
)

// From the browser to the vendor and back, with nothing scripted in between: a visitor plays an outage.
func TestAVisitorPlaysAnOutage(t *testing.T) {
	p := browser.Open(t, 1180, 900)
	dir := browser.Pictures(t)
	tune := func(cfg httpx.Config) httpx.Config {
		cfg.Profile.Rates = nil // a second between two calls is Twilio's, and not what this is about
		return cfg
	}
	g := startWith(t, standard(), tune, "INTEGRATIONS_STUB_MODE=true", "CIRCUIT_BREAKER_RECOVERY_TIMEOUT=3")
	p.Go(g.url)
	p.Shows("article", "Twilio", "Working", "0 texts, 0 calls")
	p.Fill("textbox", "To", person)
	text := func(body string) {
		p.Fill("textbox", "Message", body)
		p.Click("button", "Send text", 1)
	}
	text("On a good day.")
	p.Shows("status", "Notifications", "Text sent to "+person)
	p.Shows("article", "Twilio", "1 text, 0 calls")

	// The vendor asks for patience: the page shows the wait, and then that it took two attempts.
	g.breaks(t, "twilio", "busy")
	text("On a busy day.")
	p.Shows("status", "Progress", "Retrying, attempt 2 of 3, next try in")
	p.Shoot(dir, "voice-retrying")
	g.breaks(t, "twilio", "none")
	p.Shows("status", "Notifications", "Text sent to "+person+" after")
	p.Shows("article", "Twilio", "2 texts, 0 calls")

	// The answer is lost. It is not sent again, and what the vendor has is one look away.
	g.breaks(t, "twilio", "lost_answer")
	text("On a bad day.")
	p.Shows("alert", "Failures", "Unknown: it may have been sent. Check before sending again.")
	p.Shows("article", "Twilio", "3 texts, 0 calls")
	g.breaks(t, "twilio", "none")
	p.Click("button", "Check", 1)
	p.Shows("article", "Text", "Twilio has one such text to "+person, "There is no need to send it again.")
	p.Shoot(dir, "voice-unknown")

	// Down: the breaker opens, says so, and finds out by itself that all is well.
	g.breaks(t, "twilio", "down")
	for range 3 {
		g.send(t, "GET /api/v1/twilio/messages", "")
	}
	p.Shows("article", "Twilio", "Circuit open", "Next probe in")
	p.Shows("article", "Vapi", "Working")
	text("On the worst day.")
	p.Shows("alert", "Failures", "Twilio is down, so it is not being asked.", "Nothing was sent.")
	p.Shoot(dir, "voice-open")
	g.breaks(t, "twilio", "none")
	p.Await("a probe that finds it well", func() bool {
		g.send(t, "GET /api/v1/twilio/messages", "")
		shown := p.Named("article", "Twilio")
		return len(shown) == 1 && strings.Contains(shown[0], "Working")
	})
	p.Click("button", "Send text", 1)
	p.Shows("status", "Notifications", "Text sent to "+person)
	p.Shows("article", "Twilio", "4 texts, 0 calls")
	require.Len(t, g.vendors.twilioSim.Received(person), 4, "each once")
	require.Empty(t, g.vendors.twilioSim.Duplicates())
}
