package ratelimit_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/ratelimit"
)

// plenty is a limit that a test does not reach.
const plenty = "1/second burst 300000000"

// nobody is a response writer that keeps nothing but its header.
type nobody struct{ h http.Header }

func (w nobody) Header() http.Header         { return w.h }
func (w nobody) WriteHeader(int)             {}
func (w nobody) Write(b []byte) (int, error) { return len(b), nil }

func addresses(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = "10." + strconv.Itoa(i>>16) + "." + strconv.Itoa(i>>8&255) + "." + strconv.Itoa(i&255) + ":4711"
	}
	return all
}

func TestADecisionAllocatesNothing(t *testing.T) {
	ctx := t.Context()
	one := newLimiter(t, plenty, ratelimit.Config{})
	three := newLimiter(t, plenty+"; 60/minute burst 300000000; 3600/hour burst 300000000", ratelimit.Config{Hooks: ratelimit.Hooks{
		OnDecision: func(ratelimit.DecisionEvent) {},
	}})
	changed := newLimiter(t, "1/hour", ratelimit.Config{})
	set(t, changed, plenty)
	strict := newLimiter(t, "1/hour", ratelimit.Config{})
	drain(t, strict, "k")
	listed := newLimiter(t, plenty, ratelimit.Config{AllowList: []string{"k"}})
	out := one.Outbound("vendor")
	out.Learn(1_000_000, time.Hour)
	fn := func(context.Context) (int, error) { return 1, nil }
	deadline, cancel := context.WithTimeout(ctx, time.Hour)
	defer cancel()
	for name, f := range map[string]func(){
		"one limit":    func() { _, _ = one.Allow(ctx, "k") },
		"changed":      func() { _, _ = changed.Allow(ctx, "k") },
		"three, hook":  func() { _, _ = three.Allow(ctx, "k") },
		"refused":      func() { _, _ = strict.Allow(ctx, "k") },
		"exempt":       func() { _, _ = listed.Allow(ctx, "k") },
		"Wait":         func() { _, _ = one.Wait(deadline, "k") },
		"Do":           func() { _, _ = ratelimit.Do(ctx, one, "k", fn) },
		"refund":       func() { d, _ := one.Allow(ctx, "k"); _ = d.Refund(ctx) },
		"Acquire":      func() { _, _ = out.Acquire(deadline, time.Second) },
		"Learn, Pause": func() { out.Learn(1_000_000, time.Hour) },
	} {
		require.Zero(t, testing.AllocsPerRun(1000, f), name)
	}
	h := one.Handler(ratelimit.RemoteAddr)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	w := nobody{http.Header{}}
	if !ratelimit.RaceEnabled { // its detector empties pools
		require.Zero(t, testing.AllocsPerRun(1000, func() { clear(w.h); h.ServeHTTP(w, r) }), "one in some 20 requests, for the RateLimit field")
	}
}

func BenchmarkAllow(b *testing.B) {
	ctx := b.Context()
	for name, limits := range map[string]string{
		"one": plenty, "three": plenty + "; 60/minute burst 300000000; 3600/hour burst 300000000",
	} {
		for _, n := range []int{1, 10_000, 1_000_000} {
			l := newLimiter(b, limits, ratelimit.Config{})
			keys := addresses(n)
			for _, k := range keys {
				_, _ = l.Allow(ctx, k)
			}
			b.Run(name+"/"+strconv.Itoa(n)+" keys", func(b *testing.B) {
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					i++
					_, _ = l.Allow(ctx, keys[i*7919%n])
				}
			})
			b.Run(name+"/"+strconv.Itoa(n)+" keys, parallel", func(b *testing.B) {
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					i := 0
					for pb.Next() {
						i++
						_, _ = l.Allow(ctx, keys[i*7919%n])
					}
				})
			})
		}
	}
}

func BenchmarkHandler(b *testing.B) {
	next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	for name, cfg := range map[string]ratelimit.Config{
		"":                 {},
		"legacy/":          {Legacy: ratelimit.LegacyResetSeconds},
		"pk/":              {PartitionKey: true},
		"refused/":         {Limits: ratelimit.Limits{{Count: 1, Period: 24 * time.Hour}}},
		"three/":           {Limits: ratelimit.Limits{{Count: 1, Period: time.Second, Burst: 3e8}, {Count: 60, Period: time.Minute, Burst: 3e8}, {Count: 3600, Period: time.Hour, Burst: 3e8}}},
		"(floor) no limit": {Mode: ratelimit.Disabled},
	} {
		for _, n := range []int{1, 10_000, 1_000_000} {
			limits := plenty
			if cfg.Limits != nil {
				limits = ""
			}
			l := newLimiter(b, limits, cfg)
			h := l.Handler(ratelimit.RemoteAddr)(next)
			peers := addresses(n)
			request := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/", nil)
			serve := func(w nobody, r *http.Request, peer string) {
				r.RemoteAddr = peer
				clear(w.h)
				h.ServeHTTP(w, r)
			}
			for _, p := range peers {
				serve(nobody{http.Header{}}, request, p)
			}
			b.Run(name+strconv.Itoa(n)+" keys", func(b *testing.B) {
				b.ReportAllocs()
				w, i := nobody{http.Header{}}, 0
				for b.Loop() {
					i++
					serve(w, request, peers[i*7919%n])
				}
			})
			b.Run(name+strconv.Itoa(n)+" keys, parallel", func(b *testing.B) {
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					w, i := nobody{http.Header{}}, 0
					r := request.WithContext(b.Context())
					for pb.Next() {
						i++
						serve(w, r, peers[i*7919%n])
					}
				})
			})
		}
	}
}

// What it costs to change limits, with a million buckets that owe something.
func BenchmarkSetLimits(b *testing.B) {
	l := newLimiter(b, "10/day", ratelimit.Config{MaxKeys: 2_000_000})
	for _, k := range addresses(1_000_000) {
		_, _ = l.Allow(b.Context(), k)
	}
	for name, to := range map[string][2]string{"same time": {"10/day", "20/day"}, "other time": {"10 per 2 days", "10/day"}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				set(b, l, to[i%2])
			}
		})
	}
}

func BenchmarkAcquire(b *testing.B) {
	out := newLimiter(b, plenty, ratelimit.Config{}).Outbound("vendor")
	b.Run("serial", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = out.Acquire(b.Context(), time.Second)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				_, _ = out.Acquire(b.Context(), time.Second)
			}
		})
	})
}
