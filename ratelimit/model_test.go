package ratelimit_test

import (
	"context"
	"math/big"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/prusik-go/prusik/ratelimit"
)

// bubbleT keeps rapid from asking testing.T for its deadline, which a bubble forbids.
type bubbleT struct{ *testing.T }

// check is rapid.Check in a bubble. Rapid gives up, silently, after a day: of virtual time.
func check(t *testing.T, prop func(*rapid.T)) {
	t.Helper()
	runs := 0
	rapid.Check(bubbleT{t}, func(rt *rapid.T) { runs++; prop(rt) })
	want := 100 // rapid's own numbers
	if testing.Short() {
		want = 20
	}
	require.GreaterOrEqual(t, runs, want, "sleep less: rapid ran out of time")
}

// bucket is the reference: a token bucket that counts what is missing, in units of an interval, as time goes by. It
// knows nothing of theoretical arrival times.
type bucket struct {
	limit   ratelimit.Limit
	missing time.Duration // until full
	at      time.Time
}

func (b *bucket) pass(now time.Time) {
	b.missing = max(0, b.missing-now.Sub(b.at))
	b.at = now
}

// lacks is the time until cost could be taken.
func (b *bucket) lacks(cost int64) time.Duration {
	return max(0, b.missing+time.Duration(cost)*b.limit.Interval()-time.Duration(b.limit.Burst)*b.limit.Interval())
}

type reference map[string][]*bucket

// ratio is d*to/from, rounded up.
func ratio(d, to, from time.Duration) time.Duration {
	n := new(big.Int).Mul(big.NewInt(int64(d)), big.NewInt(int64(to)))
	q, rest := n.QuoRem(n, big.NewInt(int64(from)), new(big.Int))
	if rest.Sign() > 0 {
		q.Add(q, big.NewInt(1))
	}
	return time.Duration(q.Int64())
}

// change gives every bucket another limit, of which the same share is missing.
func (r reference) change(limits []ratelimit.Limit, now time.Time) {
	for _, buckets := range r {
		for i, b := range buckets {
			b.pass(now)
			b.missing = ratio(b.missing, limits[i].Span(), b.limit.Span())
			b.limit = limits[i]
		}
	}
}

func (r reference) of(key string, limits []ratelimit.Limit, now time.Time) []*bucket {
	if r[key] == nil {
		for _, l := range limits {
			r[key] = append(r[key], &bucket{limit: l, at: now})
		}
	}
	for _, b := range r[key] {
		b.pass(now)
	}
	return r[key]
}

func (r reference) take(key string, cost int64, limits []ratelimit.Limit, now time.Time) (ok bool, policy string, wait time.Duration) {
	buckets := r.of(key, limits, now)
	for _, b := range buckets {
		if w := b.lacks(cost); w > wait {
			wait, policy = w, b.limit.Name
		}
	}
	if cost == 0 || wait == 0 {
		for _, b := range buckets {
			b.missing += time.Duration(cost) * b.limit.Interval()
		}
		return true, "", 0
	}
	return false, policy, wait
}

func drawLimits(t *rapid.T) ratelimit.Limits {
	return drawSome(t, rapid.IntRange(1, 4).Draw(t, "limits"))
}

func drawSome(t *rapid.T, n int) ratelimit.Limits {
	limits := make(ratelimit.Limits, n)
	for i := range limits {
		limits[i] = ratelimit.Limit{
			Name:   string(rune('a' + i)),
			Count:  rapid.Int64Range(1, 7).Draw(t, "count"),
			Period: rapid.SampledFrom([]time.Duration{7, time.Millisecond, time.Second, time.Minute}).Draw(t, "period"),
			Burst:  rapid.Int64Range(0, 5).Draw(t, "burst"),
		}
	}
	return limits
}

func drawPause(t *rapid.T) time.Duration {
	return rapid.SampledFrom([]time.Duration{0, 0, 1, 2, time.Millisecond, 333 * time.Millisecond, time.Second, 20 * time.Second, 2 * time.Minute}).Draw(t, "pause")
}

