package metrics

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/internal/check"
)

func (c *core) defineClients() {
	c.calls = c.counter("http_client_calls_total",
		"Calls that have ended, with all their attempts, by outcome: success, or the kind of the error. A streamed body belongs to its call.",
		"service", "method", "outcome")
	c.callSeconds = c.histogram("http_client_call_duration_seconds",
		"Time from the call to its answer's headers or its error, with all attempts and waits. Calls of which nothing was sent are not in it.",
		"service", "outcome")
	c.attempts = c.counter("http_client_attempts_total",
		"Attempts sent, by what became of them: success, the status, or why there was none.",
		"service", "reason")
	c.attemptSeconds = c.histogram("http_client_attempt_duration_seconds",
		"Time from the sending of an attempt to its answer's headers or its failure, by what is known of the request at the vendor: delivered, rejected, unknown or not_sent.",
		"service", "delivery")
	c.retries = c.counter("http_client_retries_total",
		"Attempts after the first one of a call, by the reason of the attempt before.",
		"service", "reason")
	c.stops = c.counter("http_client_stops_total",
		"Calls that ended without success, by why no further attempt was made.",
		"service", "reason")
	c.inFlight = c.gauge("http_client_in_flight_calls",
		"Calls under way. One whose body streams is under way until the body ends.",
		"service")
	c.inFlightLimit = c.gauge("http_client_in_flight_calls_limit",
		"The most calls that may be under way at a time. Absent where there is no limit.",
		"service")
	c.budget = c.gauge("http_client_retry_budget_ratio",
		"Share of the retry budget that is left, 0 to 1. Absent where there is no budget.",
		"service")
	c.policy = c.gauge("resilience_policy_info",
		"1 for each policy that is in the pipeline of the service's client.",
		"service", "policy")
}

// clientSeries are the series of one service's clients.
type clientSeries struct {
	label          string
	calls          [numMethods][maxOutcomes]lazy[prometheus.Counter]
	callSeconds    [maxOutcomes]lazy[histogram]
	reasons        *table[string, reasonSeries]
	recent         atomic.Pointer[reasonSeries] // an outage has one reason
	succeeded      prometheus.Counter           // the usual reason
	attemptSeconds [errors.Delivered + 1]lazy[histogram]
	stops          []prometheus.Counter // in the order of core.stopReasons, and other
	ready          sync.Once
}

type reasonSeries struct {
	reason, label     string
	attempts, retries lazy[prometheus.Counter]
}

func (c *core) initClient(s *service) {
	cs := &s.client
	cs.label = s.label
	cs.reasons = newTable(maxReasons, other, func(reason string) *reasonSeries { return &reasonSeries{reason: reason, label: text(reason)} })
}

// begin makes what is to be there from the start, so that the first one shows in an increase.
func (s *clientSeries) begin(c *core) {
	s.ready.Do(func() {
		for _, stop := range append(errors.Stops(), other) {
			s.stops = append(s.stops, c.stops.WithLabelValues(s.label, string(stop)))
		}
		s.succeeded = s.attempt(c, success)
	})
}

func (s *clientSeries) call(c *core, method uint8, outcome int) prometheus.Counter {
	return *s.calls[method][outcome].get(func() prometheus.Counter {
		return c.calls.WithLabelValues(s.label, methods()[method], c.outcomes[outcome])
	})
}

func (s *clientSeries) callTime(c *core, outcome int) *histogram {
	return s.callSeconds[outcome].get(func() histogram {
		return c.newHistogram(c.callSeconds, s.label, c.outcomes[outcome])
	})
}

func (s *clientSeries) reason(reason string) *reasonSeries {
	if r := s.recent.Load(); r != nil && r.reason == reason {
		return r
	}
	r := s.reasons.get(reason)
	s.recent.Store(r)
	return r
}

func (s *clientSeries) attempt(c *core, reason string) prometheus.Counter {
	r := s.reason(reason)
	return *r.attempts.get(func() prometheus.Counter { return c.attempts.WithLabelValues(s.label, r.label) })
}

func (s *clientSeries) retry(c *core, reason string) prometheus.Counter {
	r := s.reason(reason)
	return *r.retries.get(func() prometheus.Counter { return c.retries.WithLabelValues(s.label, r.label) })
}

func (s *clientSeries) attemptTime(c *core, d errors.Delivery) *histogram {
	return s.attemptSeconds[d].get(func() histogram { return c.newHistogram(c.attemptSeconds, s.label, d.String()) })
}

// Client counts what one client does. An httpx client makes its own; it is exported for clients built another way.
type Client struct {
	m      *Metrics
	cfg    ClientConfig
	series *clientSeries
}

