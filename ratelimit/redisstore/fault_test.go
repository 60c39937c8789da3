package redisstore_test

import (
	"context"
	"crypto/tls"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/internal/redistest"
	"github.com/prusik-go/prusik/ratelimit"
	"github.com/prusik-go/prusik/ratelimit/redisstore"
)

// soon is when a call that should return at once has done so, on a busy machine.
const soon = patient / 2

// A server hangs for longer than rueidis's queue lasts, and no breaker spares it: rueidis would hold callers whatever their
// deadline.
func TestFullQueueHoldsNobody(t *testing.T) {
	t.Parallel()
	gate := redistest.Start(t).Gate()
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{gate.Addr}, DisableCache: true, ForceSingleClient: true, AlwaysPipelining: true,
		RingScaleEachConn: 3, ConnWriteTimeout: time.Hour,
	})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	s := newStore(t, redisstore.Config{Client: client, Timeout: 50 * time.Millisecond, Breaker: breaker.Config{Mode: breaker.Disabled}})
	r := request(t, "k", "1000/day")
	eventually(t, "a healthy server", func() bool { _, err := s.Take(t.Context(), r); return err == nil })
	gate.Shut()
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for range 10 {
				start := time.Now()
				_, err := s.Take(context.Background(), r)
				if err == nil || time.Since(start) > soon {
					t.Errorf("%v after %v", err, time.Since(start))
				}
			}
		})
	}
	wg.Wait()
	gate.Open()
	eventually(t, "a decision", func() bool { _, err := s.Take(t.Context(), r); return err == nil })
}

// While one call opens a connection to a server that hangs, another one keeps to its own deadline.
func TestAnotherCallsConnectionHoldsNobody(t *testing.T) {
	t.Parallel()
	gate := redistest.Start(t).Gate()
	s := newStore(t, redisstore.Config{URL: gate.URL(), Breaker: breaker.Config{Mode: breaker.Disabled}})
	r := request(t, "k", "1000/day")
	take(t, s, r)
	gate.Shut()
	gate.Drop()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer gate.Open()
	for range 3 { // one of them is the first to miss the connection
		wg.Go(func() { _, _ = s.Take(context.Background(), r) })
	}
	for range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		start := time.Now()
		_, err := s.Take(ctx, r)
		cancel()
		require.Error(t, err)
		require.Less(t, time.Since(start), soon)
	}
}

// A connection that takes longer to open than a decision may take is opened all the same.
func TestSlowConnection(t *testing.T) {
	t.Parallel()
	const timeout, slow = 200 * time.Millisecond, 500 * time.Millisecond
	var dials atomic.Int64
	for name, tc := range map[string]struct {
		cfg  func(t *testing.T, addr string) redisstore.Config
		slow func(*redistest.Gate)
	}{
		"handshake": {
			func(_ *testing.T, addr string) redisstore.Config { return redisstore.Config{URL: "redis://" + addr} },
			func(g *redistest.Gate) { g.Handshake(slow) },
		},
		"dial": {func(t *testing.T, addr string) redisstore.Config {
			client, err := rueidis.NewClient(rueidis.ClientOption{
				InitAddress: []string{addr}, DisableCache: true, ForceSingleClient: true, AlwaysPipelining: true,
				DialCtxFn: func(ctx context.Context, addr string, d *net.Dialer, _ *tls.Config) (net.Conn, error) {
					if dials.Add(1) > 1 {
						select {
						case <-ctx.Done():
							return nil, ctx.Err()
						case <-time.After(slow):
						}
					}
					return d.DialContext(ctx, "tcp", addr)
				},
			})
			require.NoError(t, err)
			t.Cleanup(client.Close)
			return redisstore.Config{Client: client}
		}, func(*redistest.Gate) {}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gate := redistest.Start(t).Gate()
			cfg := tc.cfg(t, gate.Addr)
			cfg.Timeout, cfg.Breaker.OpenFor = timeout, 50*time.Millisecond
			s := newStore(t, cfg)
			r := request(t, "k", "1000/day")
			decides := func() bool { _, err := s.Take(t.Context(), r); return err == nil }
			eventually(t, "a decision", decides)
			tc.slow(gate)
			gate.Drop()
			eventually(t, "a decision on the next connection", decides)
		})
	}
}

