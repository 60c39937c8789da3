package redisstore

import (
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/internal/check"
)

// Config is the configuration of a [Store]. Client is required, everything else has a default.
type Config struct {
	// Client is the go-redis client that the program has: a *redis.Client, a *redis.ClusterClient or whatever implements the
	// interface. It stays the program's, which closes it. Its retries are welcome: no call does anything twice. An outage at the
	// start of a program is an outage like any other; to fail at the start instead, Ping the client.
	Client redis.UniversalClient

	// Timeout is how long one call may take before it counts as an outage; a sooner deadline of the caller is obeyed. 0 means
	// 1 s: the double of go-redis's longest pause between retries, 512 ms, so that one lost connection is no outage yet. 1 ms to 1 min.
	Timeout time.Duration

	// Prefix begins every key. Stores with different prefixes share nothing. Empty means "prusik". 1 to 64 letters,
	// digits, ".", "_", "-" or ":".
	Prefix string

	// Breaker is the circuit breaker around Redis, so that an outage costs microseconds and not a Timeout a request.
	// A zero field has the breaker's default, but OpenFor: 0 means 1 s, and MaxOpenFor 0 means no escalation, for a
	// probe costs one request a Timeout at most. Classify must be nil: the Store knows what is a failure.
	Breaker breaker.Config
}

const (
	defaultTimeout = time.Second
	defaultPrefix  = "prusik"
	defaultOpenFor = time.Second
)

// effective returns c with its defaults filled in and adds every fault to f.
func (c Config) effective(f *check.Faults) Config {
	if v := reflect.ValueOf(c.Client); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		f.Add("Client", "nil", "a client of go-redis")
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	check.Range(f, "Timeout", c.Timeout, time.Millisecond, time.Minute)
	if c.Prefix == "" {
		c.Prefix = defaultPrefix
	}
	if len(c.Prefix) > 64 || strings.ContainsFunc(c.Prefix, notInPrefix) {
		f.Add("Prefix", strconv.Quote(c.Prefix), `1 to 64 of letters, digits, ".", "_", "-" and ":"`)
	}
	if c.Breaker.Classify != nil {
		f.Add("Breaker.Classify", "set", "nil: the store knows what is a failure")
	}
	if c.Breaker.OpenFor == 0 {
		c.Breaker.OpenFor = defaultOpenFor
	}
	if c.Breaker.MaxOpenFor == 0 {
		c.Breaker.MaxOpenFor = -1
	}
	return c
}

// notInPrefix keeps out above all braces, which choose the slot of a key in a cluster.
func notInPrefix(r rune) bool {
	return !('0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || strings.ContainsRune("._-:", r))
}
