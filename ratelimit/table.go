package ratelimit

import (
	"math"
	"sync"
)

// shard is a table with its lock, a cache line away from the next one. What every decision needs comes first.
type shard struct {
	mu    sync.Mutex
	ops   uint32
	next  uint16 // shard to look after
	terms uint16 // the tag of those that its times are of: it is one change behind at the most
	table

	_ [64]byte
}

// table is a hash table of bounded size with open addressing: a slot is two words of hash and one word a limit, and a
// search goes on to the next slot. Deleting moves what follows back, so that nothing is left of what is gone.
type table struct {
	slots  []int64
	mask   int   // slots-1
	latest int64 // no time in the table or in debts is later: from then on nothing of it matters
	limits int   // of a bucket
	most   int   // keys
	used   int
	hand   int // where the next sweep starts

	// debts remembers, in bounded space, the buckets that were evicted before they were full: two rows of cells, each
	// cell the latest time of all evicted keys that fall on it. A key that comes back starts with the lesser of its
	// two cells, which is never less than what it owed: eviction gives nothing away. The price is that a new key may
	// start with the debt of others. Nil until the first eviction.
	debts []int64
}

const (
	minSlots = 8
	// keptSlots are too few to be worth giving back.
	keptSlots = 64
	// scan is the number of slots in which an eviction looks for a full bucket, or else for the one that owes least.
	scan = 32
)

func (t *table) stride() int { return 2 + t.limits }

func (t *table) times(slot int) []int64 {
	i := slot * t.stride()
	return t.slots[i+2 : i+t.stride()]
}

// find returns the slot of a key.
func (t *table) find(a, b int64) (slot int, ok bool) {
	if t.slots == nil {
		return 0, false
	}
	for i := int(a) & t.mask; ; i = (i + 1) & t.mask {
		switch w := t.slots[i*t.stride():]; {
		case w[0] == 0:
			return i, false
		case w[0] == a && w[1] == b:
			return i, true
		}
	}
}

func (t *table) set(slot int, times []int64) {
	copy(t.times(slot), times)
	for _, at := range times {
		t.latest = max(t.latest, at)
	}
}

// fullAt is when the bucket is full in all its limits.
func (t *table) fullAt(slot int) int64 {
	at := int64(math.MinInt64)
	for _, v := range t.times(slot) {
		at = max(at, v)
	}
	return at
}

func (t *table) taken(slot int) bool { return t.slots[slot*t.stride()] != 0 }

// insert returns the slot of a key that is not in the table, and whether another had to be evicted for it that was
// not full.
func (t *table) insert(a, b, now int64) (slot int, evicted bool) {
	if t.used >= t.most {
		evicted = t.makeRoom(now)
	}
	if (t.used+1)*4 > t.size()*3 {
		t.rebuild(now)
	}
	slot, _ = t.find(a, b)
	w := t.slots[slot*t.stride():]
	w[0], w[1] = a, b
	t.used++
	return slot, evicted
}

func (t *table) size() int { return len(t.slots) / t.stride() }

// rebuild moves the buckets that are not full to a table of fitting size, between five sixteenths and five eighths
// full: what it costs is shared by as many insertions.
func (t *table) rebuild(now int64) {
	live := 0
	for i := range t.size() {
		if t.taken(i) && t.fullAt(i) > now {
			live++
		}
	}
	size := minSlots
	for (live+1)*8 > size*5 {
		size *= 2
	}
	old := *t
	t.slots, t.mask, t.used, t.hand = make([]int64, size*t.stride()), size-1, live, 0
	for i := range old.size() {
		if old.taken(i) && old.fullAt(i) > now {
			w := old.slots[i*t.stride() : (i+1)*t.stride()]
			slot, _ := t.find(w[0], w[1])
			copy(t.slots[slot*t.stride():], w)
		}
	}
}

// remove empties a slot, and moves what could not be placed nearer to home because of it.
func (t *table) remove(slot int) {
	n := t.stride()
	for i := (slot + 1) & t.mask; t.taken(i); i = (i + 1) & t.mask {
		home := int(t.slots[i*n]) & t.mask
		if (i-home)&t.mask >= (i-slot)&t.mask {
			copy(t.slots[slot*n:(slot+1)*n], t.slots[i*n:(i+1)*n])
			slot = i
		}
	}
	clear(t.slots[slot*n : (slot+1)*n])
	t.used--
}

// forget empties the table at once, where all of its buckets are full, and reports whether it did. A small table keeps its
// slots for the next keys.
func (t *table) forget(now int64) bool {
	if now < t.latest || t.used == 0 {
		return false
	}
	t.debts = nil
	t.used, t.hand = 0, 0
	if t.size() > keptSlots {
		t.slots, t.mask = nil, 0
	} else {
		clear(t.slots)
	}
	return true
}

// sweep drops the full buckets among the next slots, or all at once where all are full, and gives memory back.
func (t *table) sweep(now int64, slots int) {
	if t.used == 0 {
		return
	}
	if t.forget(now) {
		return
	}
	t.scan(now, slots)
	if t.size() > keptSlots && t.used*8 < t.size() {
		t.rebuild(now)
	}
}

// scan drops the full buckets among the next slots. Where there is none, least is the slot of the one that owes
// least, or -1.
func (t *table) scan(now int64, slots int) (least int) {
	least = -1
	owes := int64(math.MaxInt64)
	for n := min(slots, t.size()); n > 0; n-- {
		i := t.hand
		for t.taken(i) && t.fullAt(i) <= now { // what is moved here is looked at as well
			t.remove(i)
		}
		if t.taken(i) && t.fullAt(i) < owes {
			least, owes = i, t.fullAt(i)
		}
		t.hand = (i + 1) & t.mask
	}
	return least
}

// makeRoom drops at least one bucket, and reports whether it was one that was not full. It looks at scan slots, and on
// where those were empty: the table is never that empty when it has to make room, unless it is tiny.
func (t *table) makeRoom(now int64) (evicted bool) {
	before := t.used
	for {
		least := t.scan(now, scan)
		if t.used < before {
			return false
		}
		if least >= 0 {
			t.owe(least)
			t.remove(least)
			return true
		}
	}
}

// debtCells is the length of a row: half the keys, rounded up to a power of two.
func (t *table) debtCells() int {
	n := minSlots
	for n < t.most/2 {
		n *= 2
	}
	return n
}

// cells returns the two cells of a key.
func (t *table) cells(b int64) (x, y []int64) {
	n := len(t.debts) / t.limits / 2
	i, j := int(b)&(n-1), n+int(b>>32)&(n-1)
	return t.debts[i*t.limits : (i+1)*t.limits], t.debts[j*t.limits : (j+1)*t.limits]
}

// owe remembers the bucket in slot.
func (t *table) owe(slot int) {
	if t.debts == nil {
		t.debts = make([]int64, 2*t.debtCells()*t.limits)
	}
	x, y := t.cells(t.slots[slot*t.stride()+1])
	for i, at := range t.times(slot) {
		x[i], y[i] = max(x[i], at), max(y[i], at)
	}
}

// owed sets times to the debt a key starts with.
func (t *table) owed(b int64, times []int64) {
	if t.debts == nil {
		return
	}
	x, y := t.cells(b)
	for i := range times {
		times[i] = min(x[i], y[i])
	}
}
