// Package retryafter reads the Retry-After header of RFC 9110.
package retryafter

import (
	"math"
	"net/http"
	"strings"
	"time"
)

// Parse reads delay-seconds or an HTTP-date relative to now. A date in the past is a known wait of zero. What is
// neither is reported as not known, and a number too large for a Duration as the longest there is.
func Parse(v string, now time.Time) (wait time.Duration, ok bool) {
	v = strings.Trim(v, " \t")
	if v == "" {
		return 0, false
	}
	if d, ok := Seconds(v); ok {
		return d, true
	}
	t, err := http.ParseTime(v)
	if err != nil {
		return 0, false
	}
	return max(0, t.Sub(now)), true
}

// SentAt is when an answer was made, by the clock of who made it, where it has a Date: a point in time in its other headers
// is of that clock, and ours may be another. Without a Date it is now.
func SentAt(h http.Header) time.Time {
	if v := h["Date"]; len(v) > 0 {
		if t, err := http.ParseTime(v[0]); err == nil {
			return t
		}
	}
	return time.Now()
}

// Seconds reads a whole number of seconds: digits only, no sign, no fraction.
func Seconds(v string) (time.Duration, bool) {
	const most = int64(math.MaxInt64 / time.Second)
	if v == "" {
		return 0, false
	}
	var n int64
	for _, c := range []byte(v) {
		if c < '0' || c > '9' {
			return 0, false
		}
		if n < most { // saturates; most*10+9 fits an int64
			n = n*10 + int64(c-'0')
		}
	}
	return time.Duration(min(n, most)) * time.Second, true
}
