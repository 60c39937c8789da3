package ratelimit_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/prusik-go/prusik/ratelimit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newLimiter is ratelimit.New with limits as text.
func newLimiter(t testing.TB, limits string, cfg ratelimit.Config) *ratelimit.Limiter {
	t.Helper()
	if limits != "" {
		parsed, err := ratelimit.ParseLimits(limits)
		require.NoError(t, err)
		cfg.Limits = parsed
	}
	l, err := ratelimit.New("api", cfg)
	require.NoError(t, err)
	return l
}

// allow decides where it must be possible.
func allow(t testing.TB, l *ratelimit.Limiter, key string) ratelimit.Decision {
	t.Helper()
	return allowN(t, l, key, 1)
}

func allowN(t testing.TB, l *ratelimit.Limiter, key string, cost int64) ratelimit.Decision {
	t.Helper()
	d, err := l.AllowN(t.Context(), key, cost)
	require.NoError(t, err)
	return d
}

// drain takes all of key's burst and returns the first refusal.
func drain(t testing.TB, l *ratelimit.Limiter, key string) ratelimit.Decision {
	t.Helper()
	for range 1_000_000 {
		if d := allow(t, l, key); !d.Allowed() {
			return d
		}
	}
	t.Fatal("never refused")
	return ratelimit.Decision{}
}

// statuses collects what a decision says of its limits.
func statuses(d ratelimit.Decision) []ratelimit.Status {
	var all []ratelimit.Status
	for s := range d.Statuses() {
		all = append(all, s)
	}
	return all
}

// within fails where f does not return in ten seconds of real time, as in a deadlock.
func within(t *testing.T, f func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-ctx.Done():
		t.Fatal("it hangs")
	}
}