// A primary becomes a replica, as in a failover, and keeps its connections; the name leads to the new one.
func TestServerBecomesAReplica(t *testing.T) {
	t.Parallel()
	old, next := redistest.Start(t), redistest.Start(t)
	gate := old.Gate()
	goRedis := redis.NewClient(&redis.Options{Addr: gate.Addr, ReadTimeout: patient})
	t.Cleanup(func() { _ = goRedis.Close() })
	stores := map[string]*redisstore.Store{}
	for name, cfg := range map[string]redisstore.Config{"own": {URL: gate.URL()}, "goredis": {GoRedis: goRedis}} {
		cfg.Breaker.OpenFor = 50 * time.Millisecond
		stores[name] = newStore(t, cfg)
		take(t, stores[name], request(t, name, "1000/day"))
	}
	host, port, err := net.SplitHostPort(next.Addr)
	require.NoError(t, err)
	c := admin(t, old)
	require.NoError(t, c.Do(t.Context(), c.B().Replicaof().Host(host).Port(number(t, port)).Build()).Error())
	for name, s := range stores {
		_, err := s.Take(t.Context(), request(t, name, "1000/day"))
		require.ErrorContains(t, err, "READONLY", name)
	}
	gate.LeadTo(next)
	for name, s := range stores {
		eventually(t, name+" on the new primary", func() bool {
			_, err := s.Take(t.Context(), request(t, name, "1000/day"))
			return err == nil
		})
	}
	require.Equal(t, int64(2), dbSize(t, next))
}

// What stands behind a key and is not as the script writes it counts as nothing, and is written over: it locks nobody out.
func TestForeignValues(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	c := admin(t, srv)
	s := newStore(t, redisstore.Config{URL: srv.URL()})
	r := request(t, "k", "2/day; 7 per 2 days")
	take(t, s, r)
	keys, err := c.Do(t.Context(), c.B().Keys().Pattern("*").Build()).AsStrSlice()
	require.NoError(t, err)
	require.Len(t, keys, 1)
	future := "9" + strings.Repeat("0", 9)
	for _, value := range []string{
		"", " ", "x", "garbage", "1700000000", "1700000000 ", "1700000000 1", "1 2 x 4", "-1 2 3 4", "1 2 -3 -4", "\x00\xff", "nan nan nan nan", "1700000000123456 1000 2000",
		"1 1 " + strings.Repeat("9", 400) + " 1", strings.Repeat("9", 400) + " 1 2 3", future + " 0 " + strings.Repeat("9", 17) + " 1", future + " 0", future + " 0 x 9007199254740991", "{}", strings.Repeat("1 ", 10000),
	} {
		for range 2 { // without an expiry, and then a refund
			require.NoError(t, c.Do(t.Context(), c.B().Set().Key(keys[0]).Value(value).Build()).Error())
			refund(t, s, r)
			res := take(t, s, peek(r))
			require.Less(t, res.Debts[0], 25*time.Hour, "%q", value)
		}
		require.NoError(t, c.Do(t.Context(), c.B().Set().Key(keys[0]).Value(value).Build()).Error())
		requireTwo(t, c, s, r, keys[0], value)
	}
	for _, build := range []rueidis.Completed{
		c.B().Lpush().Key(keys[0]).Element("1", "2").Build(), c.B().Hset().Key(keys[0]).FieldValue().FieldValue("a", "1").Build(),
		c.B().Sadd().Key(keys[0]).Member("1").Build(), c.B().Zadd().Key(keys[0]).ScoreMember().ScoreMember(1, "a").Build(),
		c.B().Xadd().Key(keys[0]).Id("*").FieldValue().FieldValue("a", "b").Build(),
	} {
		require.NoError(t, c.Do(t.Context(), c.B().Del().Key(keys[0]).Build()).Error())
		what := build.Commands()[0]
		require.NoError(t, c.Do(t.Context(), build).Error())
		require.Zero(t, take(t, s, peek(r)).Debts, what)
		requireTwo(t, c, s, r, keys[0], what)
	}
	require.Equal(t, breaker.Closed, s.Breaker().State())
	require.Zero(t, s.Breaker().Snapshot().Failures)
}

func number(t *testing.T, text string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(text, 10, 64)
	require.NoError(t, err)
	return n
}

// requireTwo takes what a full bucket of two holds, and sees that the key expires.
func requireTwo(t *testing.T, c rueidis.Client, s *redisstore.Store, r ratelimit.Request, key, what string) {
	t.Helper()
	for range 2 {
		require.True(t, take(t, s, r).Allowed, "%q", what)
	}
	res := take(t, s, r)
	require.False(t, res.Allowed, "%q", what)
	require.LessOrEqual(t, res.Wait, 12*time.Hour)
	ttl, err := c.Do(t.Context(), c.B().Pttl().Key(key).Build()).AsInt64()
	require.NoError(t, err)
	require.InDelta(t, (24 * time.Hour).Milliseconds(), ttl, 120_000, "%q", what)
}