// ClientConfig says what can be read of a client at a scrape. The zero value shows nothing but counters.
type ClientConfig struct {
	// InFlight is the number of calls under way, MaxInFlight the most there may be; nil and zero: not shown.
	InFlight    func() int
	MaxInFlight int
	// Budget is the share of the retry budget that is left. Nil: there is none.
	Budget func() float64
	// Policies returns the policies that are in the client's pipeline, each a short word. It is called at each scrape. Nil: none.
	Policies func() []string
}

// Client returns the instruments of the client called service: 1 to 64 letters, digits, ".", "_" or "-", else an error.
// What cfg shows is shown as long as the program uses the Client. Several Clients of one service share their
// series: calls in flight are added up, of budgets the smallest is shown.
func (m *Metrics) Client(service string, cfg ClientConfig) (*Client, error) {
	f := check.New("metrics client", service)
	if f.Name(service); f.Err() != nil {
		return nil, f.Err()
	}
	c := &Client{m: m, cfg: cfg, series: &m.c.services.get(service).client}
	c.series.begin(m.c)
	m.c.clients.add(c)
	return c, nil
}

// Call is one call that has ended.
type Call struct {
	// Method is the request's. One that is not among RFC 9110's, or PATCH, is counted as "other"; empty is GET.
	Method string
	// Kind is the kind of its error, or of its answer where that means a failure; empty for a success.
	Kind errors.Kind
	// Stop is why no further attempt was made; empty for a success.
	Stop errors.Stop
	// Attempts is how many were sent. Where it is zero, Duration is not known.
	Attempts int
	// Duration is the time to the answer's headers or the error.
	Duration time.Duration
	// TraceID is what [Client.Trace] has found for it.
	TraceID string
}

// Trace is the id of the trace of ctx, for an exemplar, where it is sampled, and else empty. Look once a call: it costs more
// than most of what is counted.
func (c *Client) Trace(ctx context.Context) string { return c.m.sampled(ctx) }

// Ended counts a call. It allocates nothing, but for the first call of its sort.
func (c *Client) Ended(e Call) {
	o := c.m.c.outcome(e.Kind)
	c.series.call(c.m.c, method(e.Method), o).Inc()
	if e.Stop != "" {
		c.series.stops[c.m.c.stop(e.Stop)].Inc()
	}
	if e.Attempts > 0 {
		c.series.callTime(c.m.c, o).observe(c.m.c, e.Duration, e.TraceID)
	}
}

// Attempt is one attempt that is over.
type Attempt struct {
	// Reason is why it failed, as in [errors.Attempt]; empty for a success. Of one service, 50 reasons are told apart.
	Reason string
	// Delivery is what is known of it at the vendor.
	Delivery errors.Delivery
	// Retries is the reason of the attempt before, which this one repeats; empty for the first one of a call.
	Retries string
	// Duration is the time to the answer's headers or the failure.
	Duration time.Duration
	// TraceID is what [Client.Trace] has found for its call.
	TraceID string
}

// Attempted counts an attempt. It allocates nothing, but for the first of its sort.
func (c *Client) Attempted(a Attempt) {
	if a.Reason == "" {
		c.series.succeeded.Inc()
	} else {
		c.series.attempt(c.m.c, a.Reason).Inc()
	}
	if a.Retries != "" {
		c.series.retry(c.m.c, a.Retries).Inc()
	}
	c.series.attemptTime(c.m.c, min(a.Delivery, errors.Delivered)).observe(c.m.c, a.Duration, a.TraceID)
}

func (c *core) collectClients(ch chan<- prometheus.Metric) {
	type sum struct {
		inFlight, limit  float64
		counted, limited bool
		budget           float64
		budgeted         bool
		policies         map[string]struct{}
	}
	sums := make(map[*clientSeries]*sum)
	for cl := range c.clients.live() {
		s := sums[cl.series]
		if s == nil {
			s = &sum{policies: make(map[string]struct{})}
			sums[cl.series] = s
		}
		if f := cl.cfg.InFlight; f != nil {
			s.counted, s.inFlight = true, s.inFlight+float64(f())
		}
		if n := cl.cfg.MaxInFlight; n > 0 {
			s.limited, s.limit = true, s.limit+float64(n)
		}
		if f := cl.cfg.Budget; f != nil {
			if left := f(); !s.budgeted || left < s.budget {
				s.budgeted, s.budget = true, left
			}
		}
		if f := cl.cfg.Policies; f != nil {
			for _, p := range f() {
				if len(s.policies) >= maxPolicies {
					p = other
				}
				s.policies[text(p)] = struct{}{}
			}
		}
	}
	for series, s := range sums {
		if s.counted {
			read(ch, c.inFlight, s.inFlight, series.label)
		}
		if s.limited {
			read(ch, c.inFlightLimit, s.limit, series.label)
		}
		if s.budgeted {
			read(ch, c.budget, s.budget, series.label)
		}
		for p := range s.policies {
			read(ch, c.policy, 1, series.label, p)
		}
	}
}
