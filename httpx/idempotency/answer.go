package idempotency

import (
	"encoding/binary"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"github.com/prusik-go/prusik/errors"
)

// What a replay adds to the answer's header.
const (
	// HeaderReplayed is "true" on an answer that is not of this request but of the one that was run.
	HeaderReplayed = "Idempotency-Replayed"
	// HeaderOriginal is the correlation id of the request that was run, where it had one. That of the replay is its own.
	HeaderOriginal = "Idempotency-Correlation-Id"
)

// An answer as it is kept: a version, a form, the status, the correlation id, the number of header fields, each with its name and
// its values, and up to the end the body. Numbers are varints, and texts have their length before them.
const version = 1

type form byte

const (
	whole   form = iota + 1 // header and body
	partial                 // the body was too large, and maybe the header
	lost                    // there is none
)

// answer is one that was decoded.
type answer struct {
	form     form
	status   int
	original string
	header   http.Header
	body     []byte
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendHead begins an answer. fields is the number of fields that follow.
func appendHead(b []byte, f form, status int, original string, fields int) []byte {
	b = append(b, version, byte(f))
	b = binary.AppendUvarint(b, uint64(status)) //nolint:gosec // it is not negative
	b = appendText(b, original)
	return binary.AppendUvarint(b, uint64(fields)) //nolint:gosec // it is not negative
}

func appendField(b []byte, name string, values []string) []byte {
	b = appendText(b, name)
	b = binary.AppendUvarint(b, uint64(len(values)))
	for _, v := range values {
		b = appendText(b, v)
	}
	return b
}

// reader reads what was appended. Once something is wrong, it stays so.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) number() int {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 || n > 1<<31-1 {
		r.bad, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[size:]
	return int(n)
}

func (r *reader) text() string {
	n := r.number()
	if n > len(r.rest) {
		r.bad, r.rest = true, nil
		return ""
	}
	s := string(r.rest[:n])
	r.rest = r.rest[n:]
	return s
}

// decode reads an answer. The body is part of b.
func decode(b []byte) (a answer, ok bool) {
	if len(b) < 2 || b[0] != version {
		return a, false
	}
	r := reader{rest: b[2:]}
	a.form, a.status, a.original = form(b[1]), r.number(), r.text()
	fields := r.number()
	if a.form < whole || a.form > lost || a.form != lost && (a.status < 200 || a.status > 999) || fields > len(r.rest) {
		return answer{}, false
	}
	a.header = make(http.Header, fields)
	for range fields {
		name, n := r.text(), r.number()
		if n > len(r.rest) {
			return answer{}, false
		}
		values := make([]string, n)
		for i := range values {
			values[i] = r.text()
		}
		a.header[name] = values
	}
	a.body = r.rest
	return a, !r.bad
}

// setHeader puts the header of a run into that of a replay.
func (a *answer) setHeader(h http.Header) {
	maps.Copy(h, a.header)
	h[HeaderReplayed] = []string{"true"}
	if a.original != "" {
		h[HeaderOriginal] = []string{a.original}
	}
}

// replay gives a whole answer again.
func (a *answer) replay(w http.ResponseWriter) {
	h := w.Header()
	a.setHeader(h)
	if hasBody(a.status) {
		h["Content-Length"] = []string{strconv.Itoa(len(a.body))}
	}
	w.WriteHeader(a.status)
	if len(a.body) > 0 {
		_, _ = w.Write(a.body) // the client is gone: nobody is left to tell
	}
}

// tell says that it was done, where the body was not kept. The status is that of the run: a client that reads nothing else must
// not take it for a failure, and do it again with another key.
func (a *answer) tell(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	a.setHeader(h)
	for name := range h { // they are of the body that is not there
		if strings.HasPrefix(name, "Content-") {
			delete(h, name)
		}
	}
	if !hasBody(a.status) {
		w.WriteHeader(a.status)
		return
	}
	_ = errors.WriteProblem(w, r, errors.Problem{ // the client is gone: nobody is left to tell
		Title: http.StatusText(a.status), Status: a.status,
		Detail: "This request was answered before; the answer was too large to keep.",
		Extra:  map[string]any{member: NotKept},
	})
}

func hasBody(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// again reports whether a field of an answer belongs to its replay. Those do not that are about one answer on one connection
// (RFC 9110, sections 6.6, 7.6 and 7.8), that a replay has of its own, whose time is over, or that let somebody in.
func again(name string) bool {
	switch name {
	case "Date", "Content-Length", "Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Via", "Age",
		"X-Correlation-Id", HeaderReplayed, HeaderOriginal, "Traceparent", "Tracestate", "Traceresponse", "Server-Timing",
		"Ratelimit", "Ratelimit-Policy", "Retry-After",
		"Set-Cookie", "Authentication-Info", "Proxy-Authenticate", "Proxy-Authentication-Info":
		return false
	}
	return !strings.HasPrefix(name, "X-Ratelimit-") && !strings.HasPrefix(name, http.TrailerPrefix)
}

// fieldsOf returns the fields of h that a replay has: those that the run has set, not what was there before it, for a replay
// has that from the same middlewares, but about itself.
func fieldsOf(h, before http.Header) []string {
	fields := make([]string, 0, len(h))
	for name, values := range h {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		if len(values) > 0 && again(canonical) && !slices.Equal(values, before[name]) {
			fields = append(fields, name)
		}
	}
	slices.Sort(fields)
	return fields
}
