package idempotency

import (
	"bufio"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"

	"github.com/prusik-go/prusik/errors"
)

// recorder hands an answer on as it comes, and keeps it while it is small enough.
type recorder struct {
	http.ResponseWriter

	most     int         // bytes to keep
	original string      // correlation id
	before   http.Header // as it was when the handler began

	status   int
	buf      []byte // as it is to be kept
	head     int    // bytes of buf before the body
	over     bool   // it is too large, and buf holds no more than its head
	declared int64  // Content-Length, or -1
	hijacked bool
	err      error // what the answer is made of
}

func newRecorder(w http.ResponseWriter, most int, original string) *recorder {
	return &recorder{ResponseWriter: w, most: most, original: original, before: maps.Clone(w.Header()), declared: -1}
}

// ObserveError implements [errors.ErrorObserver].
func (w *recorder) ObserveError(err error) {
	if w.status == 0 { // else it is not what is answered with
		w.err = err
	}
}

var _ errors.ErrorObserver = (*recorder)(nil)

// begin takes the status and the header, as they are sent.
func (w *recorder) begin(status int) {
	if w.status != 0 {
		return
	}
	w.status = status
	h := w.Header()
	if n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64); err == nil {
		w.declared = n
	}
	fields := fieldsOf(h, w.before)
	const most = 512 // what most answers take
	w.buf = appendHead(make([]byte, 0, min(w.most, most)), whole, status, w.original, len(fields))
	for _, name := range fields {
		w.buf = appendField(w.buf, name, h[name])
	}
	if w.head = len(w.buf); w.head > w.most {
		w.tooLarge()
	}
}

// tooLarge keeps no body, and where the header alone is too large, no header.
func (w *recorder) tooLarge() {
	w.over = true
	w.buf = w.buf[:w.head]
	w.buf[1] = byte(partial)
	if w.head > w.most {
		w.short()
	}
}

// short keeps neither.
func (w *recorder) short() {
	w.over = true
	w.buf = appendHead(nil, partial, w.status, w.original, 0)
	w.head = len(w.buf)
}

// WriteHeader implements [http.ResponseWriter].
func (w *recorder) WriteHeader(status int) {
	// An informational response (100-199, but not 101) may be followed by the real one.
	if status >= 200 || status == http.StatusSwitchingProtocols {
		w.begin(status)
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (w *recorder) Write(b []byte) (int, error) {
	w.begin(http.StatusOK)
	if w.take(len(b)) {
		w.buf = append(w.buf, b...)
	}
	return w.wrote(len(b))(w.ResponseWriter.Write(b))
}

// WriteString spares io.WriteString a copy.
func (w *recorder) WriteString(s string) (int, error) {
	w.begin(http.StatusOK)
	if w.take(len(s)) {
		w.buf = append(w.buf, s...)
	}
	return w.wrote(len(s))(io.WriteString(w.ResponseWriter, s))
}

// take reports whether n more bytes of the body are to be kept.
func (w *recorder) take(n int) bool {
	if w.over || w.hijacked || !hasBody(w.status) {
		return false
	}
	if len(w.buf)+n > w.most {
		w.tooLarge()
		return false
	}
	return true
}

// wrote hides from the handler that its client is gone, while the answer is kept for the one that comes back: a handler that
// stopped there would leave half an answer.
func (w *recorder) wrote(all int) func(int, error) (int, error) {
	return func(n int, err error) (int, error) {
		if err == nil || w.over || w.hijacked || errors.Is(err, http.ErrBodyNotAllowed) || errors.Is(err, http.ErrContentLength) {
			return n, err
		}
		return all, nil
	}
}

// Flush serves callers that assert http.Flusher; where the writer below cannot flush, nothing happens.
func (w *recorder) Flush() { _ = w.FlushError() }

// FlushError serves [http.ResponseController], which is told where the writer below cannot flush.
func (w *recorder) FlushError() error {
	if w.hijacked {
		return http.ErrHijacked
	}
	err := http.NewResponseController(w.ResponseWriter).Flush()
	if !errors.Is(err, http.ErrNotSupported) {
		w.begin(http.StatusOK)
	}
	return err
}

// Hijack serves callers that assert http.Hijacker.
func (w *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	w.hijacked = w.hijacked || err == nil
	return conn, rw, err
}

// Unwrap serves [http.ResponseController].
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// end completes the answer of a handler that has returned.
func (w *recorder) end() {
	w.begin(http.StatusOK)
	if body := int64(len(w.buf) - w.head); !w.over && w.declared >= 0 && hasBody(w.status) && body != w.declared {
		w.tooLarge() // it was cut: what its client has is not whole either
	}
}
