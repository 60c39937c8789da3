package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/prusik-go/prusik/ratelimit"
)

func (c *core) defineLimiters() {
	c.decisions = c.counter("rate_limit_decisions_total",
		"Decisions: allowed, denied, would_deny (in shadow) or exempt. What could not be decided is in rate_limit_store_errors_total and rate_limit_request_errors_total.",
		"limiter", "decision")
	c.limitRejects = c.counter("rate_limit_rejections_total",
		"Refusals, those of shadow included, by the limit that refused.",
		"limiter", "policy")
	c.storeErrors = c.counter("rate_limit_store_errors_total",
		"Decisions that the store could not make, by what was done instead: open, closed or local.",
		"limiter", "outage")
	c.requestErrors = c.counter("rate_limit_request_errors_total",
		"Requests that had no key, or asked for what cannot be decided.",
		"limiter")
	c.pauses = c.counter("rate_limit_pauses_total",
		"Refusals of a vendor for its rate that stopped all who send to it.",
		"limiter")
	c.evictions = c.counter("rate_limit_evictions_total",
		"Keys that had to go before their buckets were full, because there were too many.",
		"limiter")
	c.limiterKeys = c.gauge("rate_limit_keys",
		"Keys in the memory of the limiter.",
		"limiter")
}

// limiter is what is counted for one limiter, or for those of one name.
type limiter struct {
	label                            string
	decisions                        [ratelimit.Exempt + 1]prometheus.Counter
	rejects                          *table[string, prometheus.Counter]
	outages                          [ratelimit.LocalShare + 1]lazy[prometheus.Counter]
	requestErrors, pauses, evictions prometheus.Counter
}

func (c *core) newLimiter(name string) *limiter {
	l := &limiter{
		label: name, requestErrors: c.requestErrors.WithLabelValues(name), pauses: c.pauses.WithLabelValues(name),
		evictions: c.evictions.WithLabelValues(name),
	}
	for v := ratelimit.Allowed; v <= ratelimit.Exempt; v++ {
		l.decisions[v] = c.decisions.WithLabelValues(name, v.String())
	}
	l.rejects = newTable(ratelimit.MaxLimits, other, func(policy string) *prometheus.Counter {
		counter := c.limitRejects.WithLabelValues(name, text(policy))
		return &counter
	})
	return l
}

// LimiterHooks counts what limiters do: set them as [ratelimit.Config.Hooks], with hooks of your own by
// [ratelimit.JoinHooks], and add the limiter with [Metrics.AddLimiter]. One value serves any number of limiters. The limits
// that an httpx client takes from its vendor's profile need none of it; a limiter in its Config.Limiter does.
func (m *Metrics) LimiterHooks() ratelimit.Hooks {
	of := remember(m.c.limiters.get)
	return ratelimit.Hooks{
		OnDecision: func(e ratelimit.DecisionEvent) {
			if e.Verdict == 0 || e.Verdict > ratelimit.Exempt {
				return
			}
			l := of(e.Name)
			l.decisions[e.Verdict].Inc()
			if e.Policy != "" {
				(*l.rejects.get(e.Policy)).Inc()
			}
		},
		OnError: func(e ratelimit.ErrorEvent) {
			l := of(e.Name)
			if e.Outage == 0 || e.Outage > ratelimit.LocalShare {
				l.requestErrors.Inc()
				return
			}
			l.outage(m.c, e.Outage).Inc()
		},
		OnPause:  func(e ratelimit.PauseEvent) { of(e.Name).pauses.Inc() },
		OnLimits: func(e ratelimit.LimitsEvent) { of(e.Name).expect(e.New) },
	}
}

// expect shows the refusals of limits from the start, so that the first one shows in an increase.
func (l *limiter) expect(limits ratelimit.Limits) {
	for _, limit := range limits {
		l.rejects.get(limit.Name)
	}
}

func (l *limiter) outage(c *core, o ratelimit.Outage) prometheus.Counter {
	return *l.outages[o].get(func() prometheus.Counter { return c.storeErrors.WithLabelValues(l.label, o.String()) })
}

// AddLimiter shows how many keys l holds and has evicted, read at each scrape, as long as the program uses l. Nil is
// ignored, and adding twice is adding once. Limiters of one name are added up.
func (m *Metrics) AddLimiter(l *ratelimit.Limiter) {
	if l == nil {
		return
	}
	c := m.c
	series, cfg := c.limiters.get(l.Name()), l.Config()
	if cfg.Store != nil {
		series.outage(c, cfg.OnOutage) // from the start, so that the first one shows in an increase
	}
	for _, limit := range cfg.Limits {
		series.rejects.get(limit.Name)
	}
	series.expect(cfg.Limits)
	c.limiterMemories.add(l)
}

func (c *core) collectLimiters(ch chan<- prometheus.Metric) {
	c.scrape.Lock()
	defer c.scrape.Unlock()
	keys := make(map[*limiter]int)
	for l, seen := range c.limiterMemories.live() {
		s, series := l.Snapshot(), c.limiters.get(l.Name())
		keys[series] += s.Keys
		if s.Evictions > *seen { // a counter must not fall where one of several limiters goes
			series.evictions.Add(float64(s.Evictions - *seen))
			*seen = s.Evictions
		}
	}
	for series, n := range keys {
		read(ch, c.limiterKeys, float64(n), series.label)
	}
}
