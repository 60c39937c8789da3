package httpx

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx/internal/expiry"
	"github.com/prusik-go/prusik/httpx/internal/fault"
	"github.com/prusik-go/prusik/httpx/internal/replay"
)

const (
	headerCorrelationID   = "X-Correlation-Id" // correlation.Header in the form net/http keeps it under
	headerIdempotencyKey  = "Idempotency-Key"
	headerRateLimit       = "Ratelimit"         // RateLimit, likewise
	headerXIdempotencyKey = "X-Idempotency-Key" // net/http takes it for a key too
)

var (
	errKillSwitch       = errors.New("the kill switch is on")
	errBulkheadFull     = errors.New("too many calls in flight")
	errTooManyRedirects = errors.New("stopped after 10 redirects")
	errNoResponse       = errors.New("the transport returned neither a response nor an error")
	errMalformed        = errors.New("the transport returned a malformed response")
)

// refuse ends a call of which nothing was sent.
func (e *entry) refuse() error {
	if e.heard() || e.reported() {
		e.identify()
	} else if e.start == 0 {
		e.id[0] = e.knownID() // a new one would stand nowhere else: nothing was sent, and nobody heard of it
	}
	err := e.newError(e.kind, e.err, nil)
	err.Delivery = errors.NotSent
	e.leave()
	e.closeBody()
	e.done = true // a hook that panics from here on finds nothing to give back
	var none result
	e.meter(&none, err, nil)
	e.announce(&none, errors.NotSent)
	if e.reported() {
		e.now = expiry.Now()
		e.report(&none, err, errors.NotSent, e.now-e.start, 0, nil)
	}
	return err
}

// closeBody closes the body of a request that is not sent.
func (e *entry) closeBody() {
	if !replay.None(e.req) {
		_ = e.req.Body.Close() // there is nobody to tell
	}
}

// finish ends a call of which something was sent: with the last answer, whatever its status, or with an error.
func (c *call) finish() (*http.Response, error) {
	c.unsent()
	r := &c.last
	if c.gone {
		r.resp = nil // captured: there is nothing on the wire to close
	}
	switch {
	case r.resp == nil:
		e := c.newError(c.kind, c.err, c.history())
		e.Delivery = c.delivery()
		c.end(e)
		c.done = true
		return nil, e
	case r.captured:
		if err := c.setback.captured.Err(); err != nil {
			c.setback.captured.SetErr(c.bodyError(err, context.Cause(&c.watch.conn), c.delivery()))
		}
		c.end(nil)
	case r.resp.StatusCode == http.StatusSwitchingProtocols:
		c.end(nil)
	case r.resp.Body == http.NoBody:
		c.end(nil)
		c.stream.InitEnded(c) // so that OutcomeOf finds the call
		r.resp.Body = &c.stream
	default:
		c.announce(r, c.delivery())
		c.watch.clock.Body(c.now)
		c.stream.Init(r.resp.Body, c)
		r.resp.Body = &c.stream
	}
	c.done = true
	return r.resp, nil
}

// unsent gives back what was taken for an attempt that is not sent.
func (c *call) unsent() {
	if c.token {
		c.token = false
		c.t.budget.Return()
	}
	if bad := c.setback; bad != nil && bad.ready {
		if bad.next != nil {
			_ = bad.next.Close()
		}
		bad.ready, bad.next = false, nil
	}
	c.body.Finish(c.req)
}

// delivery is what is known of the whole call: one attempt that may have been processed is enough to doubt it.
func (c *call) delivery() errors.Delivery {
	d := c.last.verdict.Delivery
	switch {
	case d == errors.Delivered:
		return d
	case c.unknown:
		return errors.Unknown
	case c.rejected:
		return errors.Rejected
	default:
		return d
	}
}

// end completes a call whose body is not on the wire.
func (c *call) end(e *errors.Error) {
	if c.last.resp == nil || c.last.resp.StatusCode != http.StatusSwitchingProtocols {
		c.watch.clock.End()
	} else {
		c.watch.clock.Leave() // an upgraded connection is the caller's, and so is its context
	}
	c.close(e)
}

