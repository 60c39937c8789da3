package errors

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
)

// HandlerFunc is an http.HandlerFunc that may fail.
type HandlerFunc func(w http.ResponseWriter, r *http.Request) error

// HandlerEvent reports a request that ended in an error or a panic.
type HandlerEvent struct {
	// Request is the one Handler was given. Its Pattern is that of the route where no router between the two copies it:
	// around an http.ServeMux it is known, on chi where [Middleware] is mounted by Use, not around the router.
	Request *http.Request
	// Err is what the handler returned, or an [*Error] of kind [Internal] for a panic.
	Err error
	// Panic is the recovered value and Stack the goroutine's stack; both are empty where the handler returned.
	Panic any
	Stack []byte
	// Answered is false where the response had begun before the failure, so that no problem could be sent and
	// the connection was cut instead.
	Answered bool
}

// Hooks are callbacks of [Handler]. They run on the request's goroutine, after the answer; nil ones are skipped.
type Hooks struct {
	OnError func(HandlerEvent)
}

// Handler turns a returned error, or a panic, into a problem document (see [Write]). What the handler sent
// before it failed stands: then the connection is cut, so that the client does not take half an answer for a
// whole one. [http.ErrAbortHandler] goes through. The error and the panic are reported to hooks, and nowhere
// else: the client reads the public sentence only. Flush, Hijack and [http.ResponseController] keep working.
func Handler(fn HandlerFunc, hooks ...Hooks) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent, watched := w.(watcher)
		if !watched {
			own := &responseWriter{ResponseWriter: w}
			w, sent = own, own
		}
		event := HandlerEvent{Request: r}
		defer func() {
			if event.Err == nil {
				return
			}
			begun, hijacked := sent.Begun()
			event.Answered = !begun
			if event.Answered {
				if _, large := AsType[*http.MaxBytesError](event.Err); large && r.ProtoMajor == 1 {
					w.Header().Set("Connection", "close") // as http.MaxBytesReader does where it knows the writer
				}
				_ = Write(w, r, event.Err) // the client is gone: nobody is left to tell
			}
			for _, h := range hooks {
				if h.OnError != nil {
					h.OnError(event)
				}
			}
			if !event.Answered && !hijacked {
				panic(http.ErrAbortHandler)
			}
		}()
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p == http.ErrAbortHandler { //nolint:errorlint // net/http compares the panic value itself
				panic(p)
			}
			event.Panic, event.Stack = p, debug.Stack()
			event.Err = &Error{Kind: Internal, Op: "handler", Err: fmt.Errorf("panic: %v", p)}
		}()
		event.Err = fn(w, r)
	})
}

// Middleware is [Handler] for handlers that do not return errors: it turns their panics into problems.
func Middleware(hooks ...Hooks) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return Handler(func(w http.ResponseWriter, r *http.Request) error {
			next.ServeHTTP(w, r)
			return nil
		}, hooks...)
	}
}

// watcher is a writer that knows whether the response has begun, and whether its connection is the handler's. The writers of
// our other middlewares are ones too: next to them none of our own is needed.
type watcher interface {
	Begun() (begun, hijacked bool)
}

// responseWriter remembers whether the response has begun.
type responseWriter struct {
	http.ResponseWriter

	started, hijacked bool
}

func (w *responseWriter) Begun() (begun, hijacked bool) { return w.started, w.hijacked }

func (w *responseWriter) WriteHeader(status int) {
	// An informational response (100-199, but not 101) may be followed by the real one.
	if status >= 200 || status == http.StatusSwitchingProtocols {
		w.started = true
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *responseWriter) Write(b []byte) (int, error) {
	w.started = true
	return w.ResponseWriter.Write(b)
}

// WriteString spares io.WriteString a copy, which net/http's writer does not need.
func (w *responseWriter) WriteString(s string) (int, error) {
	w.started = true
	return io.WriteString(w.ResponseWriter, s)
}

// ReadFrom keeps net/http's sendfile path. A source that gives nothing has not begun the response.
func (w *responseWriter) ReadFrom(src io.Reader) (int64, error) {
	before := w.started
	w.started = true // in case src panics
	n, err := io.Copy(w.ResponseWriter, src)
	w.started = before || n > 0
	return n, err
}

// Flush serves callers that assert http.Flusher; where the writer below cannot flush, nothing happens.
func (w *responseWriter) Flush() { _ = w.FlushError() }

// FlushError serves [http.ResponseController], which tells its caller where the writer below cannot flush.
func (w *responseWriter) FlushError() error {
	err := http.NewResponseController(w.ResponseWriter).Flush()
	if err == nil {
		w.started = true
	}
	return err
}

// Hijack serves callers that assert http.Hijacker.
func (w *responseWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.started, w.hijacked = true, true
	}
	return c, rw, err
}

// Unwrap serves [http.ResponseController].
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
