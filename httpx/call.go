package httpx

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx/internal/capture"
	"github.com/prusik-go/prusik/httpx/internal/expiry"
	"github.com/prusik-go/prusik/httpx/internal/fault"
	"github.com/prusik-go/prusik/httpx/internal/probe"
	"github.com/prusik-go/prusik/httpx/internal/replay"
	"github.com/prusik-go/prusik/httpx/internal/stream"
	"github.com/prusik-go/prusik/httpx/internal/wait"
	"github.com/prusik-go/prusik/internal/newid"
)

// call is one logical call: what it holds, and what its last attempt ended with. It is used by one goroutine at a time,
// and after its answer by the one that ends the body.
type call struct {
	t       *Transport
	req     *http.Request // the caller's, never changed
	observe func(Event)   // the context's observer, or nil
	id      [1]string     // the correlation id; an array, so that a header can share it
	key     string        // idempotency key of ours, or ""

	start time.Duration // on the clock of expiry.Now; zero until it matters, see begin
	now   time.Duration // the last reading of that clock: an attempt begins and ends at one
	total time.Duration // when the total timeout is over; zero: none
	due   time.Duration // the earlier of that and the context's deadline; zero: none

	safe       bool // idempotent by method or key: an attempt of unknown delivery may be sent again
	unknown    bool // an attempt may have been processed
	rejected   bool // an attempt arrived and was not
	permitHeld bool
	counted    bool        // in flight
	place      bool        // in the queue of the bulkhead, where it has one
	token      bool        // of the retry budget, for a retry that is not sent yet
	nextReady  bool        // next is the body for the next attempt
	sending    bool        // the base has not returned
	done       bool        // RoundTrip has returned, or is about to
	judged     atomic.Bool // the breaker has heard of the answer whose body is on the wire

	permit  breaker.Permit
	body    replay.Body
	next    io.ReadCloser
	n       int           // attempts sent
	waited  time.Duration // before the current attempt
	took    time.Duration // by the last attempt, to its headers or its failure
	history []errors.Attempt

	last result
	stop errors.Stop
	wait time.Duration // until a new call is worthwhile, where known

	watch    *watch
	first    watch         // the first attempt's, in place
	out      *http.Request // what the last attempt sent
	stream   stream.Body
	captured *capture.Body // the last answer's, where it is not on the wire
}

// watch is what goes along with an attempt.
type watch struct {
	clock expiry.Expiry
	conn  probe.Context
}

// begin fills in what a refusal needs. Nothing in it allocates, and time is not asked unless somebody waits or listens:
// a refusal by an open breaker is to cost less than the error it returns.
func (c *call) begin(t *Transport, req *http.Request) {
	c.t, c.req = t, req
	c.observe = observerOf(c.ctx())
	if t.cfg.BulkheadWait > 0 || c.heard() {
		c.identify()
	}
}

// identify starts the clock, and finds the call's id: the caller's header, the context's, or a new one. One look at the
// time serves both.
func (c *call) identify() {
	if c.start != 0 {
		return
	}
	if c.id[0] = c.knownID(); c.id[0] != "" {
		c.startClock(expiry.Now())
		return
	}
	now := time.Now()
	c.startClock(expiry.At(now))
	c.id[0] = newid.At(now)
}

// ctx is the caller's context, which scopes the call.
func (c *call) ctx() context.Context { return c.req.Context() }

func (c *call) startClock(now time.Duration) {
	c.start = now
	c.startTotal(now)
}

// startTotal starts the total timeout.
func (c *call) startTotal(now time.Duration) {
	c.now = now
	if total := c.t.cfg.TotalTimeout; total > 0 {
		c.total = now + total
		c.due = c.total
	}
	if d, ok := c.ctx().Deadline(); ok {
		if at := now + max(time.Until(d), 1); c.due == 0 || at < c.due {
			c.due = at
		}
	}
}

// left is how long the call may still take.
func (c *call) left() time.Duration {
	if c.due == 0 {
		return math.MaxInt64
	}
	return c.due - c.now
}

func (c *call) killSwitch() bool {
	if off := c.t.cfg.KillSwitch; off != nil && off() {
		return c.refused(errors.StopPermanent, errors.FeatureDisabled, errKillSwitch, 0)
	}
	return true
}

