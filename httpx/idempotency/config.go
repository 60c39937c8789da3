package idempotency

import (
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/prusik-go/prusik/internal/check"
)

// Config is the configuration of [Keys]. The zero is a working one, with keys in the memory of this process.
type Config struct {
	// Methods are those that a key is heeded for. Nil means POST and PATCH, which the draft is about. A method that is safe by
	// itself (GET, HEAD, OPTIONS, TRACE) is a fault.
	Methods []string
	// Required refuses a request of Methods without a key (400). Without it, such a request runs as if nothing were here.
	Required bool

	// TTL is how long a key is kept after its answer, and so how long it protects. 0 means 24 h, which is Stripe's. 1 s to a year.
	TTL time.Duration
	// Lease is how long a request may be in progress (409) before its outcome counts as unknown (500): its process may have
	// died. It is no limit: a request that ends later is kept all the same. 0 means 1 min: longer than the 35 s that a call of
	// an httpx client takes at most by default. 1 s to 24 h.
	Lease time.Duration

	// MaxBody is the largest request body with a key, in bytes; it is read before the handler runs, into memory. A larger one
	// is a 413. 0 means 1 MiB, as much as an httpx client keeps for a retry. 1 byte to 1 GiB.
	MaxBody int64
	// MaxResponse is the largest answer to keep, header and body, in bytes. A larger one reaches its client as it is, and a
	// retry is told that it was done. 0 means 64 KiB, what an httpx client reads of an error. 256 bytes to 64 MiB.
	MaxResponse int

	// MaxKeys is the most keys in memory, and MaxBytes the most that all their answers take. Where there are MaxKeys, a new key
	// is a 503: forgetting one that still protects might do something twice. Where the answers take MaxBytes, the next ones
	// are as if larger than MaxResponse. 0 means 1,000,000 keys, 11 new ones a second for 24 h in some 250 MB, and 64 MiB.
	// 1 to 100,000,000 keys, 1 KiB to 1 TiB. With a Store, both must be 0.
	MaxKeys  int
	MaxBytes int

	// Store keeps the keys where several processes serve the same clients. Nil means the memory of this process.
	Store Store
	// OnOutage says what happens to a request with a key while Store does not answer. Required with a Store, and without one
	// a fault.
	OnOutage Outage

	// Hooks are told what happens.
	Hooks Hooks
}

// Outage says what happens to a request with a key while the [Store] does not answer. The zero is no choice.
type Outage uint8

// The choices.
const (
	// FailClosed refuses with kind unavailable (503): where doing it twice is worse than not doing it now.
	FailClosed Outage = iota + 1
	// FailOpen lets it run without protection: a retry in the meantime does it again.
	FailOpen
)

// String returns "closed" or "open", and "" for no choice.
func (o Outage) String() string {
	switch o {
	case FailClosed:
		return "closed"
	case FailOpen:
		return "open"
	default:
		return ""
	}
}

// MarshalText renders [Outage.String].
func (o Outage) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

const (
	defaultTTL         = 24 * time.Hour
	defaultLease       = time.Minute
	defaultMaxBody     = 1 << 20
	defaultMaxResponse = 64 << 10
	defaultMaxKeys     = 1_000_000
	defaultMaxBytes    = 64 << 20
)

// effective returns c with its defaults filled in and adds every fault to f.
func (c Config) effective(f *check.Faults) Config {
	if c.Methods == nil {
		c.Methods = []string{http.MethodPost, http.MethodPatch}
	}
	c.Methods = slices.Clone(c.Methods)
	if len(c.Methods) == 0 {
		f.Add("Methods", "none", "a method, or nil for POST and PATCH")
	}
	for i, m := range c.Methods {
		switch m {
		case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodConnect:
			f.Add("Methods["+strconv.Itoa(i)+"]", strconv.Quote(m), "a method that changes something, such as POST")
		}
	}
	fill(f, "TTL", &c.TTL, defaultTTL, time.Second, 365*24*time.Hour)
	fill(f, "Lease", &c.Lease, defaultLease, time.Second, 24*time.Hour)
	fill(f, "MaxBody", &c.MaxBody, defaultMaxBody, 1, 1<<30)
	fill(f, "MaxResponse", &c.MaxResponse, defaultMaxResponse, 256, 64<<20)
	if c.Store == nil {
		fill(f, "MaxKeys", &c.MaxKeys, defaultMaxKeys, 1, 100_000_000)
		fill(f, "MaxBytes", &c.MaxBytes, defaultMaxBytes, 1<<10, 1<<40)
		if c.OnOutage != 0 {
			f.Add("OnOutage", c.OnOutage, "none without a Store: memory has no outage")
		}
		return c
	}
	if v := reflect.ValueOf(c.Store); nilable(v.Kind()) && v.IsNil() {
		f.Add("Store", "nil of "+v.Type().String(), "a store, or no Store for memory")
	}
	if c.OnOutage != FailClosed && c.OnOutage != FailOpen {
		f.Add("OnOutage", uint8(c.OnOutage), "FailClosed or FailOpen: what to do when the Store is down")
	}
	if c.MaxKeys != 0 {
		f.Add("MaxKeys", c.MaxKeys, "0 with a Store: nothing is kept in memory")
	}
	if c.MaxBytes != 0 {
		f.Add("MaxBytes", c.MaxBytes, "0 with a Store: nothing is kept in memory")
	}
	return c
}

// fill puts the default in place of a zero, and checks.
func fill[T int | int64 | time.Duration](f *check.Faults, field string, v *T, def, lo, hi T) {
	if *v == 0 {
		*v = def
	}
	check.Range(f, field, *v, lo, hi)
}

func nilable(k reflect.Kind) bool {
	switch k {
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Slice, reflect.Chan:
		return true
	default:
		return false
	}
}
