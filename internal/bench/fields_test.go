package bench_test

import (
	"context"
	"crypto/sha256"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dunglas/httpsfv"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/prusik-go/prusik/ratelimit"
)

// TestFieldsByAnIndependentParser reads the RateLimit and RateLimit-Policy fields of any limiters, several on one route, with
// a parser of structured fields that is not ours, and compares what they say with the limits and with what a limiter says
// when it is asked.
func TestFieldsByAnIndependentParser(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		seen := map[string]int{"refused": 0, "merged": 0, "burst": 0, "unit": 0, "pk": 0, "no window": 0, "t left out": 0}
		rapid.Check(bubbleT{t}, func(rt *rapid.T) {
			var limiters []*ratelimit.Limiter
			var verdicts []ratelimit.Verdict // of the limiters that were asked, the outermost first
			hooks := ratelimit.Hooks{OnDecision: func(e ratelimit.DecisionEvent) { verdicts = append(verdicts, e.Verdict) }}
			for i := range rapid.IntRange(1, 3).Draw(rt, "limiters") {
				cfg := drawLimiter(rt)
				cfg.Hooks = hooks
				l, err := ratelimit.New("limiter"+strconv.Itoa(i), cfg)
				require.NoError(rt, err)
				limiters = append(limiters, l)
			}
			h := http.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			for _, l := range slices.Backward(limiters) {
				h = l.Handler(func(*http.Request) (string, error) { return client, nil })(h)
			}
			for range rapid.IntRange(1, 12).Draw(rt, "requests") {
				time.Sleep(rapid.SampledFrom([]time.Duration{0, 0, 1, 250 * time.Millisecond, time.Minute}).Draw(rt, "pause"))
				verdicts = nil
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
				asked := verdicts
				policy, now := list(rt, w.Header()["Ratelimit-Policy"]), list(rt, w.Header()["Ratelimit"])
				require.Len(rt, now, len(policy))
				for i, verdict := range asked {
					cfg := limiters[i].Config()
					if cfg.Cost(nil) > smallest(cfg) {
						break // refused for good, which says nothing of the limits
					}
					d, err := limiters[i].AllowN(context.Background(), client, 0) // how things stand: it takes nothing
					require.NoError(rt, err)
					for status := range d.Statuses() {
						require.NotEmpty(rt, policy, "%v", w.Header())
						checkPolicy(rt, policy[0], cfg, status.Limit)
						if checkNow(rt, now[0], cfg, status, verdict, w.Header().Get("Retry-After")) {
							seen["t left out"]++
						}
						policy, now = policy[1:], now[1:]
						count(seen, cfg, status.Limit)
					}
				}
				require.Empty(rt, policy, "%v", w.Header())
				if w.Code == http.StatusTooManyRequests {
					seen["refused"]++
				}
				if len(asked) > 1 {
					seen["merged"]++
				}
			}
		})
		for what, n := range seen {
			require.Positive(t, n, "this test looks at nothing: %s", what)
		}
	})
}

// client is the key of all requests.
const client = "a client"

func count(seen map[string]int, cfg ratelimit.Config, l ratelimit.Limit) {
	for what, is := range map[string]bool{
		"burst": l.Burst != l.Count, "unit": cfg.QuotaUnit != "", "pk": cfg.PartitionKey,
		"no window": l.Period%time.Second != 0,
	} {
		if is {
			seen[what]++
		}
	}
}

func smallest(cfg ratelimit.Config) int64 {
	burst := cfg.Limits[0].Burst
	for _, l := range cfg.Limits {
		burst = min(burst, l.Burst)
	}
	return burst
}

// bubbleT has no deadline: rapid would take it for one of the bubble's clock.
type bubbleT struct{ *testing.T }

func (bubbleT) Deadline() (time.Time, bool) { return time.Time{}, false }

const tenYears = 10 * 365 * 24 * time.Hour

