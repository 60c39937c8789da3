package redisstore_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx/idempotency"
	"github.com/prusik-go/prusik/httpx/idempotency/idempotencytest"
	"github.com/prusik-go/prusik/httpx/idempotency/redisstore"
	"github.com/prusik-go/prusik/internal/redistest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	require.NoError(t, idempotencytest.TestStore(newStore(t, redisstore.Config{Client: newClient(t, srv.Addr)})))
}

// In a cluster each call goes to the node that has its key.
func TestContractOfACluster(t *testing.T) {
	t.Parallel()
	var nodes [2]*redis.Client
	var addrs []string
	for i := range nodes {
		srv := redistest.Start(t, "--cluster-enabled", "yes")
		nodes[i] = newClient(t, srv.Addr)
		addrs = append(addrs, srv.Addr)
		require.NoError(t, nodes[i].ClusterAddSlotsRange(t.Context(), i<<13, (i+1)<<13-1).Err())
	}
	host, port, err := net.SplitHostPort(addrs[1])
	require.NoError(t, err)
	require.NoError(t, nodes[0].ClusterMeet(t.Context(), host, port).Err())
	for _, n := range nodes {
		eventually(t, "a cluster", func() bool {
			info, err := n.ClusterInfo(t.Context()).Result()
			return err == nil && strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:2")
		})
	}
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs[:1], ReadTimeout: patient})
	t.Cleanup(func() { _ = client.Close() })
	require.NoError(t, idempotencytest.TestStore(newStore(t, redisstore.Config{Client: client})))
	for _, n := range nodes {
		require.NotEmpty(t, n.Keys(t.Context(), "prusik:ik1:*").Val())
	}
}

// Every key expires, and says nothing of whom it belongs to.
func TestWhatIsInRedis(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	client := newClient(t, srv.Addr)
	s := newStore(t, redisstore.Config{Client: client, Prefix: "app:x"})
	c := claim()
	c.Lease, c.TTL = time.Minute, time.Hour
	look := func(want time.Duration) string {
		keys := client.Keys(t.Context(), "*").Val()
		require.Len(t, keys, 1)
		require.Regexp(t, `^app:x:ik1:[A-Za-z0-9_-]{43}$`, keys[0])
		ttl := client.PTTL(t.Context(), keys[0]).Val()
		require.LessOrEqual(t, ttl, want)
		require.Greater(t, ttl, want-patient)
		return keys[0]
	}
	require.Equal(t, idempotency.Claimed, begin(t, s, c).State)
	look(time.Hour + time.Minute)
	begin(t, s, another(c))
	look(time.Hour + time.Minute)
	require.NoError(t, s.Finish(t.Context(), c, []byte("answer")))
	key := look(time.Hour)
	t.Logf("a key takes %d bytes", client.MemoryUsage(t.Context(), key).Val())
	require.NoError(t, client.ScriptFlush(t.Context()).Err())
	require.Equal(t, []byte("answer"), begin(t, s, another(c)).Answer, "the scripts are told again")
	c = claim()
	begin(t, s, c)
	require.NoError(t, client.ScriptFlush(t.Context()).Err())
	require.NoError(t, s.Release(t.Context(), c))
	look(time.Hour)

	// Parts of a millisecond are rounded up.
	c = claim()
	c.Lease, c.TTL = 1, 1
	require.Equal(t, idempotency.Claimed, begin(t, s, c).State)
}

// What this package has not written is not written over, and protects.
func TestForeignValues(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	client := newClient(t, srv.Addr)
	s := newStore(t, redisstore.Config{Client: client, Breaker: breaker.Config{Failures: 1000}})
	c := claim()
	begin(t, s, c)
	key := client.Keys(t.Context(), "*").Val()[0]
	for _, value := range []string{"", "x", "P", "F", "P" + strings.Repeat("x", 48), "P" + strings.Repeat("x", 48) + "soon", "F" + strings.Repeat("x", 48), "G" + strings.Repeat("x", 60)} {
		require.NoError(t, client.Set(t.Context(), key, value, 0).Err())
		_, err := s.Begin(t.Context(), c)
		require.ErrorContains(t, err, "no record", value)
		require.NoError(t, s.Finish(t.Context(), c, []byte("a")))
		require.NoError(t, s.Release(t.Context(), c))
		require.Equal(t, value, client.Get(t.Context(), key).Val())
	}
	require.Equal(t, breaker.Closed, s.Breaker().State())
	require.NoError(t, client.Del(t.Context(), key).Err())
	require.NoError(t, client.RPush(t.Context(), key, "a").Err())
	_, err := s.Begin(t.Context(), c)
	require.ErrorContains(t, err, "WRONGTYPE")
	require.Error(t, s.Finish(t.Context(), c, []byte("a")))
	require.Error(t, s.Release(t.Context(), c))
}

func TestWhatNoKeysAsk(t *testing.T) {
	t.Parallel()
	s := newStore(t, redisstore.Config{Client: newClient(t, "127.0.0.1:1")})
	c := claim()
	c.TTL = 0
	_, err := s.Begin(t.Context(), c)
	require.ErrorContains(t, err, "a claim without")
	require.ErrorContains(t, s.Finish(t.Context(), c, []byte("a")), "a claim without")
	require.ErrorContains(t, s.Finish(t.Context(), claim(), nil), "an answer of nothing")
}

func TestEveryFaultIsNamed(t *testing.T) {
	t.Parallel()
	client := newClient(t, "127.0.0.1:1")
	var none *redis.Client
	for want, cfg := range map[string]redisstore.Config{
		"Client = nil: want a client of go-redis": {},
		"Client = nil":                      {Client: none},
		"Timeout = 999µs: want 1ms to 1m0s": {Client: client, Timeout: time.Millisecond - time.Microsecond},
		`Prefix = "{a}"`:                    {Client: client, Prefix: "{a}"},
		"Breaker.Classify = set":            {Client: client, Breaker: breaker.Config{Classify: breaker.DefaultClassify}},
		"Failures = -1":                     {Client: client, Breaker: breaker.Config{Failures: -1}},
	} {
		_, err := redisstore.New("redis", cfg)
		require.ErrorContains(t, err, want)
	}
	_, err := redisstore.New("no name", redisstore.Config{Timeout: -1, Prefix: "*"})
	for _, want := range []string{"name", "Client", "Timeout", "Prefix"} {
		require.ErrorContains(t, err, want, "all at once")
	}
	s := newStore(t, redisstore.Config{Client: client})
	require.Equal(t, "redis", s.Name())
	require.Equal(t, time.Second, s.Breaker().Config().OpenFor)
	require.Negative(t, s.Breaker().Config().MaxOpenFor)
}

// A caller that leaves is told so, and is no failure of Redis.
func TestACallerThatLeaves(t *testing.T) {
	t.Parallel()
	srv := redistest.Start(t)
	gate := srv.Gate()
	s := newStore(t, redisstore.Config{Client: newClient(t, gate.Addr), Breaker: breaker.Config{Failures: 1}})
	begin(t, s, claim())
	gate.Shut()
	ctx, cancel := context.WithCancelCause(t.Context())
	left := errors.New("left")
	time.AfterFunc(10*time.Millisecond, func() { cancel(left) })
	_, err := s.Begin(ctx, claim())
	require.ErrorIs(t, err, errors.Canceled)
	require.ErrorIs(t, err, left)
	hurried, cancel2 := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel2()
	_, err = s.Begin(hurried, claim())
	require.ErrorIs(t, err, errors.Unavailable)
	require.Equal(t, breaker.Closed, s.Breaker().State())
	gate.Open()
}
