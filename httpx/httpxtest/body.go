package httpxtest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prusik-go/prusik/errors"
)

func bodyChecks() []Check {
	notCopied := check("rewindable-not-copied",
		"A request body that GetBody can make again is neither read nor copied: 1 MiB costs what 1 KiB costs", "",
		rewindableNotCopied)
	notCopied[0].Serial = true
	return family("body",
		check("closed-once",
			"The request body, and every body GetBody gave, is closed exactly once on every path, errors included", "",
			closedOnce),
		check("closed-when-refused",
			"The request body is closed, and nothing sent, where the transport refuses by itself", refuses,
			closedWhenRefused),
		check("closed-asynchronously",
			"base may read and close a request body after its RoundTrip has returned; the body is not touched meanwhile", "",
			closedAsynchronously),
		both("closed-on-failure",
			"The request body is closed where the dial fails, and where the call is canceled before or during the write", "",
			closedOnFailure),
		check("request-untouched",
			"The caller's request is not modified: no field of it, no header, no value of a header in place", "",
			requestUntouched),
		check("same-on-each-attempt",
			"Every attempt carries the whole body", retries,
			sameOnEachAttempt),
		check("rewound-by-getbody",
			"Attempts after the first take their body from GetBody; the caller's body is not read again", retries,
			rewoundByGetBody),
		check("getbody-fails",
			"Where GetBody fails nothing is sent again, and the caller gets an error or the last response", retries,
			getBodyFails),
		notCopied,
		check("one-shot",
			"A body without GetBody arrives whole at every attempt, or there is one attempt: never empty, never cut", "",
			oneShot),
		check("one-shot-replayed",
			"A body without GetBody is sent again up to the claimed size, and above it neither retried nor buffered whole",
			replays, oneShotReplayed),
		check("none",
			"A request without a body stays without one on every attempt (nil or http.NoBody, length 0)", "",
			noBody),
		both("length",
			"The length reaches the server: Content-Length where it was known, and no Transfer-Encoding then", "",
			bodyLength),
	)
}

// path is one way a call can go, for checks that hold on all of them.
type path struct {
	name   string
	method string
	base   func(e *env, cancel func()) *fake
	before bool // cancel before the call
}

func paths() []path {
	of := func(codes ...int) func(*env, func()) *fake {
		return func(*env, func()) *fake { return statuses(codes...) }
	}
	return []path{
		{name: "200", method: http.MethodPut, base: of(200)},
		{name: "404", method: http.MethodPut, base: of(404)},
		{name: "503 then 200", method: http.MethodPut, base: of(503, 200)},
		{name: "503 for good", method: http.MethodPut, base: of(503)},
		{name: "POST and 503", method: http.MethodPost, base: of(503)},
		{name: "429 then 200", method: http.MethodPost, base: of(429, 200)},
		{name: "a reset for good", method: http.MethodPut, base: func(*env, func()) *fake { return failing(errReset()) }},
		{name: "POST and a reset", method: http.MethodPost, base: func(*env, func()) *fake { return failing(errReset()) }},
		{name: "a refused dial", method: http.MethodPost, base: func(*env, func()) *fake { return failing(errRefused()) }},
		{name: "canceled before the start", method: http.MethodPut, base: of(200), before: true},
		{name: "canceled in flight", method: http.MethodPut, base: func(e *env, cancel func()) *fake {
			return &fake{answer: func(_ int, r *http.Request) (*http.Response, error) {
				cancel()
				return e.stall(r)
			}}
		}},
		{name: "canceled before a retry", method: http.MethodPut, base: func(_ *env, cancel func()) *fake {
			f := statuses(503)
			inner := f.answer
			f.answer = func(n int, r *http.Request) (*http.Response, error) {
				defer cancel()
				return inner(n, r)
			}
			return f
		}},
	}
}

func closedOnce(e *env) {
	for _, p := range paths() {
		ctx, cancel := context.WithCancel(e.ctx)
		src := &source{data: []byte("some content")}
		f := p.base(e, cancel)
		if p.before {
			cancel()
		}
		e.call(e.wrap(f), src.request(e, p.method).WithContext(ctx))
		src.checkClosed(e, p.name)
		cancel()
	}
}

