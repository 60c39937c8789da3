package bench

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"time"

	"github.com/go-chi/httprate"

	"github.com/prusik-go/prusik/ratelimit"
)

// FootprintName is the name of [Footprints], as [Scenario.String] is of a scenario.
const FootprintName = "limiter/memory"

// Footprint is what each key of a limiter takes of the heap.
type Footprint struct {
	Name string
	// Live is in bytes a key while every key is counted, After once none is and others have been asked for.
	Live, After float64
}

// Footprints fills limiters with keys, waits until all of them are as good as new, and has each serve a few keys again and
// again, as a server does when a flood is over. It takes three times period, which has to be longer than filling takes.
func Footprints(keys int, period time.Duration) ([]Footprint, error) {
	all := []Served{
		{Name: Httprate, New: func(next http.HandlerFunc) (http.Handler, error) {
			return httprate.LimitBy(wide, period, remoteIP)(next), nil
		}},
		{Name: PrusikLimit, New: func(next http.HandlerFunc) (http.Handler, error) {
			return prusikLimit(next, ratelimit.Limit{Count: 1, Period: period})
		}},
		{Name: PrusikLimits, New: func(next http.HandlerFunc) (http.Handler, error) {
			limit := ratelimit.Limit{Count: 1, Period: period}
			return prusikLimit(next, limit, times(limit, 2), times(limit, 3))
		}},
	}
	addresses := peers(keys)
	found := make([]Footprint, len(all))
	handlers := make([]http.Handler, len(all))
	r, w := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil), &answer{header: http.Header{}}
	serveAll := func(h http.Handler, addresses []string) {
		for _, r.RemoteAddr = range addresses {
			clear(w.header)
			h.ServeHTTP(w, r)
		}
	}
	filled := time.Now()
	for i, s := range all {
		found[i].Name = s.Name
		before := heap()
		h, err := s.New(serve)
		if err != nil {
			return nil, fmt.Errorf("bench: %s: %w", s.Name, err)
		}
		handlers[i] = h
		began := time.Now()
		serveAll(h, addresses)
		if took := time.Since(began); took >= period {
			return nil, fmt.Errorf("bench: %s: filling took %v of a period of %v", s.Name, took, period)
		}
		found[i].Live = (heap() - before) / float64(keys)
	}
	time.Sleep(3*period - time.Since(filled))
	for i, h := range handlers {
		before := heap()
		for range 200 {
			serveAll(h, addresses[:min(200, keys)])
		}
		found[i].After = found[i].Live - (before-heap())/float64(keys)
	}
	runtime.KeepAlive(handlers)
	return found, nil
}

// heap is the size of what is in use.
func heap() float64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return float64(s.HeapAlloc)
}
