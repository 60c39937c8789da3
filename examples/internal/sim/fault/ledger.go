package fault

import (
	"context"
	"maps"
	"sync"
	"time"
)

// Entry is the truth about one request.
type Entry struct {
	// Seq numbers the requests of a server from 1, in the order of their arrival.
	Seq uint64
	// At is when the request's head had been read.
	At time.Time
	// Conn numbers the connection it came on, from 1.
	Conn uint64
	// Method and Path are empty for a connection that was reset at accept.
	Method, Path string
	// Key is what [Config.Key] made of the request, and "" where the request was not read whole.
	Key string
	// CorrelationID is the X-Correlation-ID header, TestCall the X-Test-Call header.
	CorrelationID, TestCall string
	// Fault is the injected fault's [Fault.Name].
	Fault string
	// ReadWhole reports whether the whole request, body included, was read.
	ReadWhole bool
	// Processed reports whether the vendor acted on the request: see [SetProcessed].
	Processed bool
	// HandlerStatus is what the handler answered, whether or not that was sent. 0: it did not run.
	HandlerStatus int
	// Status is the status that was sent. 0: none.
	Status int
	// Done reports whether the server is through with the request. Unlike the rest, it may turn true just after the
	// client has its answer.
	Done bool
}

// ledger is a ring of entries with an index by call.
type ledger struct {
	mu     sync.Mutex
	max    uint64
	ring   []Entry // entry n is ring[(n-base-1)%max]
	base   uint64  // the last sequence number before the oldest the ring ever held
	last   uint64
	calls  map[string][]uint64
	counts map[string]int64

	inFlight int
	idle     chan struct{} // closed when inFlight reaches 0; nil when nobody waits
}

func newLedger(limit int) *ledger {
	return &ledger{max: uint64(limit), calls: make(map[string][]uint64), counts: make(map[string]int64)}
}

// begin files an entry and returns its number.
func (l *ledger) begin(e Entry) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inFlight++
	l.last++
	e.Seq = l.last
	if i := l.last - l.base - 1; i < l.max {
		l.ring = append(l.ring, e)
	} else {
		old := &l.ring[i%l.max]
		l.unindex(old.TestCall, old.Seq)
		l.unindex(old.CorrelationID, old.Seq)
		*old = e
	}
	l.index(e.TestCall, e.Seq)
	if e.CorrelationID != e.TestCall {
		l.index(e.CorrelationID, e.Seq)
	}
	return e.Seq
}

func (l *ledger) index(id string, seq uint64) {
	if id != "" {
		l.calls[id] = append(l.calls[id], seq)
	}
}

func (l *ledger) unindex(id string, seq uint64) {
	seqs := l.calls[id]
	if len(seqs) > 0 && seqs[0] == seq { // the oldest goes first
		seqs = seqs[1:]
	}
	if len(seqs) == 0 {
		delete(l.calls, id)
		return
	}
	l.calls[id] = seqs
}

// at is the entry numbered seq, or nil when it is gone. The lock is held.
func (l *ledger) at(seq uint64) *Entry {
	if seq <= l.base || seq > l.last || l.last-seq >= l.max {
		return nil
	}
	return &l.ring[(seq-l.base-1)%l.max]
}

// update changes the entry numbered seq, if it is still there.
func (l *ledger) update(seq uint64, change func(*Entry)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.at(seq); e != nil {
		change(e)
	}
}

// decided notes the fault of an entry and counts it.
func (l *ledger) decided(seq uint64, name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[name]++
	if e := l.at(seq); e != nil {
		e.Fault = name
	}
}

func (l *ledger) end(seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.at(seq); e != nil {
		e.Done = true
	}
	l.inFlight--
	if l.inFlight == 0 && l.idle != nil {
		close(l.idle)
		l.idle = nil
	}
}

func (l *ledger) flying() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.inFlight
}

func (l *ledger) quiesce(ctx context.Context) error {
	for {
		l.mu.Lock()
		if l.inFlight == 0 {
			l.mu.Unlock()
			return nil
		}
		if l.idle == nil {
			l.idle = make(chan struct{})
		}
		idle := l.idle
		l.mu.Unlock()
		select {
		case <-idle:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (l *ledger) entries() []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := l.base + 1
	if n := l.last - l.base; n > l.max {
		first = l.last - l.max + 1
	}
	all := make([]Entry, 0, len(l.ring))
	for seq := first; seq <= l.last; seq++ {
		all = append(all, *l.at(seq))
	}
	return all
}

func (l *ledger) byCall(id string) []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	seqs := l.calls[id]
	found := make([]Entry, 0, len(seqs))
	for _, seq := range seqs {
		if e := l.at(seq); e != nil {
			found = append(found, *e)
		}
	}
	return found
}

func (l *ledger) byFault() map[string]int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.counts)
}

func (l *ledger) dropped() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := l.last - l.base; n > l.max {
		return n - l.max
	}
	return 0
}

func (l *ledger) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.base = l.last
	l.ring = nil
	clear(l.calls)
	clear(l.counts)
}