func closedWhenRefused(e *env) {
	for _, method := range []string{http.MethodPut, http.MethodPost} {
		f := statuses(200)
		src := &source{data: []byte("some content")}
		res := e.call(e.refusing(f), src.request(e, method))
		if n := f.n(); n != 0 {
			e.fatalf("%s: %d requests reached base of a transport built by Subject.Refusing", method, n)
		}
		if res.err == nil && res.resp == nil {
			e.errorf("%s: got %v, want an error", method, res)
		}
		src.checkClosed(e, method)
	}
}

// closedAsynchronously has a base that answers its first request before it has read it, as a server may.
func closedAsynchronously(e *env) {
	f := &fake{manual: true}
	second := make(chan struct{})
	returned := make(chan struct{})
	type reading struct {
		n    int
		data []byte
		err  error
	}
	readings := make(chan reading, 64)
	f.answer = func(n int, r *http.Request) (*http.Response, error) {
		read := func() {
			data, err := io.ReadAll(r.Body)
			_ = r.Body.Close()
			readings <- reading{n, data, err}
		}
		if n > 1 {
			read() // whole, before the first attempt's: a subject whose attempts share a reader cuts that one
			if n == 2 {
				close(second)
			}
			return f.respond(r, 200, "late"), nil
		}
		go func() {
			select { // a transport may hold the retry until the body is closed, so do not wait for long
			case <-second:
			case <-returned:
			case <-time.After(10 * pause):
			}
			read()
		}()
		return f.respond(r, 503, "early"), nil
	}
	src := &source{data: bytes.Repeat([]byte("0123456789"), 1000)}
	rt := e.wrap(f)
	res := e.await(e.later(rt, src.request(e, http.MethodPut)), "base answered before it had read the body")
	close(returned)
	if res.panic != nil || res.err != nil {
		e.errorf("got %v", res)
	}
	for range f.n() {
		select {
		case r := <-readings:
			if r.err == nil && !bytes.Equal(r.data, src.data) {
				e.errorf("attempt %d: base read %d bytes of the body without an error, want all %d", r.n, len(r.data), len(src.data))
			}
		case <-time.After(e.patience):
			e.fatalf("base is still reading a body after %v", e.patience)
		}
	}
	src.checkClosed(e, "base closes late")
}

func closedOnFailure(e *env) {
	s := e.serve(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	atLeastOnce := func(where string, src *source) {
		if !e.eventually(func() bool { return src.all()[0].closes.Load() > 0 }) {
			e.errorf("%s: the caller's body was never closed", where)
		}
	}

	src := &source{data: []byte("some content")}
	req := src.request(e, http.MethodPost)
	if res := e.call(e.wrap(unreachable()), req); res.err == nil {
		e.errorf("a refused dial: got %v, want an error", res)
	}
	atLeastOnce("a refused dial", src)

	ctx, cancel := context.WithCancel(e.ctx)
	cancel()
	src = &source{data: []byte("some content")}
	req = src.request(e, http.MethodPost).WithContext(ctx)
	req.URL = mustParse(e, s.URL)
	if res := e.call(e.wrap(s.transport()), req); res.err == nil {
		e.errorf("canceled before: got %v, want an error", res)
	}
	atLeastOnce("canceled before", src)

	ctx, cancel = context.WithCancel(e.ctx)
	defer cancel()
	var deaf *server
	deaf = e.serve(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		deaf.stall(r)
	})
	body := e.flood(cancel)
	req = e.request(http.MethodPost, deaf.URL).WithContext(ctx)
	req.Body, req.ContentLength = body, floodSize
	req.GetBody = func() (io.ReadCloser, error) { return e.flood(cancel), nil }
	if res := e.await(e.later(e.wrap(deaf.transport()), req), "canceled during the write"); res.err == nil {
		e.errorf("canceled during the write: got %v, want an error", res)
	}
	if !e.closed(body.closed) {
		e.errorf("canceled during the write: the caller's body was never closed")
	}
}

func mustParse(e *env, s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil {
		e.fatalf("%w", err)
	}
	return u
}

