package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/prusik-go/prusik/flags"
)

func (c *core) defineFlags() {
	c.flagEnabled = c.gauge("feature_flag_enabled",
		"1 where the flag is on, 0 where it is off; of flags that are true or false.",
		"flag")
	c.flagValue = c.gauge("feature_flag_value",
		"The value of a flag that is a number, of a duration in seconds. A secret has none.",
		"flag")
	c.flagOverridden = c.gauge("feature_flag_overridden",
		"1 where the value is an override at run time.",
		"flag")
	c.flagChanges = c.counter("feature_flag_changes_total",
		"Changes at run time by their cause: overridden, cleared, expired, followed or loaded.",
		"flag", "cause")
	c.flagRefusals = c.counter("feature_flag_refusals_total",
		"Changes at run time that were refused.",
		"flag")
	c.flagRejections = c.counter("feature_flag_gate_rejections_total",
		"Requests that a gate turned away because its flag is off.",
		"flag")
}

// flagSeries is what is counted of one flag.
type flagSeries struct {
	label                string
	changes              map[flags.Cause]*lazy[prometheus.Counter]
	refusals, rejections lazy[prometheus.Counter]
}

func (c *core) newFlag(name string) *flagSeries {
	s := &flagSeries{label: name, changes: make(map[flags.Cause]*lazy[prometheus.Counter])}
	for _, cause := range []flags.Cause{flags.Overridden, flags.Cleared, flags.Expired, flags.Followed, flags.Loaded} {
		s.changes[cause] = new(lazy[prometheus.Counter])
	}
	return s
}

// AddFlags shows the values of the set's flags, read at each scrape, as long as the program uses the set, and counts what
// happens to them from now on. Values are labels nowhere. Nil is ignored, and adding twice is adding once. Where flags of
// several sets have one name, the greatest value is shown. An httpx client whose Config is of httpx.FromFlags needs none of it.
func (m *Metrics) AddFlags(s *flags.Set) {
	if c := m.c; c.flagSets.add(s) {
		s.AddHooks(flags.Hooks{OnChange: c.flagChanged, OnRefusal: c.flagRefused, OnGate: c.flagRejected})
	}
}

func (c *core) flagChanged(e flags.ChangeEvent) {
	s := c.flags.get(e.Flag)
	if counter := s.changes[e.Cause]; counter != nil {
		(*counter.get(c.series(c.flagChanges, s.label, string(e.Cause)))).Inc()
	}
}

func (c *core) flagRefused(e flags.RefusalEvent) {
	s := c.flags.get(e.Flag)
	(*s.refusals.get(c.series(c.flagRefusals, s.label))).Inc()
}

func (c *core) flagRejected(e flags.GateEvent) {
	s := c.flags.get(e.Flag)
	(*s.rejections.get(c.series(c.flagRejections, s.label))).Inc()
}

func (*core) series(v *prometheus.CounterVec, labels ...string) func() prometheus.Counter {
	return func() prometheus.Counter { return v.WithLabelValues(labels...) }
}

func (c *core) collectFlags(ch chan<- prometheus.Metric) {
	type reading struct {
		number               *float64
		isBool, isOverridden bool
	}
	now := make(map[*flagSeries]reading)
	for s := range c.flagSets.live() {
		for _, f := range s.List().Flags {
			at := c.flags.get(f.Name)
			r := now[at]
			r.isBool, r.isOverridden = f.Type == "bool", r.isOverridden || f.Source == flags.FromOverride
			if f.Number != nil && (r.number == nil || *f.Number > *r.number) {
				r.number = f.Number
			}
			now[at] = r
		}
	}
	for at, r := range now {
		read(ch, c.flagOverridden, toFloat(r.isOverridden), at.label)
		switch {
		case r.number == nil:
		case r.isBool:
			read(ch, c.flagEnabled, *r.number, at.label)
		default:
			read(ch, c.flagValue, *r.number, at.label)
		}
	}
}
