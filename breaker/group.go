package breaker

import (
	"container/list"
	"fmt"
	"hash/fnv"
	"iter"
	"strings"
	"sync"

	"github.com/prusik-go/prusik/internal/check"
)

// GroupConfig is the configuration of a [Group]. The zero value works.
type GroupConfig struct {
	// Breaker is the configuration of every breaker in the group.
	Breaker Config
	// Max is the most keys that have a breaker of their own. 0 means 1000: far more hosts than a program calls, and
	// still a tolerable number of time series. 1 to 100,000.
	Max int
}

// Group keeps one breaker per key, say per host, so that one that is down does not close the way to the others. Make it
// with [NewGroup]. It may be used from several goroutines.
//
// It is bounded. When it is full, a new key takes the place of the closed breaker that was asked for least recently.
// A breaker that is not closed is never given up: forgetting it would let calls through to what is known to be
// down. Where there is no closed one, new keys share one more breaker, the overflow, until there is.
type Group struct {
	name     string
	max      int
	overflow *Breaker

	mu     sync.Mutex
	cfg    *settings
	round  uint64                   // of Reconfigure
	forced bool                     // by ForceOpen
	byKey  map[string]*list.Element // of *member
	recent *list.List               // most recently asked for first
}

type member struct {
	key     string
	breaker *Breaker
}

func of(e *list.Element) *member { return e.Value.(*member) } //nolint:errcheck // recent holds nothing else

// NewGroup returns an empty group. Everything that is wrong with name (see [New]) and cfg is reported at once.
func NewGroup(name string, cfg GroupConfig) (*Group, error) {
	faults := check.New("breaker group", name)
	faults.Name(name)
	orDefault(&cfg.Max, 1000)
	check.Range(faults, "Max", cfg.Max, 1, 100_000)
	s := newSettings(cfg.Breaker, faults)
	if err := faults.Err(); err != nil {
		return nil, err
	}
	return &Group{
		name: name, cfg: s, max: cfg.Max,
		overflow: newBreaker(name+"/*", s),
		byKey:    make(map[string]*list.Element), recent: list.New(),
	}, nil
}

// Get returns the breaker of key, and makes it where there is none. Its name is the group's, a slash and the key; a key
// that is longer than 64 bytes or holds more than letters, digits and ".", "_", "-", ":" is cut and cleaned there, and a
// hash is added. The overflow's name ends in "/*".
//
// Ask for every call anew: a breaker that lost its place in the group lives on with who kept it, but the next Get
// returns another. A hit allocates nothing. A miss in a full group looks for a closed breaker, past those in the way
// that are not.
func (g *Group) Get(key string) *Breaker {
	b, forced := g.get(key)
	if forced {
		b.tell() // hooks are not called under a lock
	}
	return b
}

// get is Get, and says whether the breaker is new and forced open, and its hook has still to be told.
func (g *Group) get(key string) (b *Breaker, forced bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if e, ok := g.byKey[key]; ok {
		g.recent.MoveToFront(e)
		return of(e).breaker, false
	}
	if len(g.byKey) >= g.max && !g.evict() {
		return g.overflow, false
	}
	m := &member{key: strings.Clone(key), breaker: newBreaker(g.name+"/"+label(key), g.cfg)}
	m.breaker.round = g.round
	if g.forced { // before anybody has it: a Reset that comes now is later
		m.breaker.mu.Lock()
		m.breaker.forceOpen()
		m.breaker.mu.Unlock()
	}
	g.byKey[m.key] = g.recent.PushFront(m)
	return m.breaker, g.forced
}

// ForceOpen is [Breaker.ForceOpen] for all breakers of the group, and for those it makes until [Group.Reset].
func (g *Group) ForceOpen() {
	for _, b := range g.force(true) {
		b.ForceOpen()
	}
}

// Reset is [Breaker.Reset] for all breakers of the group.
func (g *Group) Reset() {
	for _, b := range g.force(false) {
		b.Reset()
	}
}

func (g *Group) force(open bool) []*Breaker {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.forced = open
	return g.all()
}

// evict removes the closed breaker that was asked for least recently, and reports whether there was one.
func (g *Group) evict() bool {
	for e := g.recent.Back(); e != nil; e = e.Prev() {
		if m := of(e); m.breaker.State() == Closed {
			g.recent.Remove(e)
			delete(g.byKey, m.key)
			return true
		}
	}
	return false
}

// Config is the present configuration of the group's breakers, with its defaults filled in.
func (g *Group) Config() Config {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.cfg.Config
}

// Given returns the present configuration of the group's breakers as it was given to [NewGroup] or [Group.Reconfigure], without
// its defaults.
func (g *Group) Given() Config {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.cfg.given
}

// All returns the breakers of the group at the time of the call, the most recently asked for first and the overflow
// last. No lock is held between them.
func (g *Group) All() iter.Seq[*Breaker] {
	g.mu.Lock()
	all := g.all()
	g.mu.Unlock()
	return func(yield func(*Breaker) bool) {
		for _, b := range all {
			if !yield(b) {
				return
			}
		}
	}
}

// all is the list of All. mu is held.
func (g *Group) all() []*Breaker {
	all := make([]*Breaker, 0, len(g.byKey)+1)
	for e := g.recent.Front(); e != nil; e = e.Next() {
		all = append(all, of(e).breaker)
	}
	return append(all, g.overflow)
}

// label makes key fit for a metric's label. Different keys get different labels (but for a collision of 32 bits).
func label(key string) string {
	const most = 64
	clean := strings.Map(func(c rune) rune {
		switch {
		case c == '.', c == '_', c == '-', c == ':', '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
			return c
		default:
			return '_'
		}
	}, key)
	if clean == key && len(key) <= most && key != "" {
		return key
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	return fmt.Sprintf("%s-%08x", clean[:min(len(clean), most-9)], h.Sum32())
}
