package metrics

import (
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// However many come at once, the bound holds, and every key has one value.
func TestATableEndsAtItsBound(t *testing.T) {
	const most, callers, keys = 10, 8, 200
	for range 20 {
		made := newTable(most, other, func(key string) *string { return &key })
		values := make([][keys]*string, callers)
		var wg sync.WaitGroup
		for caller := range callers {
			wg.Go(func() {
				for n := range keys {
					i := (n + caller*keys/callers) % keys
					values[caller][i] = made.get(strconv.Itoa(i))
				}
			})
		}
		wg.Wait()
		require.Len(t, *made.known.Load(), most)
		for i := range keys {
			v := made.get(strconv.Itoa(i))
			require.Contains(t, []string{strconv.Itoa(i), other}, *v)
			require.Same(t, v, made.get(strconv.Itoa(i)))
		}
		require.Same(t, made.get(other), made.get("one more"))
	}
}

func TestRememberedNames(t *testing.T) {
	asked := 0
	find := remember(func(name string) *string { asked++; return &name })
	for range 3 {
		require.Equal(t, "a", *find("a"))
		require.Equal(t, "b", *find("b"))
	}
	require.Equal(t, 4, asked, "a once, b each time")
}

// The arrays have a place for each value there is.
func TestPlaces(t *testing.T) {
	require.Len(t, methods(), numMethods)
	for i, name := range methods()[:numMethods-1] {
		require.Equal(t, i, int(method(name)))
	}
	require.LessOrEqual(t, len(outcomes()), maxOutcomes)
}
