package redisstore

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"time"

	"github.com/prusik-go/prusik/ratelimit"
)

//go:embed gcra.lua
var script string

// keyVersion changes with what is behind a key, so that two versions of this package that run at once do not misread
// each other.
const keyVersion = ":rl2:"

// key returns the Redis key of all buckets of r: one key, so that a decision is in one slot of a cluster. It is
// 128 bits of a hash over everything that tells buckets apart, each part with its length: no bytes of a user's are in it,
// and no two requests can be made to meet by moving bytes from one part to the next.
func (s *Store) key(r *ratelimit.Request) string {
	var stack [256]byte
	b := stack[:0]
	for _, part := range [...]string{s.secret, r.Limiter, r.Key} {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	for i := range r.Limits {
		l := &r.Limits[i]
		for _, n := range [...]int64{l.Count, int64(l.Period), l.Burst} {
			b = binary.AppendUvarint(b, unsigned(n))
		}
	}
	sum := sha256.Sum256(b)
	out := append(stack[:0], s.prefix...)
	return string(base64.RawURLEncoding.AppendEncode(out, sum[:16]))
}

// The operations of the script.
const (
	opPeek   = 0
	opTake   = 1
	opRefund = 2
)

const (
	// exact bounds a full bucket, and a wait, in units. Three of them, the most that is added up, are exact in a double.
	exact = 1 << 51
	// mostBurst is the largest burst that fits: with the coarsest unit, ten years and this are below exact.
	mostBurst = 1 << 50
	// mostWait is how far ahead, in microseconds, a place can be reserved: 26 days.
	mostWait = exact / 1000
	// mostDelay bounds what is added up here.
	mostDelay = 10 * 365 * 24 * time.Hour
)

// bucket is a limit in whole units of unit nanoseconds. A microsecond is a whole number of units, so that the server's
// clock adds no rounding; an interval is rounded up, so that the rate is never above the limit's.
type bucket struct{ unit, interval, span int64 }

func bucketOf(l *ratelimit.Limit) (b bucket, ok bool) {
	interval := int64(l.Interval())
	if interval < 1 || l.Burst < 1 || l.Burst > mostBurst {
		return b, false
	}
	for _, unit := range [...]int64{1, 2, 4, 5, 8, 10, 20, 25, 40, 50, 100, 125, 200, 250, 500, 1000} {
		n := interval / unit
		if interval%unit != 0 {
			n++
		}
		if n <= exact/l.Burst {
			return bucket{unit: unit, interval: n, span: n * l.Burst}, true
		}
	}
	return b, false
}

// debt is a debt of d units as the limit's owner counts: whole requests stay whole, though an interval was rounded.
func (b *bucket) debt(d int64, l *ratelimit.Limit) time.Duration {
	q, rest := mulDiv(d, int64(l.Interval()), b.interval)
	if rest > 0 {
		q++
	}
	return time.Duration(q)
}

// unitsIn is a time d, as the limit's owner counts, in units: the inverse of debt, rounded down.
func (b *bucket) unitsIn(d time.Duration, l *ratelimit.Limit) int64 {
	q, _ := mulDiv(int64(min(max(d, 0), l.Span())), b.interval, int64(l.Interval()))
	return q
}

// mulDiv is a*b/c, of numbers that are not negative and whose result fits.
func mulDiv(a, b, c int64) (q, rest int64) {
	hi, lo := bits.Mul64(unsigned(a), unsigned(b))
	quo, rem := bits.Div64(hi, lo, unsigned(c))
	return int64(quo), int64(rem) //nolint:gosec // they fit
}

func unsigned(n int64) uint64 { return uint64(n) } //nolint:gosec // it is not negative

// query is a request in the script's numbers.
type query struct {
	r           *ratelimit.Request
	op          int64
	wait, delay int64                      // microseconds
	units       [ratelimit.MaxLimits]int64 // to take, or to give back
	buckets     [ratelimit.MaxLimits]bucket
}

func newQuery(r *ratelimit.Request) (q query, err error) {
	q = query{r: r, op: opTake}
	switch {
	case r.Limiter == "" || r.Key == "":
		return q, errors.New("redisstore: a request without limiter or key")
	case len(r.Limits) == 0 || len(r.Limits) > ratelimit.MaxLimits:
		return q, fmt.Errorf("redisstore: a request with %d limits, want 1 to %d", len(r.Limits), ratelimit.MaxLimits)
	case r.Cost < 0:
		return q, fmt.Errorf("redisstore: a cost of %d, want 0 or more", r.Cost)
	}
	for i := range r.Limits {
		var ok bool
		if q.buckets[i], ok = bucketOf(&r.Limits[i]); !ok {
			return q, fmt.Errorf("redisstore: limit %v: want a burst from 1 to %d", r.Limits[i], int64(mostBurst))
		}
		if r.Cost > r.Limits[i].Burst {
			return q, fmt.Errorf("redisstore: a cost of %d, above the burst of %v", r.Cost, r.Limits[i])
		}
		q.units[i] = r.Cost * q.buckets[i].interval
	}
	delay := min(max(r.Delay, 0), mostDelay)
	q.delay = int64((delay + time.Microsecond - 1) / time.Microsecond)
	q.wait = min(max(int64(r.MaxWait/time.Microsecond), 0), mostWait)
	if r.Cost == 0 || q.delay > q.wait { // takes nothing, whatever is there
		q.op = opPeek
	}
	return q, nil
}

// refund makes q one that gives back, and reports whether there is anything to give.
func (q *query) refund(back *[ratelimit.MaxLimits]time.Duration) (some bool) {
	q.op = opRefund
	for i := range q.r.Limits {
		q.units[i] = q.buckets[i].unitsIn(back[i], &q.r.Limits[i])
		some = some || q.units[i] > 0
	}
	return some
}

// args are the arguments of the script.
func (q *query) args() []string {
	var stack [512]byte
	var ends [3*ratelimit.MaxLimits + 2]int
	b, args := stack[:0], ends[:0]
	add := func(n int64) {
		b = strconv.AppendInt(b, n, 10)
		args = append(args, len(b))
	}
	for i := range q.r.Limits {
		l := &q.buckets[i]
		switch q.op {
		case opTake:
			add(q.units[i])
		case opRefund:
			add(-q.units[i])
		default:
			add(0)
		}
		add(l.span)
		add(1000 / l.unit)
	}
	if q.op == opTake && q.wait > 0 { // else there is no delay either
		add(q.wait)
		add(q.delay)
	}
	text, start := string(b), 0
	list := make([]string, len(args))
	for i, end := range args {
		list[i] = text[start:end]
		start = end
	}
	return list
}

// result reads the answer to a take: what was owed before, and by the sign of the first whether it was admitted.
func (q *query) result(reply *reply) (res ratelimit.Result) {
	r := q.r
	admitted := reply[0] >= 0
	res.Allowed = r.Cost == 0 || admitted
	delay := max(min(r.Delay, mostDelay), 0)
	wait := int64(-1)
	for i := range r.Limits {
		b, owed := &q.buckets[i], reply[i]
		if owed < 0 {
			owed = -1 - owed
		}
		start := max(owed, q.delay*1000/b.unit)
		next := start + q.units[i]
		if w := (next - b.span) * b.unit; w > wait {
			wait, res.Violated = w, i
		}
		if res.Allowed && r.Cost > 0 {
			owed = next
		}
		res.Debts[i] = b.debt(owed, &r.Limits[i])
	}
	if res.Allowed {
		res.Violated = 0
	}
	if r.Cost == 0 {
		wait = 0
	}
	res.Wait = max(time.Duration(wait), delay)
	return res
}
