package bench

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/metrics"
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

// metricsContestants are the same client without metrics, and with them.
func metricsContestants() []Contestant {
	return []Contestant{
		{
			Name: PrusikSilent, Does: "the whole client, without a hook", Retries: true, Breaks: true,
			New: func(base http.RoundTripper) (Do, error) {
				return dial(settings(base, ratelimit.Hooks{}))
			},
		},
		{
			Name: PrusikMetrics, Does: "the same, with all metrics of client, breaker and limiter", Retries: true, Breaks: true,
			New: func(base http.RoundTripper) (Do, error) {
				m, err := metrics.New(prometheus.NewRegistry(), metrics.Config{})
				if err != nil {
					return nil, err
				}
				cfg, err := settings(base, m.LimiterHooks())
				cfg.Metrics = m
				return dial(cfg, err)
			},
		},
	}
}

func newPrusik(base http.RoundTripper, timeouts bool) (Do, error) {
	count, err := newInstruments()
	if err != nil {
		return nil, err
	}
	cfg, err := settings(base, ratelimit.Hooks{})
	cfg.Hooks = httpx.Hooks{OnAttempt: count.attempt}
	if !timeouts {
		cfg.TotalTimeout, cfg.AttemptTimeout, cfg.BodyIdleTimeout = -1, -1, -1
	}
	return dial(cfg, err)
}

// settings leave the retry budget off: no peer has one, and a scenario that retries every call would empty it. The limiter
// is on, because the client written by hand has one.
func settings(base http.RoundTripper, hooks ratelimit.Hooks) (httpx.Config, error) {
	limiter, err := ratelimit.New("bench", ratelimit.Config{
		Limits: ratelimit.Limits{{Count: 1e9, Period: time.Second}}, MaxKeys: 1, Hooks: hooks, // the most there is
	})
	if err != nil {
		return httpx.Config{}, err
	}
	return httpx.Config{
		Base:           base,
		TotalTimeout:   totalTimeout + time.Second, // room for three attempts and their waits
		AttemptTimeout: attemptTimeout,
		MaxAttempts:    maxAttempts,
		BackoffBase:    -1, // no waiting, like the retry loop it is held against
		RetryBudget:    -1,
		MaxConcurrent:  concurrency,
		Breaker:        breaker.Config{Failures: tripAfter, Window: tripAfter, OpenFor: openFor},
		Limiter:        limiter.Outbound(""),
	}, nil
}

func dial(cfg httpx.Config, err error) (Do, error) {
	if err != nil {
		return nil, err
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
