package ratelimit

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// The limits change between the decision and the answer: what the answer says is all of the decision.
func TestAnAnswerIsOfOneKind(t *testing.T) {
	t.Parallel()
	for _, partition := range []bool{false, true} {
		l, err := New("api", Config{Limits: limitsOf(t, "2/minute"), Legacy: LegacyResetSeconds, PartitionKey: partition})
		require.NoError(t, err)
		d, err := l.Allow(t.Context(), "k")
		require.NoError(t, err)
		before, after := http.Header{}, http.Header{}
		l.setFields(before, &d)
		require.NoError(t, l.SetLimits(Limits{{Name: "other", Count: 100, Period: 1000}}))
		l.setFields(after, &d)
		require.Equal(t, before, after)
	}
}