// close gives back what the call holds and tells who listens.
func (c *call) close(e *errors.Error) {
	c.leave()
	c.meter(&c.last, e, nil)
	c.announce(&c.last, c.delivery())
	if c.reported() {
		c.now = expiry.Now()
		c.report(&c.last, e, c.delivery(), c.now-c.start, 0, nil)
	}
}

// Reading implements stream.Owner.
func (c *call) Reading(begin bool) { c.watch.clock.Read(begin) }

// Began implements stream.Owner. A probe whose body flows has shown enough: a long body would keep the others waiting, and
// might outlast the probe's lease.
func (c *call) Began() {
	if c.permitHeld && c.permit.Probe() && !c.judged.Swap(true) {
		c.permit.DoneIn(breaker.Success, c.took)
	}
}

// Ended implements stream.Owner: the body of an answer below 400 has ended.
func (c *call) Ended(n int64, err error) error {
	if err != nil {
		err = c.bodyError(err, context.Cause(&c.watch.conn), errors.Delivered)
	}
	c.watch.clock.End()
	if c.permitHeld && !c.judged.Swap(true) {
		outcome := breaker.Success
		switch {
		case err == nil && c.watch.clock.Stalled(), err != nil && c.ctx().Err() == context.Canceled:
			outcome = breaker.Ignored // the caller has left in the middle of it
		case err != nil:
			outcome = breaker.Failure
		}
		c.permit.DoneIn(outcome, c.took)
	}
	c.leave()
	c.meter(&c.last, nil, err)
	if c.reported() {
		c.report(&c.last, nil, c.delivery(), expiry.Now()-c.start, n, err)
	}
	return err
}

// bodyError is what a reader gets whose body failed. The vendor had answered, so what is known of the request does not
// change.
func (c *call) bodyError(err, cause error, d errors.Delivery) error {
	e := c.newError(errors.VendorBadResponse, fault.Strip(err), c.history())
	e.Delivery, e.Stop = d, cmp.Or(c.stop, errors.StopPermanent)
	switch {
	case c.ctx().Err() == context.Canceled:
		e.Kind, e.Stop, e.Err = errors.Canceled, errors.StopCanceled, c.cause()
	case c.ctx().Err() != nil:
		e.Kind, e.Stop, e.Err = errors.VendorTimeout, errors.StopDeadline, c.cause()
	case errors.Is(cause, expiry.Idle()), errors.Is(cause, expiry.Attempt()):
		e.Kind, e.Err = errors.VendorTimeout, cause
	case errors.Is(err, http.ErrBodyReadAfterClose):
		return err // the caller's own doing, in the words net/http has for it
	}
	return e
}

// abandon gives back what a call holds that does not return: its base, or a hook, panicked or ended the goroutine. The
// panic goes on.
func (c *call) abandon() {
	if c.done {
		return
	}
	c.done = true
	if c.permitHeld {
		outcome := breaker.Ignored // a hook's fault is not the vendor's
		if c.sending {
			outcome = breaker.Failure
		}
		c.permit.Done(outcome)
	}
	if c.last.resp != nil {
		_ = c.last.resp.Body.Close()
	}
	c.unsent()
	if c.watch != nil {
		c.watch.clock.End()
	}
	c.leave()
	c.meterAbandoned()
}

// abandon is that of a call of which nothing was sent.
func (e *entry) abandon() {
	if e.done {
		return
	}
	e.done = true
	if e.permitHeld {
		e.permit.Done(breaker.Ignored)
	}
	e.closeBody()
	e.leave()
	e.meterAbandoned()
}

// newError describes the call as it stands.
func (e *entry) newError(kind errors.Kind, cause error, history []errors.Attempt) *errors.Error {
	return &errors.Error{
		Kind: kind, Op: e.t.operation(e.req), Service: e.t.name, Stop: e.stop, CorrelationID: e.id[0], Attempts: history,
		Retry: errors.Retry{After: e.wait, Attempt: int(e.n), MaxAttempts: e.t.cfg.MaxAttempts}, Err: cause,
	}
}

