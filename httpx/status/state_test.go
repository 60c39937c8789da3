package status_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/profile"
	"github.com/prusik-go/prusik/httpx/status"
	"github.com/prusik-go/prusik/ratelimit"
)

func TestAClientThatIsUp(t *testing.T) {
	s := newStatus(t, status.Config{})
	c := watch(t, s, "vendor", httpx.Config{Base: up(), MaxConcurrent: 7, Profile: httpx.Profile{Vendor: "Vendor Inc."}})
	get(t, c)
	got := only(t, s)
	explain := got.Explain
	require.NotNil(t, explain)
	require.Equal(t, transport(t, c).Explain(), *explain)
	got.Explain = nil
	full := 1.0
	require.Equal(t, status.Client{
		ID: "vendor", Name: "vendor", Vendor: "Vendor Inc.", Level: status.Up, Bulkhead: 7, RetryBudgetLeft: &full, Calls: 1,
		Breakers: []status.Breaker{{Name: "vendor", State: "closed"}},
	}, got)
	require.Empty(t, s.State().Recent, "a call that ends well is nothing to tell")
}

func TestAnOutageFromStartToEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStatus(t, status.Config{})
		v := up()
		c := watch(t, s, "vendor", httpx.Config{Base: v})
		get(t, c)
		began := time.Now()
		v.status.Store(http.StatusServiceUnavailable)
		get(t, c) // three attempts: it opens
		for range 5 {
			get(t, c)
		}
		got := only(t, s)
		require.Equal(t, status.Down, got.Level)
		require.InDelta(t, 18.0/20, *got.RetryBudgetLeft, 1e-9)
		require.Equal(t, [5]uint64{7, 1, 5, 2, 1}, [5]uint64{got.Calls, got.Failed, got.Refused, got.Retries, got.Opens})
		require.Equal(t, []status.Breaker{{
			Name: "vendor", State: "open", WouldReject: true, NextProbeIn: status.Seconds(30 * time.Second),
			Failures: 3, Calls: 3, Opens: 1, OpenedAt: began,
		}}, got.Breakers)

		time.Sleep(10 * time.Second)
		require.Equal(t, status.Seconds(20*time.Second), only(t, s).Breakers[0].NextProbeIn)
		time.Sleep(20 * time.Second)
		got = only(t, s)
		require.True(t, got.Breakers[0].ReadyToProbe)
		require.Equal(t, status.Degraded, got.Level, "the next call is made")
		v.status.Store(http.StatusOK)
		get(t, c)
		require.Equal(t, status.Up, only(t, s).Level)
		require.Equal(t, []string{
			"vendor transition recovered closed",
			"vendor transition ready half-open",
			"vendor refused breaker_open",
			"vendor failed 503 exhausted",
			"vendor transition threshold open",
			"vendor retried 503",
		}, sorted(t, s))
		refused := find(t, s, status.Refused)
		require.Equal(t, uint64(5), refused.Count)
		require.NotEmpty(t, refused.CorrelationID)
		require.Equal(t, status.Seconds(30*time.Second), refused.Wait)
		require.Equal(t, uint64(2), find(t, s, status.Retried).Count)
	})
}

// sorted is tells where things happened at one moment of a fake clock: by source they are in order, by time not known.
func sorted(t *testing.T, s *status.Status) []string {
	t.Helper()
	st := s.State().Recent
	for i := range st[1:] {
		require.False(t, st[i].At.Before(st[i+1].At), "the newest first")
	}
	return tells(s)
}

func find(t *testing.T, s *status.Status, what status.What) status.Decision {
	t.Helper()
	for _, d := range s.State().Recent {
		if d.What == what {
			return d
		}
	}
	t.Fatalf("no %s in %v", what, tells(s))
	return status.Decision{}
}

