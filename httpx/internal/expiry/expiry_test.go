package expiry_test

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/httpx/internal/expiry"
)

func TestWithoutLimitsTheContextIsTheCallersOwn(t *testing.T) {
	var e expiry.Expiry
	ctx := t.Context()
	require.Equal(t, ctx, e.Start(ctx, 0, 0))
	require.True(t, e.Headers())
	e.Body()
	e.Read(true)
	e.Read(false)
	e.End()
	require.NoError(t, ctx.Err())
	require.Zero(t, testing.AllocsPerRun(10, func() {
		e.Start(ctx, 0, 0)
		e.Headers()
		e.End()
	}))
}

func TestHeadersInTimeAndNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var e expiry.Expiry
		ctx := e.Start(t.Context(), time.Second, 0)
		time.Sleep(time.Second - 1)
		require.True(t, e.Headers())
		time.Sleep(time.Hour)
		require.NoError(t, ctx.Err(), "the timer has stopped")
		e.End()
		require.Error(t, ctx.Err())

		var late expiry.Expiry
		ctx = late.Start(t.Context(), time.Second, 0)
		<-ctx.Done()
		require.ErrorIs(t, late.Cause(), expiry.Attempt())
		require.ErrorIs(t, late.Cause(), context.DeadlineExceeded)
		var ne net.Error
		require.ErrorAs(t, late.Cause(), &ne)
		require.True(t, ne.Timeout())
		require.False(t, late.Headers())
		late.End()
	})
}

func TestAStalledReadEndsTheContextAndASlowReaderDoesNot(t *testing.T) {
	for name, toHeaders := range map[string]time.Duration{"longer to the headers": time.Hour, "shorter": time.Millisecond, "as long": time.Second, "without": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var e expiry.Expiry
				ctx := e.Start(t.Context(), toHeaders, time.Second)
				require.True(t, e.Headers())
				e.Body()
				time.Sleep(time.Hour) // the caller takes its time between reads
				for range 10 {        // and the vendor a little, each time
					e.Read(true)
					time.Sleep(time.Second - time.Millisecond)
					require.NoError(t, ctx.Err())
					e.Read(false)
				}
				begin := time.Now()
				e.Read(true)
				<-ctx.Done()
				require.Equal(t, time.Second, time.Since(begin))
				require.ErrorIs(t, e.Cause(), expiry.Idle())
				e.End()
			})
		})
	}
}

func TestWhatIsLeftAloneDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var e expiry.Expiry
		ctx := e.Start(t.Context(), time.Second, time.Minute)
		require.True(t, e.Headers())
		e.Read(true) // even in a read: nobody watches any more
		e.Leave()
		time.Sleep(time.Hour)
		require.NoError(t, ctx.Err())
		e.End()
	})
}

func TestAnAttemptAfterAnotherHasTheContextAndItsOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var e expiry.Expiry
		ctx := e.Start(t.Context(), time.Second, 0)
		for range 3 {
			time.Sleep(time.Second - 1)
			e.Rest()
			time.Sleep(time.Hour)
			require.True(t, e.Again(time.Second))
			require.NoError(t, ctx.Err())
		}
		begin := time.Now()
		<-ctx.Done()
		require.Equal(t, time.Second, time.Since(begin))
		e.Rest()
		require.False(t, e.Again(time.Second), "what has ended does not serve again")
		e.End()

		var open expiry.Expiry
		open.Start(t.Context(), 0, time.Second)
		open.Rest()
		require.True(t, open.Again(0))
		require.True(t, open.Headers())
		require.False(t, open.Again(0), "an attempt that came to its headers is not over")
		open.End()
	})
}

func TestTheCallersEndPassesThrough(t *testing.T) {
	parent, cancel := context.WithCancelCause(t.Context())
	var e expiry.Expiry
	ctx := e.Start(parent, time.Hour, time.Hour)
	cancel(net.ErrClosed)
	<-ctx.Done()
	require.ErrorIs(t, e.Cause(), net.ErrClosed)
	e.End()
}
