package redisstore_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/internal/redistest"
	"github.com/prusik-go/prusik/ratelimit/redisstore"
)

func TestEveryFaultIsNamed(t *testing.T) {
	t.Parallel()
	const url = "redis://localhost"
	goRedis := redis.NewClient(&redis.Options{})
	defer goRedis.Close()
	for want, cfg := range map[string]redisstore.Config{
		"URL, Client, GoRedis = 0 of them: want exactly one": {},
		"URL, Client, GoRedis = 2 of them: want exactly one": {URL: url, GoRedis: goRedis},
		"Timeout = 999µs: want 1ms to 1m0s":                  {URL: url, Timeout: time.Millisecond - time.Microsecond},
		"Timeout = 1m1s":                                     {URL: url, Timeout: 61 * time.Second},
		`Prefix = "{a}"`:                                     {URL: url, Prefix: "{a}"},
		"Breaker.Classify = set":                             {URL: url, Breaker: breaker.Config{Classify: breaker.DefaultClassify}},
		"Failures = -1":                                      {URL: url, Breaker: breaker.Config{Failures: -1}},
		"URL = (not shown":                                   {URL: "http://localhost"},
	} {
		_, err := redisstore.New("redis", cfg)
		require.ErrorContains(t, err, want)
	}
	_, err := redisstore.New("no name", redisstore.Config{Timeout: -1, Prefix: "*"})
	for _, want := range []string{"name", "URL, Client", "Timeout", "Prefix"} {
		require.ErrorContains(t, err, want, "all at once")
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	s := newStore(t, redisstore.Config{URL: "redis://localhost"})
	require.Equal(t, "redis", s.Name())
	require.Equal(t, "redis", s.Breaker().Name())
	require.Equal(t, time.Second, s.Breaker().Config().OpenFor)
	require.Negative(t, s.Breaker().Config().MaxOpenFor)
}

// No error holds a password, whatever is wrong: the URL, the server, or the password.
func TestErrorsHoldNoPassword(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	for _, url := range []string{
		"redis://user:" + secret + "/x@localhost:6379/0", "redis://user:" + secret + "#x@localhost", "redis://user:x@" + secret + ":port",
		"redis://user:%zz" + secret + "@localhost", "http://user:" + secret + "@localhost", "redis://:" + secret + "@localhost/db",
		secret, "redis://user:" + secret + "@localhost:6379:1\x7f",
	} {
		_, err := redisstore.New("redis", redisstore.Config{URL: url})
		if err == nil { // some of it is a URL
			continue
		}
		require.NotContains(t, err.Error(), secret)
		require.ErrorContains(t, err, "URL")
	}

	srv := redistest.Start(t, "--requirepass", "another")
	for _, url := range []string{"redis://:" + secret + "@" + srv.Addr, "redis://127.0.0.1:1/0?client_name=" + secret, "redis://:" + secret + "@127.0.0.1:1"} {
		s := newStore(t, redisstore.Config{URL: url})
		_, err := s.Take(t.Context(), request(t, "k", "1/day"))
		require.Error(t, err)
		require.NotContains(t, err.Error(), secret)
		err = s.Ping(t.Context())
		require.Error(t, err)
		require.NotContains(t, err.Error(), secret)
	}
	s := newStore(t, redisstore.Config{URL: "redis://:another@" + srv.Addr})
	require.True(t, take(t, s, request(t, "k", "1/day")).Allowed)
}
