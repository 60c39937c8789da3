package ratelimit

import (
	"context"
	"time"

	"github.com/prusik-go/prusik/errors"
)

// errBadResult is the error of a store that does not keep its contract.
const errBadResult = "ratelimit: the store's result names no limit"

// ask lets the store decide, or Config.OnOutage where it cannot. The error is for the caller.
func (l *Limiter) ask(ctx context.Context, d *Decision, maxWait, delay time.Duration) error {
	t := l.terms.Load()
	d.terms = t
	if smallest := &t.limits[t.smallest]; d.Cost > smallest.Burst {
		d.Verdict, d.Policy = Denied, smallest.Name
		return nil
	}
	r := Request{
		Limiter: l.name, Key: d.key, Limits: t.limits, Cost: d.Cost,
		MaxWait: maxWait, Delay: delay,
	}
	asked := l.now() // the Store decides later than this, and its answer may be late
	res, err := l.cfg.Store.Take(ctx, r)
	if err == nil && !res.Allowed && (res.Violated < 0 || res.Violated >= len(t.limits)) {
		err = errors.New(errBadResult)
	}
	if err == nil {
		d.decided(&res, asked)
		return nil
	}
	if errors.Is(ctx.Err(), context.Canceled) { // the caller has left: that is no outage
		return l.gone(ctx)
	}
	d.Outage = l.cfg.OnOutage
	l.report(err, d.Outage)
	switch {
	case d.Outage == LocalShare:
		d.askMemory(&r)
		d.known = false // what is left of a share is nothing to tell a client
	case d.Outage == FailOpen || l.cfg.Mode == Shadow:
		d.Verdict = Exempt
	default:
		after, _ := errors.RetryAfter(err)
		return &errors.Error{
			Kind: errors.Unavailable, Service: l.name, Op: "limit",
			Delivery: errors.NotSent, Stop: errors.StopRateLimited, Retry: errors.Retry{After: after}, Err: err,
		}
	}
	return nil
}
