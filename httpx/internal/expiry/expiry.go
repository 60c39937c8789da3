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

// phases of an Expiry; each is entered once.
const (
	headers uint32 = iota
	body
	over
)

// Expiry is the clock of an attempt, and of the next ones as long as time did not run out: see [Expiry.Again].
type Expiry struct {
	ctx    context.Context //nolint:containedctx // it exists to end this context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	idle   time.Duration
	armed  bool // the timer to the headers fires early enough to watch over the body as well
	phase  atomic.Uint32
	// reading is when the read under way began, on the clock of [Now]; zero where none is.
	reading atomic.Int64
}

//nolint:gochecknoglobals // the zero of a monotonic clock, never written again
var epoch = time.Now()

// Now is a monotonic clock that fits an atomic, cheaper than time.Now. It is never zero.
func Now() time.Duration { return time.Since(epoch) + 1 }

// Start returns the context of the attempt, which ends after toHeaders unless [Expiry.Headers] is called before.
// Zero means no limit. idleFor is the limit for each read of the body, zero for none. Where there is neither, ctx
// itself is returned and nothing is allocated.
func (e *Expiry) Start(ctx context.Context, toHeaders, idleFor time.Duration) context.Context {
	if toHeaders <= 0 && idleFor <= 0 {
		e.ctx = ctx
		return ctx
	}
	e.idle = idleFor
	e.ctx, e.cancel = context.WithCancelCause(ctx)
	if toHeaders <= 0 {
		toHeaders = math.MaxInt64 // only [Expiry.Body] arms it
	}
	e.armed = idleFor >= toHeaders
	e.timer = time.AfterFunc(toHeaders, e.fire)
	return e.ctx
}

// Rest stops the clock between two attempts, the first of which never came to [Expiry.Headers] or is over.
func (e *Expiry) Rest() {
	if e.timer != nil && !e.timer.Stop() {
		e.phase.Store(over) // it has fired, or is about to: a late timer of one attempt must not end the next
	}
}

// Again starts the clock for another attempt in the same context, after [Expiry.Rest]. It reports false where that
// cannot be: the context has ended or the attempt had come to its headers.
func (e *Expiry) Again(toHeaders time.Duration) bool {
	if e.phase.Load() != headers || e.ctx.Err() != nil {
		return false
	}
	if e.timer != nil {
		if toHeaders <= 0 {
			toHeaders = math.MaxInt64
		}
		e.armed = e.idle >= toHeaders
		e.timer.Reset(toHeaders)
	}
	return true
}

// Headers says that the response headers are there. It reports false where time had run out already.
func (e *Expiry) Headers() bool {
	if !e.phase.CompareAndSwap(headers, body) {
		return false
	}
	if e.timer != nil && !e.armed {
		e.timer.Stop()
	}
	return true
}

// Body starts the watch over the reads of the body.
func (e *Expiry) Body() {
	if e.idle > 0 && !e.armed {
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

// Leave stops the clock and leaves the context to whoever still needs it, until the caller's own ends.
func (e *Expiry) Leave() {
	e.phase.Store(over)
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

// Cause is what ended the context, or nil.
func (e *Expiry) Cause() error {
	if e.ctx == nil {
		return nil
	}
	return context.Cause(e.ctx)
}

func (e *Expiry) fire() {
	if e.phase.CompareAndSwap(headers, over) {
		e.cancel(attempt)
		return
	}
	if e.phase.Load() != body || e.idle <= 0 {
		return
	}
	left := e.idle
	if began := e.reading.Load(); began != 0 {
		left -= Now() - time.Duration(began)
	}
	if left > 0 {
		e.timer.Reset(left)
		return
	}
	if e.phase.CompareAndSwap(body, over) {
		e.cancel(idle)
	}
}
