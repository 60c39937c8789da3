package breaker

import (
	"time"

	"github.com/prusik-go/prusik/internal/hooks"
)

// Hooks are callbacks of a [Breaker]; nil ones are skipped and cost nothing.
//
// They are called synchronously, never under a lock, so that a hook may call the breaker, and all but OnCount in the order in
// which things happened to the breaker, one at a time. Where several goroutines use a breaker, the one that is calling hooks
// calls those of the others' events too, so a hook may run on the goroutine of another call, and a slow one holds
// up that call. While a hook blocks, events wait; of more than 1024 waiting ones, rejects and outcomes are dropped and
// counted in [Snapshot.EventsDropped].
//
// A panic of a hook passes through the call that runs it. The result or the transition it was told of stands, no probe's
// place is lost, and the events behind it are delivered first.
type Hooks struct {
	// OnTransition is called on every change of state.
	OnTransition func(TransitionEvent)
	// OnReject is called for every call that was refused or, in [Shadow], would have been.
	OnReject func(RejectEvent)
	// OnOutcome is called for every result, except in [DisabledState]. Setting it costs two clock readings and a
	// lock a call.
	OnOutcome func(OutcomeEvent)
	// OnCount is called for every failure and every refusal, and is for counters: unlike the others it is called at once,
	// on the goroutine of the call, in no order and several at a time; so it costs no lock, and none is ever dropped.
	OnCount func(CountEvent)
	// OnReconfigure is called for every [Breaker.Reconfigure], before OnTransition where that changes the state.
	OnReconfigure func(ReconfigureEvent)
}

// JoinHooks returns hooks that call those of all, in order. Where one panics, the later ones are not called.
func JoinHooks(all ...Hooks) Hooks {
	var h Hooks
	for _, next := range all {
		h.OnTransition = hooks.Join(h.OnTransition, next.OnTransition)
		h.OnReject = hooks.Join(h.OnReject, next.OnReject)
		h.OnOutcome = hooks.Join(h.OnOutcome, next.OnOutcome)
		h.OnCount = hooks.Join(h.OnCount, next.OnCount)
		h.OnReconfigure = hooks.Join(h.OnReconfigure, next.OnReconfigure)
	}
	return h
}

// TransitionEvent reports a change of state.
type TransitionEvent struct {
	// Name is the breaker's name.
	Name     string
	From, To State
	Reason   Reason
	// At is when it happened.
	At time.Time
	// OpenFor is how long calls are refused, jitter included, where To is [Open]. Otherwise zero.
	OpenFor time.Duration
	// Opens is how often in succession the breaker has opened without closing in between.
	Opens int
	// Shadow is true where the breaker refuses nothing.
	Shadow bool
}

// RejectEvent reports a refused call.
type RejectEvent struct {
	// Name is the breaker's name.
	Name string
	// State is the state that refused.
	State State
	// RetryAfter is what [Breaker.TryAcquire] returns, or would have returned if enabled.
	RetryAfter time.Duration
	// Shadow is true where the call would have been refused and was let through.
	Shadow bool
}

// OutcomeEvent reports the result of a call.
type OutcomeEvent struct {
	// Name is the breaker's name.
	Name string
	// Outcome is the outcome as it counts.
	Outcome Outcome
	// Slow is true where a success took [Config.SlowCall] or longer; Outcome is [Failure] then.
	Slow bool
	// Duration is the time from the permit to the result, or what [Permit.DoneIn] was told.
	Duration time.Duration
	// Late is true where the result was dropped: the state has changed since, or the probe's lease had run out.
	Late bool
	// Shadow is true where the call would have been refused if enabled; its result is not counted.
	Shadow bool
}

// ReconfigureEvent reports a new configuration.
type ReconfigureEvent struct {
	// Name is the breaker's name.
	Name string
	// Old and New are the configurations, defaults filled in. Hooks and Classify are the same in both.
	Old, New Config
}