// bulkhead takes the call's place. Where nobody waits for one, the count of calls in flight is all it needs.
func (c *call) bulkhead() bool {
	cfg := &c.t.cfg
	if cfg.MaxConcurrent > 0 && c.t.queue == nil {
		for {
			n := c.t.inFlight.Load()
			if n >= int64(cfg.MaxConcurrent) {
				return c.refused(errors.StopBulkheadFull, errors.Unavailable, errBulkheadFull, 0)
			}
			if c.t.inFlight.CompareAndSwap(n, n+1) {
				c.counted = true
				return true
			}
		}
	}
	c.counted = true
	c.t.inFlight.Add(1)
	if c.t.queue == nil {
		return true
	}
	if err := c.t.queue.AcquirePermitWithMaxWait(c.ctx(), cfg.BulkheadWait); err != nil {
		if c.ctx().Err() != nil {
			return c.callerGone()
		}
		return c.refused(errors.StopBulkheadFull, errors.Unavailable, errBulkheadFull, 0)
	}
	c.place = true
	c.startTotal(expiry.Now()) // it is not for the time in the queue
	return true
}

// leave gives the place back.
func (c *call) leave() {
	if c.counted {
		c.counted = false
		c.t.inFlight.Add(-1)
	}
	if c.place {
		c.place = false
		c.t.queue.ReleasePermit()
	}
}

// guard is the breaker of the call's vendor or host.
func (c *call) guard() *breaker.Breaker {
	if br := c.t.breaker; br != nil {
		return br
	}
	return c.t.hosts.Get(host(c.req))
}

func (c *call) breaker(br *breaker.Breaker) bool {
	permit, after, ok := br.TryAcquire()
	if !ok {
		return c.broken(after)
	}
	c.permit, c.permitHeld = permit, true
	return true
}

// broken is the refusal of the breaker.
func (c *call) broken(after time.Duration) bool {
	return c.refused(errors.StopBreakerOpen, errors.CircuitOpen, nil, after)
}

// callerGone is the refusal of a context that is done.
func (c *call) callerGone() bool {
	if c.n > 0 {
		return c.callerLeft()
	}
	if c.ctx().Err() == context.DeadlineExceeded {
		return c.refused(errors.StopDeadline, errors.Unavailable, c.cause(), 0)
	}
	return c.refused(errors.StopCanceled, errors.Canceled, c.cause(), 0)
}

// cause is why the caller's context ended. It is the caller's to choose, and may be another request's error: it is stripped
// like one. A deadline stays a timeout whatever the cause that was given to it.
func (c *call) cause() error {
	cause := fault.Strip(context.Cause(c.ctx()))
	if err := c.ctx().Err(); err == context.DeadlineExceeded && !errors.Is(cause, err) {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return cause
}

func (c *call) refused(stop errors.Stop, kind errors.Kind, cause error, after time.Duration) bool {
	c.stop, c.wait = stop, after
	if c.n == 0 {
		c.last.kind, c.last.err = kind, cause // later, what the last attempt gave is the answer
	}
	return false
}

// toHeap is where a call stops being free: something will be sent.
func (c *call) toHeap() *call {
	c.done = true // what it holds is the other's from here on
	return &call{
		t: c.t, req: c.req, observe: c.observe, start: c.start, now: c.now, total: c.total, due: c.due,
		permit: c.permit, permitHeld: c.permitHeld, counted: c.counted, place: c.place, body: c.body, id: c.id,
	}
}

// prepare finds out what every attempt needs to know.
func (c *call) prepare() {
	c.identify()
	c.safe = c.repeatable()
}

func (c *call) knownID() string {
	for _, name := range [...]string{headerCorrelationID, correlation.Header} { // the latter by Header[correlation.Header]
		if v := c.req.Header[name]; len(v) == 1 && correlation.Valid(v[0]) {
			return v[0]
		}
	}
	id, _ := correlation.ID(c.ctx())
	return id
}

// repeatable says whether an attempt that may have been processed can be sent again, and makes an idempotency key where
// the vendor takes one and the request needs it.
func (c *call) repeatable() bool {
	switch c.req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true // idempotent by RFC 9110, section 9.2.2
	}
	p := &c.t.cfg.Profile
	if p.HonoursKey != nil && !p.HonoursKey(c.req) {
		return false
	}
	if named(c.req.Header, cmp.Or(p.IdempotencyHeader, headerIdempotencyKey)) {
		return true
	}
	if p.IdempotencyHeader == "" {
		return false
	}
	c.key = newid.At(time.Now())
	return true
}

