package httpxtest

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

const anyURL = "http://subject.test/some/path?q=1"

// tracked is a request or response body that remembers what was done to it.
type tracked struct {
	io.Reader

	read   atomic.Int64
	closes atomic.Int32
	late   atomic.Bool // read after it was closed
}

func (b *tracked) Read(p []byte) (int, error) {
	if b.closes.Load() > 0 {
		b.late.Store(true)
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := b.Reader.Read(p)
	b.read.Add(int64(n))
	return n, err
}

func (b *tracked) Close() error {
	b.closes.Add(1)
	return nil
}

// source makes request bodies of one content and keeps them all.
type source struct {
	data    []byte
	oneShot bool  // no GetBody
	fails   error // what GetBody fails with, if anything

	mu     sync.Mutex
	bodies []*tracked // the first is the caller's own, the others come from GetBody
}

func (s *source) body() *tracked {
	b := &tracked{Reader: bytes.NewReader(s.data)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bodies = append(s.bodies, b)
	return b
}

func (s *source) all() []*tracked {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.bodies)
}

// request makes a request with this body.
func (s *source) request(e *env, method string) *http.Request {
	r := e.request(method, anyURL)
	r.Body = s.body()
	r.ContentLength = int64(len(s.data))
	if !s.oneShot {
		r.GetBody = func() (io.ReadCloser, error) {
			if s.fails != nil {
				return nil, s.fails
			}
			return s.body(), nil
		}
	}
	return r
}

// checkClosed reports bodies that were not closed exactly once.
func (s *source) checkClosed(e *env, where string) {
	e.eventually(func() bool {
		return !slices.ContainsFunc(s.all(), func(b *tracked) bool { return b.closes.Load() == 0 })
	})
	for i, b := range s.all() {
		if n := b.closes.Load(); n != 1 {
			e.errorf("%s: %s was closed %d times, want once", where, bodyName(i), n)
		}
	}
}

func bodyName(i int) string {
	if i == 0 {
		return "the caller's body"
	}
	return "body " + strconv.Itoa(i) + " of GetBody"
}

// request makes a request without a body; its context is the check's.
func (e *env) request(method, url string) *http.Request {
	r, err := http.NewRequestWithContext(e.ctx, method, url, http.NoBody)
	if err != nil {
		e.fatalf("%w", err)
	}
	r.Body = nil
	return r
}

// sent is one request as base saw it.
type sent struct {
	method, url, host string
	header            http.Header
	body              []byte
	err               error // of reading the body
	length            int64
	encoding          []string
	none              bool // nil or http.NoBody
	value             any  // of its context, under valueKey
	late              bool // its context was done
}

// fake is a base in memory. As the contract of http.RoundTripper asks, it reads and closes each request's body, once.
type fake struct {
	// answer answers the n-th request, counted from 1.
	answer func(n int, r *http.Request) (*http.Response, error)
	// unread leaves request bodies unread (they are closed); manual leaves them to answer altogether.
	unread, manual bool

	mu     sync.Mutex
	sends  []sent
	bodies []*tracked // of responses, in the order of sends
	idle   atomic.Int32
}

func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	s := sent{
		method: r.Method, url: r.URL.String(), host: r.Host, header: r.Header.Clone(), length: r.ContentLength,
		encoding: slices.Clone(r.TransferEncoding), none: r.Body == nil || r.Body == http.NoBody, value: r.Context().Value(valueKey{}),
		late: r.Context().Err() != nil,
	}
	if r.Body != nil && !f.manual {
		if !f.unread {
			s.body, s.err = io.ReadAll(r.Body)
		}
		_ = r.Body.Close()
	}
	f.mu.Lock()
	f.sends = append(f.sends, s)
	n := len(f.sends)
	f.mu.Unlock()
	if s.late {
		return nil, context.Cause(r.Context()) // as http.Transport does
	}
	return f.answer(n, r)
}

func (f *fake) CloseIdleConnections() { f.idle.Add(1) }

func (f *fake) sent() []sent {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.sends)
}

// n is the number of requests so far.
func (f *fake) n() int { return len(f.sent()) }

func (f *fake) answers() []*tracked {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.bodies)
}

// track makes a response body and keeps it.
func (f *fake) track(r io.Reader) *tracked {
	b := &tracked{Reader: r}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bodies = append(f.bodies, b)
	return b
}

// respond makes a response with a tracked body, and headers as "Name: value".
func (f *fake) respond(r *http.Request, status int, body string, header ...string) *http.Response {
	resp := &http.Response{
		Status: strconv.Itoa(status) + " " + http.StatusText(status), StatusCode: status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"text/plain"}}, Body: f.track(strings.NewReader(body)),
		ContentLength: int64(len(body)), Request: r,
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		resp.Header.Add(name, value)
	}
	return resp
}

// bodiless makes a response whose Body is nil, which no base should.
func (f *fake) bodiless(r *http.Request, status int, length int64) *http.Response {
	resp := f.respond(r, status, "")
	f.mu.Lock()
	f.bodies = f.bodies[:len(f.bodies)-1]
	f.mu.Unlock()
	resp.Body, resp.ContentLength = nil, length
	return resp
}

// statuses answers with these in turn, and the last of them ever after.
func statuses(codes ...int) *fake {
	f := new(fake)
	f.answer = func(n int, r *http.Request) (*http.Response, error) {
		code := codes[min(n, len(codes))-1]
		return f.respond(r, code, "answer "+strconv.Itoa(n), "X-Answer: "+strconv.Itoa(n)), nil
	}
	return f
}

// failing answers every request with err.
func failing(err error) *fake {
	return &fake{answer: func(int, *http.Request) (*http.Response, error) { return nil, err }}
}

// errReset is what http.Transport returns where the connection broke after the request was written.
func errReset() error {
	return &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
}

// errRefused is what http.Transport returns where nobody listens.
func errRefused() error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
}

// stall blocks as a server that does not answer would, until the request's context or the check is over.
func (e *env) stall(r *http.Request) (*http.Response, error) {
	select {
	case <-r.Context().Done():
		return nil, context.Cause(r.Context())
	case <-e.over:
		return nil, errReset()
	}
}

// sameHeader says whether got has all that want has, and the same.
func sameHeader(got, want http.Header) bool {
	for name := range maps.Keys(want) {
		if !slices.Equal(got[name], want[name]) {
			return false
		}
	}
	return true
}