// CountEvent reports that there is one more of something.
type CountEvent struct {
	// Name is the breaker's name.
	Name string
	// What there is one more of.
	What Count
}

// Count is what [Hooks.OnCount] counts.
type Count uint8

// The counts.
const (
	// CountFailure is a result that was [Failure], in time or late. In [DisabledState] there is none.
	CountFailure Count = iota
	// CountRejection is a call that was refused.
	CountRejection
	// CountShadowRejection is a call that would have been refused, and was let through because of [Shadow].
	CountShadowRejection
)

// tally tells OnCount.
func (b *Breaker) tally(what Count) {
	if h := b.hooks.OnCount; h != nil {
		h(CountEvent{Name: b.name, What: what})
	}
}

// Reason says why a state changed. It is fit for a metric's label.
type Reason string

// The reasons. The set is closed.
const (
	ReasonThreshold   Reason = "threshold"    // closed to open: the window holds too many failures, perhaps by what Reconfigure made too many
	ReasonReady       Reason = "ready"        // open to half-open: the time is over and a call came
	ReasonProbeFailed Reason = "probe_failed" // half-open to open
	ReasonRecovered   Reason = "recovered"    // half-open to closed: enough probes succeeded
	ReasonForced      Reason = "forced"       // by ForceOpen
	ReasonDisabled    Reason = "disabled"     // by Disable
	ReasonReset       Reason = "reset"        // by Reset
	ReasonMode        Reason = "mode"         // to or from disabled: Reconfigure changed the Mode
)

// event is one of the four, by which of the names is set.
type event struct {
	transition  TransitionEvent
	reject      RejectEvent
	outcome     OutcomeEvent
	reconfigure *ReconfigureEvent // large, and rare
}

// keep reports whether e must not be dropped: there are few of these.
func (e *event) keep() bool { return e.transition.Name != "" || e.reconfigure != nil }

func (h *Hooks) call(e *event) {
	switch {
	case e.transition.Name != "":
		h.OnTransition(e.transition)
	case e.reject.Name != "":
		h.OnReject(e.reject)
	case e.reconfigure != nil:
		h.OnReconfigure(*e.reconfigure)
	default:
		h.OnOutcome(e.outcome)
	}
}

// maxWaiting bounds the memory a blocked hook can cost: some 300 bytes an event.
const maxWaiting = 1024

// queue holds events in order, under the breaker's lock, until one goroutine at a time delivers them without it.
type queue struct {
	events     []event
	head       int // of the next event to deliver
	delivering bool
	dropped    uint64
}

func (q *queue) len() int { return len(q.events) - q.head }

func (q *queue) push(e event) {
	if q.len() >= maxWaiting && !e.keep() {
		q.dropped++
		return
	}
	if len(q.events) == cap(q.events) && q.head > len(q.events)/2 {
		q.events = append(q.events[:0], q.events[q.head:]...)
		q.head = 0
	}
	q.events = append(q.events, e)
}

func (q *queue) pop() (e event, ok bool) {
	if q.len() == 0 {
		q.events, q.head = q.events[:0], 0
		return event{}, false
	}
	e = q.events[q.head]
	q.head++
	return e, true
}

// unlock releases the breaker's lock and delivers what is waiting, unless another goroutine, or a hook further up
// on this one, is doing so: then it will deliver ours.
func (b *Breaker) unlock() {
	if b.queue.delivering || b.queue.len() == 0 {
		b.mu.Unlock()
		return
	}
	b.queue.delivering = true
	b.mu.Unlock()
	b.deliver()
}

func (b *Breaker) deliver() {
	done := false
	defer func() {
		if !done { // a hook panicked, or called runtime.Goexit: the events behind it still have to be delivered
			b.deliver()
		}
	}()
	for {
		b.mu.Lock()
		e, ok := b.queue.pop()
		b.queue.delivering = ok
		b.mu.Unlock()
		if !ok {
			done = true
			return
		}
		b.hooks.call(&e)
	}
}