// attempt sends the call once and judges what came of it.
func (c *call) attempt() {
	c.n++
	c.token = false // spent
	if c.heard() {
		c.emit(Event{Status: StatusAttempt, Attempt: c.n})
		c.now = expiry.Now() // the listener's time is not the vendor's
	}
	began, out := c.now, c.outgoing()
	c.sending = true
	resp, err := c.t.base.RoundTrip(out)
	c.sending = false
	c.now = expiry.Now()
	c.took = c.now - began
	c.judge(resp, err)
	c.settle()
}

// toHeaders is how long the attempt may take to its headers: the attempt's limit, or what is left of the call's.
func (c *call) toHeaders() time.Duration {
	limit := c.t.cfg.AttemptTimeout
	if c.total == 0 {
		return limit
	}
	left := max(c.total-c.now, 1)
	if limit <= 0 {
		return left
	}
	return min(limit, left)
}

// outgoing is the own request of an attempt that begins now, under its clock. Where time did not run out on the attempt
// before, its context and its request serve again: its response is off the wire, nothing of it goes on.
func (c *call) outgoing() *http.Request {
	body, toHeaders := c.next, c.toHeaders()
	if !c.nextReady {
		body, _ = c.body.Next(c.req, c.t.cfg.MaxBodyBuffer) // the first body is the caller's own: no error
	}
	c.nextReady, c.next = false, nil
	switch {
	case c.n == 1:
		c.watch = &c.first
	case c.watch.clock.Again(c.now, toHeaders):
		c.watch.conn.Reset()
		if !replay.None(c.req) {
			c.out = c.out.WithContext(c.out.Context())
			c.out.Body = body
		}
		return c.out
	default:
		c.watch.clock.End()
		c.watch = new(watch)
	}
	c.watch.conn.Init(c.watch.clock.Start(c.ctx(), c.now, toHeaders, c.t.cfg.BodyIdleTimeout))
	c.out = c.req.WithContext(&c.watch.conn)
	c.out.Body = body
	c.stamp()
	return c.out
}

// stamp puts the ids on the request, in a header map of its own whose value slices are shared.
func (c *call) stamp() {
	own, slip := c.req.Header[headerCorrelationID], c.req.Header[correlation.Header] //nolint:staticcheck // SA1008: see knownID
	if len(own) == 1 && own[0] == c.id[0] && slip == nil && c.key == "" && (c.safe || !keyed(c.req.Header)) {
		return // the caller's header says it all already
	}
	h := make(http.Header, len(c.req.Header)+2)
	maps.Copy(h, c.req.Header)
	delete(h, correlation.Header)
	h[headerCorrelationID] = c.id[:1:1]
	if c.key != "" {
		h.Set(c.t.cfg.Profile.IdempotencyHeader, c.key)
	}
	if !c.safe {
		hideKeys(h)
	}
	c.out.Header = h
}

// named reports whether h has a value under name, which is canonical, in whatever case the caller has written it: a header
// set past http.Header.Set goes out all the same.
func named(h http.Header, name string) bool {
	if v := h[name]; len(v) > 0 && v[0] != "" {
		return true
	}
	for k, v := range h {
		if len(k) == len(name) && len(v) > 0 && v[0] != "" && strings.EqualFold(k, name) {
			return true
		}
	}
	return false
}

// keyed reports whether net/http would take a request for repeatable by its header.
func keyed(h http.Header) bool {
	return h[headerIdempotencyKey] != nil || h[headerXIdempotencyKey] != nil
}

// hideKeys keeps a key that this vendor does not honour on the wire, but out of net/http's sight: it repeats any request
// with one when a reused connection dies before the answer, and so would text a person twice. It looks for the canonical
// name; in HTTP names have no case.
func hideKeys(h http.Header) {
	for _, name := range [...]string{headerIdempotencyKey, headerXIdempotencyKey} {
		if v, ok := h[name]; ok {
			delete(h, name)
			h[strings.ToLower(name)] = v
		}
	}
}

