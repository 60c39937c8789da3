package metrics_test

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/metrics"
	"github.com/prusik-go/prusik/ratelimit"
)

func limit(t *testing.T, m *metrics.Metrics, name, limits string, cfg ratelimit.Config) *ratelimit.Limiter {
	t.Helper()
	var err error
	cfg.Limits, err = ratelimit.ParseLimits(limits)
	require.NoError(t, err)
	cfg.Hooks = ratelimit.JoinHooks(m.LimiterHooks(), cfg.Hooks)
	l, err := ratelimit.New(name, cfg)
	require.NoError(t, err)
	m.AddLimiter(l)
	return l
}

func TestALimitersDecisions(t *testing.T) {
	m, reg := start(t, metrics.Config{})
	l := limit(t, m, "api", "2/hour; 3/day", ratelimit.Config{AllowList: []string{"friend"}})
	require.Contains(t, samples(t, reg), `rate_limit_decisions_total{decision="denied",limiter="api"}`, "there before the first")
	require.Contains(t, samples(t, reg), `rate_limit_rejections_total{limiter="api",policy="api/2/hour"}`)
	for range 5 {
		_, err := l.Allow(t.Context(), "a")
		require.NoError(t, err)
	}
	_, err := l.Allow(t.Context(), "friend")
	require.NoError(t, err)
	_, err = l.Allow(t.Context(), "")
	require.Error(t, err)
	require.Equal(t, map[string]int{
		`rate_limit_decisions_total{decision="allowed",limiter="api"}`:   2,
		`rate_limit_decisions_total{decision="denied",limiter="api"}`:    3,
		`rate_limit_decisions_total{decision="exempt",limiter="api"}`:    1,
		`rate_limit_rejections_total{limiter="api",policy="api/2/hour"}`: 3,
		`rate_limit_request_errors_total{limiter="api"}`:                 1,
		`rate_limit_keys{limiter="api"}`:                                 1,
	}, only(samples(t, reg), "rate_limit"))
	runtime.KeepAlive(l)
}

// New limits are there before they refuse anybody, as the first ones were.
func TestALimitersNewLimits(t *testing.T) {
	m, reg := start(t, metrics.Config{})
	l := limit(t, m, "api", "2/hour; 3/day", ratelimit.Config{})
	next, err := ratelimit.ParseLimits("5/hour; 30/day")
	require.NoError(t, err)
	require.NoError(t, l.SetLimits(next))
	require.Contains(t, samples(t, reg), `rate_limit_rejections_total{limiter="api",policy="api/5/hour"}`)
	runtime.KeepAlive(l)
}

func TestALimiterInShadow(t *testing.T) {
	m, reg := start(t, metrics.Config{})
	l := limit(t, m, "api", "1/hour", ratelimit.Config{Mode: ratelimit.Shadow})
	for range 3 {
		_, err := l.Allow(t.Context(), "a")
		require.NoError(t, err)
	}
	require.Equal(t, 2, samples(t, reg)[`rate_limit_decisions_total{decision="would_deny",limiter="api"}`])
	require.Equal(t, 2, samples(t, reg)[`rate_limit_rejections_total{limiter="api",policy="api"}`])
}

func TestAnOutageOfTheStore(t *testing.T) {
	for choice, decisions := range map[ratelimit.Outage]map[string]int{
		ratelimit.FailOpen:   {`rate_limit_decisions_total{decision="exempt",limiter="api"}`: 2},
		ratelimit.FailClosed: {}, // nothing was decided: the answer is 503
		ratelimit.LocalShare: {
			`rate_limit_decisions_total{decision="allowed",limiter="api"}`: 1, `rate_limit_decisions_total{decision="denied",limiter="api"}`: 1,
		},
	} {
		m, reg := start(t, metrics.Config{})
		cfg := ratelimit.Config{Store: down{}, OnOutage: choice}
		if choice == ratelimit.LocalShare {
			cfg.Replicas = 1
		}
		l := limit(t, m, "api", "1/hour", cfg)
		name := fmt.Sprintf(`rate_limit_store_errors_total{limiter="api",outage=%q}`, choice)
		require.Contains(t, samples(t, reg), name, "there before the first")
		for range 2 {
			_, _ = l.Allow(t.Context(), "a")
		}
		all := samples(t, reg)
		require.Equal(t, 2, all[name])
		require.Equal(t, decisions, only(all, "rate_limit_decisions"))
	}
}

func TestAVendorsPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, reg := start(t, metrics.Config{})
		out := limit(t, m, "vendor.calls", "10/second", ratelimit.Config{}).Outbound("")
		out.Pause(time.Second)
		_, err := out.Acquire(t.Context(), math.MaxInt64)
		require.NoError(t, err)
		require.Equal(t, map[string]int{
			`rate_limit_pauses_total{limiter="vendor.calls"}`:                       1,
			`rate_limit_decisions_total{decision="allowed",limiter="vendor.calls"}`: 1,
			`rate_limit_keys{limiter="vendor.calls"}`:                               1,
		}, only(samples(t, reg), "rate_limit"))
		runtime.KeepAlive(out)
	})
}

func TestAFullMemory(t *testing.T) {
	m, reg := start(t, metrics.Config{})
	fill := func() {
		l := limit(t, m, "api", "1/hour", ratelimit.Config{MaxKeys: 1})
		for i := range 300 {
			_, err := l.Allow(t.Context(), fmt.Sprint(i))
			require.NoError(t, err)
			if i%3 == 0 { // each is counted once, however often it is read
				require.Equal(t, int(l.Snapshot().Evictions), samples(t, reg)[`rate_limit_evictions_total{limiter="api"}`])
			}
		}
		require.Equal(t, int(l.Snapshot().Evictions), samples(t, reg)[`rate_limit_evictions_total{limiter="api"}`])
		runtime.KeepAlive(l)
	}
	fill()
	evicted := samples(t, reg)[`rate_limit_evictions_total{limiter="api"}`]
	require.Positive(t, evicted)
	runtime.GC()
	require.Equal(t, evicted, samples(t, reg)[`rate_limit_evictions_total{limiter="api"}`], "a counter does not fall where its limiter goes")
}

func TestTheLimitersOfAServer(t *testing.T) {
	m, reg := start(t, metrics.Config{})
	l := limit(t, m, "api", "3/hour", ratelimit.Config{})
	h := m.Handler(l.Handler(ratelimit.RemoteAddr)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	counts := map[int]int{}
	for range 7 {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
		counts[w.Code]++
	}
	all := samples(t, reg)
	require.Equal(t, counts[429], all[`rate_limit_decisions_total{decision="denied",limiter="api"}`])
	require.Equal(t, counts[200], all[`rate_limit_decisions_total{decision="allowed",limiter="api"}`])
	require.Equal(t, counts[429], all[`http_server_requests_total{code="429",method="GET",route="unmatched"}`])
	m.AddLimiter(nil)
}
