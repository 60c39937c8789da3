package breaker_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// errVendor is a failure to everybody.
var errVendor = &errors.Error{Kind: errors.VendorBadResponse}

// newBreaker is breaker.New without jitter, so that a test can name the time a breaker opens for.
func newBreaker(t testing.TB, cfg breaker.Config) *breaker.Breaker {
	t.Helper()
	if cfg.Jitter == 0 {
		cfg.Jitter = -1
	}
	b, err := breaker.New("vendor", cfg)
	require.NoError(t, err)
	return b
}

// acquire is TryAcquire where it must succeed.
func acquire(t testing.TB, b *breaker.Breaker) breaker.Permit {
	t.Helper()
	p, wait, ok := b.TryAcquire()
	require.True(t, ok, "refused in state %v, retry after %v", b.State(), wait)
	require.Zero(t, wait)
	return p
}

// refused is TryAcquire where it must not succeed.
func refused(t testing.TB, b *breaker.Breaker) (retryAfter time.Duration) {
	t.Helper()
	_, wait, ok := b.TryAcquire()
	require.False(t, ok, "let through in state %v", b.State())
	return wait
}

func report(t testing.TB, b *breaker.Breaker, outcomes ...breaker.Outcome) {
	t.Helper()
	for _, o := range outcomes {
		acquire(t, b).Done(o)
	}
}

// opened returns a breaker that has just opened.
func opened(t testing.TB, cfg breaker.Config) *breaker.Breaker {
	t.Helper()
	cfg.Failures = 1
	b := newBreaker(t, cfg)
	report(t, b, breaker.Failure)
	require.Equal(t, breaker.Open, b.State())
	return b
}

// halfOpened returns a breaker whose next call is a probe. It runs in a bubble.
func halfOpened(t testing.TB, cfg breaker.Config) *breaker.Breaker {
	t.Helper()
	b := opened(t, cfg)
	time.Sleep(b.Config().OpenFor)
	require.True(t, b.Snapshot().ReadyToProbe)
	return b
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
		t.Fatal("deadlock")
	}
}

func succeed(context.Context) (int, error) { return 1, nil }
func fail(context.Context) (int, error)    { return 0, errVendor }

const (
	ok  = breaker.Success
	bad = breaker.Failure
	ign = breaker.Ignored
)
