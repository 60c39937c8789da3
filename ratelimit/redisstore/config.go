package redisstore

import (
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/internal/check"
)

// Config is the configuration of a [Store]. One of URL, Client and GoRedis is required, everything else has a default.
type Config struct {
	// URL is where Redis or Valkey is: "redis://user:password@host:6379/0", rediss:// with TLS, unix:// for a socket.
	// "?addr=host2:6379" adds nodes of a cluster, and "?master_set=name" makes the addresses those of Sentinels; see
	// [rueidis.ParseURL]. The client that the Store opens for it is the Store's own, and [Store.Close] closes it. It is
	// opened at the first use: an outage at the start of a program is an outage like any other. To fail at the start
	// instead, call [Store.Ping]. No error shows the URL: it may hold a password.
	URL string
	// Client is a rueidis client that the program already has. It stays the program's: Close leaves it open. With its
	// AlwaysPipelining, a connection that was closed while idle is noticed before it fails a decision. Its hooks see
	// batches of decisions, and none of the callers' contexts.
	Client rueidis.Client
	// GoRedis is a go-redis client that the program already has: a *redis.Client, a *redis.ClusterClient or whatever
	// implements the interface. It stays the program's. A *redis.Client gets its decisions in pipelines, up to eight at a
	// time, with a connection each; another one gets each decision by itself, which costs some three times as much. What
	// it sends is not sent again, whatever its MaxRetries. For its hooks see Client.
	GoRedis redis.UniversalClient

	// Timeout is how long one decision may take before it counts as an outage; a sooner deadline of the caller is
	// obeyed. 0 means 100 ms: five times the 20 ms that Envoy gives its rate limit service, for there the answer comes
	// from a neighbour, and here maybe from another zone. 1 ms to 1 min.
	Timeout time.Duration

	// Prefix begins every key. Stores with different prefixes share nothing. Empty means "prusik". 1 to 64 letters,
	// digits, ".", "_", "-" or ":".
	Prefix string
	// Secret goes into the hash of every key. Without one, whoever can read Redis finds short keys, such as addresses,
	// by trying them all. Processes that share limits need the same. Empty means none.
	Secret string

	// Breaker is the circuit breaker around Redis, so that an outage costs microseconds and not a Timeout a request.
	// A zero field has the breaker's default, but OpenFor: 0 means 1 s, and MaxOpenFor 0 means no escalation, for a
	// probe costs one request a Timeout at most, and every second more is a second without the shared limit. Classify
	// must be nil: the Store knows what is a failure.
	Breaker breaker.Config
}

const (
	defaultTimeout = 100 * time.Millisecond
	defaultPrefix  = "prusik"
	defaultOpenFor = time.Second
)

// effective returns c with its defaults filled in and adds every fault to f.
func (c Config) effective(f *check.Faults) Config {
	given := 0
	for _, has := range []bool{c.URL != "", c.Client != nil, c.GoRedis != nil} {
		if has {
			given++
		}
	}
	if given != 1 {
		f.Add("URL, Client, GoRedis", strconv.Itoa(given)+" of them", "exactly one")
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

// clientOption is the option of the client for c.URL.
func (c *Config) clientOption(f *check.Faults) rueidis.ClientOption {
	opt, err := rueidis.ParseURL(c.URL)
	if err != nil {
		// Neither the URL nor err, which quotes parts of it: "redis://user:pass/word@host" has a path with half a password.
		f.Add("URL", "(not shown: it may hold a password)", "redis://user:password@host:6379/0, rediss://… or unix://…")
		return opt
	}
	opt.DisableCache = true     // nothing here is read twice
	opt.AlwaysPipelining = true // an idle connection is watched, and a deadline takes no connection down with it
	opt.DisableRetry = true     // a decision that may have been made is not made twice
	// One connection: batches are made here, and the larger they are, the less a decision costs both sides.
	opt.PipelineMultiplex = -1
	// What a hung server holds up is let go when its connection fails the next ping: after a second and this.
	if opt.ConnWriteTimeout == 0 {
		opt.ConnWriteTimeout = max(c.Timeout, time.Second)
	}
	if opt.Dialer.Timeout == 0 {
		opt.Dialer.Timeout = max(c.Timeout, time.Second)
	}
	return opt
}
