package httpx_test

import (
	"context"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/ratelimit"
)

// detail is what Explain says of a policy, and "" where it is not on the path.
func detail(tr *httpx.Transport, policy string) string {
	for _, s := range tr.Explain().Stages {
		if s.Policy == policy {
			return s.Detail
		}
	}
	return ""
}

// What is explained is what is on the path now, not what was when the client was made.
func TestExplainFollowsTheBreaker(t *testing.T) {
	for name, cfg := range map[string]httpx.Config{"one": {}, "per host": {BreakerPerHost: true}} {
		t.Run(name, func(t *testing.T) {
			m, reg := counters(t)
			cfg.Metrics = m
			tr, err := httpx.NewTransport("vendor", cfg)
			require.NoError(t, err)
			change := func(f func(*breaker.Config)) {
				if b := tr.Breaker(); b != nil {
					next := b.Given()
					f(&next)
					require.NoError(t, b.Reconfigure(next))
					return
				}
				next := tr.Breakers().Given()
				f(&next)
				require.NoError(t, tr.Breakers().Reconfigure(next))
			}
			require.Contains(t, detail(tr, "breaker"), "opens at 3 failures in a row, for 30s")
			lease := tr.Config().Breaker.ProbeLease
			change(func(c *breaker.Config) { c.Failures, c.OpenFor = 7, 5*time.Second })
			require.Contains(t, detail(tr, "breaker"), "opens at 7 failures in a row, for 5s (+0 to 10 %) doubling to 50s")
			got := tr.Config().Breaker
			require.Equal(t, 7, got.Failures)
			require.Equal(t, 7, got.Window)
			require.Equal(t, 5*time.Second, got.OpenFor)
			require.Equal(t, lease, got.ProbeLease, "what the client has set for its timeouts stays")
			const onPath = `resilience_policy_info{policy="breaker"}`
			require.Contains(t, samples(t, reg, "resilience_policy_info"), onPath)
			change(func(c *breaker.Config) { c.Mode = breaker.Disabled })
			require.Empty(t, detail(tr, "breaker"))
			require.NotContains(t, samples(t, reg, "resilience_policy_info"), onPath)

			again, err := httpx.NewTransport("again", httpx.Config{Breaker: tr.Config().Breaker})
			require.NoError(t, err, "what is in use makes another")
			require.Equal(t, 7, again.Config().Breaker.Failures)
			runtime.KeepAlive(tr)
		})
	}
}

func TestExplainFollowsTheLimits(t *testing.T) {
	limits, err := ratelimit.ParseLimits("1/second")
	require.NoError(t, err)
	tr, err := httpx.NewTransport("vendor", httpx.Config{
		Profile: httpx.Profile{Rates: []httpx.Rate{{Name: "calls", Limits: limits}}}, Limiter: &fakeLimiter{},
	})
	require.NoError(t, err)
	own, ok := tr.Limiters()[1].(*ratelimit.Outbound)
	require.True(t, ok)
	require.Contains(t, tr.Explain().String(), "1/second for calls")
	limits[0].Count = 5
	require.NoError(t, own.Snapshot().Limiter.SetLimits(limits))
	require.Contains(t, tr.Explain().String(), "5/second for calls")
	require.Equal(t, 1, strings.Count(tr.Explain().String(), "before every attempt"))
}

// A slow answer is a failure as soon as its header is there, by what is slow at that time.
func TestSlowCallAtRunTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := follow(after(2*time.Second, answer(200, "x")))
		tr, err := httpx.NewTransport("vendor", httpx.Config{Base: base, Breaker: breaker.Config{Failures: 1}})
		require.NoError(t, err)
		get := func() *http.Response {
			req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://vendor.test", http.NoBody)
			require.NoError(t, err)
			resp, err := tr.RoundTrip(req)
			require.NoError(t, err)
			return resp
		}
		require.NoError(t, get().Body.Close())
		require.Equal(t, breaker.Closed, tr.Breaker().State())
		cfg := tr.Breaker().Given()
		cfg.SlowCall = time.Second
		require.NoError(t, tr.Breaker().Reconfigure(cfg))
		resp := get()
		require.Equal(t, breaker.Open, tr.Breaker().State())
		require.NoError(t, resp.Body.Close())
	})
}