// A server without memory decides nothing, and says so; when it has some, all is as before.
func TestServerIsOutOfMemory(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t, "--maxmemory-policy", "noeviction")
	c := admin(t, srv)
	s := newStore(t, redisstore.Config{URL: srv.URL(), Breaker: breaker.Config{Mode: breaker.Disabled}})
	r := request(t, "k", "3/day")
	take(t, s, r)
	most := func(n string) {
		require.NoError(t, c.Do(t.Context(), c.B().ConfigSet().ParameterValue().ParameterValue("maxmemory", n).Build()).Error())
	}
	most("1")
	for range 5 {
		_, err := s.Take(t.Context(), r)
		require.ErrorContains(t, err, "OOM")
		require.Equal(t, errors.Unavailable, errors.KindOf(err))
	}
	most("0")
	require.True(t, take(t, s, r).Allowed)
	require.True(t, take(t, s, r).Allowed)
	require.False(t, take(t, s, r).Allowed, "nothing was taken while there was no memory")
}

// An answer is lost: the units may have been taken, and are not taken again, by either client.
func TestNothingIsSentTwice(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]func(*testing.T, string) redisstore.Config{
		"own":     func(_ *testing.T, addr string) redisstore.Config { return redisstore.Config{URL: "redis://" + addr} },
		"goredis": goRedisConfig,
		"universal": func(t *testing.T, addr string) redisstore.Config {
			cfg := goRedisConfig(t, addr)
			cfg.GoRedis = struct{ redis.UniversalClient }{cfg.GoRedis} // a kind that the store does not know
			return cfg
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := redistest.Start(t)
			gate := srv.Gate()
			s := newStore(t, cfg(t, gate.Addr))
			warm, r := request(t, "warm", "10/day"), request(t, "k", "10/day")
			take(t, s, warm)
			gate.Mute()
			lost := make(chan error, 1)
			go func() { _, err := s.Take(context.Background(), r); lost <- err }()
			eventually(t, "it is taken", func() bool { return dbSize(t, srv) == 2 })
			gate.Drop()
			gate.Open()
			require.Error(t, <-lost)
			eventually(t, "a decision", func() bool { _, err := s.Take(t.Context(), warm); return err == nil })
			require.InDelta(t, (24 * time.Hour / 10).Minutes(), take(t, s, peek(r)).Debts[0].Minutes(), 2, "it was taken once")
		})
	}
}

func goRedisConfig(t *testing.T, addr string) redisstore.Config {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr, ReadTimeout: patient})
	t.Cleanup(func() { _ = c.Close() })
	return redisstore.Config{GoRedis: c}
}

// Close ends what is under way, though the server hangs, and what comes meanwhile.
func TestCloseWhileTheServerHangs(t *testing.T) {
	t.Parallel()
	gate := redistest.Start(t).Gate()
	s := newStore(t, redisstore.Config{URL: gate.URL()})
	r := request(t, "k", "1000/day")
	take(t, s, r)
	gate.Shut()
	var begun atomic.Int64
	var wg sync.WaitGroup
	for range 300 {
		wg.Go(func() {
			begun.Add(1)
			for {
				if _, err := s.Take(context.Background(), r); err == nil {
					t.Error("decided")
				} else if strings.Contains(err.Error(), "closed") {
					return
				}
			}
		})
	}
	eventually(t, "calls", func() bool { return begun.Load() == 300 })
	start := time.Now()
	s.Close()
	wg.Wait()
	require.Less(t, time.Since(start), soon)
	require.Zero(t, s.Breaker().Snapshot().Failures, "that says nothing about Redis")
}

// Calls that find no connection wait for one attempt to open it, and not for each other's, and Close for no more.
func TestOneAttemptToConnectIsForAll(t *testing.T) {
	t.Parallel()
	gate := redistest.Start(t).Gate()
	gate.Shut()
	s := newStore(t, redisstore.Config{URL: gate.URL(), Timeout: 20 * time.Millisecond, Breaker: breaker.Config{Mode: breaker.Disabled}})
	for range 40 {
		_, err := s.Take(t.Context(), request(t, "k", "1000/day"))
		require.Error(t, err)
	}
	start := time.Now()
	s.Close()
	require.Less(t, time.Since(start), soon)
}

// A hook of the client panics: the caller does, whose server may survive it, and not the program.
func TestPanicOfAClient(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	cfg := goRedisConfig(t, srv.Addr)
	var hook panicky
	cfg.GoRedis.AddHook(&hook)
	s := newStore(t, cfg)
	r := request(t, "k", "1000/day")
	take(t, s, r)
	hook.on.Store(true)
	for range 2 {
		require.PanicsWithValue(t, "hook", func() { _, _ = s.Take(t.Context(), r) })
	}
	require.Equal(t, 2, s.Breaker().Snapshot().Failures)
	hook.on.Store(false)
	take(t, s, r)
}

type panicky struct{ on atomic.Bool }

func (*panicky) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (*panicky) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (p *panicky) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if p.on.Load() {
			panic("hook")
		}
		return next(ctx, cmds)
	}
}
