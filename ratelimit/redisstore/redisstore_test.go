package redisstore_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/internal/redistest"
	"github.com/prusik-go/prusik/ratelimit"
	"github.com/prusik-go/prusik/ratelimit/ratelimittest"
	"github.com/prusik-go/prusik/ratelimit/redisstore"
)

// Of three limits, the second refuses: nothing is consumed of the first and the third.
func TestARefusalTakesNothingOfAnyLimit(t *testing.T) {
	t.Parallel()
	s := newStore(t, redisstore.Config{URL: redistest.Start(t).URL()})
	r := request(t, "k", "10/hour; 3/day; 100/day")
	for range 3 {
		require.True(t, take(t, s, r).Allowed)
	}
	before := take(t, s, peek(r))
	for range 50 {
		res := take(t, s, r)
		require.False(t, res.Allowed)
		require.Equal(t, 1, res.Violated)
		require.InDelta(t, 8*time.Hour, res.Wait, float64(time.Minute))
	}
	after := take(t, s, peek(r))
	for i, interval := range []time.Duration{6 * time.Minute, 8 * time.Hour, 24 * time.Hour / 100} {
		require.LessOrEqual(t, after.Debts[i], before.Debts[i])
		require.InDelta(t, 3*interval, after.Debts[i], float64(time.Minute))
	}
}

func peek(r ratelimit.Request) ratelimit.Request {
	r.Cost = 0
	return r
}

func TestRefund(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s := newStore(t, redisstore.Config{URL: srv.URL()})
	r := request(t, "k", "5/day; 7 per 2 days")
	r.Cost = 5
	require.True(t, take(t, s, r).Allowed)
	require.False(t, take(t, s, r).Allowed)
	refund(t, s, r)
	require.True(t, take(t, s, r).Allowed, "what was given back can be taken")
	for range 3 { // more than was taken: it is never above the burst
		refund(t, s, r)
	}
	require.Zero(t, take(t, s, peek(r)).Debts[0])
	require.Zero(t, dbSize(t, srv), "a full bucket is as good as none")
	require.True(t, take(t, s, r).Allowed)
	require.False(t, take(t, s, r).Allowed)

	refund(t, s, request(t, "unknown", "5/day")) // what is lost is lost
	refund(t, s, peek(r))
}

func dbSize(t *testing.T, srv *redistest.Server) int64 {
	t.Helper()
	c := admin(t, srv)
	n, err := c.Do(t.Context(), c.B().Dbsize().Build()).AsInt64()
	require.NoError(t, err)
	return n
}

// A server that has lost the script is told it again, by either client.
func TestTheScriptIsLoadedAgain(t *testing.T) { // one after the other: each flushes what the other uses
	srv := redistest.Start(t)
	goRedis := redis.NewClient(&redis.Options{Addr: srv.Addr, ReadTimeout: patient})
	defer goRedis.Close()
	for name, s := range map[string]*redisstore.Store{
		"rueidis": newStore(t, redisstore.Config{URL: srv.URL()}),
		"goredis": newStore(t, redisstore.Config{GoRedis: goRedis}),
	} {
		t.Run(name, func(t *testing.T) {
			c := admin(t, srv)
			r := request(t, name, "4/day")
			for range 3 {
				require.NoError(t, c.Do(t.Context(), c.B().ScriptFlush().Build()).Error())
				require.True(t, take(t, s, r).Allowed)
			}
			require.True(t, take(t, s, r).Allowed)
			require.False(t, take(t, s, r).Allowed, "what was decided before the flush counts")

			r = request(t, name+" by many", "100/day")
			var admitted, failed atomic.Int64
			for range 5 {
				require.NoError(t, c.Do(t.Context(), c.B().ScriptFlush().Build()).Error())
				var wg sync.WaitGroup
				for range 64 {
					wg.Go(func() {
						res, err := s.Take(context.Background(), r)
						if err != nil {
							failed.Add(1)
						} else if res.Allowed {
							admitted.Add(1)
						}
					})
				}
				wg.Wait()
			}
			require.Zero(t, failed.Load())
			require.EqualValues(t, 100, admitted.Load())
		})
	}
}

