package httpx

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/flags"
	"github.com/prusik-go/prusik/ratelimit"
)

// Nor does a set keep what has followed it for a client or a limiter that is gone.
func TestASetDoesNotKeepFollowers(t *testing.T) {
	set := flags.New("app", flags.Config{})
	governed := make(chan struct{})
	limiter := make(chan struct{})
	func() {
		cfg := FromFlags(set, "twilio")
		require.NoError(t, set.Load(nil))
		runtime.AddCleanup(cfg.governed, func(c chan struct{}) { close(c) }, governed)
		_, err := NewTransport("twilio", cfg)
		require.NoError(t, err)

		l, err := LimiterFromFlags(set, "api", ratelimit.Config{})
		require.NoError(t, err)
		runtime.AddCleanup(l, func(c chan struct{}) { close(c) }, limiter)
	}()
	for _, gone := range []chan struct{}{governed, limiter} {
		require.Eventually(t, func() bool {
			runtime.GC()
			select {
			case <-gone:
				return true
			default:
				return false
			}
		}, 10*time.Second, time.Millisecond)
	}
	require.NoError(t, set.Override(flags.Change{Flag: "RATE_LIMIT_PER_MINUTE", Value: "7", Author: "ann", Reason: "outage"}))
}
