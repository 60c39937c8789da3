package breaker_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
)

// Who asks for a key at the moment it is made gets no breaker that is not forced open yet.
func TestAGroupThatIsForcedOpenLetsNobodyThroughMeanwhile(t *testing.T) {
	t.Parallel()
	g, err := breaker.NewGroup("g", breaker.GroupConfig{Max: 10_000})
	require.NoError(t, err)
	g.ForceOpen()
	let := 0
	var mu sync.Mutex
	for i := range 5_000 {
		key := fmt.Sprint(i)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if _, _, ok := g.Get(key).TryAcquire(); ok {
					mu.Lock()
					let++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
	}
	require.Zero(t, let)
}
