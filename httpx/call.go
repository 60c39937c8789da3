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

// entry is a call of which nothing was sent yet. It is all that a refusal needs, and lives on the stack: to be refused by an
// open breaker is to cost less than the error.
type entry struct {
	t     *Transport
	req   *http.Request // the caller's, never changed
	hooks *Hooks        // the context's, or nil
	id    [1]string     // the correlation id; an array, so that a header can share it

	start time.Duration // on the clock of expiry.Now; zero until it matters, see begin
	now   time.Duration // the last reading of that clock: an attempt begins and ends at one
	total time.Duration // when the total timeout is over; zero: none
	due   time.Duration // the earlier of that and the context's deadline; zero: none

	permit breaker.Permit
	stop   errors.Stop
	wait   time.Duration // until a new call is worthwhile, where known; what the last answer asked for
	kind   errors.Kind   // of the refusal, or of the last attempt where it got no answer
	err    error         // likewise
	trace  string        // for the metrics, where it is sampled

	n          int32 // attempts sent
	permitHeld bool
	counted    bool // in flight
	place      bool // in the queue of the bulkhead, where it has one
	gone       bool // the caller has left: the last answer is nobody's
	done       bool // RoundTrip has returned, or is about to, or the call has it all
	tallied    bool // the metrics have the call
}

// call is a logical call of which something is sent: what it holds, and what its last attempt ended with. It is used by one
// goroutine at a time, and after its answer by the one that ends the body.
type call struct {
	entry

	safe      bool        // idempotent by method or key: an attempt of unknown delivery may be sent again
	unknown   bool        // an attempt may have been processed
	rejected  bool        // an attempt arrived and was not
	token     bool        // of the retry budget, for a retry that is not sent yet
	sending   bool        // the base has not returned
	uncounted bool        // an attempt was sent that the metrics do not have yet
	judged    atomic.Bool // the breaker has heard of the answer whose body is on the wire

	header http.Header // what every attempt sends
	body   replay.Body
	took   time.Duration // by the last attempt, to its headers or its failure
	last   result

	watch   *watch
	first   watch // the first attempt's, in place
	stream  stream.Body
	setback *setback // nil on a good day
}

// setback is what a call needs once something has gone wrong. A good day does not pay for it.
type setback struct {
	history  []errors.Attempt
	few      [3]errors.Attempt // room for as many as there mostly are
	captured capture.Body      // the last answer, where it is not on the wire
	waited   time.Duration     // before the current attempt
	next     io.ReadCloser     // the body for the next attempt, where ready
	ready    bool
}

// bad returns the call's setback, which it may be the first to need.
func (c *call) bad() *setback {
	if c.setback == nil {
		c.setback = new(setback)
		c.setback.history = c.setback.few[:0]
		c.setback.captured.Owner = c
	}
	return c.setback
}

// history is the record of the attempts: empty where the first one succeeded.
func (c *call) history() []errors.Attempt {
	if c.setback == nil {
		return nil
	}
	return c.setback.history
}

// watch is what goes along with an attempt.
type watch struct {
	clock expiry.Expiry
	conn  probe.Context
	out   http.Request // its own, in place: a request of its own would cost another allocation
}

// begin fills in what a refusal needs. Nothing in it allocates, and time is not asked unless somebody waits or listens.
func (e *entry) begin(t *Transport, req *http.Request) {
	e.t, e.req = t, req
	e.hooks = hooksOf(e.ctx())
	if t.cfg.BulkheadWait > 0 || e.heard() {
		e.identify()
	}
}

// identify starts the clock, and finds the call's id: the caller's header, the context's, or a new one. One look at the
// time serves both.
func (e *entry) identify() {
	if e.start != 0 {
		return
	}
	if e.id[0] = e.knownID(); e.id[0] != "" {
		e.startClock(expiry.Now())
		return
	}
	now := time.Now()
	e.startClock(expiry.At(now))
	e.id[0] = newid.At(now)
}

