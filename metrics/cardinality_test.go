package metrics_test

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/metrics"
	"github.com/prusik-go/prusik/ratelimit"
)

// series is how many time series a server keeps of a scrape: one for each bucket of a histogram, its sum and its count.
func series(tb testing.TB, reg prometheus.Gatherer) int {
	tb.Helper()
	n := 0
	for _, f := range gather(tb, reg.Gather) {
		for _, metric := range f.GetMetric() {
			n++
			if h := metric.GetHistogram(); h != nil {
				n += len(h.GetBucket()) + 2
			}
		}
	}
	return n
}

// A million each of what clients send (paths, methods), vendors answer (reasons), and a careless program makes of them
// (patterns, names, kinds). What is counted is all there, and the series end at their bounds.
func TestAMillionOfEverything(t *testing.T) {
	million := 1_000_000
	if raceEnabled || testing.Short() {
		million = 30_000 // the bounds are far below
	}
	m, reg := start(t, metrics.Config{})
	answers := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Pattern == "" {
			r.Pattern = r.URL.Path
		}
		w.WriteHeader(200 + int(r.ContentLength)%700)
	})
	mux := http.NewServeMux()
	mux.Handle("GET /items/{id}", answers)
	paths, patterns := m.Handler(mux), m.Handler(answers)
	w := &discard{header: http.Header{}}
	transport, err := m.Transport("crm", answer(200))
	require.NoError(t, err)
	breakers, limiters := m.BreakerHooks(), m.LimiterHooks()
	for i := range million {
		n := strconv.Itoa(i)
		serveTo := func(h http.Handler, method, path string) {
			h.ServeHTTP(w, &http.Request{Method: method, URL: &url.URL{Path: path}, ContentLength: int64(i), Header: http.Header{}})
		}
		serveTo(paths, "GET", "/items/"+n)
		serveTo(paths, "M"+n, "/items/"+n)
		serveTo(paths, "GET", "/none/"+n)
		serveTo(patterns, "M"+n, "/p/"+n)
		_, _ = transport.RoundTrip(&http.Request{Method: "M" + n})
		c, err := m.Client("s"+n, metrics.ClientConfig{InFlight: func() int { return 1 }, Policies: policies("p" + n)})
		if err != nil {
			t.Fatal(err)
		}
		c.Ended(metrics.Call{Method: "M" + n, Kind: errors.Kind(n), Stop: errors.Stop(n), Attempts: 1})
		c.Attempted(metrics.Attempt{Reason: n, Retries: n})
		breakers.OnCount(breaker.CountEvent{Name: "group/" + n, What: breaker.CountFailure})
		breakers.OnCount(breaker.CountEvent{Name: "s" + n + "/h", What: breaker.CountRejection})
		breakers.OnTransition(breaker.TransitionEvent{Name: "b" + n, From: breaker.Closed, To: breaker.Open})
		limiters.OnDecision(ratelimit.DecisionEvent{Name: "l" + n, Verdict: ratelimit.Denied, Policy: n})
	}
	all := samples(t, reg)
	for counter, want := range map[string]int{
		"http_server_requests_total": 4, "http_client_calls_total": 2, "http_client_stops_total": 1, "http_client_attempts_total": 2,
		"http_client_retries_total": 1, "circuit_breaker_failures_total": 1, "circuit_breaker_opens_total": 1,
		"circuit_breaker_rejections_total": 1, "rate_limit_decisions_total": 1, "rate_limit_rejections_total": 1,
	} {
		require.Equal(t, want*million, sum(all, counter), counter)
	}
	n := series(t, reg)
	t.Logf("%d series after %d of everything", n, million)
	require.Less(t, n, 20_000)
}

// sum is the sum of a metric over its labels.
func sum(all map[string]int, name string) (n int) {
	for k, v := range all {
		if strings.HasPrefix(k, name+"{") {
			n += v
		}
	}
	return n
}

type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}
