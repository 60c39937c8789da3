// Package metrics tells Prometheus what the other packages do: whether a vendor is down, whom it hurts, and whether
// retries make it worse.
//
//	func main() {
//		m, err := metrics.New(prometheus.DefaultRegisterer, metrics.Config{})
//		if err != nil {
//			log.Fatal(err)
//		}
//		client, err := httpx.NewClient("twilio", httpx.Config{Profile: profile.Twilio(), Metrics: m})
//		if err != nil {
//			log.Fatal(err)
//		}
//		mux := http.NewServeMux()
//		mux.Handle("POST /calls", calls(client))
//		mux.Handle("GET /metrics", promhttp.Handler())
//		log.Fatal(http.ListenAndServe(":8080", m.Handler(mux)))
//	}
//
// An httpx client needs no more than its Config.Metrics. [Metrics.Handler] counts what a server answers, and
// [Metrics.Transport] the calls of a client that is not httpx's. A breaker or a limiter that is used alone takes
// [Metrics.BreakerHooks] or [Metrics.LimiterHooks], which count, and [Metrics.AddBreaker] or [Metrics.AddLimiter], by
// which its state is read; a set of flags takes [Metrics.AddFlags]. [Definitions] lists all metrics.
//
// A series whose first value matters to an alert is there, at zero, from the start: a breaker's failures, opens and
// rejections, a client's stops, a limiter's decisions. Others begin with what they count.
//
// # Bounds
//
// Nothing a client or a vendor sends makes more series than the bounds of [Config] allow. A route is a pattern and never a
// path, a method is one of nine or "other". The label of what is beyond a bound is "other": of services and limiters
// ([Config.MaxServices]), routes ([Config.MaxRoutes]), 64 keys of a breaker group, 50 reasons of a client, 50 pairs of
// method and status of a route. The service, limiter and policy labels are yours to choose; names that hold a tenant or a
// user end in "other".
//
// # Failure
//
// Nothing here refuses a request or fails it. [New] reports what is wrong with its Config, and a registry that will not
// have the metrics. Counting cannot fail; a panic of the handler or transport under it is counted and goes on. An exemplar
// is only taken where a trace is sampled, and of each bucket one a second at most.
//
// # Concurrency
//
// Everything may be used from several goroutines. Counting takes no lock. Clients, breakers and limiters are held
// weakly: one that the program no longer uses leaves its counters, and its gauges end.
//
// # Time
//
// Gauges are read when they are scraped. Durations are monotonic, in seconds. Nothing waits, and no goroutine is started.
// The counts of a native histogram are never reset: one that is full halves its resolution.
//
// # Cost
//
// Counting allocates nothing after the first of its sort. Measured on 2 shared cores (the benchmarks are in cost_test.go): a
// call or an attempt 65 ns each, most of it the native histogram; a breaker's failure or refusal 17 ns, a limiter's decision
// 18 ns; an exemplar twenty times an observation, and nine allocations. [Metrics.Handler] adds 0.3 µs and one allocation,
// its writer. A scrape of ten clients and their breakers takes 0.35 ms. internal/bench holds the client with metrics against
// the client without: see its README.
package metrics
