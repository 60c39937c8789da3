package metrics_test

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/metrics"
)

func client(t testing.TB, m *metrics.Metrics, service string) *metrics.Client {
	t.Helper()
	c, err := m.Client(service, metrics.ClientConfig{})
	require.NoError(t, err)
	return c
}

func TestEveryOutcomeAndStopHasItsLabel(t *testing.T) {
	m, reg := start(t, metrics.Config{})
	c := client(t, m, "vendor")
	for _, stop := range errors.Stops() {
		require.Contains(t, samples(t, reg), `http_client_stops_total{reason="`+string(stop)+`",service="vendor"}`, "there before the first")
		c.Ended(metrics.Call{Stop: stop, Kind: errors.Internal})
	}
	for _, kind := range errors.Kinds() {
		c.Ended(metrics.Call{Kind: kind, Method: "TRACE"})
	}
	c.Ended(metrics.Call{Kind: "new", Method: "TRACE", Stop: "new"})
	all := samples(t, reg)
	for _, stop := range errors.Stops() {
		require.Equal(t, 1, all[`http_client_stops_total{reason="`+string(stop)+`",service="vendor"}`])
	}
	require.Equal(t, 1, all[`http_client_stops_total{reason="other",service="vendor"}`])
	for _, kind := range errors.Kinds() {
		want := 1
		if kind == errors.Internal {
			want = 2 // and the one that nobody knows
		}
		require.Equal(t, want, all[`http_client_calls_total{method="TRACE",outcome="`+string(kind)+`",service="vendor"}`], kind)
	}
	require.NotContains(t, all, `http_client_call_duration_seconds{outcome="internal",service="vendor"}`, "nothing was sent")
}

func TestMethodsAreBounded(t *testing.T) {
	m, reg := start(t, metrics.Config{})
	c := client(t, m, "vendor")
	for _, method := range []string{
		"", http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
		http.MethodConnect, http.MethodTrace, "get", "PROPFIND", "X",
	} {
		c.Ended(metrics.Call{Method: method})
	}
	got := only(samples(t, reg), "http_client_calls")
	require.Len(t, got, 10)
	require.Equal(t, 2, got[`http_client_calls_total{method="GET",outcome="success",service="vendor"}`])
	require.Equal(t, 3, got[`http_client_calls_total{method="other",outcome="success",service="vendor"}`])
	for _, method := range []string{"HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"} {
		require.Equal(t, 1, got[`http_client_calls_total{method="`+method+`",outcome="success",service="vendor"}`])
	}
}

// A reason may come from a vendor's answer.
func TestReasonsAreBounded(t *testing.T) {
	m, reg := start(t, metrics.Config{})
	c := client(t, m, "vendor")
	c.Attempted(metrics.Attempt{Reason: "\xff" + strings.Repeat("x", 1000)})
	for i := range 300 {
		c.Attempted(metrics.Attempt{Reason: fmt.Sprint(i), Retries: fmt.Sprint(i), Delivery: 200})
	}
	all := samples(t, reg)
	require.Equal(t, 1, all[`http_client_attempts_total{reason="_`+strings.Repeat("x", 127)+`",service="vendor"}`])
	require.Len(t, only(all, "http_client_attempts_total"), 50, "48 beside success and the long one, and other")
	require.Len(t, only(all, "http_client_retries_total"), 49)
	require.Equal(t, 252, all[`http_client_retries_total{reason="other",service="vendor"}`])
}

func TestClientsOfOneService(t *testing.T) {
	m, reg := start(t, metrics.Config{})
	one, err := m.Client("vendor", metrics.ClientConfig{
		InFlight: func() int { return 3 }, MaxInFlight: 4, Budget: func() float64 { return 0.7 }, Policies: policies("breaker", "retry"),
	})
	require.NoError(t, err)
	two, err := m.Client("vendor", metrics.ClientConfig{
		InFlight: func() int { return 2 }, MaxInFlight: 8, Budget: func() float64 { return 0.2 }, Policies: policies("breaker", "bulkhead"),
	})
	require.NoError(t, err)
	bare := client(t, m, "bare")
	want := map[string]int{
		`http_client_in_flight_calls{service="vendor"}`:              5,
		`http_client_in_flight_calls_limit{service="vendor"}`:        12,
		`http_client_retry_budget_ratio{service="vendor"}`:           20,
		`resilience_policy_info{policy="breaker",service="vendor"}`:  1,
		`resilience_policy_info{policy="retry",service="vendor"}`:    1,
		`resilience_policy_info{policy="bulkhead",service="vendor"}`: 1,
	}
	all := samples(t, reg)
	require.Equal(t, want, only(all, "http_client_in_flight", "http_client_retry_budget", "resilience_policy"))
	require.NotContains(t, all, `http_client_retry_budget_ratio{service="bare"}`, "no budget is not an empty one")
	require.NotContains(t, all, `http_client_in_flight_calls{service="bare"}`)
	for _, c := range []*metrics.Client{one, two, bare} {
		runtime.KeepAlive(c)
	}
	_, err = m.Client(strings.Repeat("x", 65), metrics.ClientConfig{})
	require.Error(t, err)
}

