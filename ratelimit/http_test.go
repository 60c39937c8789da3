package ratelimit_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/ratelimit"
)

func ok(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }

// constant is the key of everybody.
func constant(key string) ratelimit.KeyFunc {
	return func(*http.Request) (string, error) { return key, nil }
}

func serve(t testing.TB, h http.Handler) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, from(t, "192.0.2.1:1234"))
	return w
}

func TestTheAnswerOfARefusal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, "2/minute; 100/hour", ratelimit.Config{})
		h := l.Handler(ratelimit.RemoteAddr)(http.HandlerFunc(ok))
		w := serve(t, h)
		require.Equal(t, 200, w.Code)
		require.Equal(t, "ok", w.Body.String())
		const policy = `"api/2/minute";q=2;w=60, "api/100/hour";q=100;w=3600`
		require.Equal(t, []string{policy}, w.Header()["Ratelimit-Policy"])
		require.Equal(t, []string{`"api/2/minute";r=1;t=30, "api/100/hour";r=99;t=36`}, w.Header()["Ratelimit"])
		require.Empty(t, w.Header().Get("X-RateLimit-Limit"))
		serve(t, h)
		time.Sleep(500 * time.Millisecond)
		w = serve(t, h)
		require.Equal(t, 429, w.Code)
		require.Equal(t, "30", w.Header().Get("Retry-After"), "29.5 s, rounded up")
		require.Equal(t, []string{policy}, w.Header()["Ratelimit-Policy"])
		require.Equal(t, []string{`"api/2/minute";r=0;t=30, "api/100/hour";r=98`}, w.Header()["Ratelimit"],
			"Retry-After is not sooner than any t")
		require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		require.JSONEq(t, `{
			"type": "about:blank", "title": "Too Many Requests", "status": 429, "kind": "rate_limited",
			"detail": "Too many requests. Try again later.", "violated-policies": ["api/2/minute"], "retry_after": 30,
			"retry": {"status": "failed", "attempt": 0, "max_attempts": 0, "next_retry_in_seconds": 30}
		}`, w.Body.String())
		time.Sleep(30 * time.Second)
		require.Equal(t, 200, serve(t, h).Code, "whoever waits as told is served")
	})
}

func TestFieldsOfOtherLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, "", ratelimit.Config{
			Limits: ratelimit.Limits{
				{Name: "peak", Count: 3, Period: 250 * time.Millisecond},
				{Name: "daily", Count: 1000, Period: day, Burst: 100},
			},
			QuotaUnit: "content-bytes", PartitionKey: true,
			Cost: func(*http.Request) int64 { return 2 },
		})
		w := serve(t, l.Handler(constant("secret"))(http.HandlerFunc(ok)))
		const pk = ";pk=:K7gNU3sdo+OL0wNh:" // echo -n secret | sha256sum | xxd -r -p | head -c 12 | base64
		require.Equal(t, []string{`"peak";q=3;qu="content-bytes"` + pk + `, "daily";q=1000;w=86400;qu="content-bytes"` + pk + `;prusik-burst=100`},
			w.Header()["Ratelimit-Policy"])
		require.Equal(t, []string{`"peak";r=1;t=1` + pk + `, "daily";r=98;t=87` + pk}, w.Header()["Ratelimit"])
	})
}

// The largest numbers there are fit an integer of a structured field, and larger ones are no limit.
func TestFieldsOfTheLargestLimit(t *testing.T) {
	t.Parallel()
	const most = 999_999_999_999_999
	l, err := ratelimit.New("api", ratelimit.Config{Limits: ratelimit.Limits{{Count: most, Period: 9 * 365 * day}, {Count: 1, Period: time.Nanosecond, Burst: most}}})
	require.NoError(t, err)
	w := serve(t, l.Handler(ratelimit.RemoteAddr)(http.HandlerFunc(ok)))
	_, policy := field(t, w.Header()["Ratelimit-Policy"])
	require.Equal(t, "999999999999999", policy[0]["q"])
	require.Equal(t, "999999999999999", policy[1]["prusik-burst"])
	_, now := field(t, w.Header()["Ratelimit"])
	require.Equal(t, "999999999999998", now[0]["r"])
	for _, limit := range []ratelimit.Limit{
		{Count: most + 1, Period: 9 * 365 * day}, {Count: 1, Period: time.Nanosecond, Burst: most + 1},
	} {
		_, err = ratelimit.New("api", ratelimit.Config{Limits: ratelimit.Limits{limit}})
		require.ErrorContains(t, err, "999999999999999")
	}
	_, err = ratelimit.ParseLimits("1000000000000000 per 10 years")
	require.ErrorContains(t, err, "want a count from 1 to 999999999999999")
}

