package httpxtest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

func leakChecks() []Check {
	leaks := family("leaks",
		both("connections",
			"Dropped responses leave no connection behind: retries share one, and none stays after CloseIdleConnections", "",
			connections),
		both("unclosed-error-body",
			"A caller who never closes the bodies of error responses leaks no connection", closesErrors, unclosedErrorBody),
		check("dropped-bodies",
			"Every response that is not handed on is closed; the one that is, is closed by the caller's Close", "",
			droppedBodies),
		check("drain-bounded",
			"A dropped response is not read without end", retries, drainBounded),
		check("goroutines",
			"No goroutine is left when a call is over, on any path", "", goroutines),
		check("close-idle",
			"CloseIdleConnections, which http.Client finds by type assertion, reaches base", "", closeIdle),
	)
	return slices.Concat(leaks, family("concurrency",
		both("own-response",
			"Of 32 concurrent callers each gets the response to its own request", "", ownResponse),
	))
}

// settled reports connections that are still open after all idle ones were closed.
func (e *env) settled(s *server, closeIdle func()) {
	if !e.eventually(func() bool {
		closeIdle()
		return s.stillOpen() == 0
	}) {
		e.errorf("%d of %d connections are still open after all calls are over and idle ones closed", s.stillOpen(), s.opened.Load())
	}
}

// aboveWindow is a body larger than the flow control window http.Transport gives a stream of HTTP/2 (4 MiB).
const aboveWindow = 5 << 20

// pour writes n bytes, or what the client takes of them.
func pour(w io.Writer, n int) {
	chunk := make([]byte, min(n, 64<<10))
	for ; n > 0; n -= len(chunk) {
		if _, err := w.Write(chunk[:min(n, len(chunk))]); err != nil {
			return
		}
	}
}

