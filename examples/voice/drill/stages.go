package drill

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/examples/internal/sim/fault"
)

// stageID numbers the stages of a drill.
type stageID int32

const (
	stageNormal stageID = iota
	stageFlaky
	stageErrors    // down: 503
	stageResets    // down: connections break
	stageRefused   // down: the port is closed
	stageBack      // up, and the breaker still open
	stageRecovered // up
	stages
)

func (s stageID) isDown() bool { return s >= stageErrors && s <= stageRefused }

// stage is a part of the drill.
type stage struct {
	mark  string
	ink   ink
	say   string
	begin func(context.Context) error
	least time.Duration
	until func() bool // nil: after least
}

func (d *drill) stages() []stage {
	s := d.rig.twilioSim
	return []stage{
		stageNormal: {"NORMAL", green, fmt.Sprintf("%d workers text and call people, and read texts", d.plan.workers()), func(context.Context) error {
			s.SetScript(d.well())
			return nil
		}, d.plan.normal, nil},
		stageFlaky: {"FLAKY", yellow, "slow at times, over its limit at times (429), failing at times (503)", func(context.Context) error {
			return d.script(d.flakiness()...)
		}, d.plan.flaky, func() bool { return d.saved("429") && d.saved("503") }},
		stageErrors: {"DOWN", red, "answers 503 to everything, and carries half of it out all the same", func(context.Context) error {
			return d.script(d.errors()...)
		}, d.plan.down, d.opened},
		stageResets: {"DOWN", red, "breaks every connection, at times after it has done what was asked", func(context.Context) error {
			return d.script(d.resets()...)
		}, 0, d.opened},
		stageRefused: {"DOWN", red, "closes its port: nobody can connect", func(ctx context.Context) error {
			d.leaked = letGo(ctx, d.rig.twilioHTTP, s.Server, d.plan.settle) // nothing is under way, as the breaker is open
			s.Down()
			return nil
		}, 0, d.opened},
		stageBack: {"UP", green, "is well again, and nobody has told the program", func(context.Context) error {
			s.SetScript(d.well())
			return s.Up()
		}, 0, d.closed},
		stageRecovered: {"NORMAL", green, "all is as before", func(context.Context) error { return nil }, d.plan.recovered, nil},
	}
}

// well is a vendor on a good day.
func (d *drill) well() fault.Script { return fault.Always(fault.Latency(d.plan.latency)) }

// script puts Twilio under a mix of faults, drawn for each request by its id: the same seed, the same faults.
func (d *drill) script(shares ...fault.Share) error {
	s, err := fault.MixBy(d.plan.seed+uint64(d.stage.Load()), fault.CallID, shares...)
	if err == nil {
		d.rig.twilioSim.SetScript(s)
	}
	return err
}

func (d *drill) flakiness() []fault.Share {
	return []fault.Share{
		{P: 0.12, Fault: fault.TooManyRequestsAfter(time.Second)},
		{P: 0.05, Fault: fault.ProcessedStatus(http.StatusServiceUnavailable)},
		{P: 0.03, Fault: fault.Status(http.StatusServiceUnavailable)},
		{P: 0.15, Fault: fault.Latency(12 * d.plan.latency)},
		{P: 0.6, Fault: fault.Latency(d.plan.latency)},
	}
}

func (d *drill) errors() []fault.Share {
	return []fault.Share{
		{P: 0.5, Fault: fault.ProcessedStatus(http.StatusServiceUnavailable)},
		{P: 0.25, Fault: fault.Status(http.StatusServiceUnavailable)},
		{P: 0.25, Fault: fault.HTMLError(http.StatusServiceUnavailable)},
	}
}

func (d *drill) resets() []fault.Share {
	return []fault.Share{
		{P: 0.5, Fault: fault.ResetAfterRead(true)},
		{P: 0.25, Fault: fault.ResetAfterRead(false)},
		{P: 0.25, Fault: fault.ResetBeforeRead()},
	}
}

// opened says whether the breaker has opened, or opened again, in this stage.
func (d *drill) opened() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := len(d.transitions)
	return n > 0 && d.transitions[n-1].To == breaker.Open && d.transitions[n-1].At.After(d.began[d.stage.Load()])
}

func (d *drill) closed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := len(d.transitions)
	return n > 0 && d.transitions[n-1].To == breaker.Closed
}

// saved says whether a request of this stage has succeeded after a retry for this reason.
func (d *drill) saved(reason string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.ContainsFunc(d.book, func(r *record) bool {
		return r.stage == stageFlaky && r.err == nil && slices.Contains(r.retries, reason)
	})
}
