package ratelimit

import (
	"fmt"
	"net/http"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/prusik-go/prusik/internal/check"
)

// Config is the configuration of a [Limiter]. Limits are required, everything else has a default.
type Config struct {
	// Limits hold together: a request passes all of them or takes nothing of any. 1 to [MaxLimits]. There is no default:
	// a limit that nobody declared is no limit. [Limiter.SetLimits] changes them.
	Limits Limits

	// Store keeps the buckets. Nil means the memory of this process.
	Store Store
	// OnOutage says what a decision is where Store cannot make it. Required with a Store, and without one a fault.
	OnOutage Outage
	// Replicas is how many processes share Store, for [LocalShare], which needs it. 1 to 100,000.
	Replicas int
	// MaxKeys is the most keys kept in memory. 0 means 1,000,000, some 55 MB with one limit and 97 with three, where so
	// many clients are over or near a limit at one time; a key whose buckets are full takes none. 1 to 100,000,000. See
	// the package documentation for what happens at the bound. With a Store, it is for [LocalShare] only.
	MaxKeys int

	// MaxWait is the longest that [Limiter.Wait] and [Limiter.Transport] wait. 0 means 30 s, as long as an httpx client
	// obeys a vendor. Negative means as long as the context lets.
	MaxWait time.Duration

	// AllowList are keys that are never limited.
	AllowList []string
	// AllowNetworks are networks whose keys, as made by [RemoteAddr] and [ClientIP], are never limited. One of IPv6 is at
	// most a /64, as the keys are. Any key that reads as an address is one: where a client can choose what his key is, as
	// with [Header], name no networks.
	AllowNetworks []netip.Prefix

	// Mode says whether decisions are acted on. The zero is [Enabled].
	Mode Mode

	// Cost is how many units a request to [Limiter.Handler] takes. 0 takes none. Nil means 1 each.
	Cost func(*http.Request) int64
	// QuotaUnit is what the limits count, for the qu parameter of RateLimit-Policy: "content-bytes" or
	// "concurrent-requests". Empty means requests, the draft's default, and is not sent.
	QuotaUnit string
	// PartitionKey adds the pk parameter to the fields: which of several buckets they are about. It is the first 12 bytes
	// of the SHA-256 of the key, for the key may be a secret. It costs a hash and an allocation a request.
	PartitionKey bool
	// Legacy adds the X-RateLimit-Limit, -Remaining and -Reset fields of old clients; its value names the unit of Reset,
	// for there are three in the field. The zero is [LegacyOff].
	Legacy Legacy

	// Hooks are told what happens.
	Hooks Hooks
}

// Mode says whether a limiter acts on its decisions.
type Mode uint8

// The modes.
const (
	// Enabled counts, decides and refuses.
	Enabled Mode = iota
	// Shadow counts, decides and reports what it would have refused, and does nothing: it refuses nobody, waits for
	// nothing and adds no fields. What it would have refused takes nothing, so that it decides as if enabled.
	Shadow
	// Disabled neither counts nor decides: everything passes.
	Disabled
)

// String returns "enabled", "shadow" or "disabled".
func (m Mode) String() string {
	switch m {
	case Enabled:
		return "enabled"
	case Shadow:
		return "shadow"
	case Disabled:
		return "disabled"
	default:
		return "unknown"
	}
}

// MarshalText renders [Mode.String].
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// Outage says what a decision is while the [Store] cannot make it. The zero is no choice.
type Outage uint8

// The choices.
const (
	// FailOpen lets everything through, unlimited: where being up matters more than the limit.
	FailOpen Outage = iota + 1
	// FailClosed refuses with kind unavailable (503): where the limit protects something that must not break.
	FailClosed
	// LocalShare lets each process grant its part, the limits divided by [Config.Replicas], out of its own memory. A
	// burst of less than one request a replica is one request each. It begins with full buckets.
	LocalShare
)

// String returns "open", "closed" or "local", and "" for no choice.
func (o Outage) String() string {
	switch o {
	case FailOpen:
		return "open"
	case FailClosed:
		return "closed"
	case LocalShare:
		return "local"
	default:
		return ""
	}
}

// MarshalText renders [Outage.String].
func (o Outage) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// Legacy selects the X-RateLimit fields, by the unit of X-RateLimit-Reset: when the bucket is full. They are about the tightest
// limit, of a refusal about the one that refused.
type Legacy uint8

// The units in use.
const (
	// LegacyOff sends none.
	LegacyOff Legacy = iota
	// LegacyResetSeconds sends the seconds until then, rounded up.
	LegacyResetSeconds
	// LegacyResetEpochSeconds sends the Unix time in seconds, rounded up, as GitHub does.
	LegacyResetEpochSeconds
	// LegacyResetMilliseconds sends the milliseconds until then, rounded up.
	LegacyResetMilliseconds
)

const (
	defaultMaxKeys = 1_000_000
	defaultMaxWait = 30 * time.Second
)

