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
func (c *call) refuse() error {
	if c.heard() || c.reported() {
		c.identify()
	} else if c.start == 0 {
		c.id[0] = c.knownID() // a new one would stand nowhere else: nothing was sent, and nobody heard of it
	}
	e := c.newError(c.last.kind, c.last.err)
	e.Delivery = errors.NotSent
	c.close(e)
	c.done = true
	return e
}

// finish ends a call of which something was sent: with the last answer, whatever its status, or with an error.
func (c *call) finish() (*http.Response, error) {
	c.unsent()
	r := &c.last
	switch {
	case r.resp == nil:
		e := c.newError(r.kind, r.err)
		e.Delivery = c.delivery()
		c.end(e)
		c.done = true
		return nil, e
	case r.captured:
		if err := c.captured.Err(); err != nil {
			c.captured.SetErr(c.bodyError(err, c.watch.clock.Cause(), c.delivery()))
		}
		c.end(nil)
	case r.resp.Body == http.NoBody, r.resp.StatusCode == http.StatusSwitchingProtocols:
		c.end(nil)
	default:
		c.announce(nil)
		c.watch.clock.Body()
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
	if c.nextReady && c.next != nil {
		_ = c.next.Close()
	}
	c.nextReady, c.next = false, nil
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
	c.unsent() // a refused call's body was given to nobody
	c.announce(e)
	if c.reported() {
		if c.start != 0 {
			c.now = expiry.Now()
		}
		c.report(e, c.now-c.start, 0, nil)
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
		err = c.bodyError(err, c.watch.clock.Cause(), errors.Delivered)
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
	if c.reported() {
		c.report(nil, expiry.Now()-c.start, n, err)
	}
	return err
}

// bodyError is what a reader gets whose body failed. The vendor had answered, so what is known of the request does not
// change.
func (c *call) bodyError(err, cause error, d errors.Delivery) error {
	e := c.newError(errors.VendorBadResponse, fault.Strip(err))
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
}

// newError describes the call as it stands.
func (c *call) newError(kind errors.Kind, cause error) *errors.Error {
	return &errors.Error{
		Kind: kind, Op: c.t.operation(c.req), Service: c.t.name, Stop: c.stop, CorrelationID: c.id[0], Attempts: c.history,
		Retry: errors.Retry{After: c.wait, Attempt: c.n, MaxAttempts: c.t.cfg.MaxAttempts}, Err: cause,
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
func (c *call) heard() bool { return c.observe != nil || c.t.cfg.Hooks.OnEvent != nil }

// reported says whether anybody hears of the call as a whole.
func (c *call) reported() bool { return c.t.cfg.Hooks.OnCall != nil || c.t.cfg.Logger != nil }

func (c *call) emit(e Event) {
	e.Service, e.CorrelationID, e.MaxAttempts = c.t.name, c.id[0], c.t.cfg.MaxAttempts
	if h := c.t.cfg.Hooks.OnEvent; h != nil {
		h(e)
	}
	if c.observe != nil {
		c.observe(e)
	}
}

// announce emits the events that end a call.
func (c *call) announce(e *errors.Error) {
	if !c.heard() {
		return
	}
	ev := Event{
		Attempt: c.n, NextRetryIn: c.wait, Reason: c.last.verdict.Reason, HTTPStatus: c.last.status(),
		Delivery: c.outcomeDelivery(e), Stop: c.stop,
	}
	switch {
	case c.stop == errors.StopBreakerOpen:
		ev.Status = StatusCircuitOpen
		c.emit(ev)
	case c.stop == errors.StopRateLimited, c.stop != "" && c.last.verdict.Limited:
		ev.Status = StatusRateLimited
		c.emit(ev)
	}
	ev.Status = StatusFailed
	if e == nil && c.last.verdict.Delivery == errors.Delivered {
		ev.Status, ev.NextRetryIn = StatusSucceeded, 0
	}
	c.emit(ev)
}

func (c *call) outcomeDelivery(e *errors.Error) errors.Delivery {
	if e != nil {
		return e.Delivery
	}
	return c.delivery()
}

// report tells hook and logger of a call that is over.
func (c *call) report(e *errors.Error, total time.Duration, n int64, bodyErr error) {
	if h := c.t.cfg.Hooks.OnCall; h != nil {
		h(CallEvent{
			Service: c.t.name, CorrelationID: c.id[0], Method: method(c.req), Host: host(c.req), Status: c.last.status(), Err: e,
			Delivery: c.outcomeDelivery(e), Stop: c.stop, Reason: c.last.verdict.Reason, Attempts: c.n,
			MaxAttempts: c.t.cfg.MaxAttempts, ToHeaders: c.now - c.start, Total: total, BodyBytes: n, BodyErr: bodyErr,
		})
	}
	l := c.t.cfg.Logger
	if l == nil {
		return
	}
	level := slog.LevelDebug
	switch {
	case e != nil && e.Kind != errors.Canceled, bodyErr != nil, c.last.status() >= 500:
		level = slog.LevelWarn
	case c.n > 1, c.last.verdict.Delivery != errors.Delivered:
		level = slog.LevelInfo
	}
	if !l.Enabled(c.ctx(), level) {
		return
	}
	attrs := append(make([]slog.Attr, 0, 12),
		slog.String("service", c.t.name), slog.String("method", method(c.req)), slog.String("host", host(c.req)),
		slog.Int("status", c.last.status()), slog.Int("attempts", c.n),
		slog.String("delivery", c.outcomeDelivery(e).String()), slog.Duration("duration", total),
		slog.String("correlation_id", c.id[0]))
	if c.stop != "" {
		attrs = append(attrs, slog.String("stop", string(c.stop)))
	}
	if e != nil {
		attrs = append(attrs, slog.Any("error", e))
	}
	if bodyErr != nil {
		attrs = append(attrs, slog.String("body_error", bodyErr.Error()))
	}
	l.LogAttrs(c.ctx(), level, "vendor call", attrs...)
}
