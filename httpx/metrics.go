package httpx

import (
	"net/http"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx/internal/expiry"
	"github.com/prusik-go/prusik/metrics"
	"github.com/prusik-go/prusik/ratelimit"
)

// breakerHooks are those of the breaker, and before them the counters'.
func (c *Config) breakerHooks() breaker.Hooks {
	if c.Metrics == nil {
		return c.Breaker.Hooks
	}
	return breaker.JoinHooks(c.Metrics.BreakerHooks(), c.Breaker.Hooks)
}

// limiterHooks are those of the limiters of the profile's rates.
func (c *Config) limiterHooks() ratelimit.Hooks {
	if c.Metrics == nil {
		return ratelimit.Hooks{}
	}
	return c.Metrics.LimiterHooks()
}

// show lets what is on the path be read at a scrape.
func (t *Transport) show() error {
	m := t.cfg.Metrics
	if m == nil {
		return nil
	}
	read := metrics.ClientConfig{InFlight: t.InFlight, MaxInFlight: max(t.cfg.MaxConcurrent, 0), Policies: t.policies}
	if t.budget != nil {
		read.Budget = t.BudgetLeft
	}
	var err error
	if t.meter, err = m.Client(t.name, read); err != nil {
		return err
	}
	m.AddBreaker(t.breaker)
	m.AddBreakers(t.hosts)
	for i := range t.gates {
		m.AddLimiter(t.gates[i].own)
	}
	if g := t.cfg.governed; g != nil {
		m.AddFlags(g.set)
	}
	return nil
}

// policies are what is on the path now.
func (t *Transport) policies() []string {
	var all []string
	for _, stage := range t.Explain().Stages {
		all = append(all, stage.Policy)
	}
	return all
}

// meterAttempt counts the attempt that is over.
func (c *call) meterAttempt() {
	if m := c.t.meter; m != nil {
		v := &c.last.verdict
		c.countAttempt(m, metrics.Attempt{Reason: v.Reason, Delivery: v.Delivery, Duration: c.took})
	}
}

func (c *call) countAttempt(m *metrics.Client, a metrics.Attempt) {
	c.uncounted = false
	if c.n > 1 {
		a.Retries = c.history()[c.n-2].Reason
	} else {
		c.trace = m.Trace(c.ctx())
	}
	a.TraceID = c.trace
	m.Attempted(a)
}

// meter counts the call that is over, once, with r as its last result. bodyErr is what its streamed body ended with.
func (e *entry) meter(r *result, err *errors.Error, bodyErr error) {
	m := e.t.meter
	if m == nil || e.tallied {
		return
	}
	e.tallied = true
	ended := metrics.Call{Method: e.req.Method, Stop: e.stop, Attempts: int(e.n), Duration: e.now - e.start, TraceID: e.trace}
	switch {
	case err != nil:
		ended.Kind = err.Kind
	case errors.Is(bodyErr, http.ErrBodyReadAfterClose):
		ended.Kind = errors.Canceled
	case bodyErr != nil:
		ended.Kind = errors.KindOf(bodyErr)
	case r.verdict.Delivery != errors.Delivered:
		ended.Kind = kindOf(r.verdict, r.status())
	}
	if e.stop != "" && e.n > 0 {
		ended.Duration = expiry.Now() - e.start // the last reading may be from before a wait
	}
	m.Ended(ended)
}

// meterAbandoned counts a call that does not return, and its last attempt where that had no result.
func (c *call) meterAbandoned() {
	m := c.t.meter
	if m == nil || c.tallied {
		return
	}
	if c.uncounted {
		c.countAttempt(m, metrics.Attempt{Reason: "panic", Duration: expiry.Now() - c.now})
	}
	c.entry.meterAbandoned()
}

func (e *entry) meterAbandoned() {
	m := e.t.meter
	if m == nil || e.tallied {
		return
	}
	e.tallied = true
	ended := metrics.Call{Method: e.req.Method, Kind: errors.Internal, Attempts: int(e.n), TraceID: e.trace}
	if e.n > 0 {
		ended.Duration = expiry.Now() - e.start
	}
	m.Ended(ended)
}
