package redisstore_test

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/rueidis"
	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/ratelimit"
	"github.com/prusik-go/prusik/ratelimit/redisstore"
)

// clock is a server whose time the test sets.
type clock struct {
	*miniredis.Miniredis
	now time.Time
}

func (c *clock) set(t time.Time) {
	c.now = t
	c.SetTime(t)
}

// pass lets time pass, and keys expire.
func (c *clock) pass(d time.Duration) {
	c.set(c.now.Add(d))
	c.FastForward(d)
}

func virtual(t testing.TB) (*clock, *redisstore.Store) {
	t.Helper()
	c := &clock{Miniredis: miniredis.RunT(t)}
	c.set(time.Date(2026, 2, 3, 4, 5, 6, 789_012_000, time.UTC))
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{c.Addr()}, DisableCache: true, ForceSingleClient: true, AlwaysPipelining: true,
	})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return c, newStore(t, redisstore.Config{Client: client})
}

// model is the definition: one time a limit at which its bucket is full, in nanoseconds.
type model struct {
	full [ratelimit.MaxLimits]time.Time
}

func (m *model) take(now time.Time, r ratelimit.Request) (res ratelimit.Result) {
	next := m.full
	res.Wait = -1
	for i, l := range r.Limits {
		start := now.Add(r.Delay)
		if m.full[i].After(start) {
			start = m.full[i]
		}
		next[i] = start.Add(time.Duration(r.Cost) * l.Interval())
		if wait := next[i].Add(-l.Span()).Sub(now); wait > res.Wait {
			res.Wait, res.Violated = wait, i
		}
	}
	res.Wait = max(res.Wait, r.Delay)
	switch {
	case r.Cost == 0:
		res.Allowed, res.Wait = true, r.Delay
	case res.Wait <= r.MaxWait:
		res.Allowed = true
		m.full = next
	}
	if res.Allowed {
		res.Violated = 0
	}
	for i := range r.Limits {
		res.Debts[i] = max(m.full[i].Sub(now), 0)
	}
	return res
}

func (m *model) refund(r ratelimit.Request) {
	for i, l := range r.Limits {
		m.full[i] = m.full[i].Add(-time.Duration(r.Cost) * l.Interval())
	}
}

// Random requests are decided as defined, to the nanosecond. The server's clock counts microseconds.
func TestDecisionsAreThoseOfTheModel(t *testing.T) {
	t.Parallel()
	sequences, length := 60, 200
	if testing.Short() {
		sequences = 15
	}
	c, s := virtual(t)
	texts := []string{
		"10/second", "3/second", "7 per 11 seconds burst 2; 100/minute", "1/second; 5/second burst 1; 1000/day burst 3",
		"30000000/second", "123457/minute burst 1000; 999983/hour; 7/day; 1/s; 2/s; 3/s; 4/s; 5/s",
	}
	for seed := range uint64(sequences) {
		rng := rand.New(rand.NewPCG(seed, 1))
		text := texts[rng.IntN(len(texts))]
		r := request(t, "k", text)
		r.Limiter = time.Duration(seed).String()
		var m model
		var last ratelimit.Request
		counts := map[bool]int{}
		for i := range length {
			interval := r.Limits[rng.IntN(len(r.Limits))].Interval()
			random := func(most time.Duration) time.Duration {
				return time.Duration(rng.Int64N(int64(most) + 1)).Truncate(time.Microsecond)
			}
			switch rng.IntN(4) {
			case 0:
				c.pass(random(2 * interval))
			case 1:
				c.pass(random(interval / 4))
			}
			r.Cost, r.Delay, r.MaxWait = 1, 0, 0
			most := r.Limits[0].Burst
			for _, l := range r.Limits {
				most = min(most, l.Burst)
			}
			if rng.IntN(2) == 0 {
				r.Cost = rng.Int64N(most + 1)
			}
			if rng.IntN(4) == 0 {
				r.Delay = random(3 * interval)
			}
			if rng.IntN(3) == 0 {
				r.MaxWait = random(5 * interval)
			}
			if rng.IntN(10) == 0 && last.Limits != nil {
				m.refund(last)
				for j, full := range m.full { // never above the burst
					if full.Before(c.now) {
						m.full[j] = c.now
					}
				}
				refund(t, s, last)
				last = ratelimit.Request{}
			}
			want, got := m.take(c.now, r), take(t, s, r)
			require.Equal(t, want, got, "seed %d, step %d, %s: %+v", seed, i, text, r)
			counts[got.Allowed]++
			if got.Allowed {
				last = r
			}
		}
		require.Greater(t, counts[true], length/20, "seed %d: %s", seed, text)
		require.Greater(t, counts[false], length/20, "seed %d: %s", seed, text)
	}
}