func TestACostAboveTheBurstIsAnsweredWithoutAWait(t *testing.T) {
	t.Parallel()
	cost := int64(11)
	l := newLimiter(t, "10/minute", ratelimit.Config{Cost: func(*http.Request) int64 { return cost }})
	h := l.Handler(ratelimit.RemoteAddr)(http.HandlerFunc(ok))
	w := serve(t, h)
	require.Equal(t, 429, w.Code)
	require.Empty(t, w.Header()["Retry-After"])
	require.Contains(t, w.Body.String(), "The request asks for more than its limit ever allows.")
	require.Contains(t, w.Body.String(), `"violated-policies":["api"]`)
	cost = 0
	w = serve(t, h)
	require.Equal(t, 200, w.Code)
	require.Equal(t, `"api";r=10`, w.Header().Get("RateLimit"), "a full bucket has no t")
	cost = -1
	require.Equal(t, 500, serve(t, h).Code)
}

func TestSeveralLimitersOnARouteAddUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		legacy := ratelimit.LegacyResetSeconds
		var all []*ratelimit.Limiter
		for name, limits := range map[string]ratelimit.Limits{
			"outer": {{Count: 100, Period: time.Minute}}, "inner": {{Count: 2, Period: time.Minute}}, "mid": {{Count: 50, Period: time.Minute}},
		} {
			l, err := ratelimit.New(name, ratelimit.Config{Limits: limits, Legacy: legacy})
			require.NoError(t, err)
			all = append(all, l)
		}
		byName := func(name string) func(http.Handler) http.Handler {
			for _, l := range all {
				if l.Name() == name {
					return l.Handler(ratelimit.RemoteAddr)
				}
			}
			return nil
		}
		h := byName("outer")(byName("inner")(byName("mid")(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Add("RateLimit-Policy", `"mine";q=1`) // must not reach what other requests are given
		}))))
		for range 2 {
			w := serve(t, h)
			require.Equal(t, 200, w.Code)
			require.Equal(t, []string{`"outer";q=100;w=60`, `"inner";q=2;w=60`, `"mid";q=50;w=60`, `"mine";q=1`}, w.Header()["Ratelimit-Policy"])
			require.Len(t, w.Header()["Ratelimit"], 3)
			require.Equal(t, []string{"2"}, w.Header()["X-Ratelimit-Limit"], "the tightest")
		}
		w := serve(t, h)
		require.Equal(t, 429, w.Code)
		require.Equal(t, []string{`"outer";r=97;t=1`, `"inner";r=0;t=30`}, w.Header()["Ratelimit"])
		require.Equal(t, []string{`"outer";q=100;w=60`, `"inner";q=2;w=60`}, w.Header()["Ratelimit-Policy"])
		require.Equal(t, []string{"0"}, w.Header()["X-Ratelimit-Remaining"])
	})
}

// What a handler does to its own header reaches no other answer.
func TestAHeaderEditedInPlace(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, "10/minute", ratelimit.Config{Legacy: ratelimit.LegacyResetSeconds})
	edit := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, values := range w.Header() {
			for i := range values {
				values[i] = "edited"
			}
			_ = append(values, "more")
		}
	})
	w := serve(t, l.Handler(ratelimit.RemoteAddr)(edit))
	require.Equal(t, []string{"edited"}, w.Header()["Ratelimit-Policy"])
	w = serve(t, l.Handler(ratelimit.RemoteAddr)(l.Handler(ratelimit.RemoteAddr)(edit)))
	require.Equal(t, []string{"edited", "edited"}, w.Header()["Ratelimit-Policy"])
	w = serve(t, l.Handler(ratelimit.RemoteAddr)(http.HandlerFunc(ok)))
	require.Equal(t, []string{`"api";q=10;w=60`}, w.Header()["Ratelimit-Policy"])
	require.Equal(t, []string{`"api";r=6;t=6`}, w.Header()["Ratelimit"])
}