// effective returns c with its defaults filled in and adds every fault to f.
func (c Config) effective(name string, f *check.Faults) Config {
	c.Limits = c.effectiveLimits(name, f)
	c.checkStore(f)
	memory := c.Store == nil || c.OnOutage == LocalShare
	if c.MaxKeys != 0 && !memory {
		f.Add("MaxKeys", c.MaxKeys, "0 where nothing is kept in memory")
	}
	if c.MaxKeys == 0 && memory {
		c.MaxKeys = defaultMaxKeys
	}
	if memory {
		check.Range(f, "MaxKeys", c.MaxKeys, 1, 100_000_000)
	}
	if c.MaxWait == 0 {
		c.MaxWait = defaultMaxWait
	}
	if c.MaxWait > maxSpan {
		f.Add("MaxWait", c.MaxWait, "up to ten years, or negative for as long as the context lets")
	}
	c.AllowList = slices.Clone(c.AllowList)
	for i, key := range c.AllowList {
		if key == "" {
			f.Add("AllowList["+strconv.Itoa(i)+"]", `""`, "a key")
		}
	}
	c.AllowNetworks = slices.Clone(c.AllowNetworks)
	for i, p := range c.AllowNetworks {
		p = unmap(p)
		c.AllowNetworks[i] = p
		if !p.IsValid() || p.Addr().Is6() && p.Bits() > 64 {
			f.Add("AllowNetworks["+strconv.Itoa(i)+"]", p, "a network such as 10.0.0.0/8, of IPv6 up to a /64")
		}
	}
	if c.Mode > Disabled {
		f.Add("Mode", uint8(c.Mode), "Enabled, Shadow or Disabled")
	}
	if c.Legacy > LegacyResetMilliseconds {
		f.Add("Legacy", uint8(c.Legacy), "LegacyOff, LegacyResetSeconds, LegacyResetEpochSeconds or LegacyResetMilliseconds")
	}
	switch c.QuotaUnit {
	case "", "requests", "content-bytes", "concurrent-requests":
	default:
		f.Add("QuotaUnit", strconv.Quote(c.QuotaUnit), `"requests", "content-bytes" or "concurrent-requests"`)
	}
	return c
}

// effectiveLimits fills in names and bursts.
func (c *Config) effectiveLimits(name string, f *check.Faults) Limits {
	if len(c.Limits) == 0 || len(c.Limits) > MaxLimits {
		f.Add("Limits", len(c.Limits), fmt.Sprintf("1 to %d limits", MaxLimits))
	}
	limits := slices.Clone(c.Limits)
	seen := make(map[string]bool)
	for i := range limits {
		l := &limits[i]
		field := "Limits[" + strconv.Itoa(i) + "]"
		if want := l.fault(); want != "" {
			f.Add(field, c.Limits[i], want)
			continue
		}
		if l.Name == "" {
			l.Name = name
			if len(limits) > 1 {
				l.Name += "/" + l.String()
			}
		}
		l.Burst = l.burst()
		if seen[l.Name] {
			f.Add(field, strconv.Quote(l.Name), "a name of its own: an answer names the policy")
		}
		seen[l.Name] = true
	}
	return limits
}

func (c *Config) checkStore(f *check.Faults) {
	if c.Store == nil {
		if c.OnOutage != 0 {
			f.Add("OnOutage", c.OnOutage, "none without a Store: memory has no outage")
		}
	} else {
		if v := reflect.ValueOf(c.Store); nilable(v.Kind()) && v.IsNil() {
			f.Add("Store", "nil of "+v.Type().String(), "a store, or no Store for memory")
		}
		if c.OnOutage < FailOpen || c.OnOutage > LocalShare {
			f.Add("OnOutage", uint8(c.OnOutage), "FailOpen, FailClosed or LocalShare: what to do when the Store is down")
		}
	}
	switch {
	case c.OnOutage == LocalShare:
		check.Range(f, "Replicas", c.Replicas, 1, 100_000)
		for i, l := range c.Limits {
			if l.fault() == "" && c.Replicas > 0 && share(l, c.Replicas).fault() != "" {
				f.Add("Replicas", c.Replicas, "fewer for Limits["+strconv.Itoa(i)+"]: a share must come back within ten years")
			}
		}
	case c.Replicas != 0:
		f.Add("Replicas", c.Replicas, "0 unless OnOutage is LocalShare")
	}
}

func nilable(k reflect.Kind) bool {
	switch k {
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Slice, reflect.Chan:
		return true
	default:
		return false
	}
}

// share is the part of l that one of n replicas may grant: a rate of exactly an n-th.
func share(l Limit, n int) Limit {
	l.Burst = max(1, l.burst()/int64(n))
	if l.Period > maxSpan/time.Duration(n) {
		l.Period = maxSpan + 1 // a fault
		return l
	}
	l.Period *= time.Duration(n)
	return l
}

// unmap returns ::ffff:10.0.0.0/104 as 10.0.0.0/8.
func unmap(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}
