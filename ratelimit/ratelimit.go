package ratelimit

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/internal/check"
)

// Limiter admits requests by key, within limits. Make it with [New]. It may be used from several goroutines and must not
// be copied.
type Limiter struct {
	name    string
	cfg     Config                // effective, but for Limits
	terms   atomic.Pointer[terms] // the limits of the present
	memory  *memory               // of the limits, or of this process's share in an outage; else nil
	allowed map[string]struct{}   // Config.AllowList
	slips   sync.Pool             // of *slip
	born    time.Time             // of the limiter's clock, with a monotonic reading
	setting sync.Mutex            // held by SetLimits

	mu        sync.Mutex
	outbounds map[string]*Outbound
	sweepAt   int // number of outbounds
}

// New returns a limiter. Its name goes into errors, events, fields and stores: 1 to 64 letters, digits, ".", "_" or "-".
// Limiters that share a [Store] share buckets if they share name and limits. Everything that is wrong with name and cfg is
// reported at once.
func New(name string, cfg Config) (*Limiter, error) {
	faults := check.New("ratelimit", name)
	faults.Name(name)
	cfg = cfg.effective(name, faults)
	if err := faults.Err(); err != nil {
		return nil, err
	}
	l := &Limiter{name: name, cfg: cfg, born: time.Now(), outbounds: make(map[string]*Outbound), sweepAt: maxHosts}
	l.cfg.Limits = nil
	l.terms.Store(newTerms(&cfg))
	if cfg.Store == nil || cfg.OnOutage == LocalShare {
		l.memory = newMemory(&l.terms, cfg.MaxKeys, l.born)
	}
	l.allowed = make(map[string]struct{}, len(cfg.AllowList))
	for _, key := range cfg.AllowList {
		l.allowed[key] = struct{}{}
	}
	l.slips.New = func() any { return new(slip) }
	if h := cfg.Hooks.OnNew; h != nil {
		h(l)
	}
	return l, nil
}

// now is the limiter's clock.
func (l *Limiter) now() int64 { return int64(time.Since(l.born)) }

// Name is the limiter's name.
func (l *Limiter) Name() string { return l.name }

// Config is a copy of the effective configuration: defaults filled in, and the limits of the present.
func (l *Limiter) Config() Config {
	cfg := l.cfg
	cfg.Limits = slices.Clone(l.terms.Load().limits)
	cfg.AllowList, cfg.AllowNetworks = slices.Clone(cfg.AllowList), slices.Clone(cfg.AllowNetworks)
	return cfg
}

// Allow decides on one request of key, now: see [Limiter.AllowN].
func (l *Limiter) Allow(ctx context.Context, key string) (Decision, error) {
	return l.AllowN(ctx, key, 1)
}

// AllowN decides on a request of key that takes cost units of every limit: all of them, or none where one limit refuses. A
// cost of zero takes nothing and is always allowed: it asks how things stand. It never waits, but for the [Store].
//
// A refusal is no error: ask [Decision.Allowed], or take [Decision.Err]. The error is for where nothing could be decided: an
// empty key, a negative cost, a ctx that is canceled, or an outage of the Store with [FailClosed] (kind unavailable). With
// memory it allocates nothing.
func (l *Limiter) AllowN(ctx context.Context, key string, cost int64) (d Decision, err error) {
	err = l.take(ctx, &d, key, cost, 0, 0)
	return d, err
}

// Wait waits until one request of key may be made: see [Limiter.WaitN].
func (l *Limiter) Wait(ctx context.Context, key string) (Decision, error) {
	return l.WaitN(ctx, key, 1)
}

// WaitN takes cost units, waits until the request may be made, and returns. Callers are served in the order they came. It
// returns at once, with the error of [Decision.Err] and nothing taken, where the wait would be longer than ctx's deadline
// or [Config.MaxWait] lets, or cost is more than a burst. Where ctx is done while it waits, the units are given back, as
// [Decision.Refund] does, and the error is of kind canceled, or unavailable for a deadline. In [Shadow] it does not wait.
func (l *Limiter) WaitN(ctx context.Context, key string, cost int64) (d Decision, err error) {
	if ctx.Err() != nil {
		return d, l.gone(ctx)
	}
	if err = l.take(ctx, &d, key, cost, until(ctx, l.maxWait()), 0); err == nil {
		err = d.Err()
	}
	if err != nil || d.Wait == 0 || l.cfg.Mode == Shadow {
		return d, err
	}
	if !sleep(ctx, d.Wait) {
		d.giveBack(ctx, 0, true)
		return Decision{}, l.gone(ctx)
	}
	return d, nil
}