// ctx is the caller's context, which scopes the call.
func (e *entry) ctx() context.Context { return e.req.Context() }

func (e *entry) startClock(now time.Duration) {
	e.start = now
	e.startTotal(now)
}

// startTotal starts the total timeout.
func (e *entry) startTotal(now time.Duration) {
	e.now = now
	if total := e.t.cfg.TotalTimeout; total > 0 {
		e.total = now + total
		e.due = e.total
	}
	if d, ok := e.ctx().Deadline(); ok {
		if at := now + max(time.Until(d), 1); e.due == 0 || at < e.due {
			e.due = at
		}
	}
}

// left is how long the call may still take.
func (e *entry) left() time.Duration {
	if e.due == 0 {
		return math.MaxInt64
	}
	return e.due - e.now
}

func (e *entry) killSwitch() bool {
	if off := e.t.cfg.KillSwitch; off != nil && off() {
		return e.refused(errors.StopPermanent, errors.FeatureDisabled, errKillSwitch, 0)
	}
	return true
}

// bulkhead takes the call's place. Where nobody waits for one, the count of calls in flight is all it needs.
func (e *entry) bulkhead() bool {
	cfg := &e.t.cfg
	if cfg.MaxConcurrent > 0 && e.t.queue == nil {
		for {
			n := e.t.inFlight.Load()
			if n >= int64(cfg.MaxConcurrent) {
				return e.refused(errors.StopBulkheadFull, errors.Unavailable, errBulkheadFull, 0)
			}
			if e.t.inFlight.CompareAndSwap(n, n+1) {
				e.counted = true
				return true
			}
		}
	}
	e.counted = true
	e.t.inFlight.Add(1)
	if e.t.queue == nil {
		return true
	}
	if err := e.t.queue.AcquirePermitWithMaxWait(e.ctx(), cfg.BulkheadWait); err != nil {
		if e.ctx().Err() != nil {
			return e.callerGone()
		}
		return e.refused(errors.StopBulkheadFull, errors.Unavailable, errBulkheadFull, 0)
	}
	e.place = true
	e.startTotal(expiry.Now()) // it is not for the time in the queue
	return true
}

// leave gives the place back.
func (e *entry) leave() {
	if e.counted {
		e.counted = false
		e.t.inFlight.Add(-1)
	}
	if e.place {
		e.place = false
		e.t.queue.ReleasePermit()
	}
}

// guard is the breaker of the call's vendor or host.
func (e *entry) guard() *breaker.Breaker {
	if br := e.t.breaker; br != nil {
		return br
	}
	return e.t.hosts.Get(host(e.req))
}

func (e *entry) breaker(br *breaker.Breaker) bool {
	permit, after, ok := br.TryAcquire()
	if !ok {
		return e.broken(after)
	}
	e.permit, e.permitHeld = permit, true
	return true
}

// broken is the refusal of the breaker.
func (e *entry) broken(after time.Duration) bool {
	return e.refused(errors.StopBreakerOpen, errors.CircuitOpen, nil, after)
}

// callerGone is the refusal of a context that is done.
func (e *entry) callerGone() bool {
	if e.n > 0 {
		return e.callerLeft()
	}
	if e.ctx().Err() == context.DeadlineExceeded {
		return e.refused(errors.StopDeadline, errors.Unavailable, e.cause(), 0)
	}
	return e.refused(errors.StopCanceled, errors.Canceled, e.cause(), 0)
}