// Every key has an expiry, which is when its buckets are full, and holds nothing of what the user sent.
func TestEveryKeyExpiresAndIsHashed(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s := newStore(t, redisstore.Config{URL: srv.URL(), Prefix: "shop:test"})
	const most = 2 * time.Hour // 2 of a bucket that fills in 20
	for _, key := range []string{"alice@example.com", "{slot}", "a\x00b", strings.Repeat("long", 1000), "10.0.0.1"} {
		for _, r := range []ratelimit.Request{
			request(t, key, "20 per 20 hours"), request(t, key, "20 per 20 hours; 1000/minute; 7/s"),
		} {
			take(t, s, r)
			take(t, s, r)
			r.Cost = 1000
			_, err := s.Take(t.Context(), r)
			require.Error(t, err)
			r.Cost, r.MaxWait, r.Delay = 2, time.Hour, time.Minute
			take(t, s, r)
			refund(t, s, r)
		}
	}
	c := admin(t, srv)
	keys, err := c.Do(t.Context(), c.B().Keys().Pattern("*").Build()).AsStrSlice()
	require.NoError(t, err)
	require.Len(t, keys, 10)
	for _, key := range keys {
		require.Regexp(t, `^shop:test:rl2:[A-Za-z0-9_-]{22}$`, key)
		ttl, err := c.Do(t.Context(), c.B().Pttl().Key(key).Build()).AsInt64()
		require.NoError(t, err)
		require.InDelta(t, most.Milliseconds(), ttl, 120_000, "of %s", key)

		value, err := c.Do(t.Context(), c.B().Get().Key(key).Build()).ToString()
		require.NoError(t, err)
		expires, err := c.Do(t.Context(), c.B().Pexpiretime().Key(key).Build()).AsInt64()
		require.NoError(t, err)
		full := whenFull(t, value)
		require.LessOrEqual(t, full, time.Duration(expires)*time.Millisecond, "%s of %s", value, key)
		require.Greater(t, full, time.Duration(expires-1)*time.Millisecond)
	}
}

// whenFull is when the buckets of a value are full, as a time since 1970, where a unit is a nanosecond.
func whenFull(t *testing.T, value string) (full time.Duration) {
	t.Helper()
	parts := strings.Fields(value)
	var numbers []time.Duration
	for _, part := range parts {
		numbers = append(numbers, time.Duration(number(t, part)))
	}
	return numbers[0]*time.Second + numbers[1]*time.Microsecond + slices.Max(numbers[2:])
}

// What tells buckets apart.
func TestBucketsAreToldApart(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s := newStore(t, redisstore.Config{URL: srv.URL()})
	secret := newStore(t, redisstore.Config{URL: srv.URL(), Secret: "s"})
	base := request(t, "k", "1/day")
	named := func(limiter, key string) ratelimit.Request {
		r := base
		r.Limiter, r.Key = limiter, key
		return r
	}
	seen := int64(0)
	for _, r := range []ratelimit.Request{
		base, request(t, "k", "1 per 2 days"), request(t, "k", "2/day burst 1"), request(t, "k", "1/day burst 2"),
		request(t, "k", "1/day; 1 per 2 days"), request(t, "k", "1 per 2 days; 1/day"),
		named("ap", "ik"), named("a", "pik"), named("api", "K"), named("api", "k\x00"), named("api\x01k", "k"),
	} {
		for _, store := range []*redisstore.Store{s, secret} {
			require.True(t, take(t, store, r).Allowed, "%+v", r)
			seen++
			require.Equal(t, seen, dbSize(t, srv), "%+v", r)
		}
	}
	renamed := base
	renamed.Limits = limits(t, "1/day")
	renamed.Limits[0].Name = "another name"
	require.False(t, take(t, s, renamed).Allowed, "a name is no part of a limit")
}

