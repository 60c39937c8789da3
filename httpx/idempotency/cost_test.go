package idempotency_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/httpx/idempotency"
)

// nobody is a response writer that keeps nothing but its header.
type nobody struct{ h http.Header }

func (w nobody) Header() http.Header         { return w.h }
func (w nobody) WriteHeader(int)             {}
func (w nobody) Write(b []byte) (int, error) { return len(b), nil }

// rewound is a body that can be read again.
type rewound struct{ bytes.Reader }

func (*rewound) Close() error { return nil }

const text = `{"to":"+15005550006","body":"Your table is ready."}`

// posted is a request that can be served again.
func posted(t testing.TB, key string) (r *http.Request, again func(key string)) {
	t.Helper()
	body := &rewound{}
	r = httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/messages", nil)
	r.Body, r.ContentLength = body, int64(len(text))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-User", "ann")
	keys := []string{key}
	if key != "" {
		r.Header[idempotency.Header] = keys
	}
	return r, func(key string) {
		body.Reset([]byte(text))
		r.Body = body
		keys[0] = key
	}
}

func answered(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h["Content-Type"] = []string{"application/json"}
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, `{"sid":"SM00000000000000000000000000000001","status":"queued"}`)
}

func TestARequestWithoutAKeyCostsNothing(t *testing.T) {
	k := newKeys(t, idempotency.Config{})
	h := k.Handler(caller)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r, _ := posted(t, "")
	w := nobody{http.Header{}}
	require.Zero(t, testing.AllocsPerRun(1000, func() { h.ServeHTTP(w, r) }))
	r.Method = http.MethodGet
	r.Header.Set(idempotency.Header, "k")
	require.Zero(t, testing.AllocsPerRun(1000, func() { h.ServeHTTP(w, r) }))
}

// What the package documentation says of allocations. The race detector allocates itself.
func TestCost(t *testing.T) {
	if idempotency.RaceEnabled {
		t.Skip("counted without the race detector")
	}
	k := newKeys(t, idempotency.Config{})
	h := k.Handler(caller)(http.HandlerFunc(answered))
	w := nobody{http.Header{}}
	r, again := posted(t, "k")
	n := 0
	bare := testing.AllocsPerRun(1000, func() { clear(w.h); again("k"); answered(w, r) })
	first := testing.AllocsPerRun(1000, func() { clear(w.h); n++; again(strconv.Itoa(n)); h.ServeHTTP(w, r) })
	replay := testing.AllocsPerRun(1000, func() { clear(w.h); again("1"); h.ServeHTTP(w, r) })
	t.Logf("bare %v, first %v, replay %v", bare, first, replay)
	require.LessOrEqual(t, first-bare, 16.0)
	require.LessOrEqual(t, replay, 11.0)
}

func BenchmarkHandler(b *testing.B) {
	h := newKeys(b, idempotency.Config{MaxKeys: 100_000_000, TTL: time.Second, MaxBytes: 1 << 40}).Handler(caller)(http.HandlerFunc(answered))
	w := nobody{http.Header{}}
	r, again := posted(b, "k")
	n := 0
	for name, f := range map[string]func(){
		"bare":   func() { answered(w, r) },
		"first":  func() { n++; again(strconv.Itoa(n)); h.ServeHTTP(w, r) },
		"replay": func() { again("replay"); h.ServeHTTP(w, r) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				clear(w.h)
				f()
			}
		})
	}
	unkeyed, _ := posted(b, "")
	b.Run("no key", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			clear(w.h)
			h.ServeHTTP(w, unkeyed)
		}
	})
}

// BenchmarkMemory says what a key takes.
func BenchmarkMemory(b *testing.B) {
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		m := idempotency.NewMemory(1_000_000, 1<<40)
		for i := range 1_000_000 {
			c := idempotency.Claim{ID: [32]byte{byte(i), byte(i >> 8), byte(i >> 16)}, Run: [16]byte{1}, Lease: time.Hour, TTL: time.Hour}
			_, _ = m.Begin(context.Background(), c)
			_ = m.Finish(context.Background(), c, []byte("a"))
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "B/key")
		runtime.KeepAlive(m)
	}
}
