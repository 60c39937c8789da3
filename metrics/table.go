package metrics

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"weak"
)

// table keeps one value per key and stops growing at its bound: later keys share the value of one key, rest. A hit takes
// no lock and allocates nothing; a miss copies the map, which happens at most as often as there may be keys.
type table[K comparable, V any] struct {
	most  int
	rest  K
	value func(K) *V
	late  func() *V // the value of rest
	mu    sync.Mutex
	known atomic.Pointer[map[K]*V]
}

func newTable[K comparable, V any](most int, rest K, value func(K) *V) *table[K, V] {
	t := &table[K, V]{most: most, rest: rest, value: value, late: sync.OnceValue(func() *V { return value(rest) })}
	t.known.Store(&map[K]*V{})
	return t
}

func (t *table[K, V]) get(key K) *V {
	known := *t.known.Load()
	if v, ok := known[key]; ok {
		return v
	}
	if key == t.rest || len(known) >= t.most {
		return t.late()
	}
	return t.add(key)
}

func (t *table[K, V]) add(key K) *V {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := *t.known.Load()
	if v, ok := known[key]; ok {
		return v
	}
	if len(known) >= t.most {
		return t.late()
	}
	if s, ok := any(key).(string); ok {
		key, _ = any(strings.Clone(s)).(K) // it may be a part of something large
	}
	v := t.value(key)
	grown := maps.Clone(known)
	grown[key] = v
	t.known.Store(&grown)
	return v
}

// lazy is a value that is made when it is first asked for. It may be made twice, and is the same for all who ask.
type lazy[V any] struct{ p atomic.Pointer[V] }

func (l *lazy[V]) get(value func() V) *V {
	if v := l.p.Load(); v != nil {
		return v
	}
	v := value()
	l.p.CompareAndSwap(nil, &v)
	return l.p.Load()
}

// remember returns find with a memory of the first name it was asked for: hooks mostly serve one object.
func remember[V any](find func(string) *V) func(string) *V {
	type entry struct {
		name  string
		value *V
	}
	var first atomic.Pointer[entry]
	return func(name string) *V {
		e := first.Load()
		if e != nil && e.name == name {
			return e.value
		}
		v := find(name)
		if e == nil {
			first.CompareAndSwap(nil, &entry{strings.Clone(name), v})
		}
		return v
	}
}

// crowd holds what is read at a scrape, weakly: what a program drops is dropped here, and its gauges end with it. With
// each goes a note of the collector's, as of the value read last.
type crowd[T, N any] struct {
	mu      sync.Mutex
	notes   map[weak.Pointer[T]]*N
	sweepAt int
}

// add adds p, and reports whether it is new.
func (c *crowd[T, N]) add(p *T) bool {
	if p == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.notes == nil {
		c.notes = make(map[weak.Pointer[T]]*N)
	}
	if len(c.notes) >= max(c.sweepAt, 64) {
		for w := range c.notes {
			if w.Value() == nil {
				delete(c.notes, w)
			}
		}
		c.sweepAt = 2 * len(c.notes) // each sweep is paid for by as many that were added
	}
	w := weak.Make(p)
	if c.notes[w] != nil {
		return false
	}
	c.notes[w] = new(N)
	return true
}

// live are those that are still in use.
func (c *crowd[T, N]) live() map[*T]*N {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make(map[*T]*N, len(c.notes))
	for w, note := range c.notes {
		if p := w.Value(); p != nil {
			all[p] = note
		} else {
			delete(c.notes, w)
		}
	}
	return all
}

// text makes s fit for a label: UTF-8 and not long.
func text(s string) string {
	const most = 128
	return strings.ToValidUTF8(s[:min(len(s), most)], "_")
}