// cause is why the caller's context ended. It is the caller's to choose, and may be another request's error: it is stripped
// like one. A deadline stays a timeout whatever the cause that was given to it.
func (e *entry) cause() error {
	cause := fault.Strip(context.Cause(e.ctx()))
	if err := e.ctx().Err(); err == context.DeadlineExceeded && !errors.Is(cause, err) {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return cause
}

func (e *entry) refused(stop errors.Stop, kind errors.Kind, cause error, after time.Duration) bool {
	e.stop, e.wait = stop, after
	if e.n == 0 {
		e.kind, e.err = kind, cause // later, what the last attempt gave is the answer
	}
	return false
}

// toHeap is where a call stops being free: something will be sent.
func (e *entry) toHeap() *call {
	c := &call{entry: *e}
	e.done = true // what it holds is the other's from here on
	return c
}

// prepare finds out what every attempt needs to know.
func (c *call) prepare() {
	c.identify()
	var key string
	c.safe, key = c.repeatable()
	c.stamp(key)
}

func (e *entry) knownID() string {
	if h := e.req.Header; len(h) > 0 {
		if v := h[headerCorrelationID]; len(v) == 1 && correlation.Valid(v[0]) {
			return v[0]
		}
		//nolint:staticcheck // SA1008: what was put there by h[correlation.Header]
		if v := h[correlation.Header]; len(v) == 1 && correlation.Valid(v[0]) {
			return v[0]
		}
	}
	id, _ := correlation.ID(e.ctx())
	return id
}

// repeatable says whether an attempt that may have been processed can be sent again, and makes an idempotency key where
// the vendor takes one and the request needs it.
func (c *call) repeatable() (safe bool, key string) {
	switch c.req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true, "" // idempotent by RFC 9110, section 9.2.2
	}
	p := &c.t.cfg.Profile
	if p.HonoursKey != nil && !p.HonoursKey(c.req) {
		return false, ""
	}
	if named(c.req.Header, cmp.Or(p.IdempotencyHeader, headerIdempotencyKey)) {
		return true, ""
	}
	if p.IdempotencyHeader == "" {
		return false, ""
	}
	return true, newid.At(time.Now())
}

// attempt sends the call once and judges what came of it.
func (c *call) attempt() {
	c.n++
	if c.heard() {
		c.emit(Event{Status: StatusAttempt, Attempt: int(c.n)})
		c.now = expiry.Now() // the listener's time is not the vendor's
	}
	began, out := c.now, c.outgoing()
	c.sending, c.uncounted, c.token = true, true, false // spent
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
	toHeaders := c.toHeaders()
	var body io.ReadCloser
	if c.n > 1 {
		bad := c.setback
		body, bad.next, bad.ready = bad.next, nil, false
	}
	switch {
	case c.n == 1:
		body, _ = c.body.Next(c.req, c.t.cfg.MaxBodyBuffer) // the first is the caller's own: no error
		c.watch = &c.first
	case c.watch.clock.Again(&c.watch.conn, c.now, toHeaders):
		c.watch.conn.Reset()
		if replay.None(c.req) {
			return &c.watch.out
		}
		out := c.watch.out.WithContext(&c.watch.conn) // the base may still read the one before
		out.Body = body
		return out
	default:
		c.watch.clock.End()
		c.watch = new(watch)
	}
	c.watch.conn.Init(c.watch.clock.Start(c.ctx(), c.now, toHeaders, c.t.cfg.BodyIdleTimeout))
	out := &c.watch.out
	*out = *c.req.WithContext(&c.watch.conn)
	out.Body, out.Header = body, c.header
	return out
}

