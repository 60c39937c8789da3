package metrics_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/metrics"
	"github.com/prusik-go/prusik/ratelimit"
)

// scrape prints the samples of one metric as Prometheus reads them.
func scrape(reg *prometheus.Registry, names ...string) {
	w := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		for _, name := range names {
			if strings.HasPrefix(line, name) {
				fmt.Print(line)
			}
		}
	}
}

func Example() {
	reg := prometheus.NewRegistry()
	m, err := metrics.New(reg, metrics.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /texts/{id}", func(http.ResponseWriter, *http.Request) {})
	server := m.Handler(mux)
	for _, path := range []string{"/texts/1", "/texts/2", "/wp-admin"} {
		server.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil))
	}
	scrape(reg, "http_server_requests_total")
	// Output:
	// http_server_requests_total{code="200",method="GET",route="/texts/{id}"} 2
	// http_server_requests_total{code="404",method="GET",route="unmatched"} 1
}

func ExampleMetrics_BreakerHooks() {
	reg := prometheus.NewRegistry()
	m, err := metrics.New(reg, metrics.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	b, err := breaker.New("calendar", breaker.Config{Failures: 2, Hooks: m.BreakerHooks()})
	if err != nil {
		fmt.Println(err)
		return
	}
	m.AddBreaker(b)
	for range 3 {
		if p, _, ok := b.TryAcquire(); ok {
			p.Done(breaker.Failure)
		}
	}
	scrape(reg, "circuit_breaker_state", "circuit_breaker_failures", "circuit_breaker_opens", "circuit_breaker_rejections")
	fmt.Println(b.State())
	// Output:
	// circuit_breaker_failures_total{key="",service="calendar"} 2
	// circuit_breaker_opens_total{key="",service="calendar"} 1
	// circuit_breaker_rejections_total{key="",service="calendar"} 1
	// circuit_breaker_state{key="",service="calendar"} 2
	// open
}

func ExampleMetrics_LimiterHooks() {
	reg := prometheus.NewRegistry()
	m, err := metrics.New(reg, metrics.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	limits, err := ratelimit.ParseLimits("2/hour")
	if err != nil {
		fmt.Println(err)
		return
	}
	l, err := ratelimit.New("api", ratelimit.Config{Limits: limits, Hooks: m.LimiterHooks()})
	if err != nil {
		fmt.Println(err)
		return
	}
	m.AddLimiter(l)
	limited := l.Handler(ratelimit.RemoteAddr)(http.NotFoundHandler())
	for range 3 {
		limited.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	}
	scrape(reg, "rate_limit_decisions")
	// Output:
	// rate_limit_decisions_total{decision="allowed",limiter="api"} 2
	// rate_limit_decisions_total{decision="denied",limiter="api"} 1
	// rate_limit_decisions_total{decision="exempt",limiter="api"} 0
	// rate_limit_decisions_total{decision="would_deny",limiter="api"} 0
}

func ExampleMetrics_Transport() {
	vendor := httptest.NewServer(http.NotFoundHandler())
	defer vendor.Close()
	reg := prometheus.NewRegistry()
	m, err := metrics.New(reg, metrics.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	naked, err := m.Transport("crm", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: naked}
	defer client.CloseIdleConnections()
	resp, err := client.Get(vendor.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = resp.Body.Close()
	scrape(reg, "http_client_calls_total", "resilience_policy_info")
	// Output:
	// http_client_calls_total{method="GET",outcome="not_found",service="crm"} 1
}
