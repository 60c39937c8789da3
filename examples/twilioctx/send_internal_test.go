package twilioctx

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/errors"
)

type key struct{}

// A later twilio-go may bring a context of its own: both are honoured, and the values are the caller's.
func TestJoinEndsWithEither(t *testing.T) {
	cause := errors.New("enough")
	for name, end := range map[string]func(caller, sdk context.CancelCauseFunc){
		"caller": func(caller, _ context.CancelCauseFunc) { caller(cause) },
		"sdk":    func(_, sdk context.CancelCauseFunc) { sdk(cause) },
	} {
		t.Run(name, func(t *testing.T) {
			caller, endCaller := context.WithCancelCause(context.WithValue(t.Context(), key{}, "caller's"))
			sdk, endSDK := context.WithCancelCause(context.WithValue(t.Context(), key{}, "twilio-go's"))
			defer endCaller(nil)
			defer endSDK(nil)
			s := &send{ctx: caller}
			ctx := s.join(sdk)
			require.Equal(t, "caller's", ctx.Value(key{}))
			require.NoError(t, ctx.Err())
			end(endCaller, endSDK)
			require.Eventually(t, func() bool { return ctx.Err() != nil }, 5*time.Second, time.Millisecond)
			require.Equal(t, context.Canceled, ctx.Err())
			require.Equal(t, cause, context.Cause(ctx))
			s.end()
		})
	}
}

func TestAJoinedDeadlineIsADeadline(t *testing.T) {
	sdk, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	s := &send{ctx: t.Context()}
	ctx := s.join(sdk)
	require.Eventually(t, func() bool { return ctx.Err() != nil }, 5*time.Second, time.Millisecond)
	require.Equal(t, context.DeadlineExceeded, ctx.Err())
	s.end()
}

func TestReleaseEndsAJoinedContext(t *testing.T) {
	sdk, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := &send{ctx: t.Context()}
	ctx := s.join(sdk)
	s.end()
	require.ErrorIs(t, ctx.Err(), context.Canceled)
	require.NoError(t, sdk.Err())
}

func TestNothingIsJoinedToAnEmptyContext(t *testing.T) {
	s := &send{ctx: t.Context()}
	require.Equal(t, t.Context(), s.join(context.Background()))
	require.Empty(t, s.release)
}