func TestPoliciesAreBounded(t *testing.T) {
	m, reg := start(t, metrics.Config{})
	var many []string
	for i := range 100 {
		many = append(many, fmt.Sprint(i))
	}
	c, err := m.Client("vendor", metrics.ClientConfig{Policies: policies(many...)})
	require.NoError(t, err)
	require.Len(t, only(samples(t, reg), "resilience_policy_info"), 33, "32 and other")
	runtime.KeepAlive(c)
}

func TestServicesAreBounded(t *testing.T) {
	m, reg := start(t, metrics.Config{MaxServices: 2})
	var clients []*metrics.Client
	for _, service := range []string{"a", "b", "c", "d", "a", "other"} {
		c, err := m.Client(service, metrics.ClientConfig{InFlight: func() int { return 1 }, Policies: policies("breaker")})
		require.NoError(t, err)
		c.Ended(metrics.Call{})
		m.BreakerHooks().OnCount(breaker.CountEvent{Name: service + "/host", What: breaker.CountRejection})
		clients = append(clients, c)
	}
	all := samples(t, reg)
	for service, n := range map[string]int{"a": 2, "b": 1, "other": 3} {
		require.Equal(t, n, all[`http_client_calls_total{method="GET",outcome="success",service="`+service+`"}`])
		require.Equal(t, n, all[`http_client_in_flight_calls{service="`+service+`"}`])
		require.Equal(t, 1, all[`resilience_policy_info{policy="breaker",service="`+service+`"}`])
	}
	require.Equal(t, map[string]int{
		`circuit_breaker_rejections_total{key="host",service="a"}`: 2,
		`circuit_breaker_rejections_total{key="host",service="b"}`: 1,
		`circuit_breaker_rejections_total{service="other"}`:        3,
	}, only(all, "circuit_breaker_rejections"), "what is beyond the bound has no keys")
	runtime.KeepAlive(clients)
}

const sampledTrace = "4bf92f3577b34da6a3ce929d0e0e4736"

// traced is the context of a request that came with a traceparent.
func traced(t *testing.T, flags string) context.Context {
	t.Helper()
	cor, err := correlation.New(correlation.Config{})
	require.NoError(t, err)
	var ctx context.Context
	r := request("GET", "/")
	r.Header.Set("Traceparent", "00-"+sampledTrace+"-00f067aa0ba902b7-"+flags)
	serve(cor.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { ctx = r.Context() })), r)
	return ctx
}

func exemplars(t *testing.T, reg prometheus.Gatherer, name string) map[float64]string {
	t.Helper()
	got := map[float64]string{}
	for _, f := range gather(t, reg.Gather) {
		if f.GetName() != name {
			continue
		}
		for _, metric := range f.GetMetric() {
			for _, b := range metric.GetHistogram().GetBucket() {
				if e := b.GetExemplar(); e != nil {
					require.Equal(t, "trace_id", e.GetLabel()[0].GetName())
					got[e.GetValue()] = e.GetLabel()[0].GetValue()
				}
			}
		}
	}
	return got
}

func TestExemplarsOfSampledTraces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, reg := start(t, metrics.Config{})
		c := client(t, m, "vendor")
		const calls, attempts = "http_client_call_duration_seconds", "http_client_attempt_duration_seconds"
		took := func(ctx context.Context, d time.Duration) {
			trace := c.Trace(ctx)
			c.Ended(metrics.Call{Attempts: 1, Duration: d, TraceID: trace})
			c.Attempted(metrics.Attempt{Duration: d, TraceID: trace})
		}
		took(t.Context(), time.Second)
		took(traced(t, "00"), time.Second)
		require.Empty(t, exemplars(t, reg, calls), "no trace, or one that nobody keeps")

		ctx := traced(t, "01")
		took(ctx, 600*time.Millisecond)
		took(ctx, 700*time.Millisecond) // within a second: it would cost a microsecond, and only the last one is scraped
		took(ctx, 2*time.Minute)
		want := map[float64]string{0.6: sampledTrace, 120: sampledTrace}
		require.Equal(t, want, exemplars(t, reg, calls))
		require.Equal(t, want, exemplars(t, reg, attempts))
		time.Sleep(time.Second)
		took(ctx, 800*time.Millisecond)
		require.Equal(t, map[float64]string{0.8: sampledTrace, 120: sampledTrace}, exemplars(t, reg, calls))
	})
}

func TestExemplarsOfAnotherTracer(t *testing.T) {
	m, registry := start(t, metrics.Config{})
	id := ""
	other, err := metrics.New(registry, metrics.Config{Trace: func(context.Context) (string, bool) { return id, true }})
	require.NoError(t, err, "Trace is each one's own")
	for _, id = range []string{"", "short", strings.ToUpper(sampledTrace), strings.Repeat("x", 32), strings.Repeat("0", 200), sampledTrace} {
		for c, d := range map[*metrics.Client]time.Duration{client(t, other, "vendor"): time.Second, client(t, m, "vendor"): time.Minute} {
			c.Ended(metrics.Call{Attempts: 1, Duration: d, TraceID: c.Trace(t.Context())})
		}
	}
	require.Equal(t, map[float64]string{1: sampledTrace}, exemplars(t, registry, "http_client_call_duration_seconds"))
	h := other.Handler(http.NotFoundHandler())
	serve(h, request("GET", "/"))
	require.Len(t, exemplars(t, registry, "http_server_request_duration_seconds"), 1)
}
