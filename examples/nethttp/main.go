// Command nethttp is a protected service on net/http: ids, errors as problems, a limit per client, metrics, and a vendor that
// may be down.
//
//	go -C examples run ./nethttp
//	curl -i localhost:8080/quote
package main

import (
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/metrics"
	"github.com/prusik-go/prusik/ratelimit"
)

func main() {
	handler, err := service(prometheus.NewRegistry(), "https://api.github.com/zen")
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Addr: "localhost:8080", Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	log.Printf("http://%s/quote", server.Addr)
	log.Fatal(server.ListenAndServe())
}

// service asks a vendor for a quote, and is all of the wiring.
func service(registry *prometheus.Registry, vendor string) (http.Handler, error) {
	ids, err1 := correlation.New(correlation.Config{})
	counts, err2 := metrics.New(registry, metrics.Config{})
	limits, err3 := ratelimit.ParseLimits("10/minute")
	limiter, err4 := ratelimit.New("api", ratelimit.Config{Limits: limits})
	client, err5 := httpx.NewClient("github", httpx.Config{Metrics: counts})
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return nil, err
	}
	limited := limiter.Handler(ratelimit.RemoteAddr) // behind a proxy: ClientIP with its network

	mux := http.NewServeMux()
	mux.Handle("GET /quote", limited(errors.Handler(func(w http.ResponseWriter, r *http.Request) error {
		req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, vendor, http.NoBody)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err // 503 and Retry-After while the breaker is open, 504 where it was too slow
		}
		defer func() { _ = resp.Body.Close() }()
		if err := httpx.ResponseError(resp); err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, "The vendor answered %s.\n", resp.Status)
		return err
	})))
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return ids.Handler(counts.Handler(mux)), nil // the id outside, so that the counts can have it
}
