package httpx_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/metrics"
	"github.com/prusik-go/prusik/ratelimit"
)

func counters(tb testing.TB) (*metrics.Metrics, *prometheus.Registry) {
	tb.Helper()
	reg := prometheus.NewPedanticRegistry()
	m, err := metrics.New(reg, metrics.Config{})
	require.NoError(tb, err)
	return m, reg
}

// samples are the values of a scrape that are not zero and whose names begin so, as name{label="value",…}, without the service
// and empty labels. Of a histogram it is the sum, in seconds; a
// ratio is in percent.
func samples(tb testing.TB, reg prometheus.Gatherer, prefixes ...string) map[string]int {
	tb.Helper()
	all := make(map[string]int)
	got, err := reg.Gather()
	require.NoError(tb, err)
	for _, f := range got {
		if !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(f.GetName(), p) }) {
			continue
		}
		for _, metric := range f.GetMetric() {
			var labels []string
			for _, l := range metric.GetLabel() {
				if l.GetValue() != "" && l.GetName() != "service" {
					labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
				}
			}
			v := cmp.Or(metric.GetCounter().GetValue(), metric.GetGauge().GetValue(), metric.GetHistogram().GetSampleSum())
			if strings.HasSuffix(f.GetName(), "_ratio") {
				v *= 100
			}
			if v != 0 {
				all[f.GetName()+"{"+strings.Join(labels, ",")+"}"] = int(math.Round(v))
			}
		}
	}
	return all
}

func bodyOf(r io.Reader) step {
	return func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(r), ContentLength: -1, Request: req}, nil
	}
}