// Fields are cut from memory that answers share: what becomes of one must not show in another, not even of those that are
// kept.
func TestTheFieldsOfAnAnswerAreItsOwn(t *testing.T) {
	t.Parallel()
	long := ratelimit.Limits{{Count: 1_000_000, Period: time.Hour}}
	for i := range ratelimit.MaxLimits - 1 {
		long = append(long, ratelimit.Limit{Name: strings.Repeat("n", 60+i%4) + strconv.Itoa(i), Count: 1_000_000, Period: time.Hour})
	}
	for name, limits := range map[string]ratelimit.Limits{"one": long[:1], "eight, longer than a piece": long} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLimiter(t, "", ratelimit.Config{Limits: limits, Legacy: ratelimit.LegacyResetSeconds})
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					h := l.Handler(constant("k"))(http.HandlerFunc(ok))
					var kept, copies []http.Header
					for range 300 {
						w := serve(t, h)
						kept, copies = append(kept, w.Header()), append(copies, w.Header().Clone())
						h := serve(t, h).Header()
						for field := range h {
							h[field][0] = "mine"
							h[field] = append(h[field], "mine")
						}
					}
					assert.Equal(t, copies, kept)
				})
			}
			wg.Wait()
			names, _ := field(t, serve(t, l.Handler(constant("k"))(http.HandlerFunc(ok))).Header()["Ratelimit"])
			require.Len(t, names, len(limits))
		})
	}
}

func TestLegacyFieldsNameTheirUnit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(250 * time.Millisecond) // off the second
		for unit, want := range map[ratelimit.Legacy]string{
			ratelimit.LegacyOff:               "",
			ratelimit.LegacyResetSeconds:      "8",
			ratelimit.LegacyResetMilliseconds: "7500",
			ratelimit.LegacyResetEpochSeconds: strconv.FormatInt(time.Now().Add(7500*time.Millisecond).Unix()+1, 10),
		} {
			l := newLimiter(t, "1000/hour burst 8; 8/minute; 1000/hour burst 500", ratelimit.Config{Legacy: unit})
			w := serve(t, l.Handler(ratelimit.RemoteAddr)(http.HandlerFunc(ok)))
			require.Equal(t, want, w.Header().Get("X-RateLimit-Reset"))
			if unit != ratelimit.LegacyOff {
				require.Equal(t, "8", w.Header().Get("X-RateLimit-Limit"))
				require.Equal(t, "7", w.Header().Get("X-RateLimit-Remaining"))
			}
		}
	})
}

// A client that knows the old fields only and waits until Reset must not come before Retry-After.
func TestLegacyFieldsOfARefusalAreOfTheLimitThatRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cost := int64(2)
		l := newLimiter(t, "10/minute burst 3; 100/day burst 4", ratelimit.Config{
			Legacy: ratelimit.LegacyResetSeconds, Cost: func(*http.Request) int64 { return cost },
		})
		h := l.Handler(ratelimit.RemoteAddr)(http.HandlerFunc(ok))
		w := serve(t, h)
		require.Equal(t, []string{"3"}, w.Header()["X-Ratelimit-Limit"], "the tightest")
		cost = 3
		w = serve(t, h)
		require.Equal(t, 429, w.Code)
		require.Contains(t, w.Body.String(), `["api/100/day burst 4"]`)
		require.Equal(t, "864", w.Header().Get("Retry-After"))
		require.Equal(t, []string{"4"}, w.Header()["X-Ratelimit-Limit"])
		require.Equal(t, []string{"2"}, w.Header()["X-Ratelimit-Remaining"])
		require.Equal(t, []string{"1728"}, w.Header()["X-Ratelimit-Reset"])
	})
}

