package ratelimit

import (
	"math"
	"math/bits"
	"slices"
	"strconv"
	"time"

	"github.com/prusik-go/prusik/internal/check"
)

// terms are limits and all that follows from them. They are published as a whole and not written again, and a decision keeps those
// it was made by: it sees no mixture.
type terms struct {
	limits   Limits   // effective
	smallest int      // index of the limit with the smallest burst
	of       rates    // of the limits
	granted  rates    // by the memory: those of the limits, or of this process's share of them
	policy   string   // the RateLimit-Policy field
	items    []string // of the RateLimit field, up to where they differ

	before rates // that the memory granted, up to since on its clock. Zero at first.
	since  int64
	number uint64 // of the terms of this limiter
}

// tag tells t from the terms before it.
func (t *terms) tag() uint16 { return uint16(t.number & math.MaxUint16) }

// rates are limits as the memory counts.
type rates struct {
	intervals [MaxLimits]int64
	spans     [MaxLimits]int64
	most      int64 // the smallest burst
}

func ratesOf(limits []Limit) rates {
	r := rates{most: maxCount}
	for i, l := range limits {
		r.intervals[i], r.spans[i] = int64(l.Interval()), int64(l.Span())
		r.most = min(r.most, l.burst())
	}
	return r
}

func newTerms(cfg *Config) *terms {
	t := &terms{
		limits: cfg.Limits, of: ratesOf(cfg.Limits),
		policy: policyField(cfg.Limits, cfg.QuotaUnit, ""), items: limitItems(cfg.Limits),
	}
	for i, limit := range cfg.Limits {
		if limit.Burst < cfg.Limits[t.smallest].Burst {
			t.smallest = i
		}
	}
	if t.granted = t.of; cfg.OnOutage == LocalShare {
		shares := make([]Limit, len(cfg.Limits))
		for i, limit := range cfg.Limits {
			shares[i] = share(limit, cfg.Replicas)
		}
		t.granted = ratesOf(shares)
	}
	return t
}

// SetLimits changes the limits of a limiter in use: as many as it has, in the same order, under the rules and with the defaults of
// [Config.Limits]. Leave names empty that were: of several limits, the default says what the limit is. Everything that is wrong with
// limits is reported at once, and nothing is changed then.
//
// In memory no bucket starts afresh: of each burst, the same share is used after it as before. Who was refused waits no longer than
// the new limits make anyone wait, and where the time an empty bucket takes to fill stays the same, as from 10/minute to 20/minute,
// the times stay as they are. Turns that callers wait for already are kept. A turn behind them is no later than it was, and sooner
// where buckets fill in less time than before; who waits already may then be sent beside those who come, so that for once there
// may be as many more as were waiting.
//
// A [Store] tells buckets apart by their limits: it begins with full ones, and going back to the old limits finds the old buckets. Set
// all processes that share it to the same limits; until they are, each grants its own.
//
// A decision at the same time is by the old limits or the new ones, and its fields and [Decision.Statuses] are by the same. A refund
// of what was taken by the old ones gives back the same share, but nothing where they have changed twice since. In memory it costs
// 3 µs, and some 20 ns a key more where buckets take another time to fill, of which a decision waits for a 64th at the most.
func (l *Limiter) SetLimits(limits Limits) error {
	faults := check.New("ratelimit", l.name)
	cfg := l.cfg
	cfg.Limits = limits
	cfg = cfg.effective(l.name, faults)
	if n := len(l.terms.Load().limits); len(limits) != n && len(limits) > 0 && len(limits) <= MaxLimits {
		faults.Add("Limits", len(limits), "as many as before, which is "+strconv.Itoa(n)+": make another limiter for more or fewer")
	}
	if err := faults.Err(); err != nil {
		return err
	}
	old, next := l.publish(&cfg)
	if h := l.cfg.Hooks.OnLimits; h != nil {
		h(LimitsEvent{Name: l.name, Old: slices.Clone(old.limits), New: slices.Clone(next.limits)})
	}
	return nil
}

// publish makes the limits of cfg the present ones. When it returns, all of the memory is of them.
func (l *Limiter) publish(cfg *Config) (old, next *terms) {
	l.setting.Lock()
	defer l.setting.Unlock()
	old, next = l.terms.Load(), newTerms(cfg)
	next.before, next.since, next.number = old.granted, l.now(), old.number+1
	l.terms.Store(next)
	if l.memory != nil {
		l.memory.follow(next)
	}
	return old, next
}

// follow sees to it that no shard is more than one change behind.
func (m *memory) follow(t *terms) {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		s.follow(t)
		s.mu.Unlock()
	}
}

// follow makes the times of a shard, which are of the terms before, times of t. mu is held.
func (s *shard) follow(t *terms) {
	if s.terms == t.tag() {
		return
	}
	s.terms = t.tag()
	if t.before.spans == t.granted.spans {
		return
	}
	s.latest = t.since
	all := func(times []int64) {
		for i, at := range times {
			times[i] = t.convert(i, at)
			s.latest = max(s.latest, times[i])
		}
	}
	for slot := range s.size() {
		if s.taken(slot) {
			all(s.times(slot))
		}
	}
	for i := 0; i < len(s.debts); i += s.limits {
		all(s.debts[i : i+s.limits])
	}
}

// convert is the time at which a bucket of limit i, full at that time by the terms before, is full by t.
func (t *terms) convert(i int, at int64) int64 {
	if debt := at - t.since; debt > 0 {
		return t.since + rescale(debt, t.before.spans[i], t.granted.spans[i])
	}
	return at
}

// rescale makes a debt to a bucket that fills in from one to a bucket that fills in to. What is within the burst stays the same
// share of it. What is beyond are turns that others wait for, at times that stay: it does not grow.
func rescale(debt, from, to int64) int64 {
	within := min(debt, from)
	beyond := debt - within
	if to < from {
		beyond = part(beyond, from, to)
	}
	return part(within, from, to) + beyond
}

// part is n*to/from, rounded up. It fits where n is at most from, or to is.
func part(n, from, to int64) int64 {
	hi, lo := bits.Mul64(uint64(n), uint64(to)) //nolint:gosec // none is negative
	q, rest := bits.Div64(hi, lo, uint64(from)) //nolint:gosec // as above
	if rest > 0 {
		q++
	}
	return int64(q) //nolint:gosec // at most n or to
}

// by says what d, which the memory decided, has taken and owes by t: nothing where it was decided more than one change ago.
func (d *Decision) by(t *terms) (taken [MaxLimits]int64, debts [MaxLimits]time.Duration) {
	if d.terms != t && d.terms.number+1 != t.number {
		return taken, debts
	}
	debts = d.debts
	for i := range t.limits {
		taken[i] = d.Cost * d.terms.granted.intervals[i]
		if d.terms != t {
			taken[i] = part(taken[i], t.before.spans[i], t.granted.spans[i])
			debts[i] = time.Duration(t.convert(i, d.at+int64(debts[i])) - d.at)
		}
	}
	return taken, debts
}
