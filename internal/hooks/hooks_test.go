package hooks_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/internal/hooks"
)

func TestJoin(t *testing.T) {
	var heard []string
	hook := func(name string) func(int) { return func(int) { heard = append(heard, name) } }
	require.Nil(t, hooks.Join[int]())
	require.Nil(t, hooks.Join[int](nil, nil))
	hooks.Join(nil, hook("a"), nil)(1)
	hooks.Join(hook("b"), nil, hook("c"), hook("d"))(1)
	require.Equal(t, []string{"a", "b", "c", "d"}, heard)
}
