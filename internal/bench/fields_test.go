package bench_test

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/dunglas/httpsfv"
	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/ratelimit"
)

// params are the parameters of an item that ratelimit sends, and how draft-ietf-httpapi-ratelimit-headers-11 types them.
func params(t *testing.T, item httpsfv.Item, required string, optional ...string) map[string]any {
	t.Helper()
	got := map[string]any{}
	for _, name := range item.Params.Names() {
		require.Contains(t, append(optional, required), name)
		value, _ := item.Params.Get(name)
		switch name {
		case "q", "w", "r", "t", "prusik-burst":
			n, ok := value.(int64)
			require.True(t, ok, "%s is %T", name, value)
			require.GreaterOrEqual(t, n, int64(0))
			if name == "w" || name == "t" {
				require.Positive(t, n)
			}
		case "qu":
			require.Contains(t, []any{"content-bytes", "concurrent-requests"}, value)
		case "pk":
			require.Len(t, value, 12)
		}
		got[name] = value
	}
	require.Contains(t, got, required)
	return got
}

func items(t *testing.T, lines []string) []httpsfv.Item {
	t.Helper()
	list, err := httpsfv.UnmarshalList(lines)
	require.NoError(t, err, "%q", lines)
	var all []httpsfv.Item
	for _, member := range list {
		item, ok := member.(httpsfv.Item)
		require.True(t, ok)
		_, ok = item.Value.(string)
		require.True(t, ok, "a String, and no Token")
		all = append(all, item)
	}
	return all
}

// most has 14 digits: httpsfv v1.1.0 refuses an integer of 15, which RFC 9651 allows, where anything follows it.
const most = 99_999_999_999_999

// What the limiter writes is what somebody else's parser of structured fields reads, for every limit there is.
func TestTheFieldsAreStructured(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2)) // the same limits each time
	upTo := func(n int64) int64 { return 1 + random.Int64N(1+random.Int64N(n)) }
	made := 0
	for n := range 3000 {
		limits := make(ratelimit.Limits, 1+random.IntN(3))
		for i := range limits {
			limits[i] = ratelimit.Limit{
				Count: upTo(most), Period: time.Duration(upTo(int64(10 * 365 * 24 * time.Hour))),
				Burst: []int64{0, upTo(100), upTo(most)}[random.IntN(3)],
			}
			if n%2 == 0 {
				limits[i].Count, limits[i].Period = upTo(100), time.Duration(upTo(100))*time.Second
			}
			if random.IntN(2) == 0 {
				limits[i].Name = strconv.Itoa(i) + ` !#$%&'()*+,-./:;<=>?@[]^_{|}~`
			}
		}
		l, err := ratelimit.New("api", ratelimit.Config{
			Limits: limits, PartitionKey: n%3 == 0, QuotaUnit: []string{"", "content-bytes", "concurrent-requests"}[n%3],
			Cost: func(*http.Request) int64 { return upTo(10) },
		})
		if err != nil {
			continue // no limit: more than one a nanosecond, or two of a name
		}
		made++
		h := l.Handler(ratelimit.RemoteAddr)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		h = l.Handler(ratelimit.RemoteAddr)(h) // two on a route add up
		for range 4 {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
			if w.Header()["Ratelimit"] == nil {
				require.Equal(t, 429, w.Code, "only of a cost above the burst is nothing known")
				continue
			}
			policy, now := items(t, w.Header()["Ratelimit-Policy"]), items(t, w.Header()["Ratelimit"])
			require.Len(t, now, len(policy))
			for i := range policy {
				limit := l.Config().Limits[i%len(limits)]
				require.Equal(t, limit.Name, policy[i].Value)
				require.Equal(t, limit.Name, now[i].Value)
				p := params(t, policy[i], "q", "w", "qu", "pk", "prusik-burst")
				require.Equal(t, limit.Count, p["q"])
				if limit.Period%time.Second == 0 {
					require.Equal(t, int64(limit.Period/time.Second), p["w"])
				} else {
					require.NotContains(t, p, "w")
				}
				left := params(t, now[i], "r", "t", "pk")
				require.LessOrEqual(t, left["r"], limit.Burst)
				require.Equal(t, p["pk"], left["pk"])
				require.Equal(t, n%3 == 0, p["pk"] != nil)
			}
		}
	}
	require.Greater(t, made, 1000)
}