// flood is a body larger than what fits on the way to a server that does not read. It gives so much and then blocks
// until it is closed: a transport that reads it whole hangs, and does not take the machine's memory with it.
type flood struct {
	left   int // read by one goroutine
	stalls func()
	closed chan struct{}
	once   sync.Once
}

const floodSize = 1 << 30

// flood makes one; stalls is called before it blocks.
func (e *env) flood(stalls func()) *flood {
	b := &flood{left: 16 << 20, stalls: stalls, closed: make(chan struct{})}
	e.onCleanup(func() { _ = b.Close() })
	return b
}

func (b *flood) Read(p []byte) (int, error) {
	if b.left <= 0 {
		b.stalls()
		<-b.closed
	}
	select {
	case <-b.closed:
		return 0, http.ErrBodyReadAfterClose
	default:
		b.left -= len(p)
		return len(p), nil
	}
}

func (b *flood) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}

// stalledBody gives one chunk, then calls stalls and blocks until it is closed.
type stalledBody struct {
	*io.PipeReader

	closed chan struct{}
	once   sync.Once
}

func newStalledBody(stalls func()) *stalledBody {
	r, w := io.Pipe()
	go func() {
		if _, err := w.Write(bytes.Repeat([]byte("x"), 512)); err == nil {
			stalls()
		}
	}()
	return &stalledBody{PipeReader: r, closed: make(chan struct{})}
}

func (b *stalledBody) Close() error {
	b.once.Do(func() { close(b.closed) })
	return b.PipeReader.Close()
}

func requestUntouched(e *env) {
	variants := map[string]func(r *http.Request){
		"usual headers": func(r *http.Request) {
			roomy := make([]string, 1, 4)
			roomy[0] = "one"
			r.Header = http.Header{"X-Roomy": roomy, "Authorization": {"Bearer abc"}, "Accept": {"text/plain", "text/html"}}
		},
		"empty headers": func(r *http.Request) { r.Header = http.Header{} },
		"nil headers":   func(r *http.Request) { r.Header = nil },
		"everything else": func(r *http.Request) {
			r.Host = "other.test"
			r.Close = true
			r.Trailer = http.Header{"X-Sum": nil}
			r.TransferEncoding = []string{"chunked"}
			r.ContentLength = -1
			r.URL.User = url.UserPassword("user", "word")
			r.URL.Fragment = "here"
		},
	}
	for name, set := range variants {
		for _, p := range paths() {
			ctx, cancel := context.WithCancel(e.ctx)
			f := p.base(e, cancel)
			src := &source{data: []byte("some content")}
			req := src.request(e, p.method).WithContext(ctx)
			set(req)
			if p.before {
				cancel()
			}
			compare := snapshot(req)
			res := e.call(e.wrap(f), req)
			cancel()
			where := name + ", " + p.name
			if res.panic != nil {
				e.errorf("%s: got %v", where, res)
			}
			for _, difference := range compare() {
				e.errorf("%s: the transport changed the request's %s", where, difference)
			}
		}
	}
}

// snapshot remembers a request; what it returns names the fields that have changed since.
func snapshot(r *http.Request) func() []string {
	before := *r
	deep := r.Clone(r.Context())
	room := map[string][]string{}
	for name, values := range r.Header {
		room[name] = slices.Clone(values[:cap(values)])
	}
	ctx := r.Context()
	return func() []string {
		var changed []string
		then, now := reflect.ValueOf(before), reflect.ValueOf(*r)
		for i := range then.NumField() {
			field := then.Type().Field(i)
			if !field.IsExported() || field.Name == "Cancel" {
				continue
			}
			a, b := then.Field(i), now.Field(i)
			var same bool
			switch field.Type.Kind() {
			case reflect.Func, reflect.Map, reflect.Pointer:
				same = a.UnsafePointer() == b.UnsafePointer()
			case reflect.Slice:
				same = a.UnsafePointer() == b.UnsafePointer() && a.Len() == b.Len()
			default:
				same = a.Interface() == b.Interface()
			}
			if !same {
				changed = append(changed, field.Name)
			}
		}
		if r.Context() != ctx {
			changed = append(changed, "context")
		}
		if !reflect.DeepEqual(r.URL, deep.URL) {
			changed = append(changed, "URL (in place)")
		}
		if !reflect.DeepEqual(r.Header, deep.Header) {
			changed = append(changed, "Header (in place)")
		}
		if !reflect.DeepEqual(r.Trailer, deep.Trailer) {
			changed = append(changed, "Trailer (in place)")
		}
		if !slices.Equal(r.TransferEncoding, deep.TransferEncoding) {
			changed = append(changed, "TransferEncoding (in place)")
		}
		for name, values := range r.Header {
			if !slices.Equal(values[:cap(values)], room[name]) {
				changed = append(changed, "Header (the array behind the values of "+name+")")
			}
		}
		return changed
	}
}

