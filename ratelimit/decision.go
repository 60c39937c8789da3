package ratelimit

import (
	"context"
	"iter"
	"time"

	"github.com/prusik-go/prusik/errors"
)

// Verdict is what was decided.
type Verdict uint8

// The verdicts. The zero is none.
const (
	Allowed   Verdict = iota + 1 // it passes, and its units were taken
	Denied                       // it is refused, and nothing was taken
	WouldDeny                    // it passes because of [Shadow], and nothing was taken
	Exempt                       // it passes unlimited: by the allow-list, by [FailOpen], or because of [Disabled]
)

// String returns "allowed", "denied", "would_deny" or "exempt", and "" for none. It is fit for a metric's label.
func (v Verdict) String() string {
	switch v {
	case Allowed:
		return "allowed"
	case Denied:
		return "denied"
	case WouldDeny:
		return "would_deny"
	case Exempt:
		return "exempt"
	default:
		return ""
	}
}

// MarshalText renders [Verdict.String].
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// Decision is what a [Limiter] has decided on one request. It is a value: keep it with the request. The zero Decision is
// none: it allows nothing and refunds nothing.
type Decision struct {
	// Verdict is the decision; ask [Decision.Allowed] unless it matters why.
	Verdict Verdict
	// Policy is the name of the limit that refused or, in shadow, would have. Of several, the one that takes longest.
	Policy string
	// Cost is the number of units asked for.
	Cost int64
	// RetryAfter is, of a refusal, the time after which the same request passes if nothing else is taken meanwhile:
	// exact, not rounded. It is zero where the request never passes, because it costs more than a burst holds.
	RetryAfter time.Duration
	// Wait is how long [Limiter.Wait] had to wait.
	Wait time.Duration
	// Outage is the choice that decided where the [Store] could not; else zero.
	Outage Outage

	known   bool // debts are of the limits, not of a share
	limiter *Limiter
	terms   *terms // that decided, where something was
	key     string
	at      int64 // when it was made, on the limiter's clock
	debts   [MaxLimits]time.Duration
}

// Allowed reports whether the request may be made.
func (d *Decision) Allowed() bool {
	return d.Verdict == Allowed || d.Verdict == Exempt || d.Verdict == WouldDeny
}

// Err is the refusal as an error, and nil where the request may be made: kind rate_limited with the limiter's name, the
// wait, and the violated policy in Details. Where it can never pass, its Stop is permanent.
func (d *Decision) Err() error {
	if d.Verdict != Denied {
		return nil
	}
	e := d.public()
	e.Op, e.Delivery, e.Stop = "limit", errors.NotSent, errors.StopRateLimited
	if d.never() {
		e.Stop = errors.StopPermanent
	}
	return e
}

// never reports whether the same request would be refused at any time.
func (d *Decision) never() bool { return d.Verdict == Denied && d.RetryAfter == 0 && d.Outage == 0 }

// public is the refusal without what is of no use to a client. The member's name is the draft's.
func (d *Decision) public() *errors.Error {
	e := &errors.Error{
		Kind: errors.RateLimited, Service: d.limiter.name, Retry: errors.Retry{After: d.RetryAfter},
		Details: map[string]any{"violated-policies": []string{d.Policy}},
	}
	if d.never() {
		e.Public = "The request asks for more than its limit ever allows."
	}
	return e
}

// refundTime bounds a refund on behalf of a caller whose ctx is done: ours, and much longer than a Store that is up takes.
const refundTime = time.Second

// Refund gives back what the request took, for a request that was not made. Call it at most once, and soon: what has come
// back by itself, because time has passed, is not given a second time. Neither is what those who wait by now have reserved
// behind it: they keep their turns, and whoever comes next would share the last one. Where nothing was taken it does nothing.
// An error is one of the [Store].
func (d *Decision) Refund(ctx context.Context) error { return d.refund(ctx, 0, d.Wait > 0) }