func TestAKeyThatIsNoneIsNeverABucket(t *testing.T) {
	t.Parallel()
	secret := errors.New("dial tcp 10.0.0.5:5432: password=hunter2")
	for name, tc := range map[string]struct {
		key    ratelimit.KeyFunc
		status int
	}{
		"nil":           {nil, 500},
		"empty":         {constant(""), 500},
		"foreign error": {func(*http.Request) (string, error) { return "k", secret }, 500},
		"kind": {func(*http.Request) (string, error) {
			return "", &errors.Error{Kind: errors.Unauthenticated, Err: secret}
		}, 401},
		"header": {ratelimit.Header("X-API-Key"), 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			told := 0
			hooks := ratelimit.Hooks{OnError: func(e ratelimit.ErrorEvent) {
				told++
				if e.Name != "api" || e.Err == nil || e.Outage != 0 {
					t.Error(e)
				}
			}}
			h := newLimiter(t, "1/hour", ratelimit.Config{Hooks: hooks}).Handler(tc.key)(http.HandlerFunc(ok))
			for range 3 {
				w := serve(t, h)
				require.Equal(t, tc.status, w.Code)
				require.NotContains(t, w.Body.String(), "hunter2")
				require.NotContains(t, w.Body.String(), "10.0.0.5")
				require.Empty(t, w.Header()["Ratelimit"])
				require.True(t, json.Valid(w.Body.Bytes()), "the problem, and not the handler's answer behind it: %s", w.Body)
			}
			require.Equal(t, 3, told)
			shadow := newLimiter(t, "1/hour", ratelimit.Config{Hooks: hooks, Mode: ratelimit.Shadow})
			require.Equal(t, "ok", serve(t, shadow.Handler(tc.key)(http.HandlerFunc(ok))).Body.String(), "shadow never acts")
			require.Equal(t, 4, told)
		})
	}
}

func TestShadowAndDisabledAddNothingToAnAnswer(t *testing.T) {
	t.Parallel()
	for _, mode := range []ratelimit.Mode{ratelimit.Shadow, ratelimit.Disabled} {
		l := newLimiter(t, "1/hour", ratelimit.Config{Mode: mode, Legacy: ratelimit.LegacyResetSeconds})
		h := l.Handler(ratelimit.RemoteAddr)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		for range 3 {
			w := serve(t, h)
			require.Equal(t, 200, w.Code)
			require.Empty(t, w.Header())
		}
	}
}

// Each route has what its own limiter gives, with the router that net/http ships.
func TestARouteOfItsOwn(t *testing.T) {
	t.Parallel()
	calls, err := ratelimit.New("calls", ratelimit.Config{Limits: ratelimit.Limits{{Count: 1, Period: time.Minute}}})
	require.NoError(t, err)
	all, err := ratelimit.New("all", ratelimit.Config{Limits: ratelimit.Limits{{Count: 5, Period: time.Minute}}})
	require.NoError(t, err)
	mux := http.NewServeMux()
	pattern := ""
	mux.Handle("POST /calls/{id}", calls.Handler(ratelimit.RemoteAddr)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { pattern = r.Pattern })))
	mux.HandleFunc("GET /health", ok)
	h := all.Handler(ratelimit.RemoteAddr)(mux)
	send := func(method, path string) int {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
		h.ServeHTTP(w, r)
		return w.Code
	}
	require.Equal(t, 200, send("POST", "/calls/1"))
	require.Equal(t, "POST /calls/{id}", pattern)
	require.Equal(t, 429, send("POST", "/calls/2"), "the route's own")
	for range 3 {
		require.Equal(t, 200, send("GET", "/health"))
	}
	require.Equal(t, 429, send("GET", "/health"), "the server's")
}

// The writer is handed on: what the server can do a handler behind a limiter can do.
func TestStreamsHijacksAndControllersKeepWorking(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, "100/minute", ratelimit.Config{})
	mux := http.NewServeMux()
	step := make(chan struct{})
	mux.HandleFunc("/stream", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "one\n")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		<-step
		_, _ = io.WriteString(w, "two\n")
	})
	mux.HandleFunc("/hijack", func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nraw")
		_ = conn.Close()
	})
	mux.HandleFunc("/early", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = io.WriteString(w, "late")
	})
	server := httptest.NewServer(l.Handler(ratelimit.RemoteAddr)(mux))
	defer server.Close()
	get := func(path string) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
		require.NoError(t, err)
		resp, err := server.Client().Do(r)
		require.NoError(t, err)
		return resp
	}
	resp := get("/stream")
	require.NotEmpty(t, resp.Header.Get("RateLimit"))
	lines := bufio.NewReader(resp.Body)
	line, err := lines.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "one\n", line, "before the handler has returned")
	close(step)
	line, err = lines.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "two\n", line)
	_ = resp.Body.Close()
	for path, want := range map[string]string{"/hijack": "raw", "/early": "late"} {
		resp := get(path)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		_ = resp.Body.Close()
		require.Equal(t, want, string(body))
	}
}

