package metrics

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/prusik-go/prusik/breaker"
)

func (c *core) defineBreakers() {
	c.breakerState = c.gauge("circuit_breaker_state",
		"State of the breaker: 0 closed, 1 half-open, 2 open, 3 forced open, 4 disabled. An open breaker stays open until a call comes; see circuit_breaker_ready_to_probe.",
		"service", "key")
	c.breakerReady = c.gauge("circuit_breaker_ready_to_probe",
		"1 where the next call would be a probe: the breaker is open and its wait is over, or half-open with a place free.",
		"service", "key")
	c.breakerWait = c.gauge("circuit_breaker_next_probe_seconds",
		"Time until the next probe; 0 where a call would pass, and where the breaker is open by command.",
		"service", "key")
	c.breakerShadow = c.gauge("circuit_breaker_shadow",
		"1 where the breaker only watches and refuses nothing, whatever its state.",
		"service", "key")
	c.breakerFailures = c.counter("circuit_breaker_failures_total",
		"Results that count as failures, those that came too late to count included.",
		"service", "key")
	c.breakerOpens = c.counter("circuit_breaker_opens_total",
		"How often the breaker has opened by itself.",
		"service", "key")
	c.breakerTransitions = c.counter("circuit_breaker_transitions_total",
		"Changes of state.",
		"service", "key", "from", "to")
	c.breakerRejects = c.counter("circuit_breaker_rejections_total",
		"Calls that the breaker refused.",
		"service", "key")
	c.wouldReject = c.counter("circuit_breaker_shadow_rejections_total",
		"Calls that a breaker in shadow let through and would have refused.",
		"service", "key")
}

// breakerSeries are the series of one breaker, or of those that share its labels.
type breakerSeries struct {
	service, key string
	counts       [breaker.CountShadowRejection + 1]prometheus.Counter
	opens        prometheus.Counter
	transitions  [5][5]lazy[prometheus.Counter]
}

func (c *core) newBreakerSeries(service, key string) *breakerSeries {
	s := &breakerSeries{
		service: service, key: key, opens: c.breakerOpens.WithLabelValues(service, key),
		counts: [...]prometheus.Counter{
			breaker.CountFailure:         c.breakerFailures.WithLabelValues(service, key),
			breaker.CountRejection:       c.breakerRejects.WithLabelValues(service, key),
			breaker.CountShadowRejection: c.wouldReject.WithLabelValues(service, key),
		},
	}
	for _, step := range [][2]breaker.State{
		{breaker.Closed, breaker.Open}, {breaker.Open, breaker.HalfOpen}, {breaker.HalfOpen, breaker.Open}, {breaker.HalfOpen, breaker.Closed},
	} {
		s.transition(c, step[0], step[1]) // from the start, so that the first one shows in an increase
	}
	return s
}

func (s *breakerSeries) transition(c *core, from, to breaker.State) prometheus.Counter {
	return *s.transitions[from][to].get(func() prometheus.Counter {
		return c.breakerTransitions.WithLabelValues(s.service, s.key, from.String(), to.String())
	})
}

// breaker finds the series of a breaker by its name. Those of a [breaker.Group] are named for group and key.
func (c *core) breaker(name string) *breakerSeries {
	service, key, _ := strings.Cut(name, "/")
	return c.services.get(service).breakers.get(key)
}

// BreakerHooks counts what happens to breakers: set them as [breaker.Config.Hooks], with hooks of your own by
// [breaker.JoinHooks], and add the breaker with [Metrics.AddBreaker]. One value serves any number of breakers. An httpx
// client needs none of it, but its Config.Metrics.
//
// The service label is the breaker's name; in a group it is the group's, and the key label the rest.
func (m *Metrics) BreakerHooks() breaker.Hooks {
	of := remember(m.c.breaker)
	return breaker.Hooks{
		OnTransition: func(e breaker.TransitionEvent) {
			s := of(e.Name)
			s.transition(m.c, e.From, e.To).Inc()
			if e.To == breaker.Open {
				s.opens.Inc()
			}
		},
		OnCount: func(e breaker.CountEvent) { of(e.Name).counts[e.What].Inc() },
	}
}

// AddBreaker shows the state of b, read at each scrape, as long as the program uses b. Nil is ignored, and adding
// twice is adding once. Where several breakers have one name, the worst state is shown.
func (m *Metrics) AddBreaker(b *breaker.Breaker) {
	if b != nil {
		m.c.breaker(b.Name())
		m.c.breakers.add(b)
	}
}

// AddBreakers is [Metrics.AddBreaker] for all breakers of a group, those it has at the time of the scrape. Of one service,
// 64 keys have series of their own; the later ones share key "other", which shows the worst state of them.
func (m *Metrics) AddBreakers(g *breaker.Group) { m.c.groups.add(g) }

func (c *core) collectBreakers(ch chan<- prometheus.Metric) {
	worst := make(map[*breakerSeries]breaker.Snapshot)
	see := func(b *breaker.Breaker) {
		now, at := b.Snapshot(), c.breaker(b.Name())
		if before, ok := worst[at]; !ok || worse(&now, &before) {
			worst[at] = now
		}
	}
	for b := range c.breakers.live() {
		see(b)
	}
	for g := range c.groups.live() {
		for b := range g.All() {
			see(b)
		}
	}
	for at, s := range worst {
		read(ch, c.breakerState, float64(s.State), at.service, at.key)
		read(ch, c.breakerReady, toFloat(s.ReadyToProbe), at.service, at.key)
		read(ch, c.breakerWait, s.RetryAfter.Seconds(), at.service, at.key)
		read(ch, c.breakerShadow, toFloat(s.Shadow), at.service, at.key)
	}
}

// worse reports whether a lets less through than b.
func worse(a, b *breaker.Snapshot) bool {
	rank := func(s *breaker.Snapshot) int {
		switch s.State {
		case breaker.ForcedOpen:
			return 4
		case breaker.Open:
			return 3
		case breaker.HalfOpen:
			return 2
		case breaker.DisabledState:
			return 1
		default:
			return 0
		}
	}
	if ra, rb := rank(a), rank(b); ra != rb {
		return ra > rb
	}
	return a.RetryAfter > b.RetryAfter
}