// giveBack is refund for a caller that is leaving: it must not be kept by a Store that does not answer.
func (d *Decision) giveBack(ctx context.Context, later time.Duration, queued bool) {
	ctx = context.WithoutCancel(ctx)
	if d.limiter.cfg.Store != nil {
		bounded, cancel := context.WithTimeout(ctx, refundTime)
		defer cancel()
		ctx = bounded
	}
	_ = d.refund(ctx, later, queued) // of no use to the caller; what is lost comes back by itself
}

// refund is Refund as if that much later. Somebody waits, perhaps, where queued: a Store is asked.
//
// The buckets would be full again, had nobody taken anything since, at the time of the decision and debts later. As long as
// that is ahead they have not been full in between, so all that was taken is still owed; once it is past nothing can be
// said, and nothing is given back.
func (d *Decision) refund(ctx context.Context, later time.Duration, queued bool) error {
	if d.Verdict != Allowed || d.Cost == 0 {
		return nil
	}
	l := d.limiter
	if l.cfg.Store == nil || d.Outage != 0 {
		l.memory.refund(d, later)
		return nil
	}
	var taken [MaxLimits]int64
	for i := range d.terms.limits {
		taken[i] = d.Cost * d.terms.of.intervals[i]
	}
	back, own, some := owed(&d.debts, &taken, &d.terms.of.spans, time.Duration(l.now()-d.at), later)
	if !some {
		return nil
	}
	r := Request{Limiter: l.name, Key: d.key, Limits: d.terms.limits}
	if queued {
		res, err := l.cfg.Store.Take(ctx, r) // a cost of zero takes nothing
		if err != nil {
			return err
		}
		for i := range r.Limits {
			back[i] = max(0, back[i]-max(0, res.Debts[i]-own[i]))
		}
	}
	r.Cost = d.Cost
	return l.cfg.Store.Refund(ctx, r, back)
}

// owed is what may be given back, passed after the decision and as if later, of what was taken. Of what a bucket owes, all
// beyond own is of those who wait behind.
func owed(debts *[MaxLimits]time.Duration, taken, spans *[MaxLimits]int64, passed, later time.Duration) (back, own [MaxLimits]time.Duration, some bool) {
	for i := range back {
		back[i] = max(0, min(debts[i]-passed-later, time.Duration(taken[i])))
		own[i] = max(debts[i]-passed, later+time.Duration(spans[i]))
		some = some || back[i] > 0
	}
	return back, own, some
}

// Status is what one limit has left for a key.
type Status struct {
	// Limit is the limit, with Name and Burst filled in.
	Limit Limit
	// Remaining is how many units could be taken at once.
	Remaining int64
	// Next is the time until there is one more; zero where the bucket is full.
	Next time.Duration
	// Full is the time until the bucket is full.
	Full time.Duration
}

// Statuses yields the status of each limit just after the decision, in the order of [Config.Limits]. Where it is not
// known (an exempt key, an outage, a cost above the burst) it yields nothing.
func (d *Decision) Statuses() iter.Seq[Status] {
	return func(yield func(Status) bool) {
		if !d.known {
			return
		}
		for i := range d.terms.limits {
			if !yield(d.status(i)) {
				return
			}
		}
	}
}

func (d *Decision) status(i int) Status {
	s := Status{Limit: d.terms.limits[i], Full: d.debts[i]}
	s.Remaining, s.Next = d.left(i)
	return s
}

// left is how many units could be taken of a limit, and the time until there is one more.
func (d *Decision) left(i int) (remaining int64, next time.Duration) {
	interval := time.Duration(d.terms.of.intervals[i])
	missing := int64(d.debts[i] / interval) // whole units
	if next = d.debts[i] % interval; next > 0 {
		missing++
	} else if missing > 0 {
		next = interval
	}
	if remaining = d.terms.limits[i].Burst - missing; remaining < 0 { // reserved ahead by those who wait
		return 0, next + time.Duration(-remaining)*interval
	}
	return remaining, next
}
