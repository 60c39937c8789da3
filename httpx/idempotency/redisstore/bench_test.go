package redisstore_test

import (
	"testing"

	"github.com/prusik-go/prusik/httpx/idempotency/redisstore"
	"github.com/prusik-go/prusik/internal/redistest"
)

func BenchmarkStore(b *testing.B) {
	srv := redistest.Start(b)
	s := newStore(b, redisstore.Config{Client: newClient(b, srv.Addr)})
	answer := make([]byte, 300)
	b.Run("new key", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c := claim()
			begin(b, s, c)
			if err := s.Finish(b.Context(), c, answer); err != nil {
				b.Fatal(err)
			}
		}
	})
	c := claim()
	if err := s.Finish(b.Context(), c, answer); err != nil {
		b.Fatal(err)
	}
	b.Run("replay", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			begin(b, s, another(c))
		}
	})
	s.Breaker().ForceOpen()
	b.Run("open breaker", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = s.Begin(b.Context(), c)
		}
	})
}