func sameOnEachAttempt(e *env) {
	for _, size := range []int{1, 1 << 10, 100 << 10} {
		src := &source{data: bytes.Repeat([]byte("z"), size)}
		f := statuses(503)
		req := src.request(e, http.MethodPut)
		req.Header.Set("X-Caller", "kept")
		e.call(e.wrap(f), req)
		if f.n() < 2 {
			e.errorf("%d bytes: sent %d times, want a retry of a PUT on 503", size, f.n())
		}
		for i, s := range f.sent() {
			if s.err != nil || !bytes.Equal(s.body, src.data) {
				e.errorf("attempt %d: base read %d bytes and the error %v, want %d bytes", i+1, len(s.body), s.err, size)
			}
			if s.length != int64(size) || len(s.encoding) > 0 {
				e.errorf("attempt %d: ContentLength %d and TransferEncoding %q, want %d and none", i+1, s.length, s.encoding, size)
			}
		}
	}
}

func rewoundByGetBody(e *env) {
	src := &source{data: bytes.Repeat([]byte("0123456789"), 100)}
	f := statuses(503, 200)
	e.call(e.wrap(f), src.request(e, http.MethodPut))
	bodies := src.all()
	if f.n() < 2 {
		e.fatalf("sent %d times, want a retry of a PUT on 503", f.n())
	}
	if len(bodies) < f.n() {
		e.errorf("sent %d times with %d bodies: GetBody was not used for each attempt after the first", f.n(), len(bodies))
	}
	for i, b := range bodies {
		if b.late.Load() {
			e.errorf("%s was read after it had been closed", bodyName(i))
		}
	}
}

func getBodyFails(e *env) {
	src := &source{data: []byte("some content"), fails: errors.New("the file is gone")}
	f := statuses(503)
	res := e.call(e.wrap(f), src.request(e, http.MethodPut))
	if f.n() != 1 {
		e.errorf("sent %d times, want once", f.n())
	}
	if res.err == nil && (res.status() != 503 || string(res.body) != "answer 1") {
		e.errorf("got %v, want an error or the response of the first attempt", res)
	}
	src.checkClosed(e, "GetBody fails")
}