func TestWhyACallWasNotMade(t *testing.T) {
	t.Parallel()
	for want, cfg := range map[string]httpx.Config{
		"vendor refused permanent":     {Base: up(), KillSwitch: func() bool { return true }},
		"vendor failed 503 budget":     {Base: answers(503), RetryBudget: 1, MaxAttempts: 5, Breaker: breaker.Config{Mode: breaker.Disabled}},
		"vendor limited rate_limited":  {Base: up(), Limiter: never{}},
		"vendor limited 429 exhausted": {Base: answers(429)},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStatus(t, status.Config{})
				get(t, watch(t, s, "vendor", cfg))
				require.Contains(t, tells(s), want)
			})
		})
	}
	t.Run("the bulkhead", func(t *testing.T) {
		t.Parallel()
		s := newStatus(t, status.Config{})
		c := watch(t, s, "vendor", httpx.Config{Base: up(), MaxConcurrent: 1})
		resp, err := c.Get("http://vendor.test/")
		require.NoError(t, err)
		defer resp.Body.Close()
		get(t, c)
		require.Equal(t, []string{"vendor refused bulkhead_full"}, tells(s))
		got := only(t, s)
		require.Equal(t, 1, got.InFlight)
		require.Equal(t, status.Degraded, got.Level)
	})
	t.Run("what is the caller's own doing is not told", func(t *testing.T) {
		t.Parallel()
		s := newStatus(t, status.Config{})
		get(t, watch(t, s, "vendor", httpx.Config{Base: answers(404)}))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://vendor.test/", http.NoBody)
		require.NoError(t, err)
		_, err = watch(t, s, "other", httpx.Config{Base: up()}).Do(req)
		require.Error(t, err)
		require.Empty(t, s.State().Recent)
		require.Equal(t, uint64(1), s.State().Clients[1].Failed)
		require.Equal(t, uint64(1), s.State().Clients[0].Refused)
	})
}

// never is a limiter that admits nothing.
type never struct{}

func (never) Acquire(context.Context, time.Duration) (time.Duration, error) {
	return 0, fmt.Errorf("limiter: %w", errDown)
}
func (never) Refund(time.Duration)       {}
func (never) Pause(time.Duration)        {}
func (never) Learn(int64, time.Duration) {}

// A retry that was announced and that the breaker then refused was not sent.
func TestRetriesAreWhatWasSent(t *testing.T) {
	s := newStatus(t, status.Config{})
	get(t, watch(t, s, "vendor", httpx.Config{Base: down(), Breaker: breaker.Config{Failures: 2}}))
	got := only(t, s)
	require.Equal(t, uint64(1), got.Retries)
	require.Equal(t, uint64(1), got.Failed, "something was sent")
	require.Zero(t, got.Refused)
}

func TestHooksOfTheUsersStayAndComeFirst(t *testing.T) {
	s := newStatus(t, status.Config{})
	var heard []string
	told := 0
	cfg := httpx.Config{
		Base: down(), MaxAttempts: -1,
		Hooks: httpx.Hooks{
			OnNew:   func(tr *httpx.Transport) { heard = append(heard, "new "+tr.Name()) },
			OnEvent: func(e httpx.Event) { told += len(s.State().Recent); heard = append(heard, string(e.Status)) },
		},
		Breaker: breaker.Config{Failures: 1, Hooks: breaker.Hooks{
			OnTransition: func(e breaker.TransitionEvent) { heard = append(heard, e.To.String()) },
		}},
	}
	get(t, watch(t, s, "vendor", cfg))
	require.Equal(t, []string{"new vendor", "attempt", "open", "failed"}, heard)
	require.Equal(t, 1, told, "the transition, when the call has failed; its own entry comes after")

	var limited []ratelimit.Verdict
	l := limiter(t, s, ratelimit.Config{Hooks: ratelimit.Hooks{OnDecision: func(e ratelimit.DecisionEvent) { limited = append(limited, e.Verdict) }}})
	allow(t, l)
	require.Equal(t, []ratelimit.Verdict{ratelimit.Allowed}, limited)
}

