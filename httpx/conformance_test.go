package httpx_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/httpxtest"
	"github.com/prusik-go/prusik/httpx/profile"
)

// Every policy that can be turned on or off is, once: the promises of a RoundTripper hold in all of them.
func TestEveryConfigurationConforms(t *testing.T) {
	logger := slog.New(slog.NewJSONHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelDebug}))
	m, _ := counters(t)
	all := httpx.Config{
		Metrics:       m,
		MaxConcurrent: 1000, BulkheadWait: time.Second, Limiter: admitAll{}, KillSwitch: func() bool { return false },
		Logger: logger, BreakerPerHost: true, MaxHosts: 1000,
		Hooks: httpx.Hooks{OnEvent: func(httpx.Event) {}, OnAttempt: func(httpx.AttemptEvent) {}, OnCall: func(httpx.CallEvent) {}},
	}
	for name, cfg := range map[string]httpx.Config{
		"as it comes":       {},
		"without timeouts":  {TotalTimeout: -1, AttemptTimeout: -1, BodyIdleTimeout: -1},
		"without retries":   {MaxAttempts: -1},
		"without a buffer":  {MaxBodyBuffer: -1},
		"everything off":    {TotalTimeout: -1, AttemptTimeout: -1, BodyIdleTimeout: -1, MaxAttempts: -1, MaxConcurrent: -1, RetryBudget: -1, Breaker: breaker.Config{Mode: breaker.Disabled}},
		"everything on":     all,
		"with a profile":    {Profile: profile.GitHub()},
		"a breaker's hooks": {Breaker: breaker.Config{SlowCall: 9 * time.Second, Hooks: breaker.Hooks{OnOutcome: func(breaker.OutcomeEvent) {}}}},
	} {
		t.Run(name, func(t *testing.T) {
			build := func(refuse bool) func(http.RoundTripper) (http.RoundTripper, error) {
				return func(base http.RoundTripper) (http.RoundTripper, error) {
					c := cfg
					c.Base, c.BackoffBase, c.BackoffMax = base, time.Millisecond, 2*time.Millisecond
					if c.RetryBudget == 0 {
						c.RetryBudget = 1000
					}
					if c.Breaker.Mode == breaker.Enabled {
						c.Breaker.Failures = 1000
					}
					if refuse {
						c.KillSwitch = func() bool { return true }
					}
					return httpx.NewTransport("conformance", c)
				}
			}
			subject := httpxtest.Subject{
				Wrap: build(false), Refusing: build(true), MaxAttempts: 3, ReplaysUpTo: 1 << 20, RetriesKeyed: cfg.Profile.HonoursKey == nil,
				ClosesErrorBodies: true, KeepsCause: true, ChecksBase: true, PrusikErrors: true,
			}
			if cfg.MaxAttempts < 0 {
				subject.MaxAttempts = 1
			}
			if cfg.MaxBodyBuffer < 0 {
				subject.ReplaysUpTo = 0
			}
			httpxtest.Run(t, subject)
		})
	}
}

type admitAll struct{}

func (admitAll) Acquire(context.Context, time.Duration) (time.Duration, error) { return 0, nil }
func (admitAll) Refund(time.Duration)                                          {}
func (admitAll) Pause(time.Duration)                                           {}
func (admitAll) Learn(int64, time.Duration)                                    {}