func TestEveryCallIsCountedOnce(t *testing.T) {
	const (
		calls, attempts, retries, stops = "http_client_calls_total", "http_client_attempts_total", "http_client_retries_total", "http_client_stops_total"
		failures, rejects               = "circuit_breaker_failures_total", "circuit_breaker_rejections_total"
	)
	call := func(method, outcome string) string {
		return fmt.Sprintf("%s{method=%q,outcome=%q}", calls, method, outcome)
	}
	of := func(name, reason string) string { return fmt.Sprintf("%s{reason=%q}", name, reason) }
	type counts = map[string]int
	for name, tc := range map[string]struct {
		steps  []step
		method string
		cfg    httpx.Config
		before func(*httpx.Transport)
		ctx    func(context.Context) context.Context
		want   counts
	}{
		"at once": {[]step{answer(200, "x")}, "GET", httpx.Config{}, nil, nil, counts{
			call("GET", "success"): 1, of(attempts, "success"): 1,
		}},
		"after two retries": {[]step{answer(503, ""), fail(errDial), answer(200, "x")}, "GET", httpx.Config{}, nil, nil, counts{
			call("GET", "success"): 1, of(attempts, "503"): 1, of(attempts, "dial"): 1, of(attempts, "success"): 1,
			of(retries, "503"): 1, of(retries, "dial"): 1, failures + "{}": 2,
		}},
		"exhausted": {[]step{answer(503, "")}, "GET", httpx.Config{Breaker: breaker.Config{Failures: 9}}, nil, nil, counts{
			call("GET", "vendor_bad_response"): 1, of(attempts, "503"): 3, of(retries, "503"): 2, of(stops, "exhausted"): 1, failures + "{}": 3,
		}},
		"an unsafe method": {[]step{answer(504, "")}, "POST", httpx.Config{}, nil, nil, counts{
			call("POST", "vendor_timeout"): 1, of(attempts, "504"): 1, of(stops, "unsafe_method"): 1, failures + "{}": 1,
		}},
		"a client's mistake": {[]step{answer(404, "")}, "GET", httpx.Config{}, nil, nil, counts{
			call("GET", "not_found"): 1, of(attempts, "404"): 1, of(stops, "permanent"): 1,
		}},
		"a vendor's limit": {[]step{answer(429, "", "Retry-After", "60")}, "BREW", httpx.Config{}, nil, nil, counts{
			call("other", "vendor_rate_limited"): 1, of(attempts, "429"): 1, of(stops, "rate_limited"): 1,
		}},
		"no answer": {[]step{fail(errReset)}, "PATCH", httpx.Config{}, nil, nil, counts{
			call("PATCH", "vendor_bad_response"): 1, of(attempts, "reset"): 1, of(stops, "unsafe_method"): 1, failures + "{}": 1,
		}},
		"no time": {[]step{hang}, "GET", httpx.Config{AttemptTimeout: 2 * time.Second}, nil, nil, counts{
			call("GET", "vendor_timeout"): 1, of(attempts, "timeout"): 3, of(retries, "timeout"): 2, of(stops, "exhausted"): 1, failures + "{}": 3,
		}},
		"no budget": {[]step{answer(500, "")}, "GET", httpx.Config{RetryBudget: 1}, nil, nil, counts{
			call("GET", "vendor_bad_response"): 1, of(attempts, "500"): 2, of(retries, "500"): 1, of(stops, "budget"): 1, failures + "{}": 2,
		}},
		"a breaker that opens on the way": {[]step{answer(500, "")}, "GET", httpx.Config{Breaker: breaker.Config{Failures: 2}}, nil, nil, counts{
			call("GET", "vendor_bad_response"): 1, of(attempts, "500"): 2, of(retries, "500"): 1, of(stops, "breaker_open"): 1, failures + "{}": 2, rejects + "{}": 1,
		}},
		"an open breaker": {[]step{answer(200, "")}, "GET", httpx.Config{}, func(t *httpx.Transport) { t.Breaker().ForceOpen() }, nil, counts{
			call("GET", "circuit_open"): 1, of(stops, "breaker_open"): 1, rejects + "{}": 1,
		}},
		"an open breaker before a limiter": {[]step{answer(200, "")}, "GET", httpx.Config{Limiter: &fakeLimiter{}}, func(t *httpx.Transport) { t.Breaker().ForceOpen() }, nil, counts{
			call("GET", "circuit_open"): 1, of(stops, "breaker_open"): 1, rejects + "{}": 1,
		}},
		"an open breaker of a host": {[]step{answer(200, "")}, "GET", httpx.Config{BreakerPerHost: true}, func(t *httpx.Transport) { t.Breakers().Get("vendor.test").ForceOpen() }, nil, counts{
			call("GET", "circuit_open"): 1, of(stops, "breaker_open"): 1, rejects + `{key="vendor.test"}`: 1,
		}},
		"a shadow": {[]step{answer(200, "")}, "GET", httpx.Config{Breaker: breaker.Config{Mode: breaker.Shadow}}, func(t *httpx.Transport) { t.Breaker().ForceOpen() }, nil, counts{
			call("GET", "success"): 1, of(attempts, "success"): 1, "circuit_breaker_shadow_rejections_total{}": 1,
		}},
		"a kill switch": {[]step{answer(200, "")}, "GET", httpx.Config{KillSwitch: func() bool { return true }}, nil, nil, counts{
			call("GET", "feature_disabled"): 1, of(stops, "permanent"): 1,
		}},
		"a limiter": {[]step{answer(200, "")}, "GET", httpx.Config{Limiter: &fakeLimiter{err: &errors.Error{Kind: errors.VendorRateLimited}}}, nil, nil, counts{
			call("GET", "vendor_rate_limited"): 1, of(stops, "rate_limited"): 1,
		}},
		"a caller who is gone": {[]step{answer(200, "")}, "GET", httpx.Config{}, nil, canceled, counts{
			call("GET", "canceled"): 1, of(stops, "canceled"): 1,
		}},
		"a caller who leaves": {[]step{hang}, "GET", httpx.Config{}, nil, soonCanceled, counts{
			call("GET", "canceled"): 1, of(attempts, "canceled"): 1, of(stops, "canceled"): 1,
		}},
		"a body that breaks": {[]step{bodyOf(iotest.ErrReader(errReset))}, "GET", httpx.Config{}, nil, nil, counts{
			call("GET", "vendor_bad_response"): 1, of(attempts, "success"): 1, failures + "{}": 1,
		}},
		"a body that the caller breaks": {[]step{bodyOf(iotest.ErrReader(http.ErrBodyReadAfterClose))}, "GET", httpx.Config{Breaker: breaker.Config{Mode: breaker.Disabled}}, nil, nil, counts{
			call("GET", "canceled"): 1, of(attempts, "success"): 1,
		}},
		"a word of the vendor's": {[]step{answer(409, "")}, "GET", httpx.Config{Profile: httpx.Profile{Classify: func(httpx.Response) (httpx.Verdict, bool) {
			return httpx.Verdict{Delivery: errors.Rejected, Reason: "busy"}, true
		}}}, nil, nil, counts{
			call("GET", "conflict"): 1, of(attempts, "busy"): 1, of(stops, "permanent"): 1,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, reg := counters(t)
				tc.cfg.Base, tc.cfg.Metrics = follow(tc.steps...), m
				tr, err := httpx.NewTransport("vendor", tc.cfg)
				require.NoError(t, err)
				if tc.before != nil {
					tc.before(tr)
				}
				ctx := t.Context()
				if tc.ctx != nil {
					ctx = tc.ctx(ctx)
				}
				req, err := http.NewRequestWithContext(ctx, tc.method, "http://vendor.test/", http.NoBody)
				require.NoError(t, err)
				resp, err := tr.RoundTrip(req)
				if err == nil {
					_, _ = io.ReadAll(resp.Body)
					require.NoError(t, resp.Body.Close())
				}
				require.Equal(t, tc.want, samples(t, reg, calls, attempts, retries, stops, failures, rejects, "circuit_breaker_shadow_rejections"))
			})
		})
	}
}

