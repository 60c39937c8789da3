package fault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"sync"
	"time"
)

// exchange is one request on its way through the server.
type exchange struct {
	server *Server
	seq    uint64
	req    *http.Request // as net/http made it

	once sync.Once
	body []byte
	err  error

	mu        sync.Mutex
	processed *bool // what the handler said
}

type exchangeKey struct{}

// Body is the whole body of a request a [Script] decides on. It reads the body on first use, so that a
// [ResetBeforeRead] then strikes after the read. For a request that is not from a [Server] it is nil.
func Body(r *http.Request) []byte {
	x, _ := r.Context().Value(exchangeKey{}).(*exchange)
	if x == nil {
		return nil
	}
	body, _ := x.read()
	return body
}

// SetProcessed overrules, from within a handler, whether the ledger counts the request as processed. Without it, a
// request is processed when the handler answered below 400.
func SetProcessed(r *http.Request, processed bool) {
	if x, _ := r.Context().Value(exchangeKey{}).(*exchange); x != nil {
		x.mu.Lock()
		x.processed = &processed
		x.mu.Unlock()
	}
}

// CallID is what names the logical call a request belongs to: its X-Test-Call header, else its X-Correlation-ID.
func CallID(r *http.Request) string {
	if id := r.Header.Get("X-Test-Call"); id != "" {
		return id
	}
	return r.Header.Get("X-Correlation-ID")
}

var errAbandoned = errors.New("the client went away or the server closes")

// serve is one request: decide, read, process, answer.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	c := connOf(r)
	seq := s.ledger.begin(Entry{
		At: now(), Conn: c.id, Method: r.Method, Path: r.URL.Path,
		CorrelationID: r.Header.Get("X-Correlation-ID"), TestCall: r.Header.Get("X-Test-Call"),
	})
	defer s.ledger.end(seq)

	x := &exchange{server: s, seq: seq, req: r}
	r = r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x))
	f := s.decide(r)
	s.ledger.decided(seq, f.Name())

	if f.kind == kindResetBeforeRead {
		_ = s.hold(r, f.delay)
		s.reset(c)
	}
	body, err := x.read()
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		s.send(w, x, Answer{Status: http.StatusRequestEntityTooLarge, Body: []byte(tooLarge.Error())})
		return
	}
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	var answer Answer
	if f.runs() {
		answer = s.process(x, r, body)
	}
	if s.hold(r, f.delay) != nil {
		panic(http.ErrAbortHandler)
	}
	s.answer(w, r, x, c, f, answer)
}

// decide asks the outage, then the script.
func (s *Server) decide(r *http.Request) Fault {
	if f := s.outage.Load(); f != nil {
		return *f
	}
	return next(*s.script.Load(), r)
}

// read reads the body whole, once, and notes that in the ledger.
func (x *exchange) read() ([]byte, error) {
	x.once.Do(func() {
		x.body, x.err = io.ReadAll(http.MaxBytesReader(nil, x.req.Body, x.server.cfg.MaxBody))
		if x.err != nil {
			return
		}
		key := ""
		if x.server.cfg.Key != nil {
			key = x.server.cfg.Key(x.req, x.body)
		}
		x.server.ledger.update(x.seq, func(e *Entry) { e.ReadWhole, e.Key = true, key })
	})
	return x.body, x.err
}

// process runs the handler and notes what it did.
func (s *Server) process(x *exchange, r *http.Request, body []byte) Answer {
	rec := newRecorder()
	func() {
		defer func() {
			if p := recover(); p != nil {
				rec = newRecorder()
				http.Error(rec, fmt.Sprintf("fault: the handler panicked: %v", p), http.StatusInternalServerError)
			}
		}()
		r.Body = io.NopCloser(bytes.NewReader(body))
		s.cfg.Handler.ServeHTTP(rec, r)
	}()
	answer := rec.result()
	x.mu.Lock()
	processed := answer.Status < http.StatusBadRequest
	if x.processed != nil {
		processed = *x.processed
	}
	x.mu.Unlock()
	s.ledger.update(x.seq, func(e *Entry) { e.HandlerStatus, e.Processed = answer.Status, processed })
	return answer
}

// answer does what is left to do under f: send an answer, whole or not, or none.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, x *exchange, c *conn, f Fault, a Answer) {
	switch f.kind {
	case kindStatus:
		s.send(w, x, s.injected(r, f))
	case kindHTML:
		a = htmlError(f.status)
		maps.Copy(a.Header, f.header)
		s.send(w, x, a)
	case kindHang:
		s.silence(r)
	case kindResetAfterRead:
		s.reset(c)
	case kindSlowDrip:
		s.drip(w, r, x, f, a)
	case kindStalledBody:
		s.half(w, x, a)
		s.silence(r)
	case kindTruncatedBody:
		s.half(w, x, a)
		panic(http.ErrAbortHandler)
	case kindCutJSON:
		a.Body = a.Body[:len(a.Body)/2]
		s.send(w, x, a)
	case kindWrongJSON:
		if a.Status >= 200 && a.Status < 300 {
			a.Body = f.body
			maps.Copy(a.Header, f.header)
		}
		s.send(w, x, a)
	default:
		s.send(w, x, a)
	}
}

// injected is the answer of a Status fault.
func (s *Server) injected(r *http.Request, f Fault) Answer {
	a := Answer{Body: f.body}
	if f.body == nil {
		a = s.cfg.Errors(r, f.status)
	}
	a.Status = f.status
	header := a.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	maps.Copy(header, f.header)
	if f.retry > 0 {
		at := now().Add(f.retry + time.Second - 1).Truncate(time.Second)
		header.Set("Retry-After", at.UTC().Format(http.TimeFormat))
	}
	a.Header = header
	return a
}

// sends notes the status in the ledger, before the client can see it.
func (s *Server) sends(x *exchange, status int) {
	s.ledger.update(x.seq, func(e *Entry) { e.Status = status })
}

func (s *Server) send(w http.ResponseWriter, x *exchange, a Answer) {
	s.sends(x, a.Status)
	a.begin(w, len(a.Body))
	if bodyAllowed(a.Status) {
		_, _ = w.Write(a.Body)
	}
}

// half announces the whole body and sends half of it.
func (s *Server) half(w http.ResponseWriter, x *exchange, a Answer) {
	if !bodyAllowed(a.Status) {
		panic(http.ErrAbortHandler)
	}
	s.sends(x, a.Status)
	a.begin(w, max(len(a.Body), 2))
	_, _ = w.Write(a.Body[:len(a.Body)/2])
	_ = http.NewResponseController(w).Flush()
}

func (s *Server) drip(w http.ResponseWriter, r *http.Request, x *exchange, f Fault, a Answer) {
	s.sends(x, a.Status)
	a.begin(w, len(a.Body))
	flush := http.NewResponseController(w).Flush
	_ = flush()
	for i := range a.Body {
		if i > 0 && s.hold(r, f.interval) != nil {
			panic(http.ErrAbortHandler)
		}
		if _, err := w.Write(a.Body[i : i+1]); err != nil {
			return
		}
		_ = flush()
	}
}

// hold waits for d, or until the client goes away or the server closes.
func (s *Server) hold(r *http.Request, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-r.Context().Done():
	case <-s.closing:
	}
	return errAbandoned
}

// silence waits until the client goes away or the server closes, and does not return.
func (s *Server) silence(r *http.Request) {
	_ = s.hold(r, math.MaxInt64)
	panic(http.ErrAbortHandler)
}

// reset resets the connection and does not return.
func (s *Server) reset(c *conn) {
	c.reset()
	panic(http.ErrAbortHandler)
}
