package ratelimit

import (
	"time"

	"github.com/prusik-go/prusik/internal/hooks"
)

// Hooks are callbacks of a [Limiter]; nil ones are skipped and cost nothing.
//
// They are called synchronously, on the goroutine of the request and never under a lock: a hook may use the limiter. A
// request's own events come in order; those of several goroutines come at the same time and in no order, because a
// limiter takes no lock that all of its callers share. A panic of a hook passes through the call that runs it; what was
// decided stands.
type Hooks struct {
	// OnNew is called once, by [New] with the limiter it is about to return: for what shows or measures limiters.
	OnNew func(*Limiter)
	// OnDecision is called for every decision.
	OnDecision func(DecisionEvent)
	// OnError is called where a decision could not be made, or not by the [Store]. What is in it never reaches a client.
	OnError func(ErrorEvent)
	// OnPause is called when a vendor's refusal stops an [Outbound].
	OnPause func(PauseEvent)
	// OnLimits is called by [Limiter.SetLimits] when the new limits hold.
	OnLimits func(LimitsEvent)
}

// JoinHooks returns hooks that call those of all, in order. Where one panics, the later ones are not called.
func JoinHooks(all ...Hooks) Hooks {
	var h Hooks
	for _, next := range all {
		h.OnNew = hooks.Join(h.OnNew, next.OnNew)
		h.OnDecision = hooks.Join(h.OnDecision, next.OnDecision)
		h.OnError = hooks.Join(h.OnError, next.OnError)
		h.OnPause = hooks.Join(h.OnPause, next.OnPause)
		h.OnLimits = hooks.Join(h.OnLimits, next.OnLimits)
	}
	return h
}

// DecisionEvent reports a decision.
type DecisionEvent struct {
	// Name is the limiter's name.
	Name string
	// Key is whose request it was. It is user input and may be a secret: not for a log or a label.
	Key string
	// Verdict is what was decided.
	Verdict Verdict
	// Policy is the name of the limit that refused, or would have; else empty.
	Policy string
	// Cost is the number of units asked for.
	Cost int64
	// Wait is the time the request waits before it is made; in [Shadow] it would have waited.
	Wait time.Duration
	// RetryAfter is [Decision.RetryAfter].
	RetryAfter time.Duration
	// Outage is the choice that decided where the [Store] could not; else zero.
	Outage Outage
}

// ErrorEvent reports what kept a limiter from deciding.
type ErrorEvent struct {
	// Name is the limiter's name.
	Name string
	// Err is the error of the [Store] or of the [KeyFunc], or what was wrong with key or cost.
	Err error
	// Outage is the choice that is taken instead, where Err is of the [Store]; else zero.
	Outage Outage
}

// PauseEvent reports that a vendor has refused for its rate.
type PauseEvent struct {
	// Name is the limiter's name, Key the vendor's as given to [Limiter.Outbound].
	Name, Key string
	// For is how long nothing is admitted from now on.
	For time.Duration
}

// LimitsEvent reports new limits.
type LimitsEvent struct {
	// Name is the limiter's name.
	Name string
	// Old and New are the limits, with names and bursts filled in. They are copies.
	Old, New Limits
}