func canceled(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return ctx
}

func soonCanceled(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	time.AfterFunc(time.Second, cancel)
	return ctx
}

// A call ends with its body, and belongs to those in flight until then.
func TestAStreamIsCountedWhenItEnds(t *testing.T) {
	m, reg := counters(t)
	r, w := io.Pipe()
	c := client(t, httpx.Config{Base: follow(bodyOf(r)), Metrics: m, MaxConcurrent: 7})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://vendor.test/", http.NoBody)
	require.NoError(t, err)
	resp, err := c.Do(req)
	require.NoError(t, err)
	require.Equal(t, map[string]int{"http_client_in_flight_calls{}": 1, "http_client_in_flight_calls_limit{}": 7},
		samples(t, reg, "http_client_calls", "http_client_in_flight"))
	require.NoError(t, w.Close())
	_, err = io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, map[string]int{`http_client_calls_total{method="GET",outcome="success"}`: 1, "http_client_in_flight_calls_limit{}": 7},
		samples(t, reg, "http_client_calls", "http_client_in_flight"))
	runtime.KeepAlive(c)
}

// A panic of the base, of what reads its answer, or of a hook passes through, and the call is counted all the same.
func TestACallThatPanicsIsCounted(t *testing.T) {
	boom := func(string) { panic("boom") }
	for name, tc := range map[string]struct {
		base     step
		cfg      httpx.Config
		outcome  string
		attempts map[string]int
	}{
		"the base": {func(*http.Request) (*http.Response, error) { panic("boom") }, httpx.Config{}, "internal", map[string]int{"panic": 1}},
		"the profile": {answer(503, ""), httpx.Config{Profile: httpx.Profile{Classify: func(httpx.Response) (httpx.Verdict, bool) {
			boom("")
			return httpx.Verdict{}, false
		}}}, "internal", map[string]int{"panic": 1}},
		"an attempt's hook":        {answer(503, ""), httpx.Config{Hooks: httpx.Hooks{OnAttempt: func(httpx.AttemptEvent) { boom("") }}}, "internal", map[string]int{"503": 1}},
		"a hook before an attempt": {answer(200, ""), httpx.Config{Hooks: httpx.Hooks{OnEvent: func(httpx.Event) { boom("") }}}, "internal", map[string]int{}},
		"a call's hook":            {answer(404, ""), httpx.Config{Hooks: httpx.Hooks{OnCall: func(httpx.CallEvent) { boom("") }}}, "not_found", map[string]int{"404": 1}},
		"the kill switch":          {answer(200, ""), httpx.Config{KillSwitch: func() bool { boom(""); return true }}, "internal", map[string]int{}},
	} {
		t.Run(name, func(t *testing.T) {
			m, reg := counters(t)
			tc.cfg.Base, tc.cfg.Metrics = follow(tc.base), m
			c := client(t, tc.cfg)
			require.Panics(t, func() { _, _, _ = send(t, t.Context(), c, "GET", "") })
			want := map[string]int{`http_client_calls_total{method="GET",outcome="` + tc.outcome + `"}`: 1}
			for reason, n := range tc.attempts {
				want[`http_client_attempts_total{reason="`+reason+`"}`] = n
			}
			require.Equal(t, want, samples(t, reg, "http_client_calls", "http_client_attempts", "http_client_in_flight_calls{"))
		})
	}
	m, reg := counters(t)
	base := follow(answer(503, ""), func(*http.Request) (*http.Response, error) { panic("boom") })
	c := client(t, httpx.Config{Base: base, Metrics: m, BackoffBase: noWait})
	require.Panics(t, func() { _, _, _ = send(t, t.Context(), c, "GET", "") })
	require.Equal(t, map[string]int{`http_client_retries_total{reason="503"}`: 1}, samples(t, reg, "http_client_retries"))
}

func TestWhatIsTimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, reg := counters(t)
		base := follow(after(2*time.Second, answer(503, "", "Retry-After", "10")), after(3*time.Second, answer(200, "x")))
		c := client(t, httpx.Config{Base: base, Metrics: m, BackoffBase: noWait}) // so that nothing is added to the vendor's wait
		_, _, err := send(t, t.Context(), c, "GET", "")
		require.NoError(t, err)
		require.Equal(t, map[string]int{
			`http_client_call_duration_seconds{outcome="success"}`:       15,
			`http_client_attempt_duration_seconds{delivery="unknown"}`:   2,
			`http_client_attempt_duration_seconds{delivery="delivered"}`: 3,
		}, samples(t, reg, "http_client_call_duration", "http_client_attempt_duration"))

		m, reg = counters(t)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		time.AfterFunc(7*time.Second, cancel) // in the middle of the wait
		c = client(t, httpx.Config{Base: follow(after(2*time.Second, answer(503, "", "Retry-After", "10"))), Metrics: m})
		_, _, err = send(t, ctx, c, "GET", "")
		require.Error(t, err)
		require.Equal(t, map[string]int{
			`http_client_call_duration_seconds{outcome="canceled"}`: 7, `http_client_attempt_duration_seconds{delivery="unknown"}`: 2,
		}, samples(t, reg, "http_client_call_duration", "http_client_attempt_duration"))

		m, reg = counters(t)
		c = client(t, httpx.Config{Base: follow(answer(200, "x")), Metrics: m, KillSwitch: func() bool { return true }})
		_, _, err = send(t, t.Context(), c, "GET", "")
		require.Error(t, err)
		require.Empty(t, samples(t, reg, "http_client_call_duration"), "nothing was sent")
	})
}

// One look for a call is enough for all its attempts.
func TestASampledTraceBecomesAnExemplar(t *testing.T) {
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	reg := prometheus.NewPedanticRegistry()
	looks := 0
	m, err := metrics.New(reg, metrics.Config{Trace: func(context.Context) (string, bool) { looks++; return id, true }})
	require.NoError(t, err)
	c := client(t, httpx.Config{Base: follow(answer(503, ""), answer(200, "x")), Metrics: m, BackoffBase: noWait})
	_, _, err = send(t, t.Context(), c, "GET", "")
	require.NoError(t, err)
	require.Equal(t, 1, looks)
	got, err := reg.Gather()
	require.NoError(t, err)
	exemplars := map[string]int{}
	for _, f := range got {
		for _, metric := range f.GetMetric() {
			for _, b := range metric.GetHistogram().GetBucket() {
				if e := b.GetExemplar(); e != nil {
					require.Equal(t, id, e.GetLabel()[0].GetValue())
					exemplars[f.GetName()]++
				}
			}
		}
	}
	require.Equal(t, map[string]int{"http_client_call_duration_seconds": 1, "http_client_attempt_duration_seconds": 2}, exemplars)
}

// What is said to be on the path is what Explain finds there.
func TestPoliciesAreThoseOfExplain(t *testing.T) {
	for name, cfg := range map[string]httpx.Config{
		"standard": {},
		"bare": {
			TotalTimeout: -1, AttemptTimeout: -1, BodyIdleTimeout: -1, MaxAttempts: -1, MaxConcurrent: -1,
			Breaker: breaker.Config{Mode: breaker.Disabled},
		},
		"all": {KillSwitch: func() bool { return false }, Limiter: &fakeLimiter{}},
	} {
		t.Run(name, func(t *testing.T) {
			m, reg := counters(t)
			cfg.Metrics = m
			tr, err := httpx.NewTransport("vendor", cfg)
			require.NoError(t, err)
			want := map[string]int{}
			for _, s := range tr.Explain().Stages {
				want[`resilience_policy_info{policy="`+s.Policy+`"}`] = 1
			}
			got := samples(t, reg, "resilience_policy_info")
			require.Equal(t, want, got)
			require.Contains(t, got, `resilience_policy_info{policy="metrics"}`)
			_, hasBreaker := got[`resilience_policy_info{policy="breaker"}`]
			require.Equal(t, name != "bare", hasBreaker, "a breaker that is off is not there")
			require.Contains(t, tr.Explain().String(), `as service "vendor"`)
			runtime.KeepAlive(tr)
		})
	}
	tr, err := httpx.NewTransport("vendor", httpx.Config{})
	require.NoError(t, err)
	require.NotContains(t, tr.Explain().String(), "metrics")
}

