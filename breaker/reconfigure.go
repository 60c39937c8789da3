package breaker

import (
	"slices"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"github.com/prusik-go/prusik/internal/check"
)

// Reconfigure changes the configuration of a breaker in use. cfg is a whole one, so start from the present:
//
//	cfg := b.Given()
//	cfg.OpenFor = 10 * time.Second
//	err := b.Reconfigure(cfg)
//
// Given and not Config: where nobody has set MaxOpenFor, it is ten times the new OpenFor, and not of the old.
//
// Everything that is wrong with cfg is reported at once, as by [New], and nothing is changed then. cfg.Hooks and cfg.Classify
// are ignored: those of New stay.
//
// State, generation, results under way, probes and the number of opens in succession are kept:
//
//   - Of a count window, the latest results are carried over in their order, as many as both windows hold. Of a time window,
//     what has not run out by now is carried over as if it had just come, for its times are not known: it may count for up to
//     a new Period more. A window of the other kind begins empty: what failed within a time says nothing of the last calls,
//     and these nothing of a time. Where these settings are the same, the window is not touched.
//   - A closed breaker that is over its new threshold with what was carried over opens at once, for [ReasonThreshold].
//   - One that is open waits for its new time from when it opened: a shorter one may be over already. A half-open one that has
//     had enough probes by now closes.
//   - A lease of a probe under way is as long as a new one, from when it began.
//   - A Mode of [Disabled] disables, unless the breaker is [ForcedOpen]; another Mode takes that back, closed and with nothing
//     counted. Neither takes back what [Breaker.Disable] or [Breaker.ForceOpen] did. [Shadow] and [Enabled] change no state.
//   - SlowCall judges calls that were begun when there was one, or a [Hooks.OnOutcome]: others were not timed.
//
// A call that asks at the same time sees the old configuration or the new one. A new window is filled under the breaker's
// lock: that takes some 30 ns a result, of at most Window of them, or 10,000 (or MinCalls, if more) of a time window.
func (b *Breaker) Reconfigure(cfg Config) error {
	given := b.Given()
	cfg.Hooks, cfg.Classify = given.Hooks, given.Classify
	faults := check.New("breaker", b.name)
	next := newSettings(cfg, faults)
	if err := faults.Err(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.unlock()
	b.reconfigure(next)
	return nil
}

// reconfigure takes on cfg, whose functions are those it has. mu is held.
func (b *Breaker) reconfigure(cfg *settings) {
	old := b.cfg()
	if b.hooks.OnReconfigure != nil {
		b.queue.push(event{reconfigure: &ReconfigureEvent{Name: b.name, Old: old.Config, New: cfg.Config}})
	}
	b.present.Store(cfg)
	b.probes.stretch(cfg.ProbeLease - old.ProbeLease)
	if !cfg.sameWindow(&old.Config) {
		b.window = carryOver(b.window, &old.Config, &cfg.Config)
	}
	switch state := b.current().state(); {
	case state == DisabledState && cfg.Mode != Disabled && !b.byCommand:
		b.restart(Closed, ReasonMode)
	case state != DisabledState && state != ForcedOpen && cfg.Mode == Disabled:
		b.restart(DisabledState, ReasonMode)
	case state == Closed && b.window.IsOpen():
		b.open(ReasonThreshold)
	case state == HalfOpen && b.successes >= cfg.ProbeSuccesses:
		b.restart(Closed, ReasonRecovered)
	case state == Open:
		b.wait()
	default:
	}
	b.publish(b.current())
}

func (c *Config) sameWindow(old *Config) bool {
	return c.Failures == old.Failures && c.Window == old.Window &&
		c.FailureRatio == old.FailureRatio && c.Period == old.Period && c.MinCalls == old.MinCalls
}

type window = circuitbreaker.CircuitBreaker[struct{}]

// carryOver returns a window of now's with the results of one that was of old's, and is of no use any more.
func carryOver(from window, old, now *Config) window {
	to := newWindow(now)
	switch {
	case old.timed() != now.timed():
	case now.timed():
		failures, successes := drainTimed(from)
		carryTimed(to, failures, successes, max(most, uint(now.MinCalls)))
	default:
		carryCounted(to, drainCounted(from, old.Window), now.Window)
	}
	return to
}

// drainTimed tells what a time window holds, as of now: it lets go of old results only when one is added.
func drainTimed(w window) (failures, successes uint) {
	w.RecordSuccess()
	m := w.Metrics()
	return m.Failures(), m.Successes() - 1
}

// most is how many results of a time window are carried over. It is judged by whole percents, and 10,000 keep hundredths.
const most = 10_000

// carryTimed adds successes first, so that the share of failures only grows and is at the end what it was. Of more than
// limit results the share is kept, and rounded up.
func carryTimed(w window, failures, successes, limit uint) {
	if all := failures + successes; all > limit {
		failures = (failures*limit + all - 1) / all
		successes = limit - failures
	}
	for range successes {
		w.RecordSuccess()
	}
	for range failures {
		w.RecordFailure()
	}
}

// drainCounted tells what a count window of that size holds, the oldest result first: each success that is added to a full
// window pushes one out.
func drainCounted(w window, size int) (failed []bool) {
	m := w.Metrics()
	held := int(m.Executions())
	if m.Failures() == 0 {
		return nil // none of it matters
	}
	for range size - held {
		w.RecordSuccess()
	}
	failed = make([]bool, held)
	before := m.Failures()
	for i := 0; before > 0; i++ {
		w.RecordSuccess()
		after := m.Failures()
		failed[i], before = after < before, after
	}
	return failed
}

// carryCounted adds the latest of them, from the first failure on: successes before it would change nothing.
func carryCounted(w window, failed []bool, size int) {
	for _, f := range failed[max(0, len(failed)-size):] {
		switch {
		case f:
			w.RecordFailure()
		case w.Metrics().Failures() > 0:
			w.RecordSuccess()
		}
	}
}

// Reconfigure changes the configuration of all breakers of the group, present and future, each as [Breaker.Reconfigure] does. A
// breaker that has lost its place in the group stays as it is. One that was reconfigured by itself is as the others then.
//
// Everything that is wrong with cfg is reported at once, and nothing is changed then. Breakers are changed one after the other:
// a call meanwhile may find one that is changed and another that is not yet.
func (g *Group) Reconfigure(cfg Config) error {
	given := g.Given()
	cfg.Hooks, cfg.Classify = given.Hooks, given.Classify
	faults := check.New("breaker group", g.name)
	next := newSettings(cfg, faults)
	if err := faults.Err(); err != nil {
		return err
	}
	g.mu.Lock()
	g.cfg = next
	g.round++
	round, all := g.round, g.all()
	g.mu.Unlock()
	for _, b := range slices.Backward(all) {
		b.mu.Lock()
		if b.round < round { // else a later call was faster here
			b.round = round
			b.reconfigure(next)
		}
		b.mu.Unlock()
		defer b.tell() // when all are changed
	}
	return nil
}

// tell delivers what is waiting.
func (b *Breaker) tell() {
	b.mu.Lock()
	b.unlock()
}