func TestClientsOfOneNameAreEachListed(t *testing.T) {
	s := newStatus(t, status.Config{})
	a := watch(t, s, "vendor", httpx.Config{Base: up()})
	b := watch(t, s, "vendor", httpx.Config{Base: up()})
	get(t, a)
	get(t, b)
	theBreaker(t, b).ForceOpen()
	st := s.State()
	require.Len(t, st.Clients, 2)
	require.Equal(t, "vendor", st.Clients[0].ID)
	require.Equal(t, status.Up, st.Clients[0].Level)
	require.Equal(t, "vendor~2", st.Clients[1].ID)
	require.Equal(t, status.Down, st.Clients[1].Level)
	require.Equal(t, uint64(2), st.Clients[0].Calls, "counts are of the name")
}

func TestABreakerForEachHost(t *testing.T) {
	s := newStatus(t, status.Config{})
	c := watch(t, s, "vendor", httpx.Config{Base: up(), BreakerPerHost: true})
	require.Empty(t, only(t, s).Breakers, "the overflow that nobody needs is not shown")
	get(t, c)
	transport(t, c).Breakers().Get("a.test").ForceOpen()
	transport(t, c).Breakers().Get("b.test")
	got := only(t, s)
	require.Equal(t, status.Degraded, got.Level, "of three hosts one is down")
	var names []string
	for _, b := range got.Breakers {
		names = append(names, b.Name+" "+b.State)
	}
	require.Equal(t, []string{"vendor/a.test forced-open", "vendor/b.test closed", "vendor/vendor.test closed"}, names)
	require.Equal(t, "vendor/a.test", find(t, s, status.Transition).Breaker)
	require.Equal(t, uint64(1), got.Opens)

	big := watch(t, s, "big", httpx.Config{Base: up(), BreakerPerHost: true, MaxHosts: 60})
	for i := range 60 {
		transport(t, big).Breakers().Get(fmt.Sprintf("h%d.test", i))
	}
	require.Len(t, s.State().Clients[0].Breakers, 50)
	require.Equal(t, 10, s.State().Clients[0].BreakersOmitted)
}

func TestShadowIsNotDown(t *testing.T) {
	s := newStatus(t, status.Config{})
	c := watch(t, s, "vendor", httpx.Config{Base: up(), Breaker: breaker.Config{Mode: breaker.Shadow}})
	theBreaker(t, c).ForceOpen()
	got := only(t, s)
	require.Equal(t, status.Degraded, got.Level)
	require.True(t, got.Breakers[0].Shadow && got.Breakers[0].WouldReject)
	theBreaker(t, c).Disable()
	require.Equal(t, status.Up, only(t, s).Level)
}

func TestTheLimitsOfAClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStatus(t, status.Config{})
		v := answers(http.StatusTooManyRequests)
		v.header.Set("Retry-After", "20")
		limits, err := ratelimit.ParseLimits("100/second")
		require.NoError(t, err)
		l, err := ratelimit.New("mine", ratelimit.Config{Limits: limits})
		require.NoError(t, err)
		o := l.Outbound("")
		c := watch(t, s, "twilio", httpx.Config{Base: v, Profile: profile.Twilio(), Limiter: o, MaxAttempts: -1})
		o.Learn(7, 9*time.Second)
		got := only(t, s)
		require.Equal(t, "mine", got.Limits[0].Name)
		require.Equal(t, "100/second", got.Limits[0].Limits)
		require.Equal(t, int64(7), *got.Limits[0].Remaining)
		require.Equal(t, status.Seconds(9*time.Second), got.Limits[0].Reset)
		require.Equal(t, status.Up, got.Level)
		require.Nil(t, got.RetryBudgetLeft, "without retries there is no budget")
		require.Equal(t, "twilio.calls", got.Limits[1].Name)
		get(t, c)
		got = only(t, s)
		require.Equal(t, status.Seconds(20*time.Second), got.Limits[0].PausedFor)
		require.Equal(t, status.Degraded, got.Level)

		watch(t, s, "other", httpx.Config{Base: v, Limiter: never{}})
		require.Equal(t, []status.Limit{{Name: "custom"}}, s.State().Clients[0].Limits)
	})
}

