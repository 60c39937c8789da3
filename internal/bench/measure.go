package bench

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Result is what one contestant cost in one scenario: medians over all rounds.
type Result struct {
	Name string
	// CPU and Wall are for one call. CPU is that of the whole process, garbage collection and, over loopback, the
	// server included.
	CPU, Wall time.Duration
	// CPURatio and WallRatio are medians of the ratios to the reference in the same round; CPUSpread is the
	// distance between the quartiles of CPURatio. CPUAgainst is the ratio to the second reference, or zero.
	CPURatio, CPUSpread, WallRatio, CPUAgainst float64
	// Allocs and Bytes are for one call.
	Allocs, Bytes float64
}

// sample is one contestant's part of one round, for one call.
type sample struct{ cpu, wall, allocs, bytes float64 }

// Measure runs every contestant of s in rounds of about slice of CPU time each, in another order each round.
func Measure(s Scenario, rounds int, slice time.Duration) (results []Result, err error) {
	subjects, err := s.Subjects()
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, subject := range subjects {
			err = errors.Join(err, subject.Close())
		}
	}()
	calls := make([]int, len(subjects))
	for i, subject := range subjects {
		if calls[i], err = calibrate(subject, s.Workers(), slice); err != nil {
			return nil, err
		}
	}
	samples := make([][]sample, len(subjects))
	for round := range rounds {
		for i := range subjects {
			at := (round/2 + i) % len(subjects)
			if round%2 == 1 {
				at = len(subjects) - 1 - at // the other way round; of two contestants too
			}
			got, err := take(subjects[at], s.Workers(), calls[at])
			if err != nil {
				return nil, err
			}
			samples[at] = append(samples[at], got)
		}
	}
	return summarize(s, subjects, samples), nil
}

// calibrate returns how many calls a worker makes in slice of CPU time.
func calibrate(subject *Subject, workers int, slice time.Duration) (int, error) {
	for n := 1; ; n *= 2 {
		got, err := take(subject, workers, n)
		if err != nil {
			return 0, err
		}
		total := got.cpu * float64(n*workers)
		if total >= float64(slice)/2 || n >= 1<<26 {
			return max(1, int(float64(n)*float64(slice)/max(total, 1))), nil
		}
	}
}

func take(subject *Subject, workers, n int) (sample, error) {
	if err := subject.settle(); err != nil {
		return sample{}, fmt.Errorf("bench: %s: %w", subject.Name, err)
	}
	runtime.GC()
	var before, after runtime.MemStats
	failed := make([]error, workers)
	runtime.ReadMemStats(&before)
	cpu, start := cpuTime(), time.Now()
	if workers == 1 {
		failed[0] = subject.Op(0, n)
	} else {
		var group sync.WaitGroup
		for worker := range workers {
			group.Go(func() { failed[worker] = subject.Op(worker, n) })
		}
		group.Wait()
	}
	wall := time.Since(start)
	cpu = cpuTime() - cpu
	runtime.ReadMemStats(&after)
	if err := errors.Join(failed...); err != nil {
		return sample{}, fmt.Errorf("bench: %s: %w", subject.Name, err)
	}
	all := float64(n * workers)
	return sample{
		cpu:    float64(cpu) / all,
		wall:   float64(wall) / all,
		allocs: float64(after.Mallocs-before.Mallocs) / all,
		bytes:  float64(after.TotalAlloc-before.TotalAlloc) / all,
	}, nil
}

// cpuTime is the CPU time this process has used, in user and in kernel mode.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err) // RUSAGE_SELF cannot fail
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func summarize(s Scenario, subjects []*Subject, samples [][]sample) []Result {
	reference, against := -1, -1
	for i, subject := range subjects {
		switch subject.Name {
		case s.Reference:
			reference = i
		case s.Against:
			against = i
		}
	}
	results := make([]Result, 0, len(subjects))
	for i, subject := range subjects {
		ratios := func(to int, of func(sample) float64) []float64 {
			if to < 0 {
				return nil
			}
			all := make([]float64, 0, len(samples[i]))
			for round, got := range samples[i] {
				all = append(all, of(got)/of(samples[to][round]))
			}
			return all
		}
		cpu := func(s sample) float64 { return s.cpu }
		wall := func(s sample) float64 { return s.wall }
		results = append(results, Result{
			Name:       subject.Name,
			CPU:        time.Duration(quantile(samples[i], 0.5, cpu)),
			Wall:       time.Duration(quantile(samples[i], 0.5, wall)),
			CPURatio:   quantile(ratios(reference, cpu), 0.5, itself),
			CPUSpread:  quantile(ratios(reference, cpu), 0.75, itself) - quantile(ratios(reference, cpu), 0.25, itself),
			WallRatio:  quantile(ratios(reference, wall), 0.5, itself),
			CPUAgainst: quantile(ratios(against, cpu), 0.5, itself),
			Allocs:     quantile(samples[i], 0.5, func(s sample) float64 { return s.allocs }),
			Bytes:      quantile(samples[i], 0.5, func(s sample) float64 { return s.bytes }),
		})
	}
	return results
}

func itself(v float64) float64 { return v }

// quantile is the q-th quantile of what of says of each element, or zero of none.
func quantile[E any](all []E, q float64, of func(E) float64) float64 {
	if len(all) == 0 {
		return 0
	}
	values := make([]float64, 0, len(all))
	for _, e := range all {
		values = append(values, of(e))
	}
	slices.SortFunc(values, cmp.Compare)
	at := q * float64(len(values)-1)
	low := int(at)
	if low == len(values)-1 {
		return values[low]
	}
	return values[low] + (at-float64(low))*(values[low+1]-values[low])
}
