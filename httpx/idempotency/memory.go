package idempotency

import (
	"context"
	"crypto/sha256"
	"slices"
	"sync"
	"time"
)

// memory keeps records in this process. It has no goroutine: records are in two lists, in the order in which they expire, and each
// call drops a few of the expired ones that are first.
type memory struct {
	born time.Time // with a monotonic reading: a step of the wall clock is not seen

	mu       sync.Mutex
	records  map[[sha256.Size]byte]*record
	running  queue // not finished
	finished queue
	bytes    int // of answers
	maxKeys  int
	maxBytes int
}

type record struct {
	id, fingerprint [sha256.Size]byte
	run             [16]byte
	lease, expires  time.Duration // since born
	answer          []byte        // nil where it is not finished
	prev, next      *record
}

// dropAtOnce is how many expired records one call drops: more than it adds, so that they become fewer, and few enough that
// nobody waits for them.
const dropAtOnce = 16

// shortAnswer is the longest answer that always has room.
const shortAnswer = 128

func newMemory(maxKeys, maxBytes int) *memory {
	return &memory{born: time.Now(), records: make(map[[sha256.Size]byte]*record), maxKeys: maxKeys, maxBytes: maxBytes}
}

// Begin implements [Store].
func (m *memory) Begin(ctx context.Context, c Claim) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.expire()
	if r := m.live(c.ID, now); r != nil {
		found := Record{Fingerprint: r.fingerprint, Answer: r.answer}
		switch {
		case r.answer != nil:
			found.State = Finished
		case r.run == c.Run:
			found.State = Claimed
		case r.lease > now:
			found.State = Running
		default:
			found.State = Abandoned
		}
		return found, nil
	}
	if len(m.records) >= m.maxKeys {
		return Record{}, ErrNoRoom
	}
	m.add(c, now)
	return Record{State: Claimed, Fingerprint: c.Fingerprint}, nil
}

// Finish implements [Store].
func (m *memory) Finish(ctx context.Context, c Claim, answer []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.expire()
	r := m.live(c.ID, now)
	if r == nil {
		if len(m.records) >= m.maxKeys {
			return ErrNoRoom
		}
		r = m.add(c, now)
	}
	if r.run != c.Run || r.answer != nil {
		return nil
	}
	if len(answer) > shortAnswer && m.bytes+len(answer) > m.maxBytes {
		return ErrNoRoom
	}
	m.bytes += len(answer)
	m.running.remove(r)
	r.answer, r.expires = slices.Clone(answer), now+c.TTL
	m.finished.append(r)
	return nil
}

// Release implements [Store].
func (m *memory) Release(ctx context.Context, c Claim) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire()
	if r := m.records[c.ID]; r != nil && r.run == c.Run && r.answer == nil {
		m.drop(&m.running, r)
	}
	return nil
}

// live returns the record of id that has not expired; one that has is dropped.
func (m *memory) live(id [sha256.Size]byte, now time.Duration) *record {
	r := m.records[id]
	if r == nil || r.expires > now {
		return r
	}
	if r.answer != nil {
		m.drop(&m.finished, r)
	} else {
		m.drop(&m.running, r)
	}
	return nil
}

func (m *memory) add(c Claim, now time.Duration) *record {
	r := &record{
		id: c.ID, fingerprint: c.Fingerprint, run: c.Run,
		lease: now + c.Lease, expires: now + c.Lease + c.TTL,
	}
	m.records[c.ID] = r
	m.running.append(r)
	return r
}

func (m *memory) drop(q *queue, r *record) {
	q.remove(r)
	delete(m.records, r.id)
	m.bytes -= len(r.answer)
}

// expire drops a few expired records, and returns the time.
func (m *memory) expire() time.Duration {
	now := time.Since(m.born)
	for _, q := range [...]*queue{&m.running, &m.finished} {
		for range dropAtOnce {
			if q.first == nil || q.first.expires > now {
				break
			}
			m.drop(q, q.first)
		}
	}
	return now
}

func (m *memory) snapshot() Snapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire()
	return Snapshot{Keys: len(m.records), Bytes: m.bytes}
}

// queue is a list of records in the order in which they expire: all have the same lease and the same TTL.
type queue struct{ first, last *record }

func (q *queue) append(r *record) {
	r.prev, r.next = q.last, nil
	if q.last == nil {
		q.first = r
	} else {
		q.last.next = r
	}
	q.last = r
}

func (q *queue) remove(r *record) {
	if r.prev == nil {
		q.first = r.next
	} else {
		r.prev.next = r.next
	}
	if r.next == nil {
		q.last = r.prev
	} else {
		r.next.prev = r.prev
	}
	r.prev, r.next = nil, nil
}