func TestAHandlersPanicPassesThrough(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, "10/minute", ratelimit.Config{})
	h := l.Handler(ratelimit.RemoteAddr)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("x") }))
	require.PanicsWithValue(t, "x", func() { serve(t, h) })
}

func TestACallerWhoHasLeftIsNoOutage(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l := newLimiter(t, "10/minute", ratelimit.Config{
		Store: storeFunc(func(ctx context.Context, _ ratelimit.Request) (ratelimit.Result, error) {
			return ratelimit.Result{}, ctx.Err()
		}),
		OnOutage: ratelimit.FailOpen,
		Hooks:    ratelimit.Hooks{OnError: func(ratelimit.ErrorEvent) { t.Error("an outage") }},
	})
	w := httptest.NewRecorder()
	l.Handler(ratelimit.RemoteAddr)(http.HandlerFunc(ok)).ServeHTTP(w, from(t, "192.0.2.1:1").WithContext(ctx))
	require.Equal(t, errors.StatusClientClosedRequest, w.Code)
}

// field parses a List of RFC 9651 whose items are Strings with parameters, strictly, and by other means than it was made.
func field(t testing.TB, lines []string) (names []string, params []map[string]string) {
	t.Helper()
	rest := strings.Join(lines, ", ")
	for {
		require.NotEmpty(t, rest)
		require.Equal(t, byte('"'), rest[0], rest)
		end := strings.IndexByte(rest[1:], '"') + 1
		require.Positive(t, end)
		names = append(names, rest[1:end])
		rest = rest[end+1:]
		p := map[string]string{}
		for strings.HasPrefix(rest, ";") {
			item := rest[1:]
			if i := strings.IndexAny(item, ";,"); i >= 0 {
				item = item[:i]
			}
			key, value, found := strings.Cut(item, "=")
			require.True(t, found)
			require.Regexp(t, `^[a-z*][a-z0-9_.*-]*$`, key)
			require.Regexp(t, `^([0-9]{1,15}|"[ -~]*"|:[A-Za-z0-9+/=]*:)$`, value)
			require.NotContains(t, p, key)
			p[key] = value
			rest = rest[1+len(item):]
		}
		params = append(params, p)
		if rest == "" {
			return names, params
		}
		require.True(t, strings.HasPrefix(rest, ", "), rest)
		rest = rest[2:]
	}
}

func FuzzFields(f *testing.F) {
	f.Add("10/minute; 100 per 2 hours", "key", uint8(3), true)
	f.Add("9000000000/year burst 1", "\x00", uint8(0), false)
	f.Add("1000000000000000/Y", "0", uint8(231), false) // found by it: a q of 16 digits
	f.Add("999999999999999/year burst 999999999999999", "k", uint8(1), true)
	f.Fuzz(func(t *testing.T, limits, key string, n uint8, pk bool) {
		parsed, err := ratelimit.ParseLimits(limits)
		if err != nil || key == "" {
			return
		}
		l, err := ratelimit.New("f", ratelimit.Config{Limits: parsed, PartitionKey: pk, MaxKeys: 10})
		if err != nil {
			return
		}
		h := l.Handler(constant(key))(http.HandlerFunc(ok))
		for range int(n%8) + 1 {
			w := serve(t, h)
			policies, policy := field(t, w.Header()["Ratelimit-Policy"])
			names, now := field(t, w.Header()["Ratelimit"])
			require.Equal(t, policies, names)
			for i, limit := range l.Config().Limits {
				require.Equal(t, limit.Name, names[i])
				require.Equal(t, strconv.FormatInt(limit.Count, 10), policy[i]["q"])
				require.Equal(t, strconv.FormatInt(int64(limit.Period/time.Second), 10), policy[i]["w"])
				require.Equal(t, pk, policy[i]["pk"] != "" && policy[i]["pk"] == now[i]["pk"])
				r, err := strconv.ParseInt(now[i]["r"], 10, 64)
				require.NoError(t, err)
				require.LessOrEqual(t, r, limit.Burst)
				require.NotEqual(t, "0", now[i]["t"])
			}
			require.Equal(t, w.Code == 429, w.Header().Get("Retry-After") != "")
			if w.Code == 429 {
				var p struct {
					Violated []string `json:"violated-policies"`
				}
				require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p))
				require.Subset(t, names, p.Violated)
			}
		}
	})
}
