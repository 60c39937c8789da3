package bench_test

import (
	"sync/atomic"
	"testing"

	"github.com/prusik-go/prusik/internal/bench"
)

// Benchmark runs every contestant in every scenario: Benchmark/stub/GET/serial/Prusik. Their times come one after
// the other, so on a busy machine trust the ratios of cmd/ratios, and these for allocations and profiles.
func Benchmark(b *testing.B) {
	for _, s := range bench.Scenarios() {
		b.Run(s.String(), func(b *testing.B) {
			subjects, err := s.Subjects()
			if err != nil {
				b.Fatal(err)
			}
			for _, subject := range subjects {
				b.Run(subject.Name, func(b *testing.B) {
					if subject.Leaks {
						b.Skip("holds on to two connections a call: a run of any length ends for want of descriptors")
					}
					b.ReportAllocs()
					if !s.Parallel {
						for b.Loop() {
							if err := subject.Op(0, 1); err != nil {
								b.Fatal(err)
							}
						}
						return
					}
					var workers atomic.Int64
					b.SetParallelism(4)
					b.RunParallel(func(pb *testing.PB) {
						worker := int(workers.Add(1)-1) % bench.MaxWorkers
						for pb.Next() {
							if err := subject.Op(worker, 1); err != nil {
								b.Error(err)
								return
							}
						}
					})
				})
				if err := subject.Close(); err != nil {
					b.Error(err)
				}
			}
		})
	}
}
