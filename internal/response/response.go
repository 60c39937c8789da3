// Package response watches what a handler answers.
package response

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// Writer remembers the status that was sent. Flush, Hijack and [http.ResponseController] keep working through it.
type Writer struct {
	http.ResponseWriter

	// Status is the status that was sent; zero stands for the 200 that net/http sends by itself.
	Status int
	// Hijacked is true once the connection is the handler's.
	Hijacked bool
}

// Begun reports whether the response has begun, and whether its connection is the handler's: package errors asks.
func (w *Writer) Begun() (begun, hijacked bool) { return w.Status != 0 || w.Hijacked, w.Hijacked }

// WriteHeader implements [http.ResponseWriter].
func (w *Writer) WriteHeader(status int) {
	// An informational response (100-199, but not 101) is followed by the real one; a second real one is not sent.
	if w.Status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.Status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *Writer) begun() {
	if w.Status == 0 {
		w.Status = http.StatusOK
	}
}

// Write implements [http.ResponseWriter].
func (w *Writer) Write(b []byte) (int, error) {
	w.begun()
	return w.ResponseWriter.Write(b)
}

// WriteString keeps [io.WriteString] from copying.
func (w *Writer) WriteString(s string) (int, error) {
	w.begun()
	return io.WriteString(w.ResponseWriter, s)
}

// ReadFrom keeps net/http's sendfile path. A source that gives nothing has not begun the response.
func (w *Writer) ReadFrom(src io.Reader) (int64, error) {
	before := w.Status
	w.begun() // in case src panics
	n, err := io.Copy(w.ResponseWriter, src)
	if n == 0 {
		w.Status = before
	}
	return n, err
}

// Flush serves callers that assert http.Flusher; where the writer below cannot flush, nothing happens.
func (w *Writer) Flush() { _ = w.FlushError() }

// FlushError serves [http.ResponseController], which is told where the writer below cannot flush.
func (w *Writer) FlushError() error {
	err := http.NewResponseController(w.ResponseWriter).Flush()
	if err == nil {
		w.begun()
	}
	return err
}

// Hijack serves callers that assert http.Hijacker.
func (w *Writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	w.Hijacked = w.Hijacked || err == nil
	return conn, rw, err
}

// Unwrap serves [http.ResponseController].
func (w *Writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
