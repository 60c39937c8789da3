package tally_test

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/examples/internal/sim/fault"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/metrics"
	"github.com/prusik-go/prusik/ratelimit"
)

var (
	callsFlag = flag.Int("tally.calls", 500, "how many `calls` each client makes")
	seedFlag  = flag.Uint64("tally.seed", 0, "the `seed` of the run; 0 draws one")
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// counts are samples that are not zero, as name{label="value",…}.
type counts map[string]int

func (c counts) add(name string, labels ...string) {
	var pairs []string
	for i := 0; i < len(labels); i += 2 {
		pairs = append(pairs, fmt.Sprintf("%s=%q", labels[i], labels[i+1]))
	}
	slices.Sort(pairs)
	c[name+"{"+strings.Join(pairs, ",")+"}"]++
}

// client is one that calls, with one policy that may refuse: its stop.
type client struct {
	name    string
	callers int
	mix     mix
	cfg     httpx.Config
	stop    errors.Stop
	refusal errors.Kind
}

func TestCountersAgreeWithTheVendor(t *testing.T) {
	defer goleak.VerifyNone(t)
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	again := fmt.Sprintf("go test -race ./internal/tally -tally.calls=%d -tally.seed=%d", *callsFlag, seed)
	t.Log(again)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()

	reg := prometheus.NewPedanticRegistry()
	m, err := metrics.New(reg, metrics.Config{})
	require.NoError(t, err)
	script := &plans{all: make(map[string]*plan)}
	srv, err := fault.New(fault.Config{Handler: m.Handler(vendor()), Script: script})
	require.NoError(t, err)
	defer func() { require.NoError(t, srv.Close()) }()
	limiter, err := ratelimit.New("out", ratelimit.Config{
		Limits: ratelimit.Limits{{Count: 1, Period: time.Hour, Burst: int64(*callsFlag)}}, Hooks: m.LimiterHooks(), // for two thirds of what would be sent
	})
	require.NoError(t, err)
	wide, err := ratelimit.New("wide", ratelimit.Config{Limits: ratelimit.Limits{{Count: 1e9, Period: time.Second}}}) // so that the breaker is asked twice
	require.NoError(t, err)
	live := breaker.Config{Failures: 3, OpenFor: 2 * time.Millisecond, MaxOpenFor: -1}
	off := breaker.Config{Mode: breaker.Disabled}
	clients := []*client{
		{"serial", 1, mix{true, true}, httpx.Config{Breaker: live, RetryBudget: -1}, errors.StopBreakerOpen, errors.CircuitOpen},
		{"crowd", 16, mix{false, false}, httpx.Config{Breaker: live, RetryBudget: -1, Limiter: wide.Outbound("")}, errors.StopBreakerOpen, errors.CircuitOpen},
		{"budget", 16, mix{true, true}, httpx.Config{Breaker: off, RetryBudget: 5}, errors.StopBudget, ""},
		{"limited", 16, mix{true, false}, httpx.Config{Breaker: off, RetryBudget: -1, Limiter: limiter.Outbound("")}, errors.StopRateLimited, errors.VendorRateLimited},
	}
	var opened atomic.Int64
	want := counts{}
	for i, c := range clients {
		base := srv.Transport()
		base.DisableKeepAlives = true
		c.cfg.Base, c.cfg.Metrics = base, m
		c.cfg.TotalTimeout, c.cfg.AttemptTimeout, c.cfg.BodyIdleTimeout, c.cfg.BackoffBase = 5*time.Minute, time.Minute, time.Minute, -1
		c.cfg.MaxAttempts, c.cfg.MaxConcurrent = maxAttempts, 100
		if c.name == "crowd" {
			c.cfg.Breaker.Hooks.OnTransition = func(e breaker.TransitionEvent) {
				if e.To == breaker.Open {
					opened.Add(1)
				}
			}
		}
		made := c.run(ctx, t, script, srv.URL(), rand.New(rand.NewPCG(seed, uint64(i))))
		require.NoError(t, srv.Quiesce(ctx))
		c.expect(t, want, made, srv)
	}
	require.Zero(t, srv.Dropped(), "the ledger holds all")
	for _, e := range srv.Entries() {
		if e.HandlerStatus == 0 {
			continue
		}
		route, _ := strings.CutSuffix(e.Path, "1")
		want.add("http_server_requests_total", "code", fmt.Sprint(e.HandlerStatus), "method", e.Method, "route", route+"{id}")
	}

	for _, stop := range []errors.Stop{
		errors.StopExhausted, errors.StopBudget, errors.StopDeadline, errors.StopUnsafeMethod, errors.StopBreakerOpen, errors.StopRateLimited,
		errors.StopPermanent, errors.StopCanceled,
	} {
		require.True(t, slices.ContainsFunc(slices.Collect(maps.Keys(want)), func(name string) bool {
			return strings.HasPrefix(name, fmt.Sprintf("http_client_stops_total{reason=%q", stop))
		}), "the run is to have a call that is stopped by %s; %s", stop, again)
	}

	got := scrape(t, reg)
	require.Equal(t, int(opened.Load()), got[`circuit_breaker_opens_total{service="crowd"}`], "by the crowd's own hook: its ledger has no order")
	for name := range got {
		if strings.Contains(name, `service="crowd"`) && (strings.HasPrefix(name, "circuit_breaker_transitions") || strings.HasPrefix(name, "circuit_breaker_opens")) {
			delete(got, name)
		}
	}
	if !assertEqual(t, want, got) {
		t.Errorf("again: %s", again)
	}
	t.Logf("%d series agree, of %d requests: %v", len(want), len(srv.Entries()), summary(got))
}

// run makes the calls, and returns their plans.
func (c *client) run(ctx context.Context, t *testing.T, script *plans, url string, rng *rand.Rand) []*plan {
	t.Helper()
	h, err := httpx.NewClient(c.name, c.cfg)
	require.NoError(t, err)
	made := make([]*plan, *callsFlag)
	for i := range made {
		made[i] = draw(rng, c.name, i, c.mix)
		script.add(made[i])
	}
	var wg sync.WaitGroup
	var next atomic.Int64
	for range c.callers {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(made)); i = next.Add(1) - 1 {
				call(ctx, t, h, url, made[i])
			}
		})
	}
	wg.Wait()
	h.CloseIdleConnections()
	return made
}

