package bench_test

import (
	"flag"
	"net/http"
	"runtime"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prusik-go/prusik/internal/bench"
)

// TestBudgetAllocations holds what Prusik may allocate for a call above the same call of the bare client. For an
// open breaker the bare client's call is one that fails in the transport, and the one allocation is the error.
func TestBudgetAllocations(t *testing.T) {
	notUnderRace(t)
	for _, c := range []struct {
		scenario, subject string
		above             float64
	}{
		{bench.Get, bench.Prusik, 12},
		{bench.Get, bench.PrusikUntimed, 4},
		{bench.Open, bench.Prusik, 1},
		{bench.Open, bench.PrusikUntimed, 1},
	} {
		t.Run(c.scenario+"/"+c.subject, func(t *testing.T) {
			bare, _ := cost(t, c.scenario, bench.Bare)
			got, _ := cost(t, c.scenario, c.subject)
			t.Logf("%.0f allocations, %.0f of them the bare client's", got, bare)
			if got > bare+c.above {
				t.Errorf("%.0f allocations above the bare client's %.0f, the limit is %.0f", got-bare, bare, c.above)
			}
		})
	}
}

// TestBudgetMetrics holds that counting a call allocates nothing.
func TestBudgetMetrics(t *testing.T) {
	notUnderRace(t)
	for _, scenario := range []string{bench.Get, bench.Retry, bench.Open} {
		t.Run(scenario, func(t *testing.T) {
			without, _ := costOver(t, "metrics", scenario, bench.PrusikSilent)
			with, _ := costOver(t, "metrics", scenario, bench.PrusikMetrics)
			if with > without {
				t.Errorf("%.0f allocations with metrics, %.0f without", with, without)
			}
		})
	}
}

// TestBudgetBodyIsNotCopied holds that a body that GetBody can rewind costs the same whatever its size.
func TestBudgetBodyIsNotCopied(t *testing.T) {
	notUnderRace(t)
	const noise = 64 // bytes: a map or a pool may grow once in all calls
	for _, name := range []string{bench.Prusik, bench.PrusikUntimed} {
		t.Run(name, func(t *testing.T) {
			allocs, bytes := cost(t, bench.PostSmall, name)
			largeAllocs, largeBytes := cost(t, bench.PostLarge, name)
			if largeAllocs != allocs || largeBytes > bytes+noise {
				t.Errorf("1 KiB: %.0f allocations, %.0f bytes; 1 MiB: %.0f allocations, %.0f bytes",
					allocs, bytes, largeAllocs, largeBytes)
			}
		})
	}
}

// TestBudgetClosedBreaker holds that a breaker that lets a call through, or turns it away, allocates nothing.
func TestBudgetClosedBreaker(t *testing.T) {
	notUnderRace(t)
	for _, c := range []struct {
		scenario, subject string
		most              float64
	}{
		{bench.Closed, bench.PrusikPermit, 0},
		{bench.Closed, bench.PrusikBreaker, 0},
		{bench.ClosedFailing, bench.PrusikPermit, 0},
		{bench.ClosedFailing, bench.PrusikTimed, 0},
		{bench.Open, bench.PrusikPermit, 0},
		{bench.Open, bench.PrusikBreaker, 1}, // the error
	} {
		t.Run(c.scenario+"/"+c.subject, func(t *testing.T) {
			if got, _ := costOver(t, "breaker", c.scenario, c.subject); got > c.most {
				t.Errorf("%.0f allocations, the limit is %.0f", got, c.most)
			}
		})
	}
}

// TestBudgetServed holds what Prusik may allocate for a request above the same request without it.
func TestBudgetServed(t *testing.T) {
	notUnderRace(t)
	for _, c := range []struct {
		over, scenario, subject, to string
		above                       float64
	}{
		{"limiter", bench.OneKey, bench.PrusikLimit, bench.Unlimited, 0},
		{"limiter", bench.OneKey, bench.PrusikLimits, bench.Unlimited, 0},
		{"chi", bench.Route, bench.PrusikIDOnly, bench.BareChi, 2},
		{"chi", bench.Route, bench.PrusikStack, bench.BareChi, 3},
		{"chi", bench.MountedRoute, bench.PrusikStack, bench.BareChi, 3},
		{"chi", bench.Route, bench.PrusikWhole, bench.BareChi, 4},
		{"chi", bench.MountedRoute, bench.PrusikWhole, bench.BareChi, 4},
	} {
		t.Run(c.over+"/"+c.scenario+"/"+c.subject, func(t *testing.T) {
			bare, _ := costOver(t, c.over, c.scenario, c.to)
			got, _ := costOver(t, c.over, c.scenario, c.subject)
			if got > bare+c.above {
				t.Errorf("%.0f allocations above the %.0f without it, the limit is %.0f", got-bare, bare, c.above)
			}
		})
	}
}