// One command a decision, however many limits it has.
func TestOneRoundTrip(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	s := newStore(t, redisstore.Config{URL: srv.URL()})
	r := request(t, "k", "10/second; 100/minute; 1000/hour")
	take(t, s, r) // loads the script
	c := admin(t, srv)
	require.NoError(t, c.Do(t.Context(), c.B().ConfigResetstat().Build()).Error())
	const n = 100
	for range n {
		take(t, s, r)
	}
	stats, err := c.Do(t.Context(), c.B().Info().Section("commandstats").Build()).ToString()
	require.NoError(t, err)
	calls := map[string]string{}
	for line := range strings.Lines(stats) {
		if rest, ok := strings.CutPrefix(line, "cmdstat_"); ok {
			name, rest, _ := strings.Cut(rest, ":calls=")
			calls[name], _, _ = strings.Cut(rest, ",")
		}
	}
	require.Equal(t, "100", calls["evalsha"])
	for name := range calls { // what the script calls, and what the admin does
		require.Contains(t, []string{"evalsha", "time", "get", "set", "config|resetstat", "info", "ping"}, name)
	}
}

// The server decides in one step: of many at once, exactly as many as there are.
func TestGoroutinesShareOneLimit(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	goRedis := redis.NewClient(&redis.Options{Addr: srv.Addr, ReadTimeout: patient, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = goRedis.Close() })
	for name, cfg := range map[string]redisstore.Config{"rueidis": {URL: srv.URL()}, "goredis": {GoRedis: goRedis}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t, cfg)
			r := request(t, name, "100/day; 77 per 2 days")
			var n atomic.Int64
			var wg sync.WaitGroup
			for range 64 {
				wg.Go(func() {
					for range 5 {
						if res, err := s.Take(context.Background(), r); err == nil && res.Allowed {
							n.Add(1)
						}
					}
				})
			}
			wg.Wait()
			require.EqualValues(t, 77, n.Load())
		})
	}
}

// What no limiter asks is refused at once, and says nothing about Redis.
func TestInvalidRequests(t *testing.T) {
	t.Parallel()
	s := newStore(t, redisstore.Config{URL: "redis://127.0.0.1:1"})
	good := request(t, "k", "10/minute")
	for what, change := range map[string]func(*ratelimit.Request){
		"without limiter or key": func(r *ratelimit.Request) { r.Key = "" },
		"limiter or key":         func(r *ratelimit.Request) { r.Limiter = "" },
		"0 limits":               func(r *ratelimit.Request) { r.Limits = nil },
		"9 limits":               func(r *ratelimit.Request) { r.Limits = make([]ratelimit.Limit, 9) },
		"a burst from 1":         func(r *ratelimit.Request) { r.Limits = []ratelimit.Limit{{Count: 1, Period: time.Second}} },
		"above the burst":        func(r *ratelimit.Request) { r.Cost = 11 },
		"a cost of -1":           func(r *ratelimit.Request) { r.Cost = -1 },
		"want a burst": func(r *ratelimit.Request) {
			r.Limits = []ratelimit.Limit{{Count: 1e9, Period: time.Second, Burst: 1 << 51}}
		},
	} {
		r := good
		change(&r)
		_, err := s.Take(t.Context(), r)
		require.ErrorContains(t, err, what)
		require.ErrorContains(t, s.Refund(t.Context(), r, taken(r)), what)
	}
	require.Zero(t, s.Breaker().Snapshot().Failures)
}

// The duties of a store, as the limiter's own suite has them.
func TestContract(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	goRedis := redis.NewClient(&redis.Options{Addr: srv.Addr, ReadTimeout: patient})
	defer goRedis.Close()
	require.NoError(t, ratelimittest.TestStore(newStore(t, redisstore.Config{URL: srv.URL()})))
	require.NoError(t, ratelimittest.TestStore(newStore(t, redisstore.Config{GoRedis: goRedis})))
}
