package ratelimit

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prusik-go/prusik/errors"
)

// Draft is the version of the draft whose fields are sent: the IETF HTTPAPI working group's "RateLimit header fields for
// HTTP".
const Draft = "draft-ietf-httpapi-ratelimit-headers-11"

// The keys in a header map, in net/http's canonical spelling; on the wire case does not matter.
const (
	fieldLimit           = "Ratelimit"
	fieldPolicy          = "Ratelimit-Policy"
	fieldLegacyLimit     = "X-Ratelimit-Limit"
	fieldLegacyRemaining = "X-Ratelimit-Remaining"
	fieldLegacyReset     = "X-Ratelimit-Reset"
)

// policyField renders RateLimit-Policy: a list of strings, the names, with their quota and window. A window that is not
// of whole seconds has no place in it and is left out; a burst is a parameter of ours, as the draft lets.
func policyField(limits []Limit, unit, partition string) string {
	var b []byte
	for i, l := range limits {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = appendName(b, l.Name)
		b = append(b, ";q="...)
		b = strconv.AppendInt(b, l.Count, 10)
		if l.Period%time.Second == 0 {
			b = append(b, ";w="...)
			b = strconv.AppendInt(b, int64(l.Period/time.Second), 10)
		}
		if unit != "" && unit != "requests" {
			b = append(b, ";qu="...)
			b = appendName(b, unit)
		}
		b = append(b, partition...)
		if l.Burst != l.Count {
			b = append(b, ";prusik-burst="...)
			b = strconv.AppendInt(b, l.Burst, 10)
		}
	}
	return string(b)
}

// appendName appends a structured field's string. A name holds nothing that has to be escaped.
func appendName(b []byte, s string) []byte {
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// limitItems renders what is the same in every RateLimit field: each item up to its remaining.
func limitItems(limits []Limit) []string {
	items := make([]string, len(limits))
	for i, l := range limits {
		if i > 0 {
			items[i] = ", "
		}
		items[i] += string(appendName(nil, l.Name)) + ";r="
	}
	return items
}

// setFields adds the fields of d to h.
func (l *Limiter) setFields(h http.Header, d *Decision) {
	policy, partition := d.terms.policy, ""
	if l.cfg.PartitionKey {
		sum := sha256.Sum256([]byte(d.key))
		partition = ";pk=:" + base64.StdEncoding.EncodeToString(sum[:12]) + ":"
		policy = policyField(d.terms.limits, l.cfg.QuotaUnit, partition)
	}
	// Those of other limiters on the route stay: a list may be spread over several lines.
	policies, values := h[fieldPolicy], h[fieldLimit]
	slip := l.slips.Get().(*slip) //nolint:errcheck,forcetypeassert // the pool holds nothing else
	h[fieldPolicy] = slip.add(policies, policy)
	h[fieldLimit] = slip.add(values, slip.write(d.appendItems(slip.draft[:0], partition)))
	l.slips.Put(slip)
	if l.cfg.Legacy != LegacyOff {
		l.setLegacy(h, d)
	}
}

// appendItems appends the value of the RateLimit field.
func (d *Decision) appendItems(b []byte, partition string) []byte {
	for i, item := range d.terms.items {
		remaining, next := d.left(i)
		b = append(b, item...)
		b = strconv.AppendInt(b, remaining, 10)
		// Retry-After should not be sooner than t. On a refusal a limit that has something left does not say when it will
		// have more.
		if t := seconds(next); t > 0 && (d.Verdict != Denied || t <= seconds(d.RetryAfter)) {
			b = append(b, ";t="...)
			b = strconv.AppendInt(b, t, 10)
		}
		b = append(b, partition...)
	}
	return b
}

// slip is what fields are written on: pieces of memory that texts and values are cut from, so that a request costs a small
// part of an allocation. The price is that a header that is kept keeps up to 2 KiB that it shares with others.
type slip struct {
	draft  []byte
	text   strings.Builder
	values []string
}

const (
	slipText   = 1024 // bytes
	slipValues = 64
)

// write returns the text of b, which becomes the next draft's room.
func (s *slip) write(b []byte) string {
	s.draft = b
	if s.text.Cap()-s.text.Len() < len(b) {
		s.text.Reset()
		s.text.Grow(max(slipText, len(b)))
	}
	start := s.text.Len()
	s.text.Write(b)
	return s.text.String()[start:]
}

// add returns values and v. No two fields have the same array: who appends to one or changes it in place changes no other.
func (s *slip) add(values []string, v string) []string {
	if values != nil {
		return append(values, v)
	}
	n := len(s.values)
	if n == cap(s.values) {
		s.values, n = make([]string, 0, slipValues), 0
	}
	s.values = append(s.values, v)
	return s.values[n : n+1 : n+1]
}

// seconds rounds up.
func seconds(d time.Duration) int64 { return errors.Retry{After: d}.Seconds() }

// setLegacy sets the X-RateLimit fields to the limit of this limiter that refused, or else to the tightest, unless one before
// it is tighter: they have room for one only.
func (l *Limiter) setLegacy(h http.Header, d *Decision) {
	tightest := d.status(0)
	for i := range d.terms.limits {
		s := d.status(i)
		if d.Verdict == Denied {
			if s.Limit.Name == d.Policy {
				tightest = s
			}
		} else if s.Remaining < tightest.Remaining || s.Remaining == tightest.Remaining && s.Full > tightest.Full {
			tightest = s
		}
	}
	if before := h[fieldLegacyRemaining]; len(before) == 1 && d.Verdict != Denied {
		if n, err := strconv.ParseInt(before[0], 10, 64); err == nil && n <= tightest.Remaining {
			return
		}
	}
	var reset int64
	switch l.cfg.Legacy {
	case LegacyResetEpochSeconds:
		now := time.Now()
		at := now.Add(tightest.Full)
		reset = at.Unix()
		if at.Nanosecond() > 0 {
			reset++
		}
	case LegacyResetMilliseconds:
		reset = int64((tightest.Full + time.Millisecond - 1) / time.Millisecond)
	default:
		reset = seconds(tightest.Full)
	}
	values := [...]string{
		strconv.FormatInt(tightest.Limit.Burst, 10), strconv.FormatInt(tightest.Remaining, 10), strconv.FormatInt(reset, 10),
	}
	h[fieldLegacyLimit], h[fieldLegacyRemaining], h[fieldLegacyReset] = values[0:1:1], values[1:2:2], values[2:3:3]
}