func TestModel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		check(t, func(rt *rapid.T) {
			l, err := ratelimit.New("model", ratelimit.Config{Limits: drawLimits(rt)})
			require.NoError(rt, err)
			limits := l.Config().Limits
			ref := reference{}
			type took struct {
				key     string
				d       ratelimit.Decision
				full    []time.Time
				worth   []time.Duration
				changes int
			}
			var taken []took
			rt.Repeat(map[string]func(*rapid.T){
				"sleep": func(rt *rapid.T) { time.Sleep(drawPause(rt)) },
				"take": func(rt *rapid.T) {
					key := rapid.SampledFrom([]string{"x", "y"}).Draw(rt, "key")
					smallest := limits[0]
					for _, limit := range limits {
						if limit.Burst < smallest.Burst {
							smallest = limit
						}
					}
					cost := rapid.Int64Range(0, smallest.Burst+1).Draw(rt, "cost")
					d, err := l.AllowN(t.Context(), key, cost)
					require.NoError(rt, err)
					if cost > smallest.Burst {
						require.Equal(rt, ratelimit.Denied, d.Verdict)
						require.Equal(rt, smallest.Name, d.Policy)
						require.Zero(rt, d.RetryAfter)
						require.Empty(rt, statuses(d))
						return
					}
					ok, policy, wait := ref.take(key, cost, limits, time.Now())
					require.Equal(rt, ok, d.Allowed())
					require.Equal(rt, policy, d.Policy)
					require.Equal(rt, wait, d.RetryAfter)
					require.Zero(rt, d.Wait)
					i := 0
					var full []time.Time
					var worth []time.Duration
					for s := range d.Statuses() {
						b := ref[key][i]
						worth = append(worth, time.Duration(cost)*b.limit.Interval())
						full = append(full, time.Now().Add(b.missing))
						require.Equal(rt, b.missing, s.Full)
						left := b.limit.Span() - b.missing
						require.Equal(rt, int64(left/b.limit.Interval()), s.Remaining)
						if s.Full > 0 {
							require.Equal(rt, b.limit.Interval()-left%b.limit.Interval(), s.Next)
						} else {
							require.Zero(rt, s.Next)
						}
						i++
					}
					require.Equal(rt, len(limits), i)
					if d.Verdict == ratelimit.Allowed {
						taken = append(taken, took{key, d, full, worth, 0})
					}
				},
				"change": func(rt *rapid.T) {
					if rapid.IntRange(0, 2).Draw(rt, "mostly not") > 0 {
						return
					}
					next := drawSome(rt, len(limits))
					require.NoError(rt, l.SetLimits(next))
					now := time.Now()
					old := limits
					limits = l.Config().Limits
					ref.change(limits, now)
					for i := range taken {
						d := &taken[i]
						d.changes++
						for j := range limits {
							to, from := limits[j].Span(), old[j].Span()
							d.worth[j] = ratio(d.worth[j], to, from)
							d.full[j] = now.Add(ratio(max(0, d.full[j].Sub(now)), to, from))
						}
					}
				},
				"refund": func(rt *rapid.T) {
					if len(taken) == 0 {
						return
					}
					i := rapid.IntRange(0, len(taken)-1).Draw(rt, "which")
					last := taken[i]
					taken = slices.Delete(taken, i, i+1)
					require.NoError(rt, last.d.Refund(t.Context()))
					now := time.Now()
					for i, b := range ref.of(last.key, limits, now) {
						owed := last.full[i].Sub(now) // of what was taken up to then
						if last.changes > 1 {
							break
						}
						back := min(last.worth[i], max(0, owed))
						b.missing = max(0, b.missing-back)
					}
				},
			})
		})
	})
}

