package correlation_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/uuid"

	"github.com/prusik-go/prusik/correlation"
)

func BenchmarkID(b *testing.B) {
	type key struct{}
	ctx := correlation.WithID(b.Context(), someID)
	deep, cancel := context.WithCancel(context.WithValue(ctx, key{}, 1))
	defer cancel()
	for name, ctx := range map[string]context.Context{"own": ctx, "two contexts up": deep} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				correlation.ID(ctx)
			}
		})
	}
}

func BenchmarkNewID(b *testing.B) {
	b.Run("prusik", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			correlation.NewID()
		}
	})
	b.Run("prusik, parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				correlation.NewID()
			}
		})
	})
	b.Run("google uuid.NewV7", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = uuid.Must(uuid.NewV7()).String()
		}
	})
}

func BenchmarkValid(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		correlation.Valid(someID)
	}
}

func BenchmarkHandler(b *testing.B) {
	next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	h := newCorrelator(b, correlation.Config{}).Handler(next)
	w := httptest.NewRecorder()
	traced := withHeader(someID)
	traced.Header.Set("traceparent", traceparent)
	for _, bench := range []struct {
		name string
		h    http.Handler
		r    *http.Request
	}{
		{"bare", next, withHeader(someID)},
		{"taken", h, withHeader(someID)},
		{"taken, with a trace", h, traced},
		{"new", h, httptest.NewRequest(http.MethodGet, "/", nil)},
		{"replaced", h, withHeader("not valid")},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bench.h.ServeHTTP(w, bench.r)
			}
		})
	}
}

func BenchmarkTransport(b *testing.B) {
	rt := newCorrelator(b, correlation.Config{}).Transport(roundTripper(func(*http.Request) (*http.Response, error) { return nil, nil }))
	req, _ := http.NewRequestWithContext(correlation.WithID(b.Context(), someID), http.MethodGet, "http://vendor.example/", nil)
	req.Header.Set("Accept", "*/*")
	set := req.Clone(req.Context())
	set.Header.Set(correlation.Header, someID)
	fresh := req.WithContext(b.Context())
	for _, bench := range []struct {
		name string
		r    *http.Request
	}{{"of the context", req}, {"there already", set}, {"new", fresh}} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = rt.RoundTrip(bench.r)
			}
		})
	}
}

func BenchmarkLogHandler(b *testing.B) {
	ctx := correlation.WithID(b.Context(), someID)
	bare := slog.NewJSONHandler(io.Discard, nil)
	for _, bench := range []struct {
		name string
		l    *slog.Logger
	}{
		{"bare", slog.New(bare)},
		{"id", slog.New(correlation.LogHandler(bare))},
		{"bare, in a group", slog.New(bare).With("a", 1).WithGroup("g").With("b", 2)},
		{"id, in a group", slog.New(correlation.LogHandler(bare)).With("a", 1).WithGroup("g").With("b", 2)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bench.l.LogAttrs(ctx, slog.LevelInfo, "calling", slog.String("vendor", "twilio"), slog.Int("attempt", 1))
			}
		})
	}
}

func BenchmarkSigner(b *testing.B) {
	s := newSigner(b, keyA)
	token := s.Token(someID, 0)
	b.Run("Token", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.Token(someID, 0)
		}
	})
	b.Run("Verify", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = s.Verify(token)
		}
	})
}