func connections(e *env) {
	for _, c := range []struct {
		name   string
		bytes  int // of each error body
		calls  int
		reused bool
	}{
		// What fits a drain must leave the connection in use; what is larger than a flow control window of HTTP/2 stays
		// on the wire unless it is closed.
		{"small error bodies", 512, 10, true},
		{"large error bodies", aboveWindow, 2, false},
	} {
		var mu sync.Mutex
		visits := map[string]int{}
		s := e.serve(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			visits[r.URL.Path]++
			n := visits[r.URL.Path]
			mu.Unlock()
			last := n >= e.subject.attempts() || n > 2
			if last {
				_, _ = io.WriteString(w, "content")
				return
			}
			w.WriteHeader(http.StatusServiceUnavailable)
			pour(w, c.bytes)
		})
		tr := s.transport()
		client := &http.Client{Transport: e.wrap(tr)}
		for i := range c.calls {
			resp, err := client.Do(e.request(http.MethodGet, fmt.Sprintf("%s/%d", s.URL, i)))
			if err != nil {
				e.errorf("%s: %w", c.name, err)
				continue
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		if n := s.opened.Load(); c.reused && n > 2 {
			e.errorf("%s: %d sequential calls opened %d connections, want at most 2", c.name, c.calls, n)
		}
		e.settled(s, tr.CloseIdleConnections)
	}
}

func unclosedErrorBody(e *env) {
	for _, c := range []struct{ bytes, calls int }{{512, 10}, {aboveWindow, 2}} {
		s := e.serve(func(w http.ResponseWriter, r *http.Request) {
			code := http.StatusNotFound
			if r.Method == http.MethodPost {
				code = http.StatusInternalServerError
			}
			w.WriteHeader(code)
			pour(w, c.bytes)
		})
		tr := s.transport()
		client := &http.Client{Transport: e.wrap(tr)}
		for i := range c.calls {
			resp, err := client.Do(e.request([]string{http.MethodGet, http.MethodPost}[i%2], s.URL)) //nolint:bodyclose // the point
			if err != nil {
				e.errorf("%d bytes: %w", c.bytes, err)
				continue
			}
			_, _ = io.ReadFull(resp.Body, make([]byte, 16))
		}
		e.settled(s, tr.CloseIdleConnections)
	}
}

func droppedBodies(e *env) {
	for _, p := range paths() {
		ctx, cancel := context.WithCancel(e.ctx)
		f := p.base(e, cancel)
		if p.before {
			cancel()
		}
		src := &source{data: []byte("some content")}
		res := e.send(e.wrap(f), src.request(e, p.method).WithContext(ctx))
		bodies := f.answers()
		unclosed := func() int {
			n := 0
			for _, b := range bodies {
				if b.closes.Load() == 0 {
					n++
				}
			}
			return n
		}
		may := 0
		if res.resp != nil && res.resp.Body != nil {
			may = 1
		}
		if !e.eventually(func() bool { return unclosed() <= may }) {
			e.errorf("%s: of %d responses %d are not closed, and the call came to %v", p.name, len(bodies), unclosed(), res)
		}
		if may == 1 {
			_, _ = io.ReadAll(res.resp.Body)
			_ = res.resp.Body.Close()
			if !e.eventually(func() bool { return unclosed() == 0 }) {
				e.errorf("%s: the caller's Close does not reach the body of base", p.name)
			}
		}
		cancel()
	}
}

// endless is a body without end, or nearly.
type endless struct{ left atomic.Int64 }

func (b *endless) Read(p []byte) (int, error) {
	if b.left.Add(-int64(len(p))) < 0 {
		return 0, io.EOF
	}
	return len(p), nil
}

func drainBounded(e *env) {
	const most = 8 << 20
	f := new(fake)
	f.answer = func(n int, r *http.Request) (*http.Response, error) {
		if n > 1 {
			return f.respond(r, 200, "content"), nil
		}
		resp := f.respond(r, 503, "")
		body := new(endless)
		body.left.Store(8 * most)
		resp.ContentLength, resp.Body = -1, f.track(body)
		return resp, nil
	}
	res := e.await(e.later(e.wrap(f), e.request(http.MethodGet, anyURL)), "a 503 with an endless body")
	if f.n() < 2 || res.status() != 200 {
		e.errorf("sent %d times, got %v, want a retry", f.n(), res)
	}
	for _, b := range f.answers() {
		if n := b.read.Load(); n > most {
			e.errorf("%d bytes of a dropped response were read, want at most %d", n, most)
		}
	}
}

func goroutines(e *env) {
	before, _ := e.goroutines()
	rest := func(where string) {
		var n int
		var stacks string
		if !e.eventually(func() bool {
			n, stacks = e.goroutines()
			return n <= before
		}) {
			e.errorf("%s: %d goroutines more than before the call:\n%s", where, n-before, stacks)
		}
	}
	for _, p := range paths() {
		ctx, cancel := context.WithCancel(e.ctx)
		f := p.base(e, cancel)
		if p.before {
			cancel()
		}
		src := &source{data: []byte("some content")}
		rt := e.wrap(f)
		e.call(rt, src.request(e, p.method).WithContext(ctx))
		if c, ok := rt.(io.Closer); ok {
			_ = c.Close()
		}
		rest(p.name) // with the context still alive where the path did not cancel it
		cancel()
	}

	// Over a network, with a body that is closed before its end.
	s := e.serve(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", 1<<20)) })
	tr := s.transport()
	rt := e.wrap(tr)
	res := e.send(rt, e.request(http.MethodGet, s.URL))
	if res.err != nil || res.resp == nil {
		e.fatalf("got %v, want a response", res)
	}
	_, _ = io.ReadFull(res.resp.Body, make([]byte, 10))
	_ = res.resp.Body.Close()
	if c, ok := rt.(io.Closer); ok {
		_ = c.Close()
	}
	tr.CloseIdleConnections()
	rest("a body closed before its end")
}

func closeIdle(e *env) {
	f := statuses(200)
	client := &http.Client{Transport: e.wrap(f)}
	client.CloseIdleConnections()
	if n := f.idle.Load(); n == 0 {
		e.errorf("http.Client.CloseIdleConnections did not reach base")
	}
	// A base without the method is fine.
	client = &http.Client{Transport: e.wrap(roundTripFunc(f.RoundTrip))}
	client.CloseIdleConnections()
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func ownResponse(e *env) {
	const callers, calls = 32, 3
	var seen sync.Map
	s := e.serve(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get("X-Id")
		body, _ := io.ReadAll(r.Body)
		if string(body) != id {
			e.errorf("the server got the id %q with the body %q", id, body)
		}
		w.Header().Set("X-Id", id)
		if _, again := seen.LoadOrStore(id, true); !again && e.subject.attempts() > 1 && strings.HasSuffix(id, "-1") {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = w.Write(body)
	})
	rt := e.wrap(s.transport())
	e.call(rt, e.request(http.MethodGet, s.URL)) // so that HTTP/2 has a connection to share
	var wg sync.WaitGroup
	for caller := range callers {
		wg.Go(func() {
			for n := range calls {
				id := fmt.Sprintf("%d-%d", caller, n)
				src := &source{data: []byte(id), oneShot: n == 2}
				req := src.request(e, http.MethodPut)
				req.URL = mustParse(e, s.URL)
				req.Header.Set("X-Id", id)
				res := e.call(rt, req)
				if res.status() != 200 || string(res.body) != id || res.resp.Header.Get("X-Id") != id {
					e.errorf("the call %s got %v", id, res)
					return
				}
			}
		})
	}
	wg.Wait()
}
