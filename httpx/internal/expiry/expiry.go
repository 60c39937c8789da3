// Package expiry ends an attempt when time runs out: first the time to the response headers, then the time a read of
// the body may stay without an answer. One context and one timer serve both.
package expiry

import (
	"context"
	"math"
	"sync/atomic"
	"time"
)

// Error is the cause of a context that expired here. It is a timeout to net.Error and matches
// [context.DeadlineExceeded].
type Error struct{ text string }

// Attempt is the cause where the response headers did not come in time; Idle where the body stalled.
func Attempt() *Error { return attempt }

// Idle is the cause where a read of the body got no answer in time.
func Idle() *Error { return idle }

//nolint:gochecknoglobals // sentinels; allocated once so that identity can be compared
var (
	attempt = &Error{"no response headers in time"}
	idle    = &Error{"the response body stalled"}
)

func (e *Error) Error() string { return e.text }

// Timeout makes it a timeout for callers of net/http.
func (e *Error) Timeout() bool { return true }

// Temporary completes net.Error.
func (e *Error) Temporary() bool { return true }

// Is matches [context.DeadlineExceeded].
func (e *Error) Is(target error) bool { return target == context.DeadlineExceeded }

// state is the number of an attempt and its phase in one word, so that what was meant for one attempt never ends the next.
type state uint32

// The phases.
const (
	headers state = iota // waiting for them
	resting              // the attempt is over, another may follow
	body                 // its reads are watched
	over                 // nobody watches any more
)

const phases = 1<<2 - 1

func (s state) phase() state           { return s & phases }
func (s state) with(phase state) state { return s&^phases | phase }

// Expiry is the clock of an attempt, and of the next ones as long as time did not run out: see [Expiry.Again]. Its timer
// is set once: it fires no later than it has to, looks at what the time is meant for by then, and sets itself again. That
// is cheaper than to stop and set it at every step of a call that takes milliseconds.
type Expiry struct {
	cancel   context.CancelCauseFunc
	timer    *time.Timer
	idle     time.Duration
	deadline atomic.Int64 // of the headers, on the clock of Now; zero: none
	reading  atomic.Int64 // when the read under way began, likewise; zero where none is
	state    atomic.Uint32
	stopped  atomic.Bool // the timer has fired while the attempt rested
}

//nolint:gochecknoglobals // the zero of a monotonic clock, never written again
var epoch = time.Now()

// Now is a monotonic clock that fits an atomic, cheaper than time.Now. It is never zero.
func Now() time.Duration { return time.Since(epoch) + 1 }

// At is t, a reading of time.Now, on the clock of [Now].
func At(t time.Time) time.Duration { return t.Sub(epoch) + 1 }

// Start returns the context of the attempt that begins now, which ends after toHeaders unless [Expiry.Headers] is
// called before. Zero means no limit. idleFor is the limit for each read of the body, zero for none. Where there is
// neither, ctx itself is returned and nothing is allocated.
func (e *Expiry) Start(ctx context.Context, now, toHeaders, idleFor time.Duration) context.Context {
	if toHeaders <= 0 && idleFor <= 0 {
		return ctx
	}
	e.idle = idleFor
	ctx, e.cancel = context.WithCancelCause(ctx)
	if toHeaders > 0 {
		e.deadline.Store(int64(now + toHeaders))
	} else {
		toHeaders = math.MaxInt64 // only [Expiry.Body] sets it
	}
	e.timer = time.AfterFunc(toHeaders, e.fire)
	return ctx
}

// Rest says that the attempt is over now and never came to [Expiry.Headers].
func (e *Expiry) Rest(now time.Duration) {
	if s := e.inTime(now); s.phase() == headers {
		e.move(s, resting)
	}
}

// Again starts another attempt now in ctx, which is what Start returned, after [Expiry.Rest]. It reports false where that cannot be: the
// context has ended or the attempt had come to its headers. No attempt may end before the one before it would have.
func (e *Expiry) Again(ctx context.Context, now, toHeaders time.Duration) bool {
	s := state(e.state.Load())
	if s.phase() != resting || ctx.Err() != nil {
		return false
	}
	until := now + toHeaders
	if toHeaders <= 0 {
		until = 0
	}
	e.deadline.Store(int64(until))
	e.state.Store(uint32(s.with(headers) + phases + 1))
	e.restart()
	return true
}

// Bound gives an attempt that has no limit the one for a read of a body, from now: a body is about to be read before the
// attempt comes to its end.
func (e *Expiry) Bound(now time.Duration) {
	if e.idle > 0 && e.deadline.Load() == 0 {
		e.deadline.Store(int64(now + e.idle))
		e.timer.Reset(e.idle)
	}
}

// restart sets the timer again where it has fired while the attempt rested.
func (e *Expiry) restart() {
	if e.stopped.CompareAndSwap(true, false) {
		e.rearm(Now())
	}
}

// rearm sets the timer to the deadline, where there is one.
func (e *Expiry) rearm(now time.Duration) {
	if until := e.deadline.Load(); until != 0 {
		e.timer.Reset(time.Duration(until) - now)
	}
}

// Headers says that the response headers are there now. It reports false where time had run out before.
func (e *Expiry) Headers(now time.Duration) bool {
	s := e.inTime(now)
	if s.phase() != headers {
		return false
	}
	return e.move(s, body)
}

// Body starts the watch over the reads of the body now. Where the timer to the headers fires early enough it serves for
// the body as well.
func (e *Expiry) Body(now time.Duration) {
	until := time.Duration(e.deadline.Load())
	if e.idle > 0 && (until == 0 || until-now > e.idle) {
		e.timer.Reset(e.idle)
	}
}

// Read brackets a read of the body: the time between two reads is the caller's and is not counted.
func (e *Expiry) Read(begin bool) {
	switch {
	case e.idle <= 0:
	case begin:
		e.reading.Store(int64(Now()))
	default:
		e.reading.Store(0)
	}
}

// Stalled reports whether a read of the body is under way.
func (e *Expiry) Stalled() bool { return e.reading.Load() != 0 }

// Leave stops the clock and leaves the context to whoever still needs it, until the caller's own ends.
func (e *Expiry) Leave() {
	e.state.Store(uint32(over))
	if e.timer != nil {
		e.timer.Stop()
	}
}

// End stops the clock and releases the context.
func (e *Expiry) End() {
	e.Leave()
	if e.cancel != nil {
		e.cancel(nil)
	}
}

func (e *Expiry) move(from, to state) bool {
	return e.state.CompareAndSwap(uint32(from), uint32(from.with(to)))
}

// inTime ends an attempt whose headers are late now, and returns the state it is in then.
func (e *Expiry) inTime(now time.Duration) state {
	s := state(e.state.Load()) // before the deadline: Again writes them in the other order
	until := time.Duration(e.deadline.Load())
	if s.phase() != headers || until == 0 || now < until {
		return s
	}
	if e.move(s, over) {
		e.cancel(attempt)
	}
	return state(e.state.Load())
}

func (e *Expiry) fire() {
	now := Now()
	switch s := e.inTime(now); s.phase() {
	case headers: // of a later attempt, whose deadline is later
		e.rearm(now)
	case resting:
		e.stopped.Store(true)
		if state(e.state.Load()) != s {
			e.restart() // the next attempt may have begun before it could see that
		}
	case over:
	case body:
		left := e.idle
		if began := e.reading.Load(); began != 0 {
			left -= now - time.Duration(began)
		}
		switch {
		case e.idle <= 0:
		case left > 0:
			e.timer.Reset(left)
		case e.move(s, over):
			e.cancel(idle)
		}
	}
}
