package flags

import (
	"slices"
	"time"

	"github.com/prusik-go/prusik/internal/hooks"
)

// Hooks are callbacks of a [Set]; nil ones are skipped and cost nothing.
//
// OnChange and OnRefusal are called synchronously, one at a time and in the order in which things happened, never under a
// lock: a hook may use the set. Where several goroutines change flags, the one that is calling hooks calls those of the others'
// events too; the end of an override is told on a goroutine of its timer. OnGate is called at once, by several goroutines at a time.
// A panic of a hook passes through the call that runs it; what was changed stands, and the events behind it are delivered first. On the
// goroutine of a timer it ends the program.
type Hooks struct {
	// OnChange is called for every change of a value at run time, and for every override. It is the audit.
	OnChange func(ChangeEvent)
	// OnRefusal is called for each [Change] of a refused [Set.Override] or [Set.Clear].
	OnRefusal func(RefusalEvent)
	// OnGate is called for every request that [Bool.Handler] turns away.
	OnGate func(GateEvent)
}

// JoinHooks returns hooks that call those of all, in order. Where one panics, the later ones are not called.
func JoinHooks(all ...Hooks) Hooks {
	var h Hooks
	for _, next := range all {
		h.OnChange = hooks.Join(h.OnChange, next.OnChange)
		h.OnRefusal = hooks.Join(h.OnRefusal, next.OnRefusal)
		h.OnGate = hooks.Join(h.OnGate, next.OnGate)
	}
	return h
}

// AddHooks adds to [Config.Hooks], for what shows or counts the flags of a set that is made already. They are called after those
// that are there. Nothing takes them back.
func (s *Set) AddHooks(h Hooks) {
	s.mu.Lock()
	defer s.mu.Unlock()
	joined := JoinHooks(*s.hooks.Load(), h)
	s.hooks.Store(&joined)
}

// Cause is why a value changed.
type Cause string

// The causes.
const (
	Overridden Cause = "overridden" // by [Set.Override]
	Cleared    Cause = "cleared"    // by [Set.Clear]
	Expired    Cause = "expired"    // its [Change.For] was over
	Followed   Cause = "followed"   // the flag that it follows has changed
	Loaded     Cause = "loaded"     // by a further [Set.Load]
)

// ChangeEvent reports a change of a value.
type ChangeEvent struct {
	// Flag is the flag's name.
	Flag string
	// From and To are the values, written as in the environment; that of a [Secret] is not.
	From, To string
	// Source is where the new value comes from.
	Source Source
	Cause  Cause
	// Author, Reason and CorrelationID are those of the [Change]; where an override has expired, of what began it.
	Author, Reason, CorrelationID string
	// At is when it happened, and Until when it ends by itself, which is zero where it does not.
	At, Until time.Time
}

// RefusalEvent reports a change that was refused.
type RefusalEvent struct {
	// Flag is the flag's name, and "other" where there is no such flag.
	Flag string
	// Author, Reason and CorrelationID are those of the [Change], whatever they are: cut them to a length before you keep them.
	Author, Reason, CorrelationID string
	At                            time.Time
	// Err is what [Set.Override] or [Set.Clear] returned.
	Err error
}

// GateEvent reports a request that was turned away.
type GateEvent struct {
	// Flag is the flag's name.
	Flag string
}

// other stands for names that nobody declared.
const other = "other"

type watcher struct{ call func() }

// Watch has fn called after every change of any value, for what works with a value of its own, such as the threshold of a
// breaker. It is called like the hooks, after them, and says nothing: read the flags. Where one of several panics, the others are
// called all the same. It is not called at once. stop ends it; a call that is under way goes on.
func (s *Set) Watch(fn func()) (stop func()) {
	w := &watcher{fn}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers = append(slices.Clone(s.watchers), w)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.watchers = slices.DeleteFunc(slices.Clone(s.watchers), func(x *watcher) bool { return x == w })
	}
}

// delivery is one of its fields.
type delivery struct {
	change   *ChangeEvent
	refusal  *RefusalEvent
	watchers bool
}

// queue keeps what hooks have yet to be told. It is guarded by the set's lock.
type queue struct {
	waiting    []delivery
	delivering bool
}

func (q *queue) push(d delivery) { q.waiting = append(q.waiting, d) }

// unlock releases the set's lock and delivers what is waiting, unless another goroutine, or a hook further up on this one, is
// doing so: then it will deliver ours.
func (s *Set) unlock() {
	if s.queue.delivering || len(s.queue.waiting) == 0 {
		s.mu.Unlock()
		return
	}
	s.queue.delivering = true
	s.mu.Unlock()
	s.deliver()
}

func (s *Set) deliver() {
	done := false
	defer func() {
		if !done { // a hook panicked, or called runtime.Goexit: the events behind it still have to be delivered
			s.deliver()
		}
	}()
	for {
		s.mu.Lock()
		waiting := s.queue.waiting
		if s.queue.delivering = len(waiting) > 0; !s.queue.delivering {
			s.mu.Unlock()
			done = true
			return
		}
		d := waiting[0]
		s.queue.waiting = waiting[1:]
		watchers := s.watchers
		s.mu.Unlock()
		s.tell(d, watchers)
	}
}

func (s *Set) tell(d delivery, watchers []*watcher) {
	switch {
	case d.change != nil:
		if h := s.hooks.Load().OnChange; h != nil {
			h(*d.change)
		}
	case d.refusal != nil:
		if h := s.hooks.Load().OnRefusal; h != nil {
			h(*d.refusal)
		}
	default:
		callAll(watchers)
	}
}

// callAll calls the others too where one panics.
func callAll(watchers []*watcher) {
	for i, w := range watchers {
		func() {
			done := false
			defer func() {
				if !done {
					callAll(watchers[i+1:])
				}
			}()
			w.call()
			done = true
		}()
	}
}
