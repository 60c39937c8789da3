package errors

import (
	"encoding/json"
	"math"
	"strconv"
	"time"
)

// Retry is the one retry value: the Retry-After header, a problem's retry_after member and the retry object a
// front end renders are all made from it, and so cannot disagree.
type Retry struct {
	// Status is "retrying" while a call goes on and "failed" when it is over. Empty means "failed".
	Status string
	// After is the wait until a next try is worthwhile. Zero means not known.
	After time.Duration
	// Attempt is the number of the attempt this is about, from 1. Zero where nothing was attempted.
	Attempt int
	// MaxAttempts is the most attempts the call could have made. Zero where retry does not apply.
	MaxAttempts int
}

// Seconds is After in whole seconds, rounded up: a client that waits that long never comes too early.
// Negative waits are zero.
func (r Retry) Seconds() int64 {
	if r.After <= 0 {
		return 0
	}
	n := int64(r.After / time.Second) // in integers: a float64 loses the nanoseconds of a long wait
	if r.After%time.Second > 0 {
		n++
	}
	return n
}

// Header is the value for a Retry-After header (RFC 9110, delay-seconds), and "" where After is not known.
func (r Retry) Header() string {
	if r.After <= 0 {
		return ""
	}
	return strconv.FormatInt(r.Seconds(), 10)
}

// retryJSON is the wire form: {"status":"retrying","attempt":2,"max_attempts":3,"next_retry_in_seconds":5}.
type retryJSON struct {
	Status      string `json:"status"`
	Attempt     int    `json:"attempt"`
	MaxAttempts int    `json:"max_attempts"`
	Next        *int64 `json:"next_retry_in_seconds"`
}

// MarshalJSON renders {"status":"retrying","attempt":2,"max_attempts":3,"next_retry_in_seconds":5};
// next_retry_in_seconds is null where After is not known.
func (r Retry) MarshalJSON() ([]byte, error) {
	w := retryJSON{Status: r.Status, Attempt: r.Attempt, MaxAttempts: r.MaxAttempts}
	if w.Status == "" {
		w.Status = "failed"
	}
	if r.After > 0 {
		s := r.Seconds()
		w.Next = &s
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (r *Retry) UnmarshalJSON(b []byte) error {
	var w retryJSON
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	*r = Retry{Status: w.Status, Attempt: w.Attempt, MaxAttempts: w.MaxAttempts}
	if w.Next != nil {
		r.After = seconds(*w.Next)
	}
	return nil
}

// seconds converts without overflow: what does not fit is the longest duration there is, below zero is zero.
func seconds(n int64) time.Duration {
	return time.Duration(min(max(n, 0), int64(math.MaxInt64/time.Second))) * time.Second
}