func rewindableNotCopied(e *env) {
	const size = 1 << 20
	f := statuses(200)
	f.unread = true
	src := &source{data: make([]byte, size)}
	e.call(e.wrap(f), src.request(e, http.MethodPost))
	for i, b := range src.all() {
		if n := b.read.Load(); n > 0 {
			e.errorf("base read nothing, yet %d bytes of %s were read", n, bodyName(i))
		}
	}

	scratch := make([]byte, 32<<10)
	f = statuses(200)
	f.manual = true
	answer := f.answer
	f.answer = func(n int, r *http.Request) (*http.Response, error) {
		for {
			if _, err := r.Body.Read(scratch); err != nil {
				break
			}
		}
		_ = r.Body.Close()
		return answer(n, r)
	}
	rt := e.wrap(f)
	least := uint64(size)
	for n := 0; n < 100 && least > size/4; n++ { // others allocate too: one call that does not copy is enough
		req := src.request(e, http.MethodPost)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		e.call(rt, req)
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	if least > size/4 {
		e.errorf("a call with a rewindable body of %d bytes allocated %d bytes: the body is copied", size, least)
	}
}

func oneShot(e *env) {
	for _, size := range []int{1, 4 << 10, 1<<20 + 1<<16} {
		for _, known := range []bool{true, false} {
			src := &source{data: bytes.Repeat([]byte("y"), size), oneShot: true}
			req := src.request(e, http.MethodPut)
			if !known {
				req.ContentLength = -1
			}
			f := statuses(503)
			res := e.call(e.wrap(f), req)
			where := strconv.Itoa(size) + " bytes, length known: " + strconv.FormatBool(known)
			if res.panic != nil || f.n() == 0 {
				e.errorf("%s: sent %d times, got %v", where, f.n(), res)
			}
			for i, s := range f.sent() {
				if s.err != nil || !bytes.Equal(s.body, src.data) {
					e.errorf("%s: attempt %d: base read %d bytes and the error %v", where, i+1, len(s.body), s.err)
				}
				if s.length != int64(size) && (known || s.length != -1) {
					e.errorf("%s: attempt %d: ContentLength %d", where, i+1, s.length)
				}
			}
			src.checkClosed(e, where)
		}
	}
}

func oneShotReplayed(e *env) {
	limit := e.subject.ReplaysUpTo
	for _, size := range []int64{1, limit} {
		src := &source{data: bytes.Repeat([]byte("y"), int(size)), oneShot: true}
		f := statuses(503, 200)
		res := e.call(e.wrap(f), src.request(e, http.MethodPut))
		if f.n() != 2 || res.status() != 200 {
			e.errorf("a body of %d bytes: sent %d times, got %v, want 2 and a 200", size, f.n(), res)
		}
	}
	for _, known := range []bool{true, false} {
		src := &source{data: bytes.Repeat([]byte("y"), int(2*limit+1<<20)), oneShot: true}
		req := src.request(e, http.MethodPut)
		if !known {
			req.ContentLength = -1
		}
		f := statuses(503)
		f.manual = true
		answer := f.answer
		f.answer = func(n int, r *http.Request) (*http.Response, error) {
			if read := src.all()[0].read.Load(); n == 1 && read > limit+1<<19 {
				e.errorf("a body above the claimed size was read for %d bytes before it was sent, want at most %d", read, limit)
			}
			_, _ = io.Copy(io.Discard, r.Body)
			_ = r.Body.Close()
			return answer(n, r)
		}
		res := e.call(e.wrap(f), req)
		if f.n() != 1 || res.status() != 503 || string(res.body) != "answer 1" {
			e.errorf("a body above the claimed size: sent %d times, got %v, want once and the 503", f.n(), res)
		}
	}
}

func noBody(e *env) {
	for _, body := range []io.ReadCloser{nil, http.NoBody} {
		for _, method := range []string{http.MethodGet, http.MethodDelete, http.MethodPost} {
			f := statuses(503, 200)
			req := e.request(method, anyURL)
			req.Body = body
			e.call(e.wrap(f), req)
			if f.n() == 0 {
				e.errorf("%s: nothing was sent", method)
			}
			for i, s := range f.sent() {
				if !s.none || s.length != 0 {
					e.errorf("%s with the body %v: attempt %d has a body of length %d; http.Transport would send it chunked",
						method, body, i+1, s.length)
				}
			}
		}
	}
}

func bodyLength(e *env) {
	type seen struct {
		length   int64
		encoding []string
		n        int64
	}
	got := make(chan seen, 64)
	s := e.serve(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		got <- seen{r.ContentLength, r.TransferEncoding, n}
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	for _, oneShot := range []bool{false, true} {
		src := &source{data: bytes.Repeat([]byte("w"), 5000), oneShot: oneShot}
		req := src.request(e, http.MethodPut)
		req.URL = mustParse(e, s.URL)
		if res := e.call(e.wrap(s.transport()), req); res.status() != http.StatusServiceUnavailable {
			e.errorf("got %v, want the server's 503", res)
		}
	}
	for range len(got) {
		if g := <-got; g.length != 5000 || len(g.encoding) > 0 || g.n != 5000 {
			e.errorf("the server saw Content-Length %d, Transfer-Encoding %q and %d bytes, want 5000, none and 5000", g.length, g.encoding, g.n)
		}
	}
}
