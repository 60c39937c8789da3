package ratelimit_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/ratelimit"
	"github.com/prusik-go/prusik/ratelimit/ratelimittest"
)

// The memory keeps the contract that it asks of a store.
func TestTheMemoryIsAStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { require.NoError(t, ratelimittest.TestStore(ratelimit.NewMemoryStore())) })
}
