package wait_test

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/prusik-go/prusik/httpx/internal/wait"
)

func TestTheCeilingDoublesUpToMax(t *testing.T) {
	b := wait.Backoff{Base: 500 * time.Millisecond, Max: 3 * time.Second}
	for n, want := range []time.Duration{1: 500 * time.Millisecond, 2: time.Second, 3: 2 * time.Second, 4: 3 * time.Second, 100: 3 * time.Second} {
		if n > 0 && want > 0 {
			require.Equal(t, want, b.Ceiling(n), "retry %d", n)
		}
	}
	require.Equal(t, time.Duration(math.MaxInt64), wait.Backoff{Base: math.MaxInt64 / 2, Max: math.MaxInt64}.Ceiling(9), "no overflow")
}

func TestAWaitIsWithinItsCeilingAndNeverShorterThanAsked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := wait.Backoff{
			Base: time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "base")),
			Max:  time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "max")),
		}
		n := rapid.IntRange(1, 70).Draw(t, "n")
		asked := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "asked"))
		got := b.Before(n, asked)
		if asked == 0 {
			require.LessOrEqual(t, got, b.Ceiling(n))
			require.GreaterOrEqual(t, got, time.Duration(0))
			return
		}
		require.GreaterOrEqual(t, got, asked)
		require.LessOrEqual(t, got, asked+asked/10)
	})
}

func TestFullJitterReachesBothEnds(t *testing.T) {
	b := wait.Backoff{Base: 1000, Max: 1000}
	low, high := time.Duration(math.MaxInt64), time.Duration(0)
	for range 10_000 {
		d := b.Before(1, 0)
		low, high = min(low, d), max(high, d)
	}
	require.Less(t, low, time.Duration(50))
	require.Greater(t, high, time.Duration(950))
}

func TestSleepEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		require.True(t, wait.Sleep(t.Context(), time.Minute))
		require.Equal(t, time.Minute, time.Since(begin))

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin = time.Now()
		require.False(t, wait.Sleep(ctx, time.Hour))
		require.Equal(t, time.Second, time.Since(begin))
		require.False(t, wait.Sleep(ctx, 0), "a context that is done is not slept past")
		require.True(t, wait.Sleep(t.Context(), 0))
	})
}

func TestTheBudgetIsSpentPaidBackAndNeverOverfull(t *testing.T) {
	b := wait.NewBudget(2, 0.5)
	require.InDelta(t, 1, b.Left(), 0)
	require.True(t, b.Take())
	require.True(t, b.Take())
	require.False(t, b.Take())
	b.Success()
	require.False(t, b.Take(), "half a token is none")
	b.Success()
	require.True(t, b.Take())
	b.Return()
	require.InDelta(t, 0.5, b.Left(), 0)
	for range 100 {
		b.Success()
	}
	require.InDelta(t, 1, b.Left(), 0)
}

func TestNoBudgetIsNoLimit(t *testing.T) {
	var b *wait.Budget
	for range 1000 {
		require.True(t, b.Take())
	}
	b.Return()
	b.Success()
	require.InDelta(t, 1, b.Left(), 0)
}

func TestTheBudgetHoldsUnderContention(t *testing.T) {
	b := wait.NewBudget(1000, 0.1)
	var taken atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				if b.Take() {
					taken.Add(1)
				}
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1000, taken.Load())
}
