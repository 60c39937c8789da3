package flags_test

import (
	"io"
	"strings"
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

// What is past its day is said where it changes nothing: a document that is held by a test must not fail of itself.
func TestOverdueIsListedAndInNoDocument(t *testing.T) {
	t.Parallel()
	set := flags.New("app", flags.Config{})
	set.Bool("OLD", flags.RemoveBy("2020-01-01"), flags.Doc(doc))
	set.Bool("NEW", flags.RemoveBy("9999-01-01"), flags.Doc(doc))
	l := set.List().Flags
	require.True(t, l[0].Overdue)
	require.False(t, l[1].Overdue)
	for _, write := range []func(io.Writer) error{set.WriteEnv, set.WriteMarkdown, set.WriteChecklist} {
		var b strings.Builder
		require.NoError(t, write(&b))
		require.Contains(t, b.String(), "to be gone by 2020-01-01")
		require.NotContains(t, strings.ToLower(b.String()), "overdue")
	}
}
