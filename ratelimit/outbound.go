package ratelimit

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prusik-go/prusik/errors"
)

// unsaidPause is the pause where a vendor refuses and does not say for how long: the shortest wait that a Retry-After
// header can name. A retry's own backoff comes on top.
const unsaidPause = time.Second

// longestWord bounds what a vendor's word holds, so that one wrong header (a date where seconds belong is 56 years) does not
// hold a program until it is started again. A day is ours: quotas are by the day at the longest, and who is still over his asks
// once a day too often.
const longestWord = 24 * time.Hour

// Outbound limits what is sent to one vendor. It waits within the limiter's limits, and within what the vendor says: one
// refusal holds all callers. It is an httpx.Limiter: set it as Config.Limiter of an httpx client. Make it with
// [Limiter.Outbound]. It may be used from several goroutines.
//
// In [Shadow] it decides and reports, and holds nobody; [Disabled], it does nothing.
type Outbound struct {
	l     *Limiter
	key   string
	named bool         // asked for by Limiter.Outbound; under l.mu
	users atomic.Int64 // requests of a Transport that are under way; it grows under l.mu

	// direct: where an attempt need not wait, that is all there is to it, for the key is on no list.
	direct bool
	shard  *shard // of the key, and its hash there, where direct
	a, b   int64

	// paused is the time, on the clock of now, until which nothing is admitted. Zero: never paused.
	paused atomic.Int64
	// window is the time until which left holds, and word the number of times the vendor has said so. Zero: never.
	window  atomic.Int64
	word    atomic.Uint64
	mu      sync.Mutex
	left    int64
	learned time.Duration // when that was
}

