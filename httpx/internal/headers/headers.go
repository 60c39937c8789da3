// Package headers reads the waits that vendors put into headers, each in its own unit.
package headers

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prusik-go/prusik/internal/retryafter"
)

// Unit is the unit of a header that holds a wait or a point in time.
type Unit uint8

// The units in use by the vendors known to us. One parser for all would be wrong: 1700000000 is 53 years as a
// wait and a date as an epoch, and "6m0s" is neither.
const (
	RetryAfter   Unit = iota // RFC 9110: whole seconds, or an HTTP-date
	Seconds                  // seconds from now, a fraction allowed
	Milliseconds             // milliseconds from now, a fraction allowed
	EpochSeconds             // a Unix time in seconds
	GoDuration               // "1s", "6m0s", "850ms"
)

// String names the unit.
func (u Unit) String() string {
	switch u {
	case RetryAfter:
		return "Retry-After"
	case Seconds:
		return "seconds"
	case Milliseconds:
		return "milliseconds"
	case EpochSeconds:
		return "epoch seconds"
	case GoDuration:
		return "duration"
	default:
		return "unknown unit"
	}
}

// WaitHeader names a response header that holds a wait, and its unit.
type WaitHeader struct {
	Name string
	Unit Unit
}

// FirstWait returns the wait of the first header of list that can be read, and after them that of the standard
// Retry-After. A header that is there but cannot be read is passed over. A name that occurs twice counts once,
// by its first value.
func FirstWait(h http.Header, list []WaitHeader, now time.Time) (time.Duration, bool) {
	for _, w := range list {
		if d, ok := Wait(h.Get(w.Name), w.Unit, now); ok {
			return d, true
		}
	}
	return Wait(h.Get("Retry-After"), RetryAfter, now)
}

// Wait reads v, in unit u, as a wait from now. A point in the past is a known wait of zero; a signed number,
// NaN, an infinity or anything unreadable is not known. A wait too long for a [time.Duration] is the longest
// there is; for Retry-After, the longest of whole seconds.
func Wait(v string, u Unit, now time.Time) (wait time.Duration, ok bool) {
	v = strings.Trim(v, " \t")
	switch u {
	case RetryAfter:
		return retryafter.Parse(v, now)
	case Seconds:
		return scaled(v, time.Second)
	case Milliseconds:
		return scaled(v, time.Millisecond)
	case EpochSeconds:
		n, ok := digits(v)
		if !ok {
			return 0, false
		}
		// 1<<40 s is some 34,800 years: past the longest Duration from any now, and Sub saturates there.
		return max(0, time.Unix(min(n, 1<<40), 0).Sub(now)), true
	case GoDuration:
		return goDuration(v)
	default:
		return 0, false
	}
}

// scaled reads a non-negative decimal number of units. A whole number is exact, a fraction is rounded to the
// nanosecond.
func scaled(v string, unit time.Duration) (time.Duration, bool) {
	if n, ok := digits(v); ok {
		if n > int64(math.MaxInt64/unit) {
			return math.MaxInt64, true
		}
		return time.Duration(n) * unit, true
	}
	for _, c := range []byte(v) { // ParseFloat also reads hex, exponents, "inf" and "nan", which no vendor sends
		if (c < '0' || c > '9') && c != '.' {
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(v, 64)
	if err != nil && !math.IsInf(f, 1) {
		return 0, false
	}
	f = math.Round(f * float64(unit))
	if f >= math.MaxInt64 {
		return math.MaxInt64, true
	}
	return time.Duration(f), true
}

// goDuration reads what [time.ParseDuration] reads, without a sign.
func goDuration(v string) (time.Duration, bool) {
	if strings.HasPrefix(v, "-") || strings.HasPrefix(v, "+") {
		return 0, false
	}
	d, err := time.ParseDuration(v)
	if err != nil && wellFormed(v) { // ParseDuration fails for what is too long, too
		return math.MaxInt64, true
	}
	return d, err == nil
}

// wellFormed reports whether v is one or more of a decimal number and a unit of time.
func wellFormed(v string) bool {
	for v != "" {
		number := len(v) - len(strings.TrimLeft(v, "0123456789."))
		if num := v[:number]; strings.Trim(num, ".") == "" || strings.Count(num, ".") > 1 {
			return false
		}
		v = v[number:]
		end := strings.IndexAny(v, "0123456789.")
		if end < 0 {
			end = len(v)
		}
		switch v[:end] {
		case "ns", "us", "µs", "μs", "ms", "s", "m", "h":
		default:
			return false
		}
		v = v[end:]
		if v == "" {
			return true
		}
	}
	return false
}

// Int reads a non-negative count: digits only. What does not fit is not known.
func Int(h http.Header, name string) (int64, bool) {
	if name == "" {
		return 0, false
	}
	n, ok := digits(strings.Trim(h.Get(name), " \t"))
	return n, ok && n < math.MaxInt64
}

// digits reads a number of digits only. What does not fit an int64 is the largest there is.
func digits(v string) (int64, bool) {
	if v == "" || strings.Trim(v, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		return math.MaxInt64, true
	}
	return n, true
}
