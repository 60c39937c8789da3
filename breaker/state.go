package breaker

import "time"

// State is the state of a [Breaker]. Its numbers are stable: a gauge may show them.
type State uint8

// The states.
const (
	// Closed lets every call through and counts the results.
	Closed State = iota
	// HalfOpen lets a few probes through, to see whether calls succeed again.
	HalfOpen
	// Open refuses every call until its time is over. It stays Open until a call comes and becomes the first probe;
	// [Snapshot.ReadyToProbe] says that the time is over.
	Open
	// ForcedOpen refuses every call by command; see [Breaker.ForceOpen].
	ForcedOpen
	// DisabledState lets every call through and counts nothing; see [Breaker.Disable] and [Disabled].
	DisabledState
)

// String returns "closed", "half-open", "open", "forced-open" or "disabled".
func (s State) String() string {
	switch s {
	case Closed:
		return "closed"
	case HalfOpen:
		return "half-open"
	case Open:
		return "open"
	case ForcedOpen:
		return "forced-open"
	case DisabledState:
		return "disabled"
	default:
		return "unknown"
	}
}

// MarshalText renders [State.String].
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// States lists all states, for tables and metrics.
func States() []State { return []State{Closed, HalfOpen, Open, ForcedOpen, DisabledState} }

// epoch is a generation and its state in one word, so that both are read at once and without a lock. A result counts
// only in the epoch its permit was given in. Zero is no epoch: generations start at 1.
type epoch uint64

const stateBits = 3

func makeEpoch(generation uint64, s State) epoch { return epoch(generation<<stateBits | uint64(s)) }

func (e epoch) state() State       { return State(e & (1<<stateBits - 1)) }
func (e epoch) generation() uint64 { return uint64(e >> stateBits) }

// lease is the place of one probe.
type lease struct {
	id    uint64
	until time.Duration // on the clock of Breaker.now
}

// leases are the probes in flight, oldest first. They belong to the breaker and not to a generation: a straggler of
// an earlier half-open state holds its place until it answers, and so the bound on probes holds for the vendor.
type leases struct {
	held []lease
	last uint64
}

// expire drops what has run out, and returns how many are left.
func (l *leases) expire(now time.Duration) int {
	n := 0
	for n < len(l.held) && l.held[n].until <= now {
		n++
	}
	l.held = append(l.held[:0], l.held[n:]...)
	return len(l.held)
}

// take adds a lease and returns its id, which is never zero.
func (l *leases) take(until time.Duration) uint64 {
	l.last++
	l.held = append(l.held, lease{id: l.last, until: until})
	return l.last
}

// giveBack removes a lease, and reports whether it was still held.
func (l *leases) giveBack(id uint64, now time.Duration) bool {
	l.expire(now)
	for i, held := range l.held {
		if held.id == id {
			l.held = append(l.held[:i], l.held[i+1:]...)
			return true
		}
	}
	return false
}

// stretch makes all leases d longer, as if they had been taken so.
func (l *leases) stretch(d time.Duration) {
	for i := range l.held {
		l.held[i].until += d
	}
}
