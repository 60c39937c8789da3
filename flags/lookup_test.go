package flags_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/flags"
)

func TestLookup(t *testing.T) {
	t.Parallel()
	set := flags.New("app", flags.Config{})
	stub, limit := set.Bool("STUB", flags.Doc(doc)), set.Int("LIMIT", flags.Doc(doc))
	set.Int("STUB", flags.Doc(doc)) // a fault of Load; the first one counts
	require.Same(t, stub, set.Lookup("STUB"))
	require.Same(t, limit, set.Lookup("LIMIT"))
	require.Nil(t, set.Lookup("stub"))
	require.Equal(t, "STUB", set.Lookup("STUB").Name())
}