// stamp makes the header with the ids, and an idempotency key of ours where there is one: a map of its own whose value
// slices are shared with the caller's.
func (c *call) stamp(key string) {
	own, slip := c.req.Header[headerCorrelationID], c.req.Header[correlation.Header] //nolint:staticcheck // SA1008: see knownID
	if len(own) == 1 && own[0] == c.id[0] && slip == nil && key == "" && (c.safe || !keyed(c.req.Header)) {
		c.header = c.req.Header // it says it all already
		return
	}
	var h http.Header
	if len(c.req.Header) == 0 {
		h = make(http.Header)
	} else {
		h = maps.Clone(c.req.Header) // at half the cost of a loop
	}
	if slip != nil {
		delete(h, correlation.Header)
	}
	h[headerCorrelationID] = c.id[:1:1]
	if key != "" {
		h.Set(c.t.cfg.Profile.IdempotencyHeader, key)
	}
	if !c.safe {
		hideKeys(h)
	}
	c.header = h
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
	failed := r.verdict.Delivery != errors.Delivered
	if !r.streams || c.permit.Slow(c.took) {
		c.permit.DoneIn(r.outcome, c.took)
		c.permitHeld = false
	}
	c.unknown = c.unknown || r.verdict.Delivery == errors.Unknown
	c.rejected = c.rejected || r.verdict.Delivery == errors.Rejected
	c.feedLimiter()
	c.meterAttempt()
	heard := c.t.cfg.Hooks.OnAttempt != nil || c.hooks != nil && c.hooks.OnAttempt != nil
	if !failed && c.n == 1 && !heard {
		return // the usual case on a good day
	}
	a := errors.Attempt{Status: r.status(), Reason: r.verdict.Reason, Delivery: r.verdict.Delivery, Duration: c.took}
	if failed || c.n > 1 {
		bad := c.bad()
		a.Wait = bad.waited
		bad.history = append(bad.history, a)
	}
	if !heard {
		return
	}
	ev := AttemptEvent{
		Service: c.t.name, CorrelationID: c.id[0], Method: method(c.req), Host: host(c.req), Number: int(c.n), Attempt: a,
	}
	if h := c.t.cfg.Hooks.OnAttempt; h != nil {
		h(ev)
	}
	if c.hooks != nil && c.hooks.OnAttempt != nil {
		c.hooks.OnAttempt(ev)
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
	cfg, asked := &c.t.cfg, c.wait
	switch {
	case c.last.resp == nil && c.ctx().Err() != nil:
		return c.callerLeft()
	case v.Retry == RetryNever && v.Limited:
		return c.enough(errors.StopRateLimited)
	case v.Retry == RetryNever, v.Delivery == errors.Rejected && v.Retry != RetryAlways && !v.Limited:
		return c.enough(errors.StopPermanent)
	case v.Delivery == errors.Unknown && !c.safe:
		return c.enough(errors.StopUnsafeMethod)
	case int(c.n) >= cfg.MaxAttempts:
		return c.enough(errors.StopExhausted)
	case !c.body.Replayable(c.req):
		return c.enough(errors.StopBodyNotReplayable)
	case asked > cfg.MaxRetryAfter:
		return c.enough(errors.StopRateLimited)
	}
	pause := c.t.backoff.Before(int(c.n), asked)
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
	bad := c.bad()
	bad.next, bad.ready = next, true
	if c.heard() {
		c.emit(Event{
			Status: StatusRetrying, Attempt: int(c.n) + 1, NextRetryIn: pause, Reason: v.Reason, HTTPStatus: c.last.status(),
			Delivery: v.Delivery,
		})
	}
	if bad.waited = pause; pause <= 0 {
		return true
	}
	if !wait.Sleep(c.ctx(), pause) {
		return c.callerLeft()
	}
	if c.now = expiry.Now(); c.left() <= 0 {
		return c.enough(errors.StopDeadline) // it was slept over
	}
	return true
}

// enough ends the call with what the last attempt gave.
func (c *call) enough(stop errors.Stop) bool {
	c.stop = stop
	return false
}

// callerLeft ends the call with an error, whatever the last attempt gave: nobody waits for its answer any more.
func (e *entry) callerLeft() bool {
	if e.err == nil {
		e.err = e.cause()
	}
	e.gone = true
	e.kind, e.stop = errors.Canceled, errors.StopCanceled
	if e.ctx().Err() == context.DeadlineExceeded {
		e.kind, e.stop = errors.VendorTimeout, errors.StopDeadline
	}
	return false
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
