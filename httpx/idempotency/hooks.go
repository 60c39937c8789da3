package idempotency

import (
	"net/http"

	"github.com/prusik-go/prusik/internal/hooks"
)

// Hooks are callbacks of [Keys]; nil ones are skipped. They are called synchronously, on the goroutine of the request and under
// no lock, by several goroutines at the same time. A panic of a hook passes through the request that runs it.
type Hooks struct {
	// OnDecision is called for a request with a key, or without one that is required, before it is run or answered; not where its
	// scope or its body could not be had.
	OnDecision func(DecisionEvent)
	// OnEnd is called when a request that was run has ended, and its answer is kept or its key is free.
	OnEnd func(EndEvent)
	// OnError is called for what went wrong. What is in it never reaches a client.
	OnError func(ErrorEvent)
}

// JoinHooks returns hooks that call those of all, in order. Where one panics, the later ones are not called.
func JoinHooks(all ...Hooks) Hooks {
	var h Hooks
	for _, next := range all {
		h.OnDecision = hooks.Join(h.OnDecision, next.OnDecision)
		h.OnEnd = hooks.Join(h.OnEnd, next.OnEnd)
		h.OnError = hooks.Join(h.OnError, next.OnError)
	}
	return h
}

// DecisionEvent reports what was decided about a request.
type DecisionEvent struct {
	// Name is the name of the Keys.
	Name string
	// Request is the request. Its key may be a secret: not for a log or a label.
	Request *http.Request
	// Decision is what was decided.
	Decision Decision
	// Original is the correlation id of the request that was run, where this one is answered for it and it had one.
	Original string
}

// EndEvent reports a request that was run.
type EndEvent struct {
	// Name is the name of the Keys.
	Name string
	// Request is the request, as the handler had it.
	Request *http.Request
	// Status is that of its answer, or zero where there was none.
	Status int
	// End is what became of the key.
	End End
}

// ErrorEvent reports what went wrong.
type ErrorEvent struct {
	// Name is the name of the Keys.
	Name string
	// Request is the request it was about.
	Request *http.Request
	// Op is "scope", "begin", "finish" or "release".
	Op string
	// Err is the error of the [Store], or of the scope.
	Err error
	// Outage is the choice that is taken, where Op is "begin" and it was an outage; else zero.
	Outage Outage
}

// Decision says what is done with a request.
type Decision uint8

// The decisions. The comment names the status of the answer; the problem of a refusal has the decision's name as its member
// "idempotency".
const (
	// Run: the key is new, and the request is run.
	Run Decision = iota + 1
	// Replayed: the answer of the run is given again, with its status.
	Replayed
	// NotKept: it was done, but its answer was too large to keep; with the run's status.
	NotKept
	// InProgress: it is being run (409).
	InProgress
	// Mismatch: the key was used for another request (422).
	Mismatch
	// Unknown: it was begun, and how it ended is not known; it may have been done (500).
	Unknown
	// Missing: there is no key, and it is required (400).
	Missing
	// Malformed: the field is repeated, or not a key (400).
	Malformed
	// TooLarge: the body is larger than [Config.MaxBody] (413).
	TooLarge
	// Unprotected: the [Store] does not answer, and with [FailOpen] the request is run.
	Unprotected
	// Refused: the [Store] does not answer or is full (503).
	Refused
)

// String returns the decision's name, such as "in_progress".
func (d Decision) String() string {
	names := [...]string{
		Run: "run", Replayed: "replayed", NotKept: "not_kept", InProgress: "in_progress", Mismatch: "mismatch", Unknown: "unknown",
		Missing: "missing", Malformed: "malformed", TooLarge: "too_large", Unprotected: "unprotected", Refused: "refused",
	}
	if int(d) < len(names) {
		return names[d]
	}
	return ""
}

// MarshalText renders [Decision.String].
func (d Decision) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// End says what became of the key of a request that was run.
type End uint8

// The ends.
const (
	// Kept: a retry is given the answer, or is told that it was not kept.
	Kept End = iota + 1
	// Freed: nothing was done, and a retry is run.
	Freed
	// Lost: it ended without an answer that says what was done; a retry is told so ([Unknown]).
	Lost
)

// String returns "kept", "freed" or "lost".
func (e End) String() string {
	switch e {
	case Kept:
		return "kept"
	case Freed:
		return "freed"
	case Lost:
		return "lost"
	default:
		return ""
	}
}

// MarshalText renders [End.String].
func (e End) MarshalText() ([]byte, error) { return []byte(e.String()), nil }
