package httpx_test

import (
	"encoding/json"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/profile"
)

// Every fault of a Config is reported at once, with field, value and range.
func TestEveryFaultOfAConfigIsNamed(t *testing.T) {
	for name, tc := range map[string]struct {
		cfg  httpx.Config
		want []string
	}{
		"attempts":             {httpx.Config{MaxAttempts: 11}, []string{"MaxAttempts = 11: want 1 to 10"}},
		"back-off order":       {httpx.Config{BackoffBase: 2 * time.Second, BackoffMax: time.Second}, []string{"BackoffBase = 2s: want at most BackoffMax (1s)"}},
		"back-off off, capped": {httpx.Config{BackoffBase: -1, BackoffMax: time.Second}, []string{"BackoffMax = 1s: want 0 where BackoffBase is off"}},
		"back-off max off":     {httpx.Config{BackoffMax: -1}, []string{"BackoffMax = -1ns"}},
		"attempt above total":  {httpx.Config{AttemptTimeout: 2 * time.Second, TotalTimeout: time.Second}, []string{"AttemptTimeout = 2s: want at most TotalTimeout (1s)"}},
		"worst case above total": {
			httpx.Config{AttemptTimeout: 10 * time.Second, TotalTimeout: 30 * time.Second},
			[]string{"TotalTimeout = 30s: want at least 31.5s, the worst case of 3 attempts of 10s and their longest waits (1.5s)"},
		},
		"total without room":     {httpx.Config{TotalTimeout: time.Second}, []string{"TotalTimeout = 1s: want at least 4.5s, for 3 attempts of 1s and their longest waits (1.5s)"}},
		"budget":                 {httpx.Config{RetryBudget: 2_000_000}, []string{"RetryBudget = 2000000: want 1 to 1000000"}},
		"refill":                 {httpx.Config{RetryBudgetRefill: math.NaN()}, []string{"RetryBudgetRefill = NaN: want 0.001 to 1"}},
		"refill below":           {httpx.Config{RetryBudgetRefill: -0.5}, []string{"RetryBudgetRefill = -0.5: want 0.001 to 1"}},
		"body buffer":            {httpx.Config{MaxBodyBuffer: 2 << 30}, []string{"MaxBodyBuffer = 2147483648: want 1 to 1073741824"}},
		"error body":             {httpx.Config{MaxErrorBody: -1}, []string{"MaxErrorBody = -1: want 1 to 1073741824"}},
		"concurrency":            {httpx.Config{MaxConcurrent: 2_000_000}, []string{"MaxConcurrent = 2000000: want 1 to 1000000"}},
		"wait without bulkhead":  {httpx.Config{MaxConcurrent: -1, BulkheadWait: 1}, []string{"BulkheadWait = 1ns: want 0 where MaxConcurrent is off"}},
		"wait below":             {httpx.Config{BulkheadWait: -1}, []string{"BulkheadWait = -1ns: want 0 or more"}},
		"wait beyond the total":  {httpx.Config{BulkheadWait: time.Hour}, []string{"BulkheadWait = 1h0m0s: want less than TotalTimeout (35s)"}},
		"hosts without groups":   {httpx.Config{MaxHosts: 3}, []string{"MaxHosts = 3: want 0 where BreakerPerHost is false"}},
		"hosts":                  {httpx.Config{BreakerPerHost: true, MaxHosts: -1}, []string{"MaxHosts = -1: want 1 to 100000"}},
		"window of one attempt":  {httpx.Config{Breaker: breaker.Config{FailureRatio: 0.5, Period: 15 * time.Second}}, []string{"Breaker.Period = 15s: want at least two attempts (2 x 10s)"}},
		"the breaker's own":      {httpx.Config{Breaker: breaker.Config{OpenFor: -1}}, []string{`breaker "vendor": OpenFor = -1ns: want`}},
		"the breaker's, grouped": {httpx.Config{BreakerPerHost: true, Breaker: breaker.Config{OpenFor: -1}}, []string{"OpenFor = -1ns: want"}},
		"a profile's headers": {
			httpx.Config{Profile: httpx.Profile{
				IdempotencyHeader: "a b", RequestIDHeader: "x:", RetryAfter: []httpx.WaitHeader{{}},
				Limits: []httpx.LimitHeaders{{Remaining: "X-Left", Reset: "X-\nReset", Unit: 99}},
			}},
			[]string{
				`Profile.IdempotencyHeader = "a b": want the name of a header field`, `Profile.RequestIDHeader = "x:"`,
				`Profile.RetryAfter[0].Name = ""`, `Profile.Limits[0].Reset = "X-\nReset"`, "Profile.Limits[0].Unit = ",
			},
		},
		"a profile's numbers": {
			httpx.Config{Profile: httpx.Profile{MaxConcurrent: -1, InspectBody: []int{404}}},
			[]string{
				"Profile.MaxConcurrent = -1: want 0 or more", "Profile.InspectBody[0] = 404: want 200 to 399",
				"Profile.InspectBody = [404]: want none where Classify is nil",
			},
		},
		"several": {
			httpx.Config{MaxAttempts: 99, RetryBudget: 9_999_999, MaxErrorBody: -1, Breaker: breaker.Config{OpenFor: -1}},
			[]string{"MaxAttempts = 99", "RetryBudget = 9999999", "MaxErrorBody = -1", "OpenFor"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := httpx.NewClient("vendor", tc.cfg)
			require.Nil(t, c)
			require.Error(t, err)
			for _, want := range tc.want {
				require.ErrorContains(t, err, want)
			}
			require.Len(t, strings.Split(err.Error(), "\n"), len(tc.want), "these faults and no others")
		})
	}
	for _, perHost := range []bool{false, true} {
		_, err := httpx.NewClient("two words", httpx.Config{BreakerPerHost: perHost, Profile: profile.Twilio()})
		require.EqualError(t, err, `httpx "two words": name = "two words": want 1 to 64 of letters, digits, ".", "_" and "-"`)
	}
	_, err := httpx.NewClient(strings.Repeat("x", 64), httpx.Config{Profile: profile.Twilio()})
	require.NoError(t, err, "the name of a limiter is longer, and cut")
}