func TestTheBreakerAndBudgetOfAClientAreShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, reg := counters(t)
		var heard []breaker.State
		c := client(t, httpx.Config{
			Base: follow(answer(500, "")), Metrics: m, RetryBudget: 4,
			Breaker: breaker.Config{Jitter: -1, Hooks: breaker.Hooks{OnTransition: func(e breaker.TransitionEvent) { heard = append(heard, e.To) }}},
		})
		_, _, err := send(t, t.Context(), c, "GET", "")
		require.NoError(t, err)
		require.Equal(t, []breaker.State{breaker.Open}, heard, "the caller's own hook")
		require.Equal(t, map[string]int{
			"circuit_breaker_state{}": 2, "circuit_breaker_opens_total{}": 1, "circuit_breaker_failures_total{}": 3, "circuit_breaker_next_probe_seconds{}": 30,
			`circuit_breaker_transitions_total{from="closed",to="open"}`: 1,
		}, samples(t, reg, "circuit_breaker"))
		require.Equal(t, map[string]int{"http_client_retry_budget_ratio{}": 50}, samples(t, reg, "http_client_retry_budget"))
		time.Sleep(30 * time.Second)
		require.Equal(t, map[string]int{"circuit_breaker_state{}": 2, "circuit_breaker_ready_to_probe{}": 1}, samples(t, reg, "circuit_breaker_state", "circuit_breaker_ready"))
		runtime.KeepAlive(c)
	})
}

func TestTheBreakersOfHostsAreShown(t *testing.T) {
	m, reg := counters(t)
	c := client(t, httpx.Config{Base: follow(fail(errReset)), Metrics: m, BreakerPerHost: true, BackoffBase: noWait, RetryBudget: -1})
	_, _, err := send(t, t.Context(), c, "GET", "")
	require.Error(t, err)
	require.Equal(t, map[string]int{`circuit_breaker_state{key="vendor.test"}`: 2}, samples(t, reg, "circuit_breaker_state"))
	require.Empty(t, samples(t, reg, "http_client_retry_budget"), "there is none")
	runtime.KeepAlive(c)
}

func TestTheLimitersOfAProfileAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, reg := counters(t)
		limits, err := ratelimit.ParseLimits("1/second")
		require.NoError(t, err)
		c := client(t, httpx.Config{
			Base: follow(answer(200, "")), Metrics: m, Profile: httpx.Profile{Rates: []httpx.Rate{{Name: "calls", Limits: limits}}},
		})
		for range 3 {
			_, _, err := send(t, t.Context(), c, "GET", "")
			require.NoError(t, err)
		}
		require.Equal(t, map[string]int{
			`rate_limit_decisions_total{decision="allowed",limiter="vendor.calls"}`: 3, `rate_limit_keys{limiter="vendor.calls"}`: 1,
		}, samples(t, reg, "rate_limit"))
		runtime.KeepAlive(c)
	})
}

func TestClientsOfOneNameShareTheirSeries(t *testing.T) {
	m, reg := counters(t)
	var clients []*http.Client
	for range 3 {
		c := client(t, httpx.Config{Base: follow(answer(200, "x")), Metrics: m, MaxConcurrent: 5})
		_, _, err := send(t, t.Context(), c, "GET", "")
		require.NoError(t, err)
		clients = append(clients, c)
	}
	require.Equal(t, map[string]int{`http_client_calls_total{method="GET",outcome="success"}`: 3, "http_client_in_flight_calls_limit{}": 15},
		samples(t, reg, "http_client_calls", "http_client_in_flight"))
	runtime.KeepAlive(clients)
}
