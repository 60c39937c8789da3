package metrics_test

import (
	"context"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/flags"
	"github.com/prusik-go/prusik/metrics"
	"github.com/prusik-go/prusik/ratelimit"
)

func TestNewNeedsARegistry(t *testing.T) {
	var typed *prometheus.Registry
	for _, reg := range []prometheus.Registerer{nil, typed} {
		_, err := metrics.New(reg, metrics.Config{MaxRoutes: -1})
		require.ErrorContains(t, err, "the registry (reg) is nil")
		require.ErrorContains(t, err, "MaxRoutes = -1", "and every other fault")
	}
}

func TestNewReportsEveryFault(t *testing.T) {
	_, err := metrics.New(prometheus.NewRegistry(), metrics.Config{
		Buckets: []float64{1, 1, math.NaN()}, NativeFactor: 1, MaxServices: -1, MaxRoutes: 1 << 20,
	})
	for _, fault := range []string{"Buckets[1] = 1", "Buckets[2] = NaN", "NativeFactor = 1", "MaxServices = -1", "MaxRoutes = 1048576"} {
		require.ErrorContains(t, err, fault)
	}
	for _, factor := range []float64{0.5, 11, math.NaN(), math.Inf(1)} {
		_, err = metrics.New(prometheus.NewRegistry(), metrics.Config{NativeFactor: factor})
		require.ErrorContains(t, err, "NativeFactor", "%v", factor)
	}
	_, err = metrics.New(prometheus.NewRegistry(), metrics.Config{Buckets: make([]float64, 51)})
	require.ErrorContains(t, err, "number of Buckets = 51")
}

func TestTwoOfOneRegistryShareTheirSeries(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			m, err := metrics.New(reg, metrics.Config{MaxRoutes: 7})
			if err != nil {
				t.Error(err)
				return
			}
			m.Handler(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
		})
	}
	wg.Wait()
	require.Equal(t, 8, samples(t, reg)[`http_server_requests_total{code="404",method="GET",route="unmatched"}`])

	_, err := metrics.New(reg, metrics.Config{Buckets: []float64{1, 2}, NativeFactor: -1, MaxServices: 8})
	for _, field := range []string{"Buckets = [1 2]", "NativeFactor = -1", "MaxServices = 8", "MaxRoutes = 200: want 7, as the metrics that are registered"} {
		require.ErrorContains(t, err, field)
	}
}

func TestARegistryWithNamesOfOurs(t *testing.T) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "circuit_breaker_state", Help: "Somebody else's."}))
	_, err := metrics.New(reg, metrics.Config{})
	require.ErrorContains(t, err, "metrics: ")
	require.ErrorContains(t, err, "circuit_breaker_state")
}