// Outbound returns the one Outbound of key, which is the vendor's name, account or host: who asks for the same key
// shares buckets and pauses. The empty key is the limiter's name. It is kept as long as the limiter is: a key is no user.
func (l *Limiter) Outbound(key string) *Outbound {
	if key == "" {
		key = l.name
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.outbound(key)
	o.named = true
	return o
}

// maxHosts bounds the Outbounds that a Transport has made by itself and that hold nothing.
const maxHosts = 1000

// outbound returns the Outbound of key. Where there are too many, those are forgotten that nobody has asked for by name or
// has a request under way with, and that the vendor has said nothing about, or nothing that still holds: the next one is no
// different. l.mu is held.
func (l *Limiter) outbound(key string) *Outbound {
	o := l.outbounds[key]
	if o != nil {
		return o
	}
	if len(l.outbounds) >= l.sweepAt {
		for k, old := range l.outbounds {
			now := int64(old.now())
			if !old.named && old.users.Load() == 0 && old.paused.Load() <= now && old.window.Load() <= now {
				delete(l.outbounds, k)
			}
		}
		l.sweepAt = max(maxHosts, 2*len(l.outbounds)) // each sweep is paid for by as many new hosts
	}
	o = &Outbound{l: l, key: strings.Clone(key)}
	if o.direct = l.cfg.Mode == Enabled && l.cfg.Store == nil && !l.exempt(key); o.direct {
		o.shard, o.a, o.b = l.memory.hash(key)
	}
	l.outbounds[o.key] = o
	return o
}

func (o *Outbound) now() time.Duration { return time.Duration(o.l.now()) }

// Acquire waits until one more attempt may be sent, and says how long it has waited. It returns at once, with nothing taken,
// where ctx is done, or the wait would be longer than most or than ctx's deadline lets: the error is an [*errors.Error] of
// kind vendor_rate_limited, whose Retry.After is the wait it would have taken. Where the wait has become too long because of
// what the vendor says meanwhile, it returns then. math.MaxInt64 is no limit. [Config.MaxWait] does not apply. Where it need
// not wait it allocates nothing.
func (o *Outbound) Acquire(ctx context.Context, most time.Duration) (waited time.Duration, err error) {
	l := o.l
	if l.cfg.Mode == Disabled {
		return 0, nil
	}
	if ctx.Err() != nil {
		return 0, l.gone(ctx)
	}
	if o.direct && o.paused.Load() == 0 && o.window.Load() == 0 {
		var res Result
		if l.memory.takeOf(o.shard, o.a, o.b, &Request{Cost: 1}, &res); res.Allowed {
			if h := l.cfg.Hooks.OnDecision; h != nil {
				h(DecisionEvent{Name: l.name, Key: o.key, Verdict: Allowed, Cost: 1})
			}
			return 0, nil
		}
	}
	if l.cfg.Mode == Shadow {
		var d Decision
		return 0, l.take(ctx, &d, o.key, 1, until(ctx, most), 0)
	}
	for {
		again, w, err := o.acquire(ctx, until(ctx, most-waited))
		waited += w
		if !again {
			return waited, err
		}
	}
}

// acquire is one round of Acquire. The next one follows where the vendor has asked for a pause, or has nothing left by its
// latest word, while it waited: what was reserved before would come all at once after it.
func (o *Outbound) acquire(ctx context.Context, most time.Duration) (again bool, waited time.Duration, err error) {
	hold, counted := o.hold()
	if hold > most {
		o.uncount(counted)
		return false, 0, o.refusal(hold, "the vendor asked for a pause")
	}
	var d Decision
	if err = o.l.take(ctx, &d, o.key, 1, most, hold); err == nil && d.Verdict == Denied {
		err = o.refusal(d.RetryAfter, "limit "+d.Policy)
	}
	if err != nil {
		o.uncount(counted)
		return false, 0, err
	}
	wait := max(d.Wait, hold)
	if wait == 0 {
		return false, 0, nil
	}
	start := o.now()
	done := sleep(ctx, wait)
	waited = o.now() - start
	held := time.Duration(o.paused.Load()) - o.now()
	if done && o.word.Load() != counted.word {
		held, counted = o.hold()
	}
	if done && held <= 0 {
		return false, waited, nil
	}
	// After a pause the buckets count from its end: what they have by then is not given back.
	d.giveBack(ctx, max(0, held, hold-waited), true)
	o.uncount(counted)
	if !done {
		return false, waited, o.l.gone(ctx)
	}
	return true, waited, nil
}

// count is what an attempt has taken of what the vendor says remains.
type count struct {
	word  uint64 // the vendor's latest
	taken bool
}

// hold is the time for which the vendor wants nothing. An attempt that need not wait for the vendor's next window is counted.
func (o *Outbound) hold() (d time.Duration, c count) {
	c.word = o.word.Load()
	paused, window := time.Duration(o.paused.Load()), time.Duration(o.window.Load())
	if paused == 0 && window == 0 {
		return 0, c
	}
	now := o.now()
	d = max(0, paused-now)
	if window > now {
		o.mu.Lock()
		c.word = o.word.Load()
		if c.taken = o.left > 0; c.taken {
			o.left--
		} else {
			d = max(d, window-now)
		}
		o.mu.Unlock()
	}
	return d, c
}

// uncount gives back what was counted, unless the vendor has said since what remains.
func (o *Outbound) uncount(c count) {
	if !c.taken {
		return
	}
	o.mu.Lock()
	if o.word.Load() == c.word {
		o.left++
	}
	o.mu.Unlock()
}

func (o *Outbound) refusal(after time.Duration, why string) error {
	return &errors.Error{
		Kind: errors.VendorRateLimited, Service: o.l.name, Op: "limit", Delivery: errors.NotSent,
		Stop: errors.StopRateLimited, Retry: errors.Retry{After: after}, Err: errors.New("ratelimit: " + why),
	}
}

// Refund gives back what Acquire took for an attempt that was not sent, ago after Acquire returned: what has come back by
// itself since then is not given a second time, and neither is a place in a quota of which the vendor has spoken since.
// Call it at most once an Acquire.
func (o *Outbound) Refund(ago time.Duration) {
	l := o.l
	if l.cfg.Mode == Disabled {
		return
	}
	o.mu.Lock()
	if o.learned <= o.now()-ago {
		o.left++
	}
	o.mu.Unlock()
	if l.exempt(o.key) {
		return
	}
	t := l.terms.Load()
	d := Decision{Verdict: Allowed, Cost: 1, limiter: l, terms: t, key: o.key, at: l.now() - int64(ago)}
	for i, interval := range t.of.intervals { // owed at the least: it was taken then
		d.debts[i] = time.Duration(interval)
	}
	d.giveBack(context.Background(), 0, true)
}

// Pause tells that the vendor has refused an attempt for its rate: nothing is admitted for d, to anybody. Those who wait
// already go on waiting, in the order of their next turn. Zero or less means the vendor did not say, and is one second; more
// than a day is a day. A pause that is to last longer stays.
func (o *Outbound) Pause(d time.Duration) {
	if o.l.cfg.Mode == Disabled {
		return
	}
	if d <= 0 {
		d = unsaidPause
	}
	d = min(d, longestWord)
	end := int64(o.now() + d)
	for {
		old := o.paused.Load()
		if old >= end {
			return
		}
		if o.paused.CompareAndSwap(old, end) {
			break
		}
	}
	if h := o.l.cfg.Hooks.OnPause; h != nil {
		h(PauseEvent{Name: o.l.name, Key: o.key, For: d})
	}
}

// Learn tells what the vendor's headers say: so many requests remain until reset from now. No more than that many are
// admitted until then, those who wait already included; the latest word counts. A reset of more than a day is a day. A
// negative remaining or a reset that is not positive says nothing.
func (o *Outbound) Learn(remaining int64, reset time.Duration) {
	if remaining < 0 || reset <= 0 || o.l.cfg.Mode == Disabled {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.left, o.learned = remaining, o.now()
	o.word.Add(1)
	o.window.Store(int64(o.now() + min(reset, longestWord)))
}

// OutboundSnapshot is how things stand with an [Outbound].
type OutboundSnapshot struct {
	// Limiter is the limiter it is of.
	Limiter *Limiter
	// PausedFor is how long nothing is admitted because the vendor has refused; zero: it is not paused.
	PausedFor time.Duration
	// Remaining is how many the vendor's headers say may be sent within Reset from now. Where Reset is zero nothing is
	// known, and Remaining is zero.
	Remaining int64
	Reset     time.Duration
}

// Snapshot returns the present values. It is for gauges and for people: what it says may have changed when it is read.
func (o *Outbound) Snapshot() OutboundSnapshot {
	s := OutboundSnapshot{Limiter: o.l, PausedFor: max(0, time.Duration(o.paused.Load())-o.now())}
	o.mu.Lock()
	defer o.mu.Unlock()
	if s.Reset = max(0, time.Duration(o.window.Load())-o.now()); s.Reset > 0 {
		s.Remaining = o.left
	}
	return s
}
