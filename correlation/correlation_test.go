package correlation_test

import (
	"context"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/prusik-go/prusik/correlation"
)

// rule is the rule as the documentation states it.
var rule = regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9._~-]{0,63}\z`)

func TestValidKeepsTheRule(t *testing.T) {
	t.Parallel()
	for c := range 256 {
		for _, id := range []string{string([]byte{byte(c)}), string([]byte{'a', byte(c)}), string([]byte{'a', byte(c), 'z'})} {
			require.Equal(t, rule.MatchString(id), correlation.Valid(id), "%q", id)
		}
	}
	for n := range 70 {
		require.Equal(t, n >= 1 && n <= 64, correlation.Valid(strings.Repeat("a", n)), "length %d", n)
	}
	for _, id := range []string{"a\n", "\na", "a\x00", "a b", "a,b", "a%20", "é", "aé", "{a}", `"a"`, "-a", ".", "~a", "_a"} {
		require.False(t, correlation.Valid(id), "%q", id)
	}
}

func TestValidKeepsTheRuleProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.OneOf(rapid.String(), rapid.StringMatching(`[A-Za-z0-9._~-]{0,66}`)).Draw(t, "id")
		if correlation.Valid(id) != rule.MatchString(id) {
			t.Fatalf("Valid(%q) = %v", id, correlation.Valid(id))
		}
	})
}

func TestIDOfAContextWithout(t *testing.T) {
	t.Parallel()
	id, ok := correlation.ID(t.Context())
	require.False(t, ok)
	require.Empty(t, id)
	var none context.Context
	_, ok = correlation.ID(none)
	require.False(t, ok, "a slog.Handler may be handed no context")
}

func TestWithID(t *testing.T) {
	t.Parallel()
	type key struct{}
	parent := context.WithValue(t.Context(), key{}, "kept")

	ctx := correlation.WithID(parent, "a-1")
	requireID(t, ctx, "a-1")
	require.Equal(t, "kept", ctx.Value(key{}))
	require.Same(t, ctx, correlation.WithID(ctx, "a-1"), "the same id needs no new context")

	requireID(t, correlation.WithID(ctx, "b-2"), "b-2")
	requireID(t, ctx, "a-1")

	for _, bad := range []string{"", "no spaces", "a\r\nSet-Cookie: x=1", strings.Repeat("a", 65)} {
		require.Same(t, ctx, correlation.WithID(ctx, bad), "%q", bad)
		require.Equal(t, parent, correlation.WithID(parent, bad), "%q", bad)
	}
}

func TestContextWithIDIsCanceledWithItsParent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithTimeoutCause(t.Context(), time.Second, http.ErrHandlerTimeout)
		defer cancel()
		ctx := correlation.WithID(parent, "a-1")
		child, cancelChild := context.WithCancel(ctx)
		defer cancelChild()
		want, _ := parent.Deadline()
		got, ok := ctx.Deadline()
		require.True(t, ok)
		require.Equal(t, want, got)

		time.Sleep(time.Second)
		synctest.Wait()
		require.ErrorIs(t, ctx.Err(), context.DeadlineExceeded)
		require.Equal(t, http.ErrHandlerTimeout, context.Cause(ctx))
		require.ErrorIs(t, child.Err(), context.DeadlineExceeded)
		require.Equal(t, http.ErrHandlerTimeout, context.Cause(child))
		requireID(t, child, "a-1")
	})
}

func TestDetachKeepsTheIDAndOutlivesTheRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		parent, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, "kept"), time.Minute)
		ctx := correlation.Detach(correlation.WithID(parent, "a-1"))
		cancel()
		synctest.Wait()

		require.NoError(t, ctx.Err())
		require.Nil(t, ctx.Done())
		_, ok := ctx.Deadline()
		require.False(t, ok)
		requireID(t, ctx, "a-1")
		require.Equal(t, "kept", ctx.Value(key{}))
	})
}

func TestDetachMakesAnIDWhereThereIsNone(t *testing.T) {
	t.Parallel()
	id, ok := correlation.ID(correlation.Detach(t.Context()))
	require.True(t, ok)
	require.True(t, correlation.Valid(id))
}

func TestReadingAnIDAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("counts allocations")
	}
	type key struct{}
	ctx := context.WithValue(correlation.WithID(t.Context(), "a-1"), key{}, 1)
	require.Zero(t, testing.AllocsPerRun(100, func() { correlation.ID(ctx) }))
	require.Zero(t, testing.AllocsPerRun(100, func() { correlation.ID(t.Context()) }))
	require.Zero(t, testing.AllocsPerRun(100, func() { correlation.TraceOf(ctx) }))
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = correlation.Valid("0190c7a5-7e4f-7c3d-8a51-0123456789ab") }))
}

// A leaf knows errors and internal packages of this module, and no other leaf.
func TestImports(t *testing.T) {
	t.Parallel()
	const module = "github.com/prusik-go/prusik/"
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").Output()
	require.NoError(t, err)
	deps := strings.Fields(string(out))
	require.Contains(t, deps, module+"errors", "the list is not empty")
	for _, dep := range deps {
		own := dep == module+"correlation" || dep == module+"errors" || strings.HasPrefix(dep, module+"internal/")
		require.True(t, own || dep == "github.com/google/uuid", "%s", dep)
	}
}

func requireID(t testing.TB, ctx context.Context, want string) {
	t.Helper()
	id, ok := correlation.ID(ctx)
	require.True(t, ok)
	require.Equal(t, want, id)
}
