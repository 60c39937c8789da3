package main

import (
	"crypto/rand"

	"github.com/redis/go-redis/v9"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx/idempotency"
	keystore "github.com/prusik-go/prusik/httpx/idempotency/redisstore"
	"github.com/prusik-go/prusik/ratelimit"
	"github.com/prusik-go/prusik/ratelimit/redisstore"
)

// stores are what instances share. Without REDIS_URL each has its own memory.
type stores struct {
	limits ratelimit.Config
	keys   idempotency.Config
	close  func() error
}

func (s *settings) stores() (*stores, error) {
	if s.redis.Get() == "" {
		return &stores{keys: idempotency.Config{Required: true}, close: func() error { return nil }}, nil
	}
	options, err := redis.ParseURL(s.redis.Get())
	if err != nil { // whose text may hold the password
		return nil, errors.New("voice: REDIS_URL cannot be read: want redis://user:password@host:6379/0")
	}
	client := redis.NewClient(options)
	limits, err := redisstore.New("limits", redisstore.Config{GoRedis: client, Prefix: "voice"})
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	keys, err := keystore.New("keys", keystore.Config{Client: client, Prefix: "voice"})
	if err != nil {
		limits.Close()
		return nil, errors.Join(err, client.Close())
	}
	return &stores{
		// While Redis is down each instance counts by itself: more than the limit comes through, but not without end.
		limits: ratelimit.Config{Store: limits, OnOutage: ratelimit.LocalShare, Replicas: 1},
		// And nobody is texted or called: to do it twice is worse than not to do it now.
		keys:  idempotency.Config{Required: true, Store: keys, OnOutage: idempotency.FailClosed},
		close: func() error { limits.Close(); return client.Close() },
	}, nil
}

// signingKey signs the ids in callback URLs.
func (s *settings) signingKey() []byte {
	if key := s.callbackKey.Get(); key != "" {
		return []byte(key)
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it does not fail
	return key
}