// call makes one call and hears nothing of it but how long to wait.
func call(ctx context.Context, t *testing.T, h *http.Client, url string, p *plan) {
	var body io.Reader
	if p.method == http.MethodPost || p.method == http.MethodPut {
		body = strings.NewReader("body")
	}
	own := p.context()
	defer p.leave()
	req, err := http.NewRequestWithContext(own, p.method, url+p.path, body)
	if err != nil {
		t.Error(err)
		return
	}
	req.Header.Set("X-Test-Call", p.id)
	resp, err := h.Do(req)
	if err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		return
	}
	if wait, ok := errors.RetryAfter(err); ok && p.patient && errors.KindOf(err) == errors.CircuitOpen {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
}

// expect adds what has to be counted for the client, by the ledger.
func (c *client) expect(t *testing.T, want counts, made []*plan, srv *fault.Server) {
	t.Helper()
	add := func(name string, labels ...string) {
		want.add(name, append(labels, "service", c.name)...)
	}
	trips := &trips{state: breaker.Closed}
	if c.name == "serial" {
		trips.follow(t, made, srv)
	}
	for _, p := range made {
		entries := srv.ByCall(p.id)
		require.LessOrEqual(t, len(entries), maxAttempts)
		kind, stop := c.refusal, c.stop
		var last meaning
		for n, e := range entries {
			if n > 0 {
				add("http_client_retries_total", "reason", last.reason)
			}
			last = meaningOf(t, p, n, e)
			add("http_client_attempts_total", "reason", last.reason)
			add("http_client_attempt_duration_seconds", "delivery", last.delivery.String())
			if last.failure && c.cfg.Breaker.Mode != breaker.Disabled && !(last.cut && trips.probes[e.Seq]) {
				add("circuit_breaker_failures_total")
			}
			kind, stop = last.kind, c.stopAfter(p, n, last)
		}
		outcome := cmp.Or(string(kind), "success")
		add("http_client_calls_total", "method", p.method, "outcome", outcome)
		if len(entries) > 0 {
			add("http_client_call_duration_seconds", "outcome", outcome)
		}
		if stop != "" {
			add("http_client_stops_total", "reason", string(stop))
		}
		if stop == errors.StopBreakerOpen {
			add("circuit_breaker_rejections_total")
		}
		if c.name == "limited" {
			for range entries {
				want.add("rate_limit_decisions_total", "decision", "allowed", "limiter", "out")
			}
			if stop == errors.StopRateLimited {
				want.add("rate_limit_decisions_total", "decision", "denied", "limiter", "out")
				want.add("rate_limit_rejections_total", "limiter", "out", "policy", "out")
			}
		}
	}
	for step, n := range trips.steps {
		for range n {
			add("circuit_breaker_transitions_total", "from", step[0].String(), "to", step[1].String())
			if step[1] == breaker.Open {
				add("circuit_breaker_opens_total")
			}
		}
	}
}

