package breaker

import "time"

// ForceOpen refuses every call until [Breaker.Reset] or [Breaker.Disable], and drops the results of calls under way. It
// is the kill switch of one vendor. In [Shadow] the refusals are only reported. Repeated, it does nothing.
func (b *Breaker) ForceOpen() {
	b.mu.Lock()
	defer b.unlock()
	b.forceOpen()
}

// forceOpen is ForceOpen. mu is held.
func (b *Breaker) forceOpen() {
	if b.current().state() != ForcedOpen {
		b.restart(ForcedOpen, ReasonForced)
		b.openedAt = time.Now()
	}
}

// Disable lets every call through and counts nothing until [Breaker.Reset] or [Breaker.ForceOpen]; the results of
// calls under way are dropped. Repeated, it does nothing.
func (b *Breaker) Disable() {
	b.mu.Lock()
	defer b.unlock()
	if b.current().state() != DisabledState {
		b.restart(DisabledState, ReasonDisabled)
	}
	b.byCommand = true
}

// Reset takes back ForceOpen and Disable and forgets everything: the breaker is closed with nothing counted, or disabled
// where [Config.Mode] is [Disabled], and the results of calls under way are dropped.
func (b *Breaker) Reset() {
	b.mu.Lock()
	defer b.unlock()
	b.restart(b.start(), ReasonReset)
}

// start is the state to begin in.
func (b *Breaker) start() State {
	if b.cfg().Mode == Disabled {
		return DisabledState
	}
	return Closed
}

// Name returns the name given to [New].
func (b *Breaker) Name() string { return b.name }

// Config returns the present configuration with its defaults filled in. What is switched off by a negative number stays
// negative, so that [New] makes the same breaker of it. It takes no lock.
func (b *Breaker) Config() Config { return b.cfg().Config }

// Given returns the present configuration as it was given to [New] or [Breaker.Reconfigure], without its defaults: change that,
// and fields that follow from others still do. It takes no lock.
func (b *Breaker) Given() Config { return b.cfg().given }

// State returns the state, without a lock. In [Shadow] it is the state the breaker would be in. To show it to
// people, take a [Breaker.Snapshot], which also says whether an open breaker is ready to probe.
func (b *Breaker) State() State { return b.current().state() }

// Snapshot is what there is to know of a breaker at one moment. Read gauges from it when they are scraped.
type Snapshot struct {
	// Name is the breaker's name.
	Name  string
	State State
	// Shadow is true where the breaker refuses nothing.
	Shadow bool
	// WouldReject is true where a call now would be refused or, in shadow, reported as such.
	WouldReject bool
	// RetryAfter is the time until the next probe, as [Breaker.TryAcquire] would return it. 0 where a call would pass
	// and where the time is not known ([ForcedOpen]).
	RetryAfter time.Duration
	// ReadyToProbe is true where the next call would be a probe: open with the time over, or half-open with a place free.
	ReadyToProbe bool
	// Failures of Calls are what the window holds, or held when it opened the breaker; 0 in the states by command. A
	// count window adds successes only while it holds a failure, since others change nothing. A time window shows
	// what it held when a result was last added.
	Failures, Calls int
	// ProbesInFlight is how many probes' places are taken. ProbeSuccesses is how many have succeeded in this
	// half-open state.
	ProbesInFlight, ProbeSuccesses int
	// OpenedAt is when the breaker opened last, by itself or by force. Zero in the other states but [HalfOpen].
	OpenedAt time.Time
	// Opens is how often in succession it has opened without closing in between.
	Opens int
	// Generation counts changes: a result counts only in the generation its permit was given in.
	Generation uint64
	// EventsDropped is how many events were dropped because a hook blocked.
	EventsDropped uint64
}

// Snapshot returns the present values, which belong together. It takes the breaker's lock, changes nothing and
// allocates nothing.
func (b *Breaker) Snapshot() Snapshot {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.current()
	now := b.now()
	counted := b.window.Metrics()
	s := Snapshot{
		Name: b.name, State: e.state(), Shadow: b.cfg().Mode == Shadow, Generation: e.generation(),
		Failures: int(counted.Failures()), Calls: int(counted.Executions()),
		ProbesInFlight: b.probes.expire(now),
		OpenedAt:       b.openedAt, Opens: b.opens, EventsDropped: b.queue.dropped,
	}
	switch s.State {
	case Closed, DisabledState: // every call passes
	case ForcedOpen:
		s.WouldReject = true
	case Open, HalfOpen:
		s.RetryAfter = b.untilProbe(now)
		s.ReadyToProbe = s.RetryAfter == 0
		s.WouldReject = !s.ReadyToProbe
	}
	if s.State == HalfOpen {
		s.ProbeSuccesses = b.successes
	}
	return s
}