// A limiter on the store answers as one in memory does, over the same random times: what memory answers in a bubble is
// replayed.
func TestDecisionsAreThoseOfMemory(t *testing.T) {
	t.Parallel()
	ls, err := ratelimit.ParseLimits("9/second; 100/minute burst 20; 1000/hour")
	require.NoError(t, err)
	type step struct {
		pause  time.Duration
		key    string
		cost   int64
		refund bool
		want   ratelimit.Decision
	}
	var steps []step
	synctest.Test(t, func(t *testing.T) {
		memory, err := ratelimit.New("api", ratelimit.Config{Limits: ls})
		require.NoError(t, err)
		rng := rand.New(rand.NewPCG(7, 7))
		for range 1000 {
			p := step{
				pause: time.Duration(rng.IntN(300)*rng.IntN(2)) * time.Millisecond, key: string(rune('a' + rng.IntN(3))),
				cost: rng.Int64N(10), refund: rng.IntN(8) == 0,
			}
			time.Sleep(p.pause)
			p.want, err = memory.AllowN(t.Context(), p.key, p.cost)
			require.NoError(t, err)
			if p.refund {
				require.NoError(t, p.want.Refund(t.Context()))
			}
			steps = append(steps, p)
		}
	})
	c, s := virtual(t)
	shared, err := ratelimit.New("api", ratelimit.Config{Limits: ls, Store: s, OnOutage: ratelimit.FailClosed})
	require.NoError(t, err)
	verdicts := map[ratelimit.Verdict]int{}
	for i, p := range steps {
		c.pass(p.pause)
		got, err := shared.AllowN(t.Context(), p.key, p.cost)
		require.NoError(t, err)
		require.Equal(t, p.want.Verdict, got.Verdict, "step %d", i)
		require.Equal(t, p.want.Policy, got.Policy)
		require.Equal(t, p.want.RetryAfter, got.RetryAfter)
		require.Equal(t, statuses(&p.want), statuses(&got))
		verdicts[got.Verdict]++
		if p.refund {
			refund(t, s, ratelimit.Request{Limiter: "api", Key: p.key, Limits: shared.Config().Limits, Cost: refundable(&got)})
		}
	}
	require.Greater(t, verdicts[ratelimit.Allowed], 100)
	require.Greater(t, verdicts[ratelimit.Denied], 100)
}

// refundable is what d took. [ratelimit.Decision.Refund] reckons with the real time, which is not that of the test's server.
func refundable(d *ratelimit.Decision) int64 {
	if d.Verdict != ratelimit.Allowed {
		return 0
	}
	return d.Cost
}

func statuses(d *ratelimit.Decision) (all []ratelimit.Status) {
	for s := range d.Statuses() {
		all = append(all, s)
	}
	return all
}

// The server's clock is set back by an hour: nobody gets anything for it, and nobody waits longer than for what he owes.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	for name, touch := range map[string]func(*testing.T, *redisstore.Store, ratelimit.Request){
		"take":   func(t *testing.T, s *redisstore.Store, r ratelimit.Request) { require.False(t, take(t, s, r).Allowed) },
		"look":   func(t *testing.T, s *redisstore.Store, r ratelimit.Request) { take(t, s, peek(r)) },
		"refund": func(t *testing.T, s *redisstore.Store, r ratelimit.Request) { refund(t, s, r) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, s := virtual(t)
			r := request(t, "k", "10 per 10 seconds; 100/minute")
			for range 10 {
				require.True(t, take(t, s, r).Allowed)
			}
			c.pass(500 * time.Millisecond)
			c.set(c.now.Add(-time.Hour))
			touch(t, s, r)
			left := take(t, s, peek(r)).Debts[0]
			require.GreaterOrEqual(t, c.TTL(c.Keys()[0]), left, "it is not forgotten before it is full")
			gained := 0
			if name == "refund" {
				gained = 1
			}
			for range gained {
				require.True(t, take(t, s, r).Allowed)
			}
			require.False(t, take(t, s, r).Allowed, "nothing more for a step back")
			require.LessOrEqual(t, take(t, s, r).Wait, time.Second, "what is owed is one interval")
			c.pass(time.Second)
			require.True(t, take(t, s, r).Allowed, "the clock runs again from where it is")
			require.False(t, take(t, s, r).Allowed)
			c.pass(time.Minute)
			require.Zero(t, take(t, s, peek(r)).Debts)
		})
	}
}