func drawLimiter(t *rapid.T) ratelimit.Config {
	var limits ratelimit.Limits
	names := rapid.SliceOfNDistinct(rapid.StringMatching(`[ !#-\[\]-~]{1,64}`), 1, ratelimit.MaxLimits, rapid.ID[string]).Draw(t, "names")
	for _, name := range names {
		l := ratelimit.Limit{Name: name, Period: rapid.OneOf(
			rapid.SampledFrom([]time.Duration{250 * time.Millisecond, time.Second, 90 * time.Second, 24 * time.Hour, tenYears}),
			rapid.Map(rapid.Int64Range(1, int64(tenYears)), func(n int64) time.Duration { return time.Duration(n) }),
		).Draw(t, "period")}
		most := min(int64(l.Period), 99_999_999_999_999) // httpsfv reads 15 digits at the end of a field only
		l.Count = min(rapid.OneOf(rapid.Int64Range(1, 9), rapid.Int64Range(1, most)).Draw(t, "count"), most)
		if rapid.Bool().Draw(t, "burst") || l.Span() > tenYears { // by rounding up
			l.Burst = rapid.Int64Range(1, min(9, int64(tenYears/l.Interval()))).Draw(t, "burst of")
		}
		limits = append(limits, l)
	}
	cost := rapid.Int64Range(0, 3).Draw(t, "cost")
	return ratelimit.Config{
		Limits: limits, PartitionKey: rapid.Bool().Draw(t, "pk"), Cost: func(*http.Request) int64 { return cost },
		QuotaUnit: rapid.SampledFrom([]string{"", "requests", "content-bytes", "concurrent-requests"}).Draw(t, "unit"),
	}
}

// list parses the lines of a field.
func list(t *rapid.T, lines []string) []httpsfv.Item {
	if lines == nil {
		return nil
	}
	members, err := httpsfv.UnmarshalList(lines)
	require.NoError(t, err, "%q", lines)
	items := make([]httpsfv.Item, len(members))
	for i, m := range members {
		item, ok := m.(httpsfv.Item)
		require.True(t, ok, "an inner list: %q", lines)
		items[i] = item
	}
	return items
}

// params takes the parameters of an item, which are all of these.
func params(t *rapid.T, item httpsfv.Item, want map[string]any) {
	got := map[string]any{}
	for _, name := range item.Params.Names() {
		got[name], _ = item.Params.Get(name)
	}
	require.Equal(t, want, got)
}

func partition(cfg ratelimit.Config, want map[string]any) map[string]any {
	if cfg.PartitionKey {
		sum := sha256.Sum256([]byte(client))
		want["pk"] = sum[:12]
	}
	return want
}

func checkPolicy(t *rapid.T, item httpsfv.Item, cfg ratelimit.Config, l ratelimit.Limit) {
	require.Equal(t, l.Name, item.Value, "a string, the policy's name")
	want := partition(cfg, map[string]any{"q": l.Count})
	if l.Period%time.Second == 0 {
		want["w"] = int64(l.Period / time.Second)
	}
	if cfg.QuotaUnit != "" && cfg.QuotaUnit != "requests" {
		want["qu"] = cfg.QuotaUnit
	}
	if l.Burst != l.Count {
		want["prusik-burst"] = l.Burst
	}
	params(t, item, want)
}

// checkNow reports whether t was left out: on a refusal where it would be later than Retry-After.
func checkNow(t *rapid.T, item httpsfv.Item, cfg ratelimit.Config, s ratelimit.Status, verdict ratelimit.Verdict, retryAfter string) (left bool) {
	require.Equal(t, s.Limit.Name, item.Value)
	want := partition(cfg, map[string]any{"r": s.Remaining})
	next := int64((s.Next + time.Second - 1) / time.Second)
	if verdict == ratelimit.Denied {
		after, err := strconv.ParseInt(retryAfter, 10, 64)
		require.NoError(t, err)
		left = next > after
	}
	if next > 0 && !left {
		want["t"] = next
	}
	params(t, item, want)
	return left
}