// operation names a request without its path and query, which may hold phone numbers and tokens. A vendor has few hosts:
// the last name made is kept, so that a refusal need not make one.
func (t *Transport) operation(r *http.Request) string {
	m, host := method(r), host(r)
	if o := t.lastOp.Load(); o != nil && o.method == m && o.host == host {
		return o.text
	}
	o := &op{m, host, m + " " + host}
	t.lastOp.Store(o)
	return o.text
}

type op struct{ method, host, text string }

// heard says whether anybody hears of the call's steps.
func (e *entry) heard() bool {
	return e.t.cfg.Hooks.OnEvent != nil || e.hooks != nil && e.hooks.OnEvent != nil
}

// reported says whether anybody hears of the call as a whole.
func (e *entry) reported() bool {
	return e.t.cfg.Hooks.OnCall != nil || e.t.cfg.Logger != nil || e.hooks != nil && e.hooks.OnCall != nil
}

func (e *entry) emit(ev Event) {
	ev.Service, ev.CorrelationID, ev.MaxAttempts = e.t.name, e.id[0], e.t.cfg.MaxAttempts
	if h := e.t.cfg.Hooks.OnEvent; h != nil {
		h(ev)
	}
	if e.hooks != nil && e.hooks.OnEvent != nil {
		e.hooks.OnEvent(ev)
	}
}

// announce emits the events that end a call, whose last result is r.
func (e *entry) announce(r *result, d errors.Delivery) {
	if !e.heard() {
		return
	}
	ev := Event{
		Attempt: int(e.n), NextRetryIn: e.wait, Reason: r.verdict.Reason, HTTPStatus: r.status(), Delivery: d, Stop: e.stop,
	}
	switch {
	case e.stop == errors.StopBreakerOpen:
		ev.Status = StatusCircuitOpen
		e.emit(ev)
	case e.stop == errors.StopRateLimited, e.stop != "" && r.verdict.Limited:
		ev.Status = StatusRateLimited
		e.emit(ev)
	}
	ev.Status = StatusFailed
	if r.resp != nil && r.verdict.Delivery == errors.Delivered {
		ev.Status, ev.NextRetryIn = StatusSucceeded, 0
	}
	e.emit(ev)
}

// report tells hook and logger of a call that is over, with r as its last result.
func (e *entry) report(r *result, err *errors.Error, d errors.Delivery, total time.Duration, n int64, bodyErr error) {
	ev := CallEvent{
		Service: e.t.name, CorrelationID: e.id[0], Method: method(e.req), Host: host(e.req), Status: r.status(), Err: err,
		Delivery: d, Stop: e.stop, Reason: r.verdict.Reason, Attempts: int(e.n),
		MaxAttempts: e.t.cfg.MaxAttempts, ToHeaders: e.now - e.start, Total: total, BodyBytes: n, BodyErr: bodyErr,
	}
	if h := e.t.cfg.Hooks.OnCall; h != nil {
		h(ev)
	}
	if e.hooks != nil && e.hooks.OnCall != nil {
		e.hooks.OnCall(ev)
	}
	l := e.t.cfg.Logger
	if l == nil {
		return
	}
	level := slog.LevelDebug
	switch {
	case err != nil && err.Kind != errors.Canceled, bodyErr != nil, r.status() >= 500:
		level = slog.LevelWarn
	case e.n > 1, r.verdict.Delivery != errors.Delivered:
		level = slog.LevelInfo
	}
	if !l.Enabled(e.ctx(), level) {
		return
	}
	attrs := append(make([]slog.Attr, 0, 12),
		slog.String("service", e.t.name), slog.String("method", method(e.req)), slog.String("host", host(e.req)),
		slog.Int("status", r.status()), slog.Int("attempts", int(e.n)),
		slog.String("delivery", d.String()), slog.Duration("duration", total),
		slog.String("correlation_id", e.id[0]))
	if e.stop != "" {
		attrs = append(attrs, slog.String("stop", string(e.stop)))
	}
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
	}
	if bodyErr != nil {
		attrs = append(attrs, slog.String("body_error", bodyErr.Error()))
	}
	l.LogAttrs(e.ctx(), level, "vendor call", attrs...)
}
