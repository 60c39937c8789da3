package httpx

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whoever asks, what he has changed before is seen, though he does not wait.
func TestNoTurnIsLost(t *testing.T) {
	t.Parallel()
	for range 5_000 {
		var at turn
		var want, seen atomic.Int64
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				for range 4 {
					want.Add(1)
					at.take(func() { seen.Store(want.Load()) })
				}
			})
		}
		wg.Wait()
		require.Equal(t, want.Load(), seen.Load())
	}
}

func TestATurnIsTakenAgainAfterAPanic(t *testing.T) {
	t.Parallel()
	var at turn
	n := 0
	do := func() {}
	do = func() {
		if n++; n == 1 {
			at.take(do) // from within: once more after
			require.Equal(t, 1, n)
			panic("hook")
		}
	}
	require.PanicsWithValue(t, "hook", func() { at.take(do) })
	require.Equal(t, 2, n, "what was asked for before the panic is done")
	at.take(do)
	require.Equal(t, 3, n)
}
