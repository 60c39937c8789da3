package main

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/flags"
	"github.com/prusik-go/prusik/httpx"
)

// settings are all that can be set, declared here and nowhere else: .env.example, the table of the README and the checklist of the
// runbook are made of it.
type settings struct {
	*flags.Set

	program, twilio, vapi httpx.Switches

	addr, proxies, publicURL, redis             *flags.Flag[string]
	twilioSID, twilioToken, twilioFrom, vapiKey *flags.Flag[string]
	callbackKey, vapiSecret                     *flags.Flag[string]
}

func declare() *settings {
	set := flags.New("voice", flags.Config{Prefixes: []string{"VOICE_"}})
	text := func(name, doc string, more ...flags.Option) *flags.Flag[string] {
		return set.String(name, append(more, flags.Doc(doc), flags.Locked())...) // read once, at the start
	}
	return &settings{
		Set: set,
		addr: text("VOICE_ADDR", "Where to listen. With simulated vendors it has to be a loopback address outside of development.",
			flags.Default("127.0.0.1:8080")),
		proxies: text("VOICE_TRUSTED_PROXIES",
			"Networks of our own proxies, separated by commas: only their X-Forwarded-For says who a client is."),
		publicURL: text("VOICE_PUBLIC_URL",
			"Where vendors reach us, such as https://voice.example.com: callbacks are asked for, and accepted, where it is set."),
		callbackKey: text("VOICE_CALLBACK_KEY",
			"Signs the correlation ids in callback URLs, 16 bytes or more. Unset: a random one, which a restart forgets.", flags.Secret()),
		redis: text("REDIS_URL", "Redis or Valkey, such as redis://host:6379/0, where several instances share limits and idempotency keys.",
			flags.Secret()),

		twilioSID:   text("TWILIO_ACCOUNT_SID", "Twilio's account. Unset: Twilio is a simulator."),
		twilioToken: text("TWILIO_AUTH_TOKEN", "The account's token; it verifies Twilio's callbacks as well.", flags.Secret()),
		twilioFrom:  text("TWILIO_FROM", "The number of the account that texts and calls come from, such as +15005550006."),
		vapiKey:     text("VAPI_API_KEY", "Vapi's key. Unset: Vapi is a simulator.", flags.Secret()),
		vapiSecret: text("VAPI_CALLBACK_SECRET",
			"What Vapi's callbacks are verified with: the secret of X-Vapi-Secret, or of its HMAC credential.", flags.Secret()),

		program: httpx.DeclareSwitches(set, ""),
		twilio:  httpx.DeclareSwitches(set, "twilio"),
		vapi:    httpx.DeclareSwitches(set, "vapi"),
	}
}

// load reads the environment, and in development .env. The error says what to do, about everything that is wrong.
func (s *settings) load(environ []string) error {
	if err := s.Load(environ, ".env"); err != nil {
		return err
	}
	var faults []error
	fault := func(format string, a ...any) { faults = append(faults, fmt.Errorf("voice: "+format, a...)) }
	if all := []bool{s.twilioSID.Get() != "", s.twilioToken.Get() != "", s.twilioFrom.Get() != ""}; all[0] != all[1] || all[1] != all[2] {
		fault("set all of TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and TWILIO_FROM, or none of them")
	}
	if n := len(s.callbackKey.Get()); n > 0 && n < 16 {
		fault("VOICE_CALLBACK_KEY has %d bytes: want 16 or more", n)
	}
	if u, err := url.Parse(s.publicURL.Get()); s.publicURL.Get() != "" &&
		(err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "") {
		fault("VOICE_PUBLIC_URL = %q: want a scheme and a host, such as https://voice.example.com", s.publicURL.Get())
	}
	if _, err := s.trusted(); err != nil {
		fault("%w", err)
	}
	if err := s.simulatorsMayServe(); err != nil {
		fault("%w", err)
	}
	return errors.Join(faults...)
}

// simulated says whether a vendor is a simulator: it has no credentials, or its stub mode is on.
func (s *settings) simulated() (twilio, vapi bool) {
	return s.twilioSID.Get() == "" || s.twilio.StubMode.Get(), s.vapiKey.Get() == "" || s.vapi.StubMode.Get()
}

// explicit says whether APP_ENV is set.
func (s *settings) explicit() bool { return s.List().EnvironmentGiven != "" }

// simulatorsMayServe keeps a simulator from being taken for a vendor. Whoever says that this is production has to name the
// vendors' accounts; whoever says nothing may look around, on this machine.
func (s *settings) simulatorsMayServe() error {
	twilio, vapi := s.simulated()
	if !twilio && !vapi || s.Environment() == flags.Development || s.Environment() == flags.Test {
		return nil
	}
	if s.explicit() {
		return errors.New("a vendor without credentials is a simulator, which sends nothing: set TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, " +
			"TWILIO_FROM and VAPI_API_KEY, or APP_ENV=development")
	}
	host, _, err := net.SplitHostPort(s.addr.Get())
	if ip, e := netip.ParseAddr(host); err == nil && (host == "localhost" || e == nil && ip.Unmap().IsLoopback()) {
		return nil
	}
	return fmt.Errorf("VOICE_ADDR = %q would serve simulated vendors to others: set the vendors' credentials, or APP_ENV=development, "+
		"or a loopback address such as 127.0.0.1:8080", s.addr.Get())
}

// trusted are the networks of VOICE_TRUSTED_PROXIES.
func (s *settings) trusted() ([]netip.Prefix, error) {
	var nets []netip.Prefix
	for text := range strings.SplitSeq(s.proxies.Get(), ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		p, err := netip.ParsePrefix(text)
		if addr, e := netip.ParseAddr(text); e == nil {
			p, err = addr.Prefix(addr.BitLen())
		}
		if err != nil {
			return nil, fmt.Errorf("VOICE_TRUSTED_PROXIES has %q: want networks such as 10.0.0.0/8, separated by commas", text)
		}
		nets = append(nets, p)
	}
	return nets, nil
}