func (l *Limiter) maxWait() time.Duration {
	if l.cfg.MaxWait < 0 {
		return maxSpan
	}
	return l.cfg.MaxWait
}

// until is most, or the time to ctx's deadline if that is sooner. Below zero it is zero.
func until(ctx context.Context, most time.Duration) time.Duration {
	most = min(most, maxSpan)
	if deadline, ok := ctx.Deadline(); ok {
		most = min(most, time.Until(deadline))
	}
	return max(0, most)
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// gone is the error of a caller whose ctx is done.
func (l *Limiter) gone(ctx context.Context) error {
	e := &errors.Error{
		Kind: errors.Canceled, Service: l.name, Op: "limit",
		Delivery: errors.NotSent, Stop: errors.StopCanceled, Err: context.Cause(ctx),
	}
	if ctx.Err() == context.DeadlineExceeded {
		e.Kind, e.Stop = errors.Unavailable, errors.StopDeadline
	}
	return e
}

// take decides, applies the mode and reports. d is zero before, and after an error.
func (l *Limiter) take(ctx context.Context, d *Decision, key string, cost int64, maxWait, delay time.Duration) error {
	d.Cost = cost
	if l.cfg.Mode == Disabled {
		d.Verdict = Exempt
		return nil
	}
	d.limiter, d.key = l, key
	var err error
	switch {
	case key == "":
		err = l.invalid("an empty key: it would be one bucket for all")
	case cost < 0:
		err = l.invalid("a cost of " + strconv.FormatInt(cost, 10) + ", want 0 or more")
	case l.exempt(key):
		d.Verdict = Exempt
	case l.cfg.Store != nil:
		err = l.ask(ctx, d, maxWait, delay)
	default:
		d.askMemory(&Request{Key: key, Cost: cost, MaxWait: maxWait, Delay: delay})
	}
	if err != nil {
		*d = Decision{}
		return err
	}
	if l.cfg.Mode == Shadow && d.Verdict == Denied {
		d.Verdict = WouldDeny
	}
	if h := l.cfg.Hooks.OnDecision; h != nil {
		h(DecisionEvent{
			Name: l.name, Key: key, Verdict: d.Verdict, Policy: d.Policy, Cost: cost,
			Wait: d.Wait, RetryAfter: d.RetryAfter, Outage: d.Outage,
		})
	}
	return nil
}

// askMemory lets the memory decide.
func (d *Decision) askMemory(r *Request) {
	var res Result
	var at int64
	d.terms, at = d.limiter.memory.take(r, &res)
	d.decided(&res, at)
	d.known = d.Cost <= d.terms.granted.most
}

func (d *Decision) decided(r *Result, at int64) {
	d.known, d.debts, d.at = true, r.Debts, at
	if r.Allowed {
		d.Verdict, d.Wait = Allowed, r.Wait
		return
	}
	d.Verdict, d.Policy, d.RetryAfter = Denied, d.terms.limits[r.Violated].Name, r.Wait
}

// invalid is the error of a request that cannot be decided because of what was passed. It is this program's fault.
func (l *Limiter) invalid(what string) error {
	err := &errors.Error{
		Kind: errors.Internal, Service: l.name, Op: "limit",
		Delivery: errors.NotSent, Stop: errors.StopPermanent, Err: errors.New("ratelimit: " + what),
	}
	l.report(err, 0)
	return err
}

func (l *Limiter) report(err error, o Outage) {
	if h := l.cfg.Hooks.OnError; h != nil {
		h(ErrorEvent{Name: l.name, Err: err, Outage: o})
	}
}

// exempt reports whether key is on the allow-list.
func (l *Limiter) exempt(key string) bool {
	if len(l.allowed) > 0 {
		if _, ok := l.allowed[key]; ok {
			return true
		}
	}
	if len(l.cfg.AllowNetworks) == 0 {
		return false
	}
	addr, err := netip.ParseAddr(key)
	if err != nil {
		p, err := netip.ParsePrefix(key)
		if err != nil {
			return false
		}
		addr = p.Addr()
	}
	for _, p := range l.cfg.AllowNetworks {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// Snapshot is how things stand with a limiter's memory.
type Snapshot struct {
	// Keys is the number of keys held, some of which may be full again.
	Keys int
	// Evictions is how often a key had to go before it was full, because there were more than [Config.MaxKeys]. While
	// it grows, new keys may start with less than a full bucket: raise MaxKeys.
	Evictions uint64
}

// Snapshot takes each of the memory's locks in turn. Without a memory it is zero.
func (l *Limiter) Snapshot() Snapshot {
	if l.memory == nil {
		return Snapshot{}
	}
	return Snapshot{Keys: l.memory.keys(), Evictions: l.memory.evictions.Load()}
}