// Callers wait, and some of them leave while they do. Whoever stays keeps his turn, so nobody else may get it: what is admitted
// never exceeds the limit, and what a caller at the end of the queue gives back is not lost.
func TestWaitsThatAreCanceledModel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		check(t, func(rt *rapid.T) {
			limit := ratelimit.Limit{Name: "l", Count: 1, Period: time.Second, Burst: rapid.Int64Range(1, 3).Draw(rt, "burst")}
			cfg := ratelimit.Config{Limits: ratelimit.Limits{limit, {Name: "many", Count: 1000, Period: time.Second}}, MaxWait: -1}
			if rapid.Bool().Draw(rt, "store") {
				cfg.Store, cfg.OnOutage = ratelimit.NewMemoryStore(), ratelimit.FailClosed
			}
			l, err := ratelimit.New("m", cfg)
			require.NoError(rt, err)
			wait := func(ctx context.Context) error {
				_, err := l.Wait(ctx, "v")
				return err
			}
			if o := l.Outbound("v"); rapid.Bool().Draw(rt, "outbound") {
				wait = func(ctx context.Context) error {
					_, err := o.Acquire(ctx, forever)
					return err
				}
			}
			var mu sync.Mutex
			var sent []time.Time
			var waiting []context.CancelFunc
			var wg sync.WaitGroup
			add := func() {
				ctx, cancel := context.WithCancel(context.Background())
				waiting = append(waiting, cancel)
				wg.Go(func() {
					if wait(ctx) == nil {
						mu.Lock()
						defer mu.Unlock()
						sent = append(sent, time.Now())
					}
				})
				synctest.Wait()
			}
			rt.Repeat(map[string]func(*rapid.T){
				"wait": func(*rapid.T) { add() },
				"leave": func(rt *rapid.T) {
					if len(waiting) == 0 {
						return
					}
					i := rapid.IntRange(0, len(waiting)-1).Draw(rt, "who")
					waiting[i]()
					waiting = slices.Delete(waiting, i, i+1)
					synctest.Wait()
				},
				"the last leaves": func(*rapid.T) {
					d, err := l.AllowN(context.Background(), "v", 0)
					require.NoError(rt, err)
					before := statuses(d)[0].Full
					add()
					waiting[len(waiting)-1]()
					waiting = waiting[:len(waiting)-1]
					synctest.Wait()
					if d, err = l.AllowN(context.Background(), "v", 0); before >= limit.Span() {
						require.NoError(rt, err)
						require.Equal(rt, before, statuses(d)[0].Full, "all of it is back")
					}
				},
				"sleep": func(rt *rapid.T) {
					time.Sleep(rapid.SampledFrom([]time.Duration{1, 300 * time.Millisecond, time.Second, 5 * time.Second}).Draw(rt, "pause"))
				},
			})
			wg.Wait()
			for i := int(limit.Burst); i < len(sent); i++ {
				require.GreaterOrEqual(rt, sent[i].Sub(sent[i-int(limit.Burst)]), time.Second, "%d at once", limit.Burst+1)
			}
			for _, leave := range waiting {
				leave()
			}
		})
	})
}

// Whoever waits as told passes, and whoever comes a nanosecond sooner does not.
func TestRetryAfterIsExact(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		check(t, func(rt *rapid.T) {
			l, err := ratelimit.New("model", ratelimit.Config{Limits: drawLimits(rt)})
			require.NoError(rt, err)
			var d ratelimit.Decision
			for range 100 {
				if d, err = l.Allow(t.Context(), "k"); !d.Allowed() {
					break
				}
			}
			require.NoError(rt, err)
			if d.Allowed() {
				return // an interval of a few nanoseconds
			}
			time.Sleep(d.RetryAfter - 1)
			early, err := l.Allow(t.Context(), "k")
			require.NoError(rt, err)
			require.False(rt, early.Allowed())
			time.Sleep(time.Nanosecond)
			d, err = l.Allow(t.Context(), "k")
			require.NoError(rt, err)
			require.True(rt, d.Allowed())
		})
	})
}

// With room for a few keys and more in use, what the limiter admits of a key an unbounded one would admit as well.
func TestEvictionGivesNothingAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		evictions := uint64(0)
		check(t, func(rt *rapid.T) {
			l, err := ratelimit.New("model", ratelimit.Config{Limits: drawLimits(rt), MaxKeys: rapid.IntRange(1, 3).Draw(rt, "max")})
			require.NoError(rt, err)
			limits := l.Config().Limits
			ref := reference{}
			rt.Repeat(map[string]func(*rapid.T){
				"sleep": func(rt *rapid.T) { time.Sleep(drawPause(rt)) },
				"change": func(rt *rapid.T) {
					require.NoError(rt, l.SetLimits(drawSome(rt, len(limits))))
					limits = l.Config().Limits
					ref.change(limits, time.Now())
				},
				"take": func(rt *rapid.T) {
					key := rapid.StringMatching(`[a-h]`).Draw(rt, "key")
					d, err := l.Allow(t.Context(), key)
					require.NoError(rt, err)
					if !d.Allowed() {
						return
					}
					ok, policy, wait := ref.take(key, 1, limits, time.Now())
					require.True(rt, ok, "admitted %s, over %s for %v", key, policy, wait)
				},
			})
			require.LessOrEqual(rt, l.Snapshot().Keys, l.Config().MaxKeys)
			evictions += l.Snapshot().Evictions
		})
		require.Positive(t, evictions, "nothing was evicted: this test looks at nothing")
	})
}
