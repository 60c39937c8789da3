package status

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/prusik-go/prusik/errors"
)

// What is the kind of a [Decision].
type What string

// The kinds.
const (
	Transition What = "transition" // a breaker changed its state
	Refused    What = "refused"    // a call or an attempt was refused here: Reason is the policy
	Limited    What = "limited"    // a limiter, ours or the vendor's, refused
	Retried    What = "retried"    // an attempt failed, another is to follow
	Failed     What = "failed"     // a call ended, and not well
	Paused     What = "paused"     // the vendor asked us to slow down
	Outage     What = "outage"     // a limiter's store stopped answering
	Recovered  What = "recovered"  // it answers again
	Commanded  What = "command"    // somebody gave a command
	Switched   What = "switched"   // a flag has another value: Reason is a [flags.Cause]
)

// Decision is one entry of the recent decisions. Alike ones that follow each other within a minute, with no change of
// state between them, are one entry with a count: a vendor that is down for an hour does not push out when it went down.
type Decision struct {
	// At is when it happened first, and Last when last, where it happened Count times.
	At    time.Time `json:"at"`
	Last  time.Time `json:"last,omitzero"`
	Count uint64    `json:"count"`
	// Source is the name of the client or limiter.
	Source string `json:"source"`
	What   What   `json:"what"`
	// Breaker, From and To are those of a transition or a command.
	Breaker string `json:"breaker,omitempty"`
	From    string `json:"from,omitempty"`
	To      string `json:"to,omitempty"`
	// Reason is why: a status or class of failure, a breaker's reason, a limit's name, a command. It is of bounded
	// cardinality and holds nothing of the request.
	Reason string `json:"reason,omitempty"`
	// Stop is why no further attempt was made.
	Stop errors.Stop `json:"stop,omitempty"`
	// Wait is the time until the next attempt, call or probe, where that is known; in JSON in seconds.
	Wait Seconds `json:"wait_seconds,omitempty"`
	// CorrelationID is that of the last one.
	CorrelationID string `json:"correlation_id,omitempty"`
	// Who gave the command, or made the override.
	Who string `json:"who,omitempty"`
	// Flag is the flag that was switched, From and To its values, Why what its author says.
	Flag string `json:"flag,omitempty"`
	Why  string `json:"why,omitempty"`
}

// Seconds is a duration that is rendered in seconds.
type Seconds time.Duration

// MarshalJSON renders seconds, to the millisecond.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return appendMillis(nil, time.Duration(s).Milliseconds()), nil
}

// apart says that d is a change, never counted together with others.
func (d *Decision) apart() bool {
	switch d.What {
	case Transition, Paused, Outage, Recovered, Commanded, Switched:
		return true
	default:
		return false
	}
}

func (d *Decision) alike(o *Decision) bool {
	return d.What == o.What && d.Stop == o.Stop && d.Reason == o.Reason
}

// together is how long alike decisions are counted as one.
const together = time.Minute

// ring keeps the newest decisions of one client or limiter.
type ring struct {
	mu   sync.Mutex
	kept []Decision // fixed
	n    uint64     // ever added
}

func newRing(keep int) *ring { return &ring{kept: make([]Decision, keep)} }

// add takes d in. It allocates nothing.
func (r *ring) add(d Decision) {
	d.At = time.Now()
	d.Count = 1
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.find(&d); e != nil {
		e.Count++
		e.Last, e.Wait, e.CorrelationID = d.At, d.Wait, d.CorrelationID
		return
	}
	r.kept[r.n%uint64(len(r.kept))] = d
	r.n++
}

// find returns the entry that d is one more of. Between two changes there are few that differ.
func (r *ring) find(d *Decision) *Decision {
	if d.apart() {
		return nil
	}
	size := uint64(len(r.kept))
	for back := uint64(1); back <= min(r.n, size); back++ {
		e := &r.kept[(r.n-back)%size]
		if e.apart() || d.At.Sub(e.At) >= together {
			return nil
		}
		if e.alike(d) {
			return e
		}
	}
	return nil
}

// appendTo appends the kept decisions, the newest first.
func (r *ring) appendTo(all []Decision) []Decision {
	r.mu.Lock()
	defer r.mu.Unlock()
	size := uint64(len(r.kept))
	for back := uint64(1); back <= min(r.n, size); back++ {
		all = append(all, r.kept[(r.n-back)%size])
	}
	return all
}

// source is what was heard under one name.
type source struct {
	name   string
	recent *ring

	calls, failed, refused, retries, opens atomic.Uint64 // of a client
	verdicts                               [5]atomic.Uint64
	errors, pauses                         atomic.Uint64 // of a limiter
	outage                                 atomic.Int64  // when its store stopped answering, in Unix nanoseconds; zero: it answers
}