func TestAWrappedRegistry(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	for range 2 {
		wrapped := prometheus.WrapRegistererWith(prometheus.Labels{"app": "voice"}, prometheus.WrapRegistererWithPrefix("x_", reg))
		m, err := metrics.New(wrapped, metrics.Config{})
		require.NoError(t, err)
		m.Handler(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	}
	require.Equal(t, 2, samples(t, reg)[`x_http_server_requests_total{app="voice",code="404",method="GET",route="unmatched"}`])

	_, err := metrics.New(prometheus.WrapRegistererWith(prometheus.Labels{"service": "voice"}, prometheus.NewRegistry()), metrics.Config{})
	require.ErrorContains(t, err, "service", "a label of ours")
}

// everything makes each metric have at least one series. What it returns keeps them.
func policies(names ...string) func() []string { return func() []string { return names } }

func everything(t *testing.T, m *metrics.Metrics) []any {
	t.Helper()
	b, err := breaker.New("vendor", breaker.Config{Hooks: m.BreakerHooks()})
	require.NoError(t, err)
	m.AddBreaker(b)
	limits, err := ratelimit.ParseLimits("1/hour")
	require.NoError(t, err)
	l, err := ratelimit.New("api", ratelimit.Config{Limits: limits, Hooks: m.LimiterHooks(), Store: down{}, OnOutage: ratelimit.LocalShare, Replicas: 1})
	require.NoError(t, err)
	m.AddLimiter(l)
	_, _ = l.Allow(t.Context(), "k")
	c, err := m.Client("vendor", metrics.ClientConfig{
		InFlight: func() int { return 3 }, MaxInFlight: 4, Budget: func() float64 { return 0.5 }, Policies: policies("breaker"),
	})
	require.NoError(t, err)
	c.Attempted(metrics.Attempt{Reason: "503"})
	c.Attempted(metrics.Attempt{Delivery: errors.Delivered, Retries: "503"})
	c.Ended(metrics.Call{Method: "GET", Attempts: 2})
	m.Handler(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	set := flags.New("app", flags.Config{})
	stub := set.Bool("STUB", flags.Doc("Serves canned data."))
	set.Int("LIMIT", flags.Doc("Limits."))
	require.NoError(t, set.Load(nil))
	m.AddFlags(set)
	stub.Handler(flags.Gate{})(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	require.NoError(t, set.Override(flags.Change{Flag: "LIMIT", Value: "2", Author: "a", Reason: "r"}))
	require.Error(t, set.Override(flags.Change{Flag: "LIMIT"}))
	return []any{b, l, c, set}
}

func TestDefinitionsAreWhatIsScraped(t *testing.T) {
	m, reg := start(t, metrics.Config{})
	kept := everything(t, m)
	got := make(map[string]metrics.Definition)
	for _, f := range gather(t, reg.Gather) {
		d := metrics.Definition{Name: f.GetName(), Type: metrics.Type(strings.ToLower(f.GetType().String())), Help: f.GetHelp()}
		for _, l := range f.GetMetric()[0].GetLabel() {
			d.Labels = append(d.Labels, l.GetName())
		}
		got[d.Name] = d
	}
	runtime.KeepAlive(kept)
	defined := metrics.Definitions()
	require.Len(t, got, len(defined))
	for _, d := range defined {
		require.Equal(t, d.Type, got[d.Name].Type, d.Name)
		require.Equal(t, d.Help, got[d.Name].Help)
		require.ElementsMatch(t, d.Labels, got[d.Name].Labels, d.Name)
		require.Regexp(t, `^[A-Z0-9].*\.$`, d.Help, "%s: help is a sentence", d.Name)
	}
	for _, name := range []string{
		"circuit_breaker_state", "circuit_breaker_failures_total", "circuit_breaker_opens_total", "circuit_breaker_transitions_total",
		"circuit_breaker_rejections_total", "http_client_calls_total", "http_client_attempts_total", "http_client_retries_total",
		"http_client_retry_budget_ratio", "http_client_stops_total", "rate_limit_decisions_total", "rate_limit_store_errors_total",
		"resilience_policy_info", "feature_flag_enabled",
	} {
		require.Contains(t, got, name, "dashboards and the brief know this name")
	}
}

func TestNamesPassTheLinter(t *testing.T) {
	m, reg := start(t, metrics.Config{})
	kept := everything(t, m)
	problems, err := promlint.NewWithMetricFamilies(gather(t, reg.Gather)).Lint()
	runtime.KeepAlive(kept)
	require.NoError(t, err)
	require.Empty(t, problems)
}

func TestHistogramsAreClassicAndNative(t *testing.T) {
	for name, tc := range map[string]struct {
		cfg    metrics.Config
		native bool
		bounds int
	}{
		"default": {metrics.Config{}, true, 13},
		"classic": {metrics.Config{NativeFactor: -1, Buckets: []float64{1, 2}}, false, 2},
	} {
		t.Run(name, func(t *testing.T) {
			m, reg := start(t, tc.cfg)
			c, err := m.Client("vendor", metrics.ClientConfig{})
			require.NoError(t, err)
			for range 3 {
				c.Ended(metrics.Call{Attempts: 1, Duration: 1500 * time.Millisecond})
			}
			for _, f := range gather(t, reg.Gather) {
				if f.GetName() != "http_client_call_duration_seconds" {
					continue
				}
				h := f.GetMetric()[0].GetHistogram()
				require.InDelta(t, 4.5, h.GetSampleSum(), 1e-9)
				require.Len(t, h.GetBucket(), tc.bounds)
				require.Equal(t, tc.native, len(h.GetPositiveSpan()) > 0)
				return
			}
			t.Fatal("no histogram")
		})
	}
}

// down is a store that is down.
type down struct{ ratelimit.Store }

func (down) Take(context.Context, ratelimit.Request) (ratelimit.Result, error) {
	return ratelimit.Result{}, errors.New("down")
}
