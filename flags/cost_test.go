package flags_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/flags"
)

func TestAReadAllocatesNothing(t *testing.T) {
	set := flags.New("app", flags.Config{})
	stub, word := set.Bool("STUB", flags.Doc(doc)), set.String("WORD", flags.Default("a"), flags.Doc(doc))
	require.NoError(t, set.Load(nil))
	pinned := set.Pin(t.Context())
	n := 0
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if stub.Get() || stub.In(pinned) || stub.In(t.Context()) {
			n++
		}
		n += len(word.Get()) + len(word.In(pinned))
	}))
	require.Positive(t, n)
}

// The context and the copy of the request.
func TestAPinnedRequestCostsTwoAllocations(t *testing.T) {
	set := flags.New("app", flags.Config{})
	require.NoError(t, set.Load(nil))
	h := set.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() { h.ServeHTTP(nil, r) }), 2.0)
	pinned := r.WithContext(set.Pin(r.Context()))
	require.Zero(t, testing.AllocsPerRun(100, func() { h.ServeHTTP(nil, pinned) }), "it is pinned already")
}

func BenchmarkGet(b *testing.B) {
	set := flags.New("app", flags.Config{})
	stub := set.Bool("STUB", flags.Doc(doc))
	require.NoError(b, set.Load(nil))
	pinned := set.Pin(b.Context())
	const reads = 1000 // a loop, for b.Loop itself costs as much as a read
	per := func(b *testing.B) { b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/reads, "ns/read") }
	b.Run("serial", func(b *testing.B) {
		b.ReportAllocs()
		on := 0
		for b.Loop() {
			for range reads {
				if stub.Get() {
					on++
				}
			}
		}
		per(b)
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			on := 0
			for pb.Next() {
				for range reads {
					if stub.Get() {
						on++
					}
				}
			}
		})
		per(b)
	})
	b.Run("pinned", func(b *testing.B) {
		b.ReportAllocs()
		on := 0
		for b.Loop() {
			for range reads {
				if stub.In(pinned) {
					on++
				}
			}
		}
		per(b)
	})
}
