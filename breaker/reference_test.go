package breaker_test

import (
	"math"
	"slices"
	"time"

	"github.com/prusik-go/prusik/breaker"
)

// model is the breaker as the documentation describes it, written without a look at the code: plain lists and wall
// times instead of counters, leases and generations.
type model struct {
	cfg breaker.Config
	// everyOutcome: there is an OnOutcome, and so every call is timed.
	everyOutcome bool

	state breaker.State
	// life changes with every change; a call remembers the one it began in.
	life int

	results []modelResult // of the window, oldest first
	opens   int
	opened  time.Time
	ready   time.Time
	command bool // disabled by Disable
	good    int  // probes that succeeded
	probes  []*modelCall

	reconfigured []breaker.ReconfigureEvent
	transitions  []breaker.TransitionEvent
	rejects      []breaker.RejectEvent
	outcomes     []breaker.OutcomeEvent
}

type modelResult struct {
	failed bool
	step   int64 // of the time window
}

type modelCall struct {
	life        int
	began       time.Time
	probe       bool
	shadow      bool // let through only because nothing is refused in shadow
	unaccounted bool // of a disabled breaker
	untimed     bool // begun when nobody cared
}

func newModel(cfg breaker.Config) *model {
	m := &model{cfg: cfg, life: 1}
	if cfg.Mode == breaker.Disabled {
		m.state = breaker.DisabledState
	}
	return m
}

func (m *model) timed() bool { return m.cfg.FailureRatio > 0 }
func (m *model) step() int64 { return time.Now().UnixNano() / int64(m.cfg.Period/10) }

func (m *model) inFlight() int {
	m.probes = slices.DeleteFunc(m.probes, func(c *modelCall) bool { return time.Since(c.began) >= m.cfg.ProbeLease })
	return len(m.probes)
}

// wait is the time to the next probe of an open or half-open breaker.
func (m *model) wait() time.Duration {
	if m.state == breaker.Open && time.Now().Before(m.ready) {
		return time.Until(m.ready)
	}
	if m.inFlight() < m.cfg.Probes {
		return 0
	}
	return min(time.Second, time.Until(m.probes[0].began.Add(m.cfg.ProbeLease)))
}

func (m *model) become(to breaker.State, why breaker.Reason, openFor time.Duration) {
	m.life++
	if to != m.state {
		m.transitions = append(m.transitions, breaker.TransitionEvent{
			Name: "vendor", From: m.state, To: to, Reason: why, At: time.Now(),
			OpenFor: openFor, Opens: m.opens, Shadow: m.cfg.Mode == breaker.Shadow,
		})
	}
	m.state = to
}

func (m *model) forget(to breaker.State, why breaker.Reason) {
	m.results, m.opens, m.opened, m.ready, m.command = nil, 0, time.Time{}, time.Time{}, false
	m.become(to, why, 0)
}

func (m *model) open(why breaker.Reason) {
	m.opens++
	m.opened = time.Now()
	m.become(breaker.Open, why, m.openFor())
}

// openFor is the time open, from when it opened.
func (m *model) openFor() time.Duration {
	openFor := m.cfg.OpenFor
	if m.cfg.MaxOpenFor > 0 {
		openFor = time.Duration(min(float64(m.cfg.MaxOpenFor), float64(openFor)*math.Pow(2, float64(m.opens-1))))
	}
	m.ready = m.opened.Add(openFor)
	return openFor
}

func (m *model) acquire() (c *modelCall, wait time.Duration, ok bool) {
	call := &modelCall{life: m.life, began: time.Now(), untimed: m.cfg.SlowCall == 0 && !m.everyOutcome}
	refuse := func(wait time.Duration) (*modelCall, time.Duration, bool) {
		shadow := m.cfg.Mode == breaker.Shadow
		m.rejects = append(m.rejects, breaker.RejectEvent{Name: "vendor", State: m.state, RetryAfter: wait, Shadow: shadow})
		if !shadow {
			return nil, wait, false
		}
		call.shadow = true
		return call, 0, true
	}
	switch m.state {
	case breaker.Closed:
		return call, 0, true
	case breaker.DisabledState:
		call.unaccounted = true
		return call, 0, true
	case breaker.ForcedOpen:
		return refuse(0)
	case breaker.Open, breaker.HalfOpen:
	}
	if wait := m.wait(); wait > 0 {
		return refuse(wait)
	}
	if m.state == breaker.Open {
		m.good = 0
		m.become(breaker.HalfOpen, breaker.ReasonReady, 0)
	}
	call.life, call.probe = m.life, true
	m.probes = append(m.probes, call)
	return call, 0, true
}