// stopAfter is why no attempt followed the n-th one, from 0, of those that arrived.
func (c *client) stopAfter(p *plan, n int, m meaning) errors.Stop {
	switch {
	case m.delivery == errors.Delivered:
		return ""
	case m.stop != "":
		return m.stop
	case m.delivery == errors.Unknown && p.method == http.MethodPost:
		return errors.StopUnsafeMethod
	case n+1 == maxAttempts:
		return errors.StopExhausted
	case m.asked:
		return errors.StopRateLimited
	default:
		return c.stop
	}
}

// trips is a breaker of three in a row by its results alone. Whenever a request arrived while it was open, the time was over:
// so no clock is needed, as long as one comes after the other.
type trips struct {
	state  breaker.State
	row    int
	steps  map[[2]breaker.State]int
	probes map[uint64]bool
}

func (b *trips) to(s breaker.State) {
	b.steps[[2]breaker.State{b.state, s}]++
	b.state, b.row = s, 0
}

func (b *trips) follow(t *testing.T, made []*plan, srv *fault.Server) {
	t.Helper()
	b.steps, b.probes = make(map[[2]breaker.State]int), make(map[uint64]bool)
	for _, p := range made {
		for n, e := range srv.ByCall(p.id) {
			m := meaningOf(t, p, n, e)
			if b.state == breaker.Open {
				b.to(breaker.HalfOpen)
			}
			probe := b.state == breaker.HalfOpen
			b.probes[e.Seq] = probe
			switch {
			case m.failure && !(probe && m.cut): // a probe counts by the first bytes of its body
				if b.row++; probe || b.row == 3 {
					b.to(breaker.Open)
				}
			case m.delivery == errors.Delivered:
				if b.row = 0; probe {
					b.to(breaker.Closed)
				}
			}
		}
	}
}

// scrape returns the counters, and of histograms the counts. What is zero is left out.
func scrape(t *testing.T, reg prometheus.Gatherer) counts {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	all := counts{}
	for _, f := range families {
		for _, metric := range f.GetMetric() {
			var labels []string
			for _, l := range metric.GetLabel() {
				if l.GetValue() != "" {
					labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
				}
			}
			n := metric.GetCounter().GetValue() + float64(metric.GetHistogram().GetSampleCount())
			if n != 0 && !strings.HasPrefix(f.GetName(), "http_server_request_duration") {
				all[f.GetName()+"{"+strings.Join(labels, ",")+"}"] = int(n)
			}
			if strings.HasPrefix(f.GetName(), "http_client_in_flight_calls") && !strings.HasSuffix(f.GetName(), "limit") {
				require.Zero(t, metric.GetGauge().GetValue(), "nothing is under way")
			}
		}
	}
	return all
}

// assertEqual names each counter that differs.
func assertEqual(t *testing.T, want, got counts) bool {
	t.Helper()
	same := true
	names := make(map[string]struct{})
	for name := range want {
		names[name] = struct{}{}
	}
	for name := range got {
		names[name] = struct{}{}
	}
	for name := range names {
		if want[name] != got[name] {
			same = false
			t.Errorf("%s is %d, and %d by the vendor", name, got[name], want[name])
		}
	}
	return same
}

// summary adds counters up by name, so that a run that tests nothing shows.
func summary(all counts) string {
	sums := map[string]int{}
	for name, n := range all {
		metric, _, _ := strings.Cut(name, "{")
		sums[metric] += n
	}
	var lines []string
	for name, n := range sums {
		lines = append(lines, fmt.Sprintf("%s %d", name, n))
	}
	slices.Sort(lines)
	return strings.Join(lines, ", ")
}
