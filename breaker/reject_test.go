package breaker_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
)

// Reject refuses what TryAcquire would, tells the hook as it would, and lets nobody through.
func TestRejectRefusesWhatTryAcquireWould(t *testing.T) {
	for name, hooked := range map[string]bool{"with a hook": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told []breaker.RejectEvent
				cfg := breaker.Config{Jitter: -1}
				if hooked {
					cfg.Hooks.OnReject = func(e breaker.RejectEvent) { told = append(told, e) }
				}
				b, err := breaker.New("vendor", cfg)
				require.NoError(t, err)
				rejects := func(state breaker.State, wait time.Duration, want bool) {
					t.Helper()
					told = nil
					got, rejected := b.Reject()
					require.Equal(t, want, rejected)
					require.Equal(t, wait, got)
					require.Equal(t, state, b.State(), "it changes nothing")
					if hooked && want {
						require.Equal(t, []breaker.RejectEvent{{Name: "vendor", State: state, RetryAfter: wait}}, told)
					} else {
						require.Empty(t, told)
					}
				}
				rejects(breaker.Closed, 0, false)
				for range 3 {
					p, _, _ := b.TryAcquire()
					require.False(t, p.Probe())
					p.Done(breaker.Failure)
				}
				rejects(breaker.Open, 30*time.Second, true)
				time.Sleep(30 * time.Second)
				rejects(breaker.Open, 0, false)
				probe, _, ok := b.TryAcquire()
				require.True(t, ok)
				require.True(t, probe.Probe())
				rejects(breaker.HalfOpen, time.Second, true)
				probe.Done(breaker.Ignored)
				rejects(breaker.HalfOpen, 0, false)
				b.ForceOpen()
				rejects(breaker.ForcedOpen, 0, true)
				b.Disable()
				rejects(breaker.DisabledState, 0, false)
			})
		})
	}
}

func TestRejectIsSilentInShadow(t *testing.T) {
	told := 0
	b, err := breaker.New("vendor", breaker.Config{
		Mode: breaker.Shadow, Hooks: breaker.Hooks{OnReject: func(breaker.RejectEvent) { told++ }},
	})
	require.NoError(t, err)
	b.ForceOpen()
	_, rejected := b.Reject()
	require.False(t, rejected)
	require.Zero(t, told, "TryAcquire tells of it")
}