// A step forward is time that has passed: a full bucket, once, and no more.
func TestClockSetForward(t *testing.T) {
	t.Parallel()
	c, s := virtual(t)
	r := request(t, "k", "10 per 10 seconds")
	for range 10 {
		require.True(t, take(t, s, r).Allowed)
	}
	c.set(c.now.Add(24 * time.Hour))
	for range 10 {
		require.True(t, take(t, s, r).Allowed)
	}
	require.False(t, take(t, s, r).Allowed)
}

// Over a long time, no more than burst and rate allow is admitted, whatever the interval rounds to.
func TestRoundingAdmitsNoMoreThanTheLimit(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"3/second", "7/second burst 1", "11/minute", "999/second burst 5", "7000003/second burst 7"} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			c, s := virtual(t)
			r := request(t, "k", text)
			l := r.Limits[0]
			start, n := c.now, int64(0)
			step := max(l.Interval()/3, time.Microsecond).Truncate(time.Microsecond)
			for range 200 {
				for take(t, s, r).Allowed {
					n++
				}
				c.pass(step)
			}
			passed := c.now.Sub(start) - step
			most := l.Burst + int64(float64(passed)*float64(l.Count)/float64(l.Period))
			require.LessOrEqual(t, n, most)
			require.GreaterOrEqual(t, n, most*7/10, "a burst of 1 loses up to a step of each interval, here a quarter")
		})
	}
}

// Limits at the ends of the range, where a unit is more than a nanosecond: exactly the burst, and whole requests left.
func TestLargeLimits(t *testing.T) {
	t.Parallel()
	c, s := virtual(t)
	const year = 360 * 24 * time.Hour
	for _, l := range []ratelimit.Limit{
		{Count: 1, Period: 10 * year},
		{Count: 7, Period: 10 * year},
		{Count: 1_000_000_007, Period: 10 * year},
		{Count: 5_000_000_000_000, Period: 30 * 24 * time.Hour},
		{Count: 1 << 50, Period: 10 * year},
		{Count: 1_000_000_000, Period: time.Second},
		{Count: 1_000_000_000, Period: time.Second, Burst: 1 << 50},
		{Count: 3, Period: time.Second, Burst: 300_000_000},
	} {
		if l.Burst == 0 {
			l.Burst = l.Count
		}
		l.Name = "l"
		r := ratelimit.Request{Limiter: l.String(), Key: "k", Limits: []ratelimit.Limit{l}, Cost: l.Burst}
		for _, cost := range []int64{l.Burst - l.Burst/2, l.Burst / 2} {
			r.Cost = cost
			require.True(t, take(t, s, r).Allowed, "%v", l)
		}
		r.Cost = 1
		res := take(t, s, r)
		require.False(t, res.Allowed, "%v", l)
		require.Equal(t, l.Span(), res.Debts[0], "%v", l)
		require.Positive(t, res.Wait)
		r.MaxWait = 10 * year
		if res.Wait < 20*24*time.Hour {
			require.True(t, take(t, s, r).Allowed, "%v: it may wait", l)
			refund(t, s, r)
		}
		r.MaxWait = 0
		c.pass(res.Wait.Truncate(time.Microsecond) - time.Microsecond)
		require.False(t, take(t, s, r).Allowed, "%v: a microsecond early", l)
		c.pass(2 * time.Microsecond)
		require.True(t, take(t, s, r).Allowed, "%v: when it was told", l)
	}
}