func limiter(t testing.TB, s *status.Status, cfg ratelimit.Config) *ratelimit.Limiter {
	t.Helper()
	limits, err := ratelimit.ParseLimits("2/minute")
	require.NoError(t, err)
	cfg.Limits = limits
	l, err := ratelimit.New("api", s.WatchLimiter(cfg))
	require.NoError(t, err)
	return l
}

func allow(t testing.TB, l *ratelimit.Limiter) {
	t.Helper()
	_, _ = l.Allow(t.Context(), "planted-key")
}

// store is one that can be down.
type store struct{ down bool }

func (s *store) Take(context.Context, ratelimit.Request) (ratelimit.Result, error) {
	if s.down {
		return ratelimit.Result{}, errDown
	}
	return ratelimit.Result{Allowed: true}, nil
}

func (*store) Refund(context.Context, ratelimit.Request, [ratelimit.MaxLimits]time.Duration) error {
	return nil
}

func TestALimiter(t *testing.T) {
	s := newStatus(t, status.Config{})
	l := limiter(t, s, ratelimit.Config{AllowList: []string{"boss"}})
	for range 5 {
		allow(t, l)
	}
	_, err := l.Allow(t.Context(), "boss")
	require.NoError(t, err)
	_, err = l.Allow(t.Context(), "")
	require.Error(t, err)
	l.Outbound("vendor").Pause(time.Minute)
	require.Equal(t, []status.Limiter{{
		ID: "api", Name: "api", Limits: "2/minute", Mode: "enabled", Store: "memory",
		Allowed: 2, Denied: 3, Exempt: 1, Errors: 1, Pauses: 1, Keys: 1,
	}}, s.State().Limiters)
	require.Equal(t, []string{"api paused", "api limited api denied"}, tells(s))
	require.Equal(t, uint64(3), find(t, s, status.Limited).Count)

	limiter(t, s, ratelimit.Config{Mode: ratelimit.Shadow})
	require.Equal(t, "api~2", s.State().Limiters[1].ID)
}

func TestAStoreThatIsDown(t *testing.T) {
	for _, outage := range []ratelimit.Outage{ratelimit.FailOpen, ratelimit.FailClosed, ratelimit.LocalShare} {
		t.Run(outage.String(), func(t *testing.T) {
			s := newStatus(t, status.Config{})
			st := &store{}
			cfg := ratelimit.Config{Store: st, OnOutage: outage, AllowList: []string{"boss"}}
			if outage == ratelimit.LocalShare {
				cfg.Replicas = 2
			}
			l := limiter(t, s, cfg)
			allow(t, l)
			require.False(t, s.State().Limiters[0].StoreDown)
			st.down = true
			for range 5 {
				allow(t, l)
			}
			_, err := l.Allow(t.Context(), "boss")
			require.NoError(t, err)
			_, err = l.AllowN(t.Context(), "greedy", 1000)
			require.NoError(t, err)
			got := s.State().Limiters[0]
			require.True(t, got.StoreDown, "what did not ask the store does not say that it is back")
			require.WithinDuration(t, time.Now(), got.DownSince, time.Minute)
			require.Equal(t, outage.String(), got.OnOutage)
			require.Equal(t, uint64(5), got.Errors)
			require.Equal(t, uint64(1), find(t, s, status.Outage).Count)
			st.down = false
			allow(t, l)
			require.False(t, s.State().Limiters[0].StoreDown)
			require.Equal(t, "api recovered", tells(s)[0])
		})
	}
}

// An hour of refusals may not push out what happened when it began.
func TestRecentDecisionsAreBoundedAndKeepWhatMatters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStatus(t, status.Config{Keep: 10})
		c := watch(t, s, "vendor", httpx.Config{Base: down(), MaxAttempts: -1, Breaker: breaker.Config{OpenFor: time.Hour}})
		for range 3 {
			get(t, c)
		}
		for range 6 {
			for range 1000 {
				get(t, c)
			}
			time.Sleep(time.Minute)
		}
		require.Contains(t, tells(s), "vendor transition threshold open")
		require.Len(t, tells(s), 9, "one a minute, the transition, and the failures on both sides of it")
		require.Equal(t, uint64(1000), s.State().Recent[0].Count)
		for range 60 {
			get(t, c)
			time.Sleep(time.Minute)
		}
		require.Len(t, tells(s), 10)
	})
}

