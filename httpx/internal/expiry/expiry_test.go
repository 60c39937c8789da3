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
	require.Equal(t, ctx, e.Start(ctx, expiry.Now(), 0, 0))
	require.True(t, e.Headers(expiry.Now()))
	e.Body(expiry.Now())
	e.Read(true)
	e.Read(false)
	e.End()
	require.NoError(t, ctx.Err())
	require.Zero(t, testing.AllocsPerRun(10, func() {
		e.Start(ctx, expiry.Now(), 0, 0)
		e.Headers(expiry.Now())
		e.End()
	}))
}

func TestHeadersInTimeAndNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var e expiry.Expiry
		ctx := e.Start(t.Context(), expiry.Now(), time.Second, 0)
		time.Sleep(time.Second - 1)
		require.True(t, e.Headers(expiry.Now()))
		time.Sleep(time.Hour)
		require.NoError(t, ctx.Err(), "the timer has stopped")
		e.End()
		require.Error(t, ctx.Err())

		var late expiry.Expiry
		ctx = late.Start(t.Context(), expiry.Now(), time.Second, 0)
		<-ctx.Done()
		require.ErrorIs(t, context.Cause(ctx), expiry.Attempt())
		require.ErrorIs(t, context.Cause(ctx), context.DeadlineExceeded)
		var ne net.Error
		require.ErrorAs(t, context.Cause(ctx), &ne)
		require.True(t, ne.Timeout())
		require.False(t, late.Headers(expiry.Now()))
		late.End()
	})
}

func TestAStalledReadEndsTheContextAndASlowReaderDoesNot(t *testing.T) {
	for name, toHeaders := range map[string]time.Duration{"longer to the headers": time.Hour, "shorter": time.Millisecond, "as long": time.Second, "without": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var e expiry.Expiry
				ctx := e.Start(t.Context(), expiry.Now(), toHeaders, time.Second)
				require.True(t, e.Headers(expiry.Now()))
				e.Body(expiry.Now())
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
				require.ErrorIs(t, context.Cause(ctx), expiry.Idle())
				e.End()
			})
		})
	}
}

func TestWhatIsLeftAloneDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var e expiry.Expiry
		ctx := e.Start(t.Context(), expiry.Now(), time.Second, time.Minute)
		require.True(t, e.Headers(expiry.Now()))
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
		ctx := e.Start(t.Context(), expiry.Now(), time.Second, 0)
		for range 3 {
			time.Sleep(time.Second - 1)
			e.Rest(expiry.Now())
			time.Sleep(time.Hour)
			require.True(t, e.Again(ctx, expiry.Now(), time.Second))
			require.NoError(t, ctx.Err())
		}
		begin := time.Now()
		<-ctx.Done()
		require.Equal(t, time.Second, time.Since(begin))
		e.Rest(expiry.Now())
		require.False(t, e.Again(ctx, expiry.Now(), time.Second), "what has ended does not serve again")
		e.End()

		var open expiry.Expiry
		ctx = open.Start(t.Context(), expiry.Now(), 0, time.Second)
		open.Rest(expiry.Now())
		require.True(t, open.Again(ctx, expiry.Now(), 0))
		require.True(t, open.Headers(expiry.Now()))
		require.False(t, open.Again(ctx, expiry.Now(), 0), "an attempt that came to its headers is not over")
		open.End()
	})
}

func TestTheCallersEndPassesThrough(t *testing.T) {
	parent, cancel := context.WithCancelCause(t.Context())
	var e expiry.Expiry
	ctx := e.Start(parent, expiry.Now(), time.Hour, time.Hour)
	cancel(net.ErrClosed)
	<-ctx.Done()
	require.ErrorIs(t, context.Cause(ctx), net.ErrClosed)
	e.End()
}

// Who asks for nothing is still held to the time: the answer came, but too late.
func TestHeadersThatComeLateAreLateBeforeTheTimerSaysSo(t *testing.T) {
	var e expiry.Expiry
	now := expiry.Now()
	ctx := e.Start(t.Context(), now, time.Hour, 0)
	require.False(t, e.Headers(now+time.Hour))
	require.Error(t, ctx.Err())
	require.ErrorIs(t, context.Cause(ctx), expiry.Attempt())
	e.End()

	var rested expiry.Expiry
	ctx = rested.Start(t.Context(), now, time.Hour, 0)
	rested.Rest(now + time.Hour)
	require.ErrorIs(t, context.Cause(ctx), expiry.Attempt())
	require.False(t, rested.Again(ctx, now+time.Hour, time.Hour))
	rested.End()
}

// The timer of one attempt fires while the next is under way, or between the two: neither ends the next too soon, and
// the next has an end all the same.
func TestATimerOfAnEarlierAttemptDoesNotEndTheNext(t *testing.T) {
	for name, pause := range map[string]time.Duration{"fires in the pause": time.Minute, "fires in the next attempt": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var e expiry.Expiry
				ctx := e.Start(t.Context(), expiry.Now(), 10*time.Second, 0)
				for range 4 {
					time.Sleep(9 * time.Second)
					e.Rest(expiry.Now())
					time.Sleep(pause)
					require.True(t, e.Again(ctx, expiry.Now(), 10*time.Second))
				}
				begin := time.Now()
				<-ctx.Done()
				require.Equal(t, 10*time.Second, time.Since(begin))
				require.ErrorIs(t, context.Cause(ctx), expiry.Attempt())
				e.End()
			})
		})
	}
}

func TestTheBodyOfALaterAttemptIsWatched(t *testing.T) {
	for name, idle := range map[string]time.Duration{"shorter than the headers' time": time.Second, "longer": time.Minute} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var e expiry.Expiry
				ctx := e.Start(t.Context(), expiry.Now(), 10*time.Second, idle)
				time.Sleep(5 * time.Second)
				e.Rest(expiry.Now())
				time.Sleep(time.Hour)
				require.True(t, e.Again(ctx, expiry.Now(), 10*time.Second))
				require.True(t, e.Headers(expiry.Now()))
				e.Body(expiry.Now())
				begin := time.Now()
				e.Read(true)
				<-ctx.Done()
				require.Equal(t, idle, time.Since(begin))
				require.ErrorIs(t, context.Cause(ctx), expiry.Idle())
				e.End()
			})
		})
	}
}

// Attempts that end about when their time does: whatever wins, an attempt that begins has its own whole time.
func TestAttemptsThatEndAtTheirDeadlineRaceWithTheTimer(t *testing.T) {
	served := 0
	for n := range 200 {
		var e expiry.Expiry
		ctx := e.Start(t.Context(), expiry.Now(), time.Duration(n)*time.Microsecond, 0)
		for range 300 {
			e.Rest(expiry.Now())
			if !e.Again(ctx, expiry.Now(), time.Hour) {
				require.ErrorIs(t, context.Cause(ctx), expiry.Attempt())
				break
			}
			served++
			require.NoError(t, ctx.Err())
		}
		e.End()
	}
	require.Positive(t, served)
}
