package ratelimit_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/ratelimit"
)

func TestJoinedHooksAreAllCalled(t *testing.T) {
	counts := map[string]int{}
	hooks := func(name string) ratelimit.Hooks {
		return ratelimit.Hooks{
			OnNew:      func(*ratelimit.Limiter) { counts[name+" new"]++ },
			OnDecision: func(ratelimit.DecisionEvent) { counts[name+" decision"]++ },
			OnError:    func(ratelimit.ErrorEvent) { counts[name+" error"]++ },
			OnPause:    func(ratelimit.PauseEvent) { counts[name+" pause"]++ },
		}
	}
	require.Equal(t, ratelimit.Hooks{}, ratelimit.JoinHooks(), "none stays none, and costs nothing")
	limits, err := ratelimit.ParseLimits("1/minute")
	require.NoError(t, err)
	l, err := ratelimit.New("api", ratelimit.Config{Limits: limits, Hooks: ratelimit.JoinHooks(hooks("a"), ratelimit.Hooks{}, hooks("b"))})
	require.NoError(t, err)
	_, err = l.Allow(t.Context(), "key")
	require.NoError(t, err)
	_, err = l.Allow(t.Context(), "")
	require.Error(t, err)
	l.Outbound("").Pause(1)
	require.Equal(t, map[string]int{
		"a new": 1, "a decision": 1, "a error": 1, "a pause": 1, "b new": 1, "b decision": 1, "b error": 1, "b pause": 1,
	}, counts)
}
