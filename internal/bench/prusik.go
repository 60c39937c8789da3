package bench

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/ratelimit"
)

func prusikContestants() []Contestant {
	return []Contestant{
		{
			Name: Floor, Does: "the least that Prusik's policies cost, without timeouts", Retries: true,
			New: func(base http.RoundTripper) (Do, error) { return newFloor(base, 0) },
		},
		{
			Name: FloorTimeout, Does: "the same, with a timeout", Retries: true,
			New: func(base http.RoundTripper) (Do, error) { return newFloor(base, attemptTimeout) },
		},
		{
			Name: Prusik, Does: "all that the one written by hand does, bulkhead, body idle timeout, call record",
			Retries: true, Breaks: true,
			New: func(base http.RoundTripper) (Do, error) { return newPrusik(base, true) },
		},
		{
			Name: PrusikUntimed, Does: "the same, with all timeouts off", Retries: true, Breaks: true,
			New: func(base http.RoundTripper) (Do, error) { return newPrusik(base, false) },
		},
	}
}

// newPrusik leaves the retry budget off: no peer has one, and a scenario that retries every call would empty it.
// Limiter and instruments are on, because the client written by hand has them.
func newPrusik(base http.RoundTripper, timeouts bool) (Do, error) {
	count, err := newInstruments()
	if err != nil {
		return nil, err
	}
	limiter, err := ratelimit.New("bench", ratelimit.Config{
		Limits: ratelimit.Limits{{Count: 1e9, Period: time.Second}}, MaxKeys: 1, // the most there is
	})
	if err != nil {
		return nil, err
	}
	cfg := httpx.Config{
		Base:           base,
		TotalTimeout:   totalTimeout + time.Second, // room for three attempts and their waits
		AttemptTimeout: attemptTimeout,
		MaxAttempts:    maxAttempts,
		BackoffBase:    -1, // no waiting, like the retry loop it is held against
		RetryBudget:    -1,
		MaxConcurrent:  concurrency,
		Breaker:        breaker.Config{Failures: tripAfter, Window: tripAfter, OpenFor: openFor},
		Limiter:        limiter.Outbound(""),
		Hooks:          httpx.Hooks{OnAttempt: count.attempt},
	}
	if !timeouts {
		cfg.TotalTimeout, cfg.AttemptTimeout, cfg.BodyIdleTimeout = -1, -1, -1
	}
	client, err := httpx.NewClient("bench", cfg)
	if err != nil {
		return nil, err
	}
	return through(client), nil
}

// instruments are the counter and the histogram of [newHandwritten], resolved once for each class of status.
type instruments struct {
	requests [6]prometheus.Counter
	seconds  [6]prometheus.Observer
}

func newInstruments() (*instruments, error) {
	registry := prometheus.NewRegistry()
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "client_requests_total", Help: "Requests.",
	}, []string{"code"})
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "client_request_duration_seconds", Help: "Duration of requests.", Buckets: prometheus.DefBuckets,
	}, []string{"code"})
	for _, c := range []prometheus.Collector{requests, seconds} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	var all instruments
	for i, class := range []string{"error", "1xx", "2xx", "3xx", "4xx", "5xx"} {
		all.requests[i], all.seconds[i] = requests.WithLabelValues(class), seconds.WithLabelValues(class)
	}
	return &all, nil
}

func (i *instruments) attempt(e httpx.AttemptEvent) {
	class := e.Status / 100
	if class >= len(i.requests) {
		class = 0
	}
	i.requests[class].Inc()
	i.seconds[class].Observe(e.Duration.Seconds())
}