// TestBudgetMemory holds what a key of a limiter takes of the heap, and that it is given back. httprate is the control: it
// keeps what it has.
func TestBudgetMemory(t *testing.T) {
	notUnderRace(t)
	synctest.Test(t, func(t *testing.T) {
		all, err := bench.Footprints(100_000, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range all {
			t.Logf("%s: %.1f bytes a key, %.3f after expiry", f.Name, f.Live, f.After)
			switch f.Name {
			case bench.PrusikLimit:
				if f.Live > 72 || f.After >= 1 {
					t.Errorf("%s: the limits are 72 and 1", f.Name)
				}
			case bench.Httprate:
				if f.After < 10 {
					t.Errorf("%s is not seen to keep anything: this test looks at nothing", f.Name)
				}
			}
		}
	})
}

var churnKeys = flag.Int("churn.keys", 300_000, "how many `keys` TestChurn sends through a limiter with room for a hundredth of them")

// TestChurn sends ever new keys through a limiter, while somebody asks again and again whose bucket is empty. The long form
// is in the tables of cmd/ratios, with times, or
//
//	go -C internal/bench test -run Churn -churn.keys 10000000 -v .
func TestChurn(t *testing.T) {
	maxKeys := *churnKeys / 100
	steps, err := bench.Churn(maxKeys, *churnKeys/10, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range steps {
		t.Logf("%d keys: %v a decision, %.0f %% admitted, %d held in %.0f bytes", s.Keys, s.CPU, 100*s.Admitted, s.Held, s.Heap)
		if s.Held > maxKeys {
			t.Errorf("%d keys are held, there is room for %d", s.Held, maxKeys)
		}
		if s.Heap > 1.1*steps[0].Heap+64<<10 {
			t.Errorf("the heap has grown from %.0f bytes to %.0f", steps[0].Heap, s.Heap)
		}
	}
}

// TestBudgetGoroutines holds that no goroutine is started for a call: not while it is in flight, not while its body
// is open, not after. The control is a peer known to start them.
func TestBudgetGoroutines(t *testing.T) {
	for _, c := range []struct {
		subject     string
		least, most int // calls of 100 that start a goroutine
	}{
		{bench.Prusik, 0, 0},
		{bench.PrusikUntimed, 0, 0},
		{bench.FailsafeFive, 1, 100}, // how many are still there when we look is the scheduler's to say
	} {
		t.Run(c.subject, func(t *testing.T) {
			inFlight := 0
			do, err := contestant(t, c.subject).New(roundTripper(func(r *http.Request) (*http.Response, error) {
				inFlight = runtime.NumGoroutine()
				return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
			}))
			if err != nil {
				t.Fatal(err)
			}
			starting := 0
			for call := range 101 {
				before := runtime.NumGoroutine()
				resp, err := do(t.Context(), http.MethodGet, "http://bench.invalid/0", nil)
				if err != nil {
					t.Fatal(err)
				}
				open := runtime.NumGoroutine()
				if err := resp.Body.Close(); err != nil {
					t.Fatal(err)
				}
				if call == 0 {
					continue // the first call may set things up
				}
				if max(inFlight, open, runtime.NumGoroutine()) > before {
					starting++
				}
			}
			if starting < c.least || starting > c.most {
				t.Errorf("%d calls of 100 started a goroutine, not %d to %d", starting, c.least, c.most)
			}
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func contestant(t *testing.T, name string) bench.Contestant {
	t.Helper()
	for _, c := range bench.Contestants() {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no contestant %q", name)
	return bench.Contestant{}
}

// cost returns the allocations and bytes of one call of a contestant over the stub.
func cost(t *testing.T, scenario, subject string) (allocs, bytes float64) {
	t.Helper()
	return costOver(t, "stub", scenario, subject)
}

func costOver(t *testing.T, over, scenario, subject string) (allocs, bytes float64) {
	t.Helper()
	for _, s := range bench.Scenarios() {
		if s.Over != over || s.Name != scenario || s.Parallel {
			continue
		}
		subjects, err := s.Subjects()
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, candidate := range subjects {
			if candidate.Name == subject {
				found = true
				allocs, bytes = average(t, candidate)
			}
			if err := candidate.Close(); err != nil {
				t.Error(err)
			}
		}
		if found {
			return allocs, bytes
		}
	}
	t.Fatalf("no %q in %s/%s/serial", subject, over, scenario)
	return 0, 0
}

// average runs without the collector, which empties pools.
func average(t *testing.T, subject *bench.Subject) (allocs, bytes float64) {
	t.Helper()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	const calls = 100
	if err := subject.Op(0, 10*calls); err != nil { // a native histogram makes its buckets as durations come
		t.Fatal(err)
	}
	call := func() {
		if err := subject.Op(0, 1); err != nil {
			t.Fatal(err)
		}
	}
	allocs = testing.AllocsPerRun(calls, call)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range calls {
		call()
	}
	runtime.ReadMemStats(&after)
	return allocs, float64(after.TotalAlloc-before.TotalAlloc) / calls
}

// notUnderRace skips a test whose numbers the race detector changes.
func notUnderRace(t *testing.T) {
	t.Helper()
	if underRace() {
		t.Skip("the race detector allocates")
	}
}