func TestDefaultsFitWhatIsSet(t *testing.T) {
	for name, tc := range map[string]struct {
		cfg  httpx.Config
		want []string
	}{
		"nothing":                  {httpx.Config{}, []string{"35s to the response headers, with", "attempt_timeout    10s", "3 attempts", "128 calls at a time, no waiting", "3 failures in a row, for 30s", "30s for each read"}},
		"a short total":            {httpx.Config{TotalTimeout: 7500 * time.Millisecond}, []string{"7.5s to", "attempt_timeout    2s"}},
		"long attempts":            {httpx.Config{AttemptTimeout: 20 * time.Second}, []string{"1m1.5s to", "attempt_timeout    20s"}},
		"many attempts":            {httpx.Config{MaxAttempts: 5}, []string{"57.5s to", "attempt_timeout    10s"}},
		"a window for attempts":    {httpx.Config{AttemptTimeout: 40 * time.Second, Breaker: breaker.Config{FailureRatio: 0.5}}, []string{"in 1m20s"}},
		"the vendor's concurrency": {httpx.Config{Profile: httpx.Profile{MaxConcurrent: 10}}, []string{"10 calls at a time"}},
		"ours over the vendor's":   {httpx.Config{MaxConcurrent: 5, Profile: httpx.Profile{MaxConcurrent: 10}}, []string{"5 calls at a time"}},
	} {
		t.Run(name, func(t *testing.T) {
			tr, err := httpx.NewTransport("vendor", tc.cfg)
			require.NoError(t, err)
			for _, want := range tc.want {
				require.Contains(t, tr.Explain().String(), want)
			}
		})
	}
}

func TestExplainNamesWhatIsOnThePathAndNothingElse(t *testing.T) {
	policies := func(cfg httpx.Config) []string {
		tr, err := httpx.NewTransport("vendor", cfg)
		require.NoError(t, err)
		var out []string
		for _, s := range tr.Explain().Stages {
			out = append(out, s.Policy)
		}
		return out
	}
	require.Equal(t, []string{
		"correlation", "bulkhead", "total_timeout", "retry", "retry_budget", "breaker", "attempt_timeout", "bodies", "body_idle_timeout",
	}, policies(httpx.Config{}))
	require.Equal(t, []string{
		"correlation", "kill_switch", "bulkhead", "total_timeout", "retry", "retry_budget", "rate_limit", "breaker", "attempt_timeout", "bodies", "body_idle_timeout",
	}, policies(httpx.Config{KillSwitch: func() bool { return false }, Limiter: &fakeLimiter{}}))
	require.Equal(t, []string{"correlation", "bodies"}, policies(httpx.Config{
		TotalTimeout: -1, AttemptTimeout: -1, BodyIdleTimeout: -1, MaxAttempts: -1, MaxConcurrent: -1, Breaker: breaker.Config{Mode: breaker.Disabled},
	}))
}

func TestTheWorstCase(t *testing.T) {
	worst := func(cfg httpx.Config) httpx.Worst {
		tr, err := httpx.NewTransport("vendor", cfg)
		require.NoError(t, err)
		return tr.Explain().Worst
	}
	require.Equal(t, httpx.Worst{Attempts: 3, AttemptsUnsafe: 1, Load: 3, LoadSustained: 1, Latency: 35 * time.Second}, worst(httpx.Config{}))
	require.InDelta(t, 3, worst(httpx.Config{RetryBudget: -1}).LoadSustained, 0)
	require.Equal(t, 36*time.Second, worst(httpx.Config{BulkheadWait: time.Second}).Latency)
	require.Equal(t, 31500*time.Millisecond+66*time.Second, worst(httpx.Config{TotalTimeout: -1}).Latency)
	require.Zero(t, worst(httpx.Config{TotalTimeout: -1, AttemptTimeout: -1}).Latency)
	raw, err := json.Marshal(httpx.Explanation{Service: "v"})
	require.NoError(t, err)
	require.JSONEq(t, `{"service":"v","stages":null,"worst_case":{"attempts":0,"attempts_unsafe":0,"load":0,"load_sustained":0,"latency_seconds":0}}`, string(raw))
}

func TestTheStandardBaseHasAPoolForOneBusyHost(t *testing.T) {
	before := http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost
	c := client(t, httpx.Config{})
	require.Zero(t, c.Timeout)
	c.CloseIdleConnections()
	require.Equal(t, before, http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost, "a clone, never the default itself")
}

type idleCloser struct {
	http.RoundTripper

	closed int
}

func (i *idleCloser) CloseIdleConnections() { i.closed++ }

func TestCloseIdleConnectionsReachesTheBase(t *testing.T) {
	base := &idleCloser{RoundTripper: follow(answer(200, ""))}
	client(t, httpx.Config{Base: base}).CloseIdleConnections()
	require.Equal(t, 1, base.closed)
	client(t, httpx.Config{Base: follow(answer(200, ""))}).CloseIdleConnections() // and where it has none, nothing happens
}
