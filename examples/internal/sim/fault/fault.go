package fault

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

type kind uint8

const (
	kindNone kind = iota
	kindLatency
	kindHang
	kindStatus
	kindHTML
	kindResetBeforeRead
	kindResetAfterRead
	kindSlowDrip
	kindStalledBody
	kindTruncatedBody
	kindCutJSON
	kindWrongJSON
)

var kindNames = [...]string{ //nolint:gochecknoglobals // a table, never written
	kindNone:            "none",
	kindLatency:         "latency",
	kindHang:            "hang",
	kindStatus:          "status",
	kindHTML:            "html",
	kindResetBeforeRead: "reset_before_read",
	kindResetAfterRead:  "reset_after_read",
	kindSlowDrip:        "slow_drip",
	kindStalledBody:     "stalled_body",
	kindTruncatedBody:   "truncated_body",
	kindCutJSON:         "cut_json",
	kindWrongJSON:       "wrong_json",
}

// Fault is what happens to one request. Make one with a constructor; the zero value is [None]. A Fault is immutable
// and its methods return changed copies, so one value may serve many requests at once.
type Fault struct {
	kind      kind
	processed bool          // for kinds that do not run the handler by themselves
	delay     time.Duration // before the answer
	interval  time.Duration // between bytes
	retry     time.Duration // of an HTTP-date Retry-After, from the moment of the answer
	status    int
	header    http.Header
	body      []byte // nil: the vendor's own error body
}

// None lets the request through: the handler runs and its answer is sent.
func None() Fault { return Fault{} }

// Latency runs the handler at once and holds its answer back for d: a client that gives up before has been served
// all the same.
func Latency(d time.Duration) Fault { return Fault{kind: kindLatency, delay: d} }

// Hang reads the request, does not run the handler and stays silent until the client goes away or the server
// closes. With [Fault.Processed] the handler runs first.
func Hang() Fault { return Fault{kind: kindHang} }

// Status answers code in place of the handler, which does not run. The body is the vendor's own for that code
// ([Config.Errors]) unless [Fault.WithBody] sets one.
func Status(code int) Fault { return Fault{kind: kindStatus, status: code} }

// ProcessedStatus runs the handler, drops its answer and answers code instead: the ambiguous 5xx. It is
// Status(code).Processed().
func ProcessedStatus(code int) Fault { return Status(code).Processed() }

// TooManyRequests answers 429 without a Retry-After. The handler does not run.
func TooManyRequests() Fault { return Status(http.StatusTooManyRequests) }

// TooManyRequestsAfter answers 429 with a Retry-After of d in whole seconds, rounded up. The handler does not run.
func TooManyRequestsAfter(d time.Duration) Fault {
	return TooManyRequests().WithHeader("Retry-After", strconv.FormatInt(ceilSeconds(d), 10))
}

// TooManyRequestsUntil answers 429 with a Retry-After as HTTP-date, d after the moment of the answer and rounded
// up to the second. The handler does not run.
func TooManyRequestsUntil(d time.Duration) Fault {
	f := TooManyRequests()
	f.retry = max(d, 1)
	return f
}

// HTMLError answers code with an HTML page as a proxy in front of the vendor sends it: Cloudflare's for its own
// codes 520 to 527, openresty's for all others. The handler does not run.
func HTMLError(code int) Fault { return Fault{kind: kindHTML, status: code} }

// ResetBeforeRead resets the connection with the request's head parsed and none of its body read. The handler never
// runs. As an [Server.Outage] it also resets every new connection at accept, before its first byte is read.
//
// net/http's own Transport repeats a GET, or a request with an Idempotency-Key, by itself when a reused
// connection is reset before the answer began; the ledger shows both.
func ResetBeforeRead() Fault { return Fault{kind: kindResetBeforeRead} }

// ResetAfterRead reads the request whole and resets the connection without an answer. With processed the handler
// has run before: the vendor acted and the answer is lost.
func ResetAfterRead(processed bool) Fault {
	return Fault{kind: kindResetAfterRead, processed: processed}
}

// SlowDrip runs the handler and sends its body byte by byte, with interval between two bytes.
func SlowDrip(interval time.Duration) Fault { return Fault{kind: kindSlowDrip, interval: interval} }

// StalledBody runs the handler, sends the headers and half of the body, and then nothing until the client goes away
// or the server closes.
func StalledBody() Fault { return Fault{kind: kindStalledBody} }

// TruncatedBody runs the handler, announces the length of its body, sends half of it and closes the connection.
func TruncatedBody() Fault { return Fault{kind: kindTruncatedBody} }

// CutJSON runs the handler and sends the first half of its body as if it were all: correct HTTP, broken JSON.
func CutJSON() Fault { return Fault{kind: kindCutJSON} }

// WrongJSON runs the handler and, where it answered 2xx, sends body in place of its body: the right status with a
// shape nobody documented.
func WrongJSON(body string) Fault { return Fault{kind: kindWrongJSON, body: []byte(body)} }

// Processed returns the fault with the handler run before it strikes. It changes Status, HTMLError, Hang and
// ResetAfterRead; the others run the handler always, or, for ResetBeforeRead, never.
func (f Fault) Processed() Fault {
	f.processed = true
	return f
}

// After returns the fault with its answer, or its reset, held back for d more.
func (f Fault) After(d time.Duration) Fault {
	f.delay += d
	return f
}

// WithHeader returns the fault with a header set on the answer of Status, HTMLError and WrongJSON.
func (f Fault) WithHeader(key, value string) Fault {
	f.header = maps.Clone(f.header)
	if f.header == nil {
		f.header = http.Header{}
	}
	f.header.Set(key, value)
	return f
}

// WithBody returns the fault with the body of a Status answer replaced. An empty contentType is application/json.
func (f Fault) WithBody(contentType, body string) Fault {
	if contentType == "" {
		contentType = "application/json"
	}
	f.body = append([]byte{}, body...)
	return f.WithHeader("Content-Type", contentType)
}

// Name is the fault's name in the ledger and its counters: none, latency, hang, status_503,
// processed_status_503, html_502, reset_before_read, reset_after_read, processed_reset_after_read, slow_drip,
// stalled_body, truncated_body, cut_json, wrong_json. Durations and bodies are not part of it.
func (f Fault) Name() string {
	name := kindNames[f.kind]
	switch f.kind {
	case kindStatus, kindHTML:
		name += "_" + strconv.Itoa(f.status)
	case kindHang, kindResetAfterRead:
	default:
		return name
	}
	if f.processed {
		return "processed_" + name
	}
	return name
}

// String is the name with the fault's durations, for people.
func (f Fault) String() string {
	var parts []string
	if f.delay > 0 {
		parts = append(parts, "after "+f.delay.String())
	}
	if f.interval > 0 {
		parts = append(parts, "every "+f.interval.String())
	}
	for _, key := range slices.Sorted(maps.Keys(f.header)) {
		parts = append(parts, fmt.Sprintf("%s: %s", key, f.header.Get(key)))
	}
	if len(parts) == 0 {
		return f.Name()
	}
	return f.Name() + " (" + strings.Join(parts, ", ") + ")"
}

// runs reports whether the handler runs under the fault.
func (f Fault) runs() bool {
	switch f.kind {
	case kindResetBeforeRead:
		return false
	case kindStatus, kindHTML, kindHang, kindResetAfterRead:
		return f.processed
	default:
		return true
	}
}

func ceilSeconds(d time.Duration) int64 {
	return int64((max(d, 0) + time.Second - 1) / time.Second)
}