// settle gives the attempt's permit back, and records the attempt.
func (c *call) settle() {
	r := &c.last
	slow := c.t.cfg.Breaker.SlowCall
	failed := r.verdict.Delivery != errors.Delivered
	if !r.streams || slow > 0 && c.took >= slow {
		c.permit.DoneIn(r.outcome, c.took)
		c.permitHeld = false
	}
	c.unknown = c.unknown || r.verdict.Delivery == errors.Unknown
	c.rejected = c.rejected || r.verdict.Delivery == errors.Rejected
	c.feedLimiter()
	h := c.t.cfg.Hooks.OnAttempt
	if !failed && c.n == 1 && h == nil {
		return // the usual case on a good day
	}
	a := errors.Attempt{
		Status: r.status(), Reason: r.verdict.Reason, Delivery: r.verdict.Delivery, Wait: c.waited, Duration: c.took,
	}
	if failed || c.n > 1 {
		if c.history == nil {
			c.history = make([]errors.Attempt, 0, c.t.cfg.MaxAttempts)
		}
		c.history = append(c.history, a)
	}
	if h != nil {
		h(AttemptEvent{
			Service: c.t.name, CorrelationID: c.id[0], Method: method(c.req), Host: host(c.req), Number: c.n, Attempt: a,
		})
	}
}

// retry decides whether another attempt follows, and waits for it.
func (c *call) retry() bool {
	v := &c.last.verdict
	if v.Delivery == errors.Delivered {
		if c.n == 1 {
			c.t.budget.Success()
		}
		return false
	}
	cfg := &c.t.cfg
	c.wait = c.last.asked
	switch {
	case c.last.resp == nil && c.ctx().Err() != nil:
		return c.callerLeft()
	case v.Retry == RetryNever && v.Limited:
		return c.enough(errors.StopRateLimited)
	case v.Retry == RetryNever, v.Delivery == errors.Rejected && v.Retry != RetryAlways && !v.Limited:
		return c.enough(errors.StopPermanent)
	case v.Delivery == errors.Unknown && !c.safe:
		return c.enough(errors.StopUnsafeMethod)
	case c.n >= cfg.MaxAttempts:
		return c.enough(errors.StopExhausted)
	case !c.body.Replayable(c.req):
		return c.enough(errors.StopBodyNotReplayable)
	case c.last.asked > cfg.MaxRetryAfter:
		return c.enough(errors.StopRateLimited)
	}
	pause := c.t.backoff.Before(c.n, c.last.asked)
	if pause >= c.left() {
		return c.enough(errors.StopDeadline)
	}
	if !c.t.budget.Take() {
		return c.enough(errors.StopBudget)
	}
	c.token = true
	next, err := c.body.Next(c.req, c.t.cfg.MaxBodyBuffer)
	if err != nil {
		return c.enough(errors.StopBodyNotReplayable)
	}
	c.next, c.nextReady = next, true
	if c.heard() {
		c.emit(Event{
			Status: StatusRetrying, Attempt: c.n + 1, NextRetryIn: pause, Reason: v.Reason, HTTPStatus: c.last.status(),
			Delivery: v.Delivery,
		})
	}
	if !wait.Sleep(c.ctx(), pause) {
		return c.callerLeft()
	}
	if c.waited = pause; pause > 0 {
		if c.now = expiry.Now(); c.left() <= 0 {
			return c.enough(errors.StopDeadline) // it was slept over
		}
	}
	return true
}

// enough ends the call with what the last attempt gave.
func (c *call) enough(stop errors.Stop) bool {
	c.stop = stop
	return false
}

// callerLeft ends the call with an error, whatever the last attempt gave: nobody waits for its answer any more.
func (c *call) callerLeft() bool {
	if c.last.err == nil {
		c.last.err = c.cause()
	}
	c.last.resp = nil // captured: there is nothing on the wire to close
	if c.ctx().Err() == context.DeadlineExceeded {
		c.last.kind = errors.VendorTimeout
		return c.enough(errors.StopDeadline)
	}
	c.last.kind = errors.Canceled
	return c.enough(errors.StopCanceled)
}

func method(r *http.Request) string {
	if r.Method == "" {
		return http.MethodGet
	}
	return r.Method
}

func host(r *http.Request) string {
	if r.URL == nil {
		return ""
	}
	return r.URL.Host
}