func (m *model) done(c *modelCall, o breaker.Outcome) {
	if c.unaccounted {
		return
	}
	e := breaker.OutcomeEvent{Name: "vendor", Outcome: o, Duration: time.Since(c.began), Shadow: c.shadow}
	if m.cfg.SlowCall > 0 && o == ok && !c.untimed && e.Duration >= m.cfg.SlowCall {
		e.Outcome, e.Slow = bad, true
	}
	held := true
	if c.probe {
		before := m.inFlight()
		m.probes = slices.DeleteFunc(m.probes, func(p *modelCall) bool { return p == c })
		held = len(m.probes) < before
	}
	e.Late = !c.shadow && (c.life != m.life || !held)
	m.outcomes = append(m.outcomes, e)
	if e.Late || e.Shadow || e.Outcome == ign {
		return
	}
	switch {
	case c.probe && e.Outcome == bad:
		m.open(breaker.ReasonProbeFailed)
	case c.probe:
		if m.good++; m.good >= m.cfg.ProbeSuccesses {
			m.forget(breaker.Closed, breaker.ReasonRecovered)
		}
	default:
		m.add(e.Outcome == bad)
		if m.tripped() {
			m.open(breaker.ReasonThreshold)
		}
	}
}

func (m *model) failures() (n int) {
	for _, r := range m.results {
		if r.failed {
			n++
		}
	}
	return n
}

func (m *model) add(failed bool) {
	if m.timed() {
		m.results = append(m.results, modelResult{failed: failed, step: m.step()})
		m.results = slices.DeleteFunc(m.results, func(r modelResult) bool { return r.step <= m.step()-10 })
		return
	}
	if !failed && m.failures() == 0 {
		return // documented: successes are added only while there is a failure
	}
	m.results = append(m.results, modelResult{failed: failed})
	m.results = m.results[max(0, len(m.results)-m.cfg.Window):]
}

func (m *model) tripped() bool {
	if !m.timed() {
		return m.failures() >= m.cfg.Failures
	}
	share := float64(m.failures()) / float64(len(m.results))
	return len(m.results) >= m.cfg.MinCalls && math.Round(share*100)/100 >= m.cfg.FailureRatio
}

func (m *model) snapshot() breaker.Snapshot {
	s := breaker.Snapshot{
		Name: "vendor", State: m.state, Shadow: m.cfg.Mode == breaker.Shadow,
		Failures: m.failures(), Calls: len(m.results), ProbesInFlight: m.inFlight(),
		Opens: m.opens, Generation: uint64(m.life),
	}
	switch m.state {
	case breaker.Closed, breaker.DisabledState:
	case breaker.Open, breaker.HalfOpen:
		s.RetryAfter = m.wait()
		s.ReadyToProbe = s.RetryAfter == 0
		s.WouldReject = !s.ReadyToProbe
		s.OpenedAt = m.opened
	case breaker.ForcedOpen:
		s.WouldReject = true
		s.OpenedAt = m.opened
	}
	if m.state == breaker.HalfOpen {
		s.ProbeSuccesses = m.good
	}
	return s
}

func (m *model) force() {
	if m.state != breaker.ForcedOpen {
		m.forget(breaker.ForcedOpen, breaker.ReasonForced)
		m.opened = time.Now()
	}
}

func (m *model) disable() {
	if m.state != breaker.DisabledState {
		m.forget(breaker.DisabledState, breaker.ReasonDisabled)
	}
	m.command = true
}

func (m *model) reconfigure(cfg breaker.Config) {
	m.reconfigured = append(m.reconfigured, breaker.ReconfigureEvent{Name: "vendor", Old: m.cfg, New: cfg})
	m.inFlight() // what has run out by the old lease is gone
	old := m.cfg
	m.cfg = cfg
	type shape struct {
		failures, window, minCalls int
		ratio                      float64
		period                     time.Duration
	}
	of := func(c breaker.Config) shape {
		return shape{c.Failures, c.Window, c.MinCalls, c.FailureRatio, c.Period}
	}
	if of(cfg) != of(old) {
		var kept []modelResult
		for _, r := range m.results {
			switch {
			case (old.Period > 0) != m.timed():
			case !m.timed():
				kept = append(kept, r)
			case r.step > time.Now().UnixNano()/int64(old.Period/10)-10:
				kept = append(kept, modelResult{failed: r.failed, step: m.step()})
			}
		}
		if !m.timed() {
			kept = kept[max(0, len(kept)-cfg.Window):]
			first := slices.IndexFunc(kept, func(r modelResult) bool { return r.failed })
			if first < 0 {
				first = len(kept)
			}
			kept = kept[first:]
		}
		m.results = kept
	}
	disabled := cfg.Mode == breaker.Disabled
	switch {
	case m.state == breaker.ForcedOpen:
	case m.state == breaker.DisabledState:
		if !disabled && !m.command {
			m.forget(breaker.Closed, breaker.ReasonMode)
		}
	case disabled:
		m.forget(breaker.DisabledState, breaker.ReasonMode)
	case m.state == breaker.Open:
		m.openFor()
	case m.state == breaker.HalfOpen && m.good >= cfg.ProbeSuccesses:
		m.forget(breaker.Closed, breaker.ReasonRecovered)
	case m.state == breaker.Closed && of(cfg) != of(old) && len(m.results) > 0 && m.tripped():
		m.open(breaker.ReasonThreshold)
	}
}

func (m *model) reset() {
	to := breaker.Closed
	if m.cfg.Mode == breaker.Disabled {
		to = breaker.DisabledState
	}
	m.forget(to, breaker.ReasonReset)
}
