package statuspage_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/examples/internal/browser"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/profile"
	"github.com/prusik-go/prusik/httpx/status"
	"github.com/prusik-go/prusik/ratelimit"
)

// base answers with a status, and where that is zero with an error.
type base int

func (b base) RoundTrip(r *http.Request) (*http.Response, error) {
	if b == 0 {
		return nil, errors.New("down")
	}
	h := http.Header{}
	if b == http.StatusTooManyRequests {
		h.Set("Retry-After", "25")
	}
	return &http.Response{StatusCode: int(b), Header: h, Body: io.NopCloser(strings.NewReader("")), Request: r}, nil
}

// lost is a store that is down.
type lost struct{}

func (lost) Take(context.Context, ratelimit.Request) (ratelimit.Result, error) {
	return ratelimit.Result{}, errors.New("down")
}

func (lost) Refund(context.Context, ratelimit.Request, [ratelimit.MaxLimits]time.Duration) error {
	return nil
}

// Every state there is, at once: what it is called, that it can be read in both schemes, and that it fits a narrow screen.
func TestEveryState(t *testing.T) {
	p := browser.Open(t, 1180, 800)
	st, err := status.New(status.Config{MaxWatched: 12, Guard: func(*http.Request) (string, error) { return "anna", nil }})
	require.NoError(t, err)
	client := func(name string, calls int, cfg httpx.Config) *httpx.Transport {
		if cfg.BackoffBase == 0 {
			cfg.BackoffBase = -1
		}
		c, err := httpx.NewClient(name, st.WatchClient(cfg))
		require.NoError(t, err)
		for range calls {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://vendor.test/", http.NoBody)
			require.NoError(t, err)
			if resp, err := c.Do(req); err == nil {
				_ = resp.Body.Close()
			}
		}
		tr, ok := c.Transport.(*httpx.Transport)
		require.True(t, ok)
		return tr
	}
	client("stripe", 12408, httpx.Config{Base: base(200), Profile: profile.Stripe()})
	client("openai", 4, httpx.Config{Base: base(0), Profile: profile.OpenAI()})
	client("sendgrid", 3, httpx.Config{Base: base(200)}).Breaker().ForceOpen()
	client("slack", 3, httpx.Config{Base: base(200)}).Breaker().Disable()
	client("github", 4, httpx.Config{Base: base(503), Breaker: breaker.Config{Mode: breaker.Shadow}})
	client("twilio", 1, httpx.Config{Base: base(429), Profile: profile.Twilio(), MaxAttempts: -1, Limiter: limiter(t, nil, "sends", ratelimit.Config{}).Outbound("")})
	client("vapi", 1, httpx.Config{Base: base(0), MaxAttempts: -1, Profile: profile.Vapi()})
	probing := client("deepgram", 3, httpx.Config{Base: base(0), MaxAttempts: -1, Breaker: breaker.Config{OpenFor: time.Millisecond, MaxOpenFor: time.Millisecond, ProbeLease: time.Hour}})
	require.Eventually(t, func() bool { _, _, ok := probing.Breaker().TryAcquire(); return ok }, time.Minute, time.Millisecond) // and never reported
	hosts := client("elevenlabs", 2, httpx.Config{Base: base(200), BreakerPerHost: true}).Breakers()
	hosts.Get("eu.elevenlabs.test").ForceOpen()
	hosts.Get("us.elevenlabs.test").Disable()
	long := "a-vendor-whose-name-is-as-long-as-a-name-can-be-which-is-64-byte"
	client(long, 1, httpx.Config{Base: base(200)})
	client(long, 1, httpx.Config{Base: base(200)})
	client("drained", 30, httpx.Config{Base: base(503), RetryBudget: 4, Breaker: breaker.Config{Mode: breaker.Disabled}})
	client("unlisted", 0, httpx.Config{Base: base(200)})
	limiter(t, st, "open", ratelimit.Config{Store: lost{}, OnOutage: ratelimit.FailOpen})
	limiter(t, st, "closed", ratelimit.Config{Store: lost{}, OnOutage: ratelimit.FailClosed})
	limiter(t, st, "local", ratelimit.Config{Store: lost{}, OnOutage: ratelimit.LocalShare, Replicas: 3})
	limiter(t, st, "shadow", ratelimit.Config{Mode: ratelimit.Shadow})
	limiter(t, st, "off", ratelimit.Config{Mode: ratelimit.Disabled})

	srv := httptest.NewServer(st)
	defer srv.Close()
	defer st.Close()
	p.Prefer("prefers-color-scheme: light", "prefers-reduced-motion: reduce")
	p.Go(srv.URL)
	for name, says := range map[string][]string{
		"stripe":     {"Closed", "Calls pass.", "12,408"},
		"openai":     {"Open", "Calls are refused. Next probe in", "Opened once, last at"},
		"sendgrid":   {"Forced open", "Calls are refused by command, until it is reset."},
		"slack":      {"Disabled", "Calls pass unguarded, and nothing is counted."},
		"github":     {"Open", "Calls would be refused.", "Shadow mode: they pass."},
		"twilio":     {"Closed", "The vendor asked for a pause, ", "Limit sends: 2/minute"},
		"vapi":       {"Closed", "Calls pass. 1 of the last 1 failed.", "of 10"},
		"deepgram":   {"Half-open", "A probe is under way, other calls are refused."},
		"elevenlabs": {"eu.elevenlabs.test", "Forced open", "us.elevenlabs.test", "Disabled", "vendor.test", "Closed"},
		long + "~2":  {"Closed"},
		"drained":    {"Disabled", "0 %"},
		"open":       {"Store down", "Everything passes, unlimited."},
		"closed":     {"Store down", "Everything is refused."},
		"local":      {"Store down", "Each process grants its own share."},
		"shadow":     {"Shadow", "It refuses nobody: 1 would have been."},
		"off":        {"Disabled", "Everything passes."},
	} {
		p.Shows("article", name, says...)
	}
	p.Shows("heading", "deepgram, openai and sendgrid are down")
	p.Shows("paragraph", "", "1 more are not listed")
	p.Shows("button", "Reset elevenlabs/eu.elevenlabs.test")
	p.Shows("listitem", "", "openai", "Refused: by the breaker (3 times)")
	p.Shows("listitem", "", "twilio", "Limited: status 429, again in 25 seconds")
	p.Shows("listitem", "", "drained", "Failed: status 503, the retry budget is empty")
	p.Shows("listitem", "", "closed", "Store down: everything is refused")
	dir := browser.Pictures(t)
	picture(t, p, dir, "every-state")
	p.Size(320, 640)
	require.LessOrEqual(t, browser.Eval[int](p, "document.documentElement.scrollWidth"), 320, "nothing sticks out (WCAG 2.2, 1.4.10)")
	picture(t, p, dir, "every-state-narrow")
	require.Empty(t, p.Complaints())
}

func limiter(t *testing.T, st *status.Status, name string, cfg ratelimit.Config) *ratelimit.Limiter {
	t.Helper()
	var err error
	cfg.Limits, err = ratelimit.ParseLimits("2/minute")
	require.NoError(t, err)
	if st != nil {
		cfg = st.WatchLimiter(cfg)
	}
	l, err := ratelimit.New(name, cfg)
	require.NoError(t, err)
	if st != nil {
		for range 3 {
			_, _ = l.Allow(t.Context(), "somebody")
		}
	}
	return l
}