func TestAlikeDecisionsAreOneWithACount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStatus(t, status.Config{})
		a := watch(t, s, "a", httpx.Config{Base: answers(503), MaxAttempts: -1, Breaker: breaker.Config{Mode: breaker.Disabled}})
		b := watch(t, s, "b", httpx.Config{Base: answers(503), MaxAttempts: -1, Breaker: breaker.Config{Mode: breaker.Disabled}})
		call := func(c *http.Client, method, id string) {
			req, err := http.NewRequestWithContext(correlation.WithID(t.Context(), id), method, "http://vendor.test/", http.NoBody)
			require.NoError(t, err)
			resp, err := c.Do(req)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			time.Sleep(time.Second)
		}
		began := time.Now()
		call(a, http.MethodGet, "id-1")
		call(b, http.MethodGet, "id-2")
		call(a, http.MethodPost, "id-3")
		call(a, http.MethodGet, "id-4")
		failure := func(after int, source string, stop errors.Stop, id string) status.Decision {
			return status.Decision{
				At: began.Add(time.Duration(after) * time.Second), Count: 1, Source: source, What: status.Failed, Reason: "503", Stop: stop, CorrelationID: id,
			}
		}
		first := failure(0, "a", errors.StopExhausted, "id-4")
		first.Count, first.Last = 2, began.Add(3*time.Second)
		require.Equal(t, []status.Decision{
			failure(2, "a", errors.StopUnsafeMethod, "id-3"), // alike but for why it stopped
			failure(1, "b", errors.StopExhausted, "id-2"),
			first, // stays where it began, and names the last one's id
		}, s.State().Recent)
	})
}

func TestWhatIsListedIsBounded(t *testing.T) {
	var logged logBook
	s := newStatus(t, status.Config{MaxWatched: 2, Logger: logged.logger()})
	for i := range 10 {
		get(t, watch(t, s, fmt.Sprintf("vendor%d", i), httpx.Config{Base: up()}))
	}
	st := s.State()
	require.Len(t, st.Clients, 2)
	require.Equal(t, 8, st.Omitted)
	require.Contains(t, logged.String(), "name=vendor9")
}

func TestAConfigsFaultsAreReportedAtOnce(t *testing.T) {
	_, err := status.New(status.Config{Refresh: -1, Beat: time.Hour, MaxStream: 1, MaxReaders: -1, Keep: -1, MaxWatched: 99999})
	for _, field := range []string{"Refresh", "Beat", "MaxStream", "MaxReaders", "Keep", "MaxWatched"} {
		require.ErrorContains(t, err, field+" = ")
	}
}

func TestJSONIsForCurl(t *testing.T) {
	s := newStatus(t, status.Config{})
	c := watch(t, s, "vendor", httpx.Config{Base: up()})
	get(t, c)
	for _, accept := range []string{"", "*/*", "application/json"} {
		r := httptest.NewRequestWithContext(correlation.WithID(t.Context(), "id-1"), http.MethodGet, "/anywhere", http.NoBody)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		require.Equal(t, http.StatusOK, w.Code)
		require.Equal(t, "application/json", w.Header().Get("Content-Type"))
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		require.Equal(t, "Accept", w.Header().Get("Vary"))
		var got map[string]any
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
		require.Equal(t, false, got["commands"])
		require.Equal(t, []any{}, got["limiters"], "a list is a list where it is empty")
		require.Contains(t, w.Body.String(), `"explain":{"service":"vendor"`)
		require.Contains(t, w.Body.String(), `"retry_budget_left":1`)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodHead, "/", http.NoBody))
	require.Empty(t, w.Body.String())
}

func TestSecondsAreRendered(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0", 1500 * time.Millisecond: "1.5", 90 * time.Second: "90", 1: "0"} {
		raw, err := json.Marshal(status.Seconds(d))
		require.NoError(t, err)
		require.Equal(t, want, string(raw))
	}
}
