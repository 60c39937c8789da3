package ratelimit

import (
	"hash/maphash"
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// memory keeps buckets in this process. A bucket is one number a limit, the time at which it is full again: "theoretical
// arrival time" in GCRA. A bucket whose time is past is the same as none, so that it may be dropped at any time,
// and is: no goroutine, no expiry list.
//
// A key is kept as 128 bits of hash with two seeds of this process: what it holds cannot be found by search, and two
// of a million keys share a bucket with a probability of 10^-27.
type memory struct {
	born         time.Time // with a monotonic reading: a step of the wall clock is not seen
	terms        *atomic.Pointer[terms]
	seedA, seedB maphash.Seed
	shift        uint // of a hash to the index of its shard
	shards       []shard
	evictions    atomic.Uint64
}

const (
	// maxShards bounds the locks: at 64, two of a few dozen callers that hold one at a time rarely meet.
	maxShards = 64
	// keysPerShard is the least number of keys worth a lock of their own. It keeps the share of a shard close to even.
	keysPerShard = 1024
	// upkeepEvery is how many decisions of a shard pay for one look at upkeepSlots slots of another.
	upkeepEvery, upkeepSlots = 64, 64
)

func newMemory(present *atomic.Pointer[terms], maxKeys int, born time.Time) *memory {
	m := &memory{born: born, terms: present, seedA: maphash.MakeSeed(), seedB: maphash.MakeSeed()}
	t := present.Load()
	n := 1
	for n < maxShards && n*2*keysPerShard <= maxKeys {
		n *= 2
	}
	m.shift = uint(64 - bits.TrailingZeros(uint(n)))
	m.shards = make([]shard, n)
	for i := range m.shards {
		most := maxKeys / n
		if i < maxKeys%n {
			most++
		}
		m.shards[i].table, m.shards[i].terms = table{limits: len(t.limits), most: most}, t.tag()
		m.shards[i].next = uint16(i) // each starts with its neighbour: together they are round soon
	}
	return m
}

func (m *memory) now() int64 { return int64(time.Since(m.born)) }

// hash returns the shard of a key and the two words it is known by there.
func (m *memory) hash(key string) (s *shard, a, b int64) {
	h := maphash.String(m.seedA, key)
	s = &m.shards[h>>m.shift] // a shift by 64 is 0
	//nolint:gosec // bits are bits
	a, b = int64(h), int64(maphash.String(m.seedB, key))
	if a == 0 { // marks an empty slot
		a = 1
	}
	return s, a, b
}

// take decides as [Store] says, and tells by which terms, and the time it did. It also takes a cost above the smallest burst, which
// is refused with no wait. res is zero before.
func (m *memory) take(r *Request, res *Result) (t *terms, now int64) {
	s, a, b := m.hash(r.Key)
	return m.takeOf(s, a, b, r, res)
}

// takeOf is take for a key whose hash is known.
func (m *memory) takeOf(s *shard, a, b int64, r *Request, res *Result) (t *terms, now int64) {
	s.mu.Lock()
	t = m.terms.Load() // under the lock, as the clock: neither runs backwards for a bucket
	now = m.now()
	if s.terms != t.tag() {
		s.follow(t)
	}
	s.forget(now)
	if r.Cost > t.granted.most {
		res.Violated = t.smallest
	} else {
		m.decide(&s.table, &t.granted, a, b, now, r, res)
	}
	s.ops++
	other := -1
	if s.ops%upkeepEvery == 0 {
		s.next++
		other = int(s.next) & (len(m.shards) - 1)
	}
	s.mu.Unlock()
	if other >= 0 {
		m.upkeep(&m.shards[other], now)
	}
	return t, now
}

func (m *memory) decide(t *table, g *rates, a, b, now int64, r *Request, res *Result) {
	var full [MaxLimits]int64 // when each bucket is full
	slot, found := t.find(a, b)
	if found {
		copy(full[:t.limits], t.times(slot))
	} else {
		t.owed(b, full[:t.limits])
	}
	start := now + int64(r.Delay)
	wait, worst := int64(math.MinInt64), 0
	var next [MaxLimits]int64
	for i := range t.limits {
		next[i] = max(full[i], start) + r.Cost*g.intervals[i]
		if w := next[i] - g.spans[i] - now; w > wait {
			wait, worst = w, i
		}
	}
	wait = max(wait, int64(r.Delay), 0)
	switch {
	case r.Cost == 0:
		res.Allowed = true
	case wait > int64(r.MaxWait):
		res.Violated = worst
	default:
		res.Allowed = true
		full = next
		if !found {
			var evicted bool
			if slot, evicted = t.insert(a, b, now); evicted {
				m.evictions.Add(1)
			}
		}
		t.set(slot, full[:t.limits])
	}
	res.Wait = time.Duration(wait)
	if r.Cost == 0 {
		res.Wait = r.Delay
	}
	for i := range t.limits {
		res.Debts[i] = time.Duration(max(full[i]-now, 0))
	}
}

// refund gives back what d has taken and still owes.
func (m *memory) refund(d *Decision, later time.Duration) {
	s, a, b := m.hash(d.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	t, now := m.terms.Load(), m.now()
	s.follow(t)
	taken, debts := d.by(t)
	if back, own, some := owed(&debts, &taken, &t.granted.spans, time.Duration(now-d.at), later); some {
		s.giveBack(a, b, now, &back, &own)
	}
}

// giveBack gives back, but nothing of what a bucket owes beyond own from now on. mu is held.
func (s *shard) giveBack(a, b, now int64, back, own *[MaxLimits]time.Duration) {
	if slot, found := s.find(a, b); found {
		times := s.times(slot)
		for i := range times {
			behind := max(0, times[i]-now-int64(own[i]))
			times[i] -= max(0, int64(back[i])-behind)
		}
	}
}

// upkeep drops full buckets of a shard that nobody is using at the moment.
func (m *memory) upkeep(s *shard, now int64) {
	if s.mu.TryLock() {
		s.sweep(now, upkeepSlots)
		s.mu.Unlock()
	}
}

// keys is the number of buckets held; some of them may be full again.
func (m *memory) keys() int {
	n := 0
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		n += s.used
		s.mu.Unlock()
	}
	return n
}
