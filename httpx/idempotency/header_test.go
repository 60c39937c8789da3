package idempotency_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/httpx/idempotency"
)

func TestParseKey(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		`"a"`: "a", `a`: "a", ` "a" `: "a", "\ta": "a", `"a b"`: "a b", `"a,b;c"`: "a,b;c", `"\""`: `"`, `"\\"`: `\`, `"a\"b\\c"`: `a"b\c`,
		`""`: "", ``: "", `"~ !"`: "~ !", `a:b/c=`: "a:b/c=", `*x`: "*x",
	} {
		key, ok := idempotency.ParseKey(s)
		require.True(t, ok, s)
		require.Equal(t, want, key)
	}
	for _, s := range []string{
		`"`, `"a`, `a"`, `"a"b`, `"a" b`, `a b`, `a,b`, `a;b`, `"a";b`, `"\a"`, `"\`, `"\"`, "\"\x1f\"", "\"\x7f\"", "\"\x80\"", "a\x00", `(a)`, `:YQ==:"`, `a\b`,
		"\"a\\\\\x1f\"", "'a\"'",
	} {
		_, ok := idempotency.ParseKey(s)
		require.False(t, ok, s)
	}
}

// quote is the inverse of parsing: the one spelling in quotes.
func quote(key string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(key) + `"`
}

func FuzzParseKey(f *testing.F) {
	for _, s := range []string{`"a"`, `a`, `"\""`, `"\\`, `"a";b`, `a,b`, "\"\x00\"", strings.Repeat("x", 300), `""`, `"a" `} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		key, ok := idempotency.ParseKey(s)
		if !ok {
			return
		}
		for _, c := range []byte(key) {
			require.True(t, ' ' <= c && c <= '~', "%q", key)
		}
		require.LessOrEqual(t, len(key), len(s))
		if len(key) <= 255 {
			again, ok := idempotency.ParseKey(quote(key))
			require.True(t, ok)
			require.Equal(t, key, again)
		}
		if trimmed := strings.Trim(s, " \t"); strings.HasPrefix(trimmed, `"`) {
			require.Equal(t, quote(key), trimmed, "a string has one spelling")
		} else {
			require.Equal(t, key, trimmed)
			require.NotContains(t, key, ",")
		}
	})
}

// Whatever a store returns, reading it does not panic, and takes no more memory than it has bytes.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte{1, 1, 200, 1, 0, 0})
	f.Add([]byte{1, 1, 201, 1, 1, 'a', 1, 1, 'b', 2, 1, 'c', 0, 'x'})
	f.Add([]byte{1, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Add([]byte{1, 3, 0, 0, 0})
	f.Fuzz(func(_ *testing.T, b []byte) { idempotency.CheckAnswer(b) })
}
