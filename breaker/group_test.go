package breaker_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
)

func newGroup(t testing.TB, size int) *breaker.Group {
	t.Helper()
	g, err := breaker.NewGroup("hosts", breaker.GroupConfig{Max: size, Breaker: breaker.Config{Failures: 1, Jitter: -1}})
	require.NoError(t, err)
	return g
}

func names(g *breaker.Group) []string {
	var all []string
	for b := range g.All() {
		all = append(all, b.Name())
	}
	return all
}

func TestGroupKeepsKeysApart(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 10)
	a, b := g.Get("a.example:443"), g.Get("b.example")
	require.NotSame(t, a, b)
	require.Same(t, a, g.Get("a.example:443"))
	require.Equal(t, "hosts/a.example:443", a.Name())
	report(t, a, bad)
	require.Equal(t, breaker.Open, a.State())
	report(t, b, ok)
}

func TestGroupGivesUpTheLeastRecentlyUsedClosedOne(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 3)
	a, b := g.Get("a"), g.Get("b")
	g.Get("c")
	g.Get("a")
	g.Get("d") // in place of b
	require.Equal(t, []string{"hosts/d", "hosts/a", "hosts/c", "hosts/*"}, names(g))
	require.Same(t, a, g.Get("a"))
	require.NotSame(t, b, g.Get("b"), "made anew")
	require.Equal(t, []string{"hosts/b", "hosts/a", "hosts/d", "hosts/*"}, names(g))
}

func TestGroupNeverGivesUpOneThatIsNotClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, 4)
		open, halfOpen, forced, disabled := g.Get("open"), g.Get("half-open"), g.Get("forced"), g.Get("disabled")
		report(t, open, bad)
		report(t, halfOpen, bad)
		time.Sleep(30 * time.Second)
		probe := acquire(t, halfOpen)
		require.Equal(t, breaker.HalfOpen, halfOpen.State())
		forced.ForceOpen()
		disabled.Disable()
		overflow := g.Get("new")
		require.Equal(t, "hosts/*", overflow.Name())
		require.Same(t, overflow, g.Get("newer"), "shared by all that find no place")
		report(t, overflow, bad)
		refused(t, g.Get("newest"))
		for key, b := range map[string]*breaker.Breaker{"open": open, "half-open": halfOpen, "forced": forced, "disabled": disabled} {
			require.Same(t, b, g.Get(key))
		}
		require.Len(t, names(g), 5)

		probe.Done(bad)
		open.Reset()
		require.Equal(t, "hosts/new", g.Get("new").Name(), "a closed one makes room")
		require.NotSame(t, open, g.Get("open"))
	})
}

func TestGroupOfDisabledBreakersIsBoundedToo(t *testing.T) {
	t.Parallel()
	g, err := breaker.NewGroup("hosts", breaker.GroupConfig{Max: 2, Breaker: breaker.Config{Mode: breaker.Disabled}})
	require.NoError(t, err)
	for i := range 10 {
		report(t, g.Get(strconv.Itoa(i)), bad, bad, bad)
	}
	require.Len(t, names(g), 3)
}

func TestGroupDefaultMax(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 0)
	for i := range 2000 {
		g.Get(strconv.Itoa(i))
	}
	require.Len(t, names(g), 1001)
}

func TestGroupNamesAreFitForLabels(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 1000)
	long := strings.Repeat("x", 65)
	keys := []string{"", "*", "a b", "a_b", "a/b", "ä", "\xff", "\n", long, long + "y", strings.Repeat("ä", 100)}
	seen := map[string]string{"hosts/*": "the overflow"}
	for _, key := range keys {
		name := g.Get(key).Name()
		require.Regexp(t, `^hosts/[A-Za-z0-9._:-]{1,64}$`, name, "%q", key)
		require.NotContains(t, seen, name, "%q", key)
		seen[name] = key
	}
	require.Equal(t, "hosts/a_b", g.Get("a_b").Name(), "a clean key is kept")
	require.Equal(t, "hosts/"+long[:64], g.Get(long[:64]).Name())
}

func TestGroupAllHoldsNoLock(t *testing.T) {
	t.Parallel()
	within(t, func() {
		g := newGroup(t, 10)
		g.Get("a")
		g.Get("b")
		for b := range g.All() {
			g.Get("c")
			require.NotEqual(t, "hosts/c", b.Name(), "as of the call")
		}
		for range g.All() {
			break
		}
	})
}

func TestGroupConcurrently(t *testing.T) {
	t.Parallel()
	g := newGroup(t, 8)
	pinned := g.Get("pinned")
	pinned.ForceOpen()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 500 {
				b := g.Get(fmt.Sprint("k", (i*n)%20))
				if p, _, ok := b.TryAcquire(); ok {
					p.Done(breaker.Outcome(n % 3))
				}
				if n%50 == 0 {
					if len(slices.Collect(g.All())) > 9 {
						t.Error("over its bound")
					}
				}
			}
		})
	}
	wg.Wait()
	require.Same(t, pinned, g.Get("pinned"))
}

func TestAGroupIsForcedOpenWithThoseItIsYetToMake(t *testing.T) {
	t.Parallel()
	var g *breaker.Group
	g, err := breaker.NewGroup("g", breaker.GroupConfig{Max: 2, Breaker: breaker.Config{Hooks: breaker.Hooks{
		OnTransition: func(breaker.TransitionEvent) { g.Config() }, // a hook may use the group
	}}})
	require.NoError(t, err)
	g.Get("a")
	g.ForceOpen()
	for _, key := range []string{"a", "b", "beyond"} {
		require.Equal(t, breaker.ForcedOpen, g.Get(key).State(), key)
	}
	g.Reset()
	for b := range g.All() {
		require.Equal(t, breaker.Closed, b.State(), b.Name())
	}
	require.Equal(t, breaker.Closed, g.Get("new").State())
}
