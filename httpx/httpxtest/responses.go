package httpxtest

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"reflect"
	"strconv"
	"strings"
	"sync"
)

func responseChecks() []Check {
	return family("responses",
		check("last-one",
			"A status is a response: after the last attempt the last response comes back, whole, without an error", "", lastOne),
		both("intact",
			"Status, headers, length and body arrive as base gave them", "", intact),
		both("streamed",
			"A body is handed on as it comes, not read up front, and can be read after RoundTrip has returned", "", streamed),
		both("trailers",
			"Trailers arrive, announced or not", "", trailers),
		check("upgrade",
			"The body of a 101 is an io.ReadWriteCloser that works both ways", "", upgrade),
		both("bodiless",
			"The answers to HEAD, and 204 and 304, keep their headers and have a body that is empty, not nil", "", bodiless),
		both("informational",
			"A 103 reaches the caller's httptrace, and Expect: 100-continue works", "", informational),
		both("close-twice",
			"Closing a body twice, or reading after Close, is harmless", "", closeTwice),
		check("encoding",
			"base's transparent gzip stays transparent, and a caller who asks for gzip gets it raw", "", encoding),
		check("request-set",
			"Response.Request is set, to the caller's URL and method", "", requestSet),
		check("redirect",
			"A redirect is a response, not followed", "", redirect),
	)
}

func lastOne(e *env) {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		for _, code := range []int{429, 500, 502, 503, 504} {
			sizes := []int{10, 32 << 10}
			if code == 503 && !e.subject.ClosesErrorBodies {
				sizes = append(sizes, 300<<10)
			}
			for _, size := range sizes {
				f := new(fake)
				content := func(n int) string { return fmt.Sprintf("%d:%s", n, strings.Repeat("e", size)) }
				f.answer = func(n int, r *http.Request) (*http.Response, error) {
					return f.respond(r, code, content(n), "X-Answer: "+strconv.Itoa(n), "X-Two: a", "X-Two: b"), nil
				}
				res := e.call(e.wrap(f), e.request(method, anyURL))
				where := fmt.Sprintf("%s and %d for good, %d bytes", method, code, size)
				if res.err != nil || res.berr != nil || res.status() != code {
					e.errorf("%s: got %v, want the last response", where, res)
					continue
				}
				last := f.n()
				if string(res.body) != content(last) {
					e.errorf("%s: got the body %s, want that of the last answer, %d", where, excerpt(res.body), last)
				}
				want := http.Header{"X-Answer": {strconv.Itoa(last)}, "X-Two": {"a", "b"}}
				if !sameHeader(res.resp.Header, want) {
					e.errorf("%s: got the headers %v, want %v among them", where, res.resp.Header, want)
				}
			}
		}
	}
}

// intact compares what comes through the subject with what comes straight from base.
func intact(e *env) {
	big := strings.Repeat("0123456789abcdef", 20<<10)
	s := e.serve(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Date", "Thu, 01 Jan 2026 00:00:00 GMT")
		h["X-Two"] = []string{"a", "b"}
		h.Set("Set-Cookie", "a=b")
		switch r.URL.Path {
		case "/big":
			_, _ = io.WriteString(w, big)
		case "/known":
			h.Set("Content-Length", "5")
			_, _ = io.WriteString(w, "known")
		case "/created":
			h.Set("Location", "/elsewhere")
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, "created")
		case "/empty":
		case "/missing":
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, "missing")
		case "/closing":
			h.Set("Connection", "close")
			_, _ = io.WriteString(w, "closing")
		}
	})
	plain, rt := s.transport(), e.wrap(s.transport())
	for _, path := range []string{"/big", "/known", "/created", "/empty", "/missing", "/closing"} {
		want, got := e.call(plain, e.request(http.MethodGet, s.URL+path)), e.call(rt, e.request(http.MethodGet, s.URL+path))
		if want.err != nil || want.berr != nil {
			e.fatalf("%s: without the subject, %v", path, want)
		}
		if got.err != nil || got.berr != nil || got.resp == nil {
			e.errorf("%s: got %v, want %v", path, got, want)
			continue
		}
		if !bytes.Equal(got.body, want.body) {
			e.errorf("%s: got the body %s, want %s", path, excerpt(got.body), excerpt(want.body))
		}
		compare := func(what string, got, want any) {
			if !reflect.DeepEqual(got, want) {
				e.errorf("%s: %s is %v, want %v", path, what, got, want)
			}
		}
		compare("Status", got.resp.Status, want.resp.Status)
		compare("Proto", got.resp.Proto, want.resp.Proto)
		compare("Header", got.resp.Header, want.resp.Header)
		compare("TLS != nil", got.resp.TLS != nil, want.resp.TLS != nil)
		if want.resp.StatusCode < http.StatusBadRequest { // an error's body may have been read, which makes its length known
			compare("ContentLength", got.resp.ContentLength, want.resp.ContentLength)
			compare("TransferEncoding", got.resp.TransferEncoding, want.resp.TransferEncoding)
			compare("Close", got.resp.Close, want.resp.Close)
			compare("Uncompressed", got.resp.Uncompressed, want.resp.Uncompressed)
		}
	}
}

func streamed(e *env) {
	release := make(chan struct{})
	s := e.serve(func(w http.ResponseWriter, r *http.Request) {
		drip(w, "first")
		select {
		case <-release:
			drip(w, "second")
		case <-r.Context().Done():
		case <-e.over:
		}
	})
	var res result
	if !e.prompt(func() { res = e.send(e.wrap(s.transport()), e.request(http.MethodGet, s.URL)) }) {
		e.fatalf("RoundTrip waits for the end of the body")
	}
	if res.err != nil || res.resp == nil {
		e.fatalf("got %v, want a response", res)
	}
	defer discard(res.resp.Body)
	buf := make([]byte, len("first"))
	var err error
	if !e.prompt(func() { _, err = io.ReadFull(res.resp.Body, buf) }) {
		e.fatalf("the first bytes of the body do not arrive before its end")
	}
	if err != nil || string(buf) != "first" {
		e.fatalf("read %q and the error %v, want \"first\"", buf, err)
	}
	close(release)
	if rest, err := io.ReadAll(res.resp.Body); err != nil || string(rest) != "second" {
		e.errorf("then read %q and the error %v, want \"second\"", rest, err)
	}
}

func trailers(e *env) {
	s := e.serve(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/announced" {
			w.Header().Set("Trailer", "X-Sum")
			drip(w, "content")
			w.Header().Set("X-Sum", "1")
			return
		}
		drip(w, "content")
		w.Header().Set(http.TrailerPrefix+"X-Sum", "1")
	})
	rt := e.wrap(s.transport())
	for _, path := range []string{"/announced", "/sudden"} {
		res := e.send(rt, e.request(http.MethodGet, s.URL+path))
		if res.err != nil || res.resp == nil {
			e.fatalf("%s: got %v, want a response", path, res)
		}
		if _, ok := res.resp.Trailer["X-Sum"]; ok != (path == "/announced") {
			e.errorf("%s: before the body is read Trailer is %v", path, res.resp.Trailer)
		}
		if _, err := io.ReadAll(res.resp.Body); err != nil {
			e.errorf("%s: reading the body: %w", path, err)
		}
		_ = res.resp.Body.Close()
		if got := res.resp.Trailer.Get("X-Sum"); got != "1" {
			e.errorf("%s: after the body Trailer is %v, want X-Sum 1", path, res.resp.Trailer)
		}
	}
}

func upgrade(e *env) {
	s := e.serve(func(w http.ResponseWriter, _ *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer discard(c)
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_ = rw.Flush()
		_, _ = io.Copy(c, rw)
	})
	req := e.request(http.MethodGet, s.URL)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	res := e.send(e.wrap(s.transport()), req)
	if res.err != nil || res.status() != http.StatusSwitchingProtocols {
		e.fatalf("got %v, want a 101", res)
	}
	defer discard(res.resp.Body)
	rw, ok := res.resp.Body.(io.ReadWriteCloser)
	if !ok {
		e.fatalf("the body is a %T, want an io.ReadWriteCloser", res.resp.Body)
	}
	for _, line := range []string{"hello", "again"} {
		buf := make([]byte, len(line))
		var err error
		if !e.prompt(func() {
			if _, err = io.WriteString(rw, line); err == nil {
				_, err = io.ReadFull(rw, buf)
			}
		}) {
			e.fatalf("no echo of %q", line)
		}
		if err != nil || string(buf) != line {
			e.fatalf("wrote %q, read %q and the error %v", line, buf, err)
		}
	}
}

func bodiless(e *env) {
	s := e.serve(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Kept", "yes")
		switch {
		case r.Method == http.MethodHead:
			w.Header().Set("Content-Length", "1234")
			if r.URL.Path == "/missing" {
				w.WriteHeader(http.StatusNotFound)
			}
		case r.URL.Path == "/204":
			w.WriteHeader(http.StatusNoContent)
		default:
			w.WriteHeader(http.StatusNotModified)
		}
	})
	rt := e.wrap(s.transport())
	for _, c := range []struct {
		method, path string
		status       int
		length       int64
	}{
		{http.MethodHead, "/", 200, 1234},
		{http.MethodHead, "/missing", 404, 1234},
		{http.MethodGet, "/204", 204, 0},
		{http.MethodPost, "/204", 204, 0},
		{http.MethodGet, "/304", 304, -1},
	} {
		res := e.call(rt, e.request(c.method, s.URL+c.path))
		where := c.method + " " + c.path
		if res.err != nil || res.berr != nil || res.status() != c.status {
			e.errorf("%s: got %v, want status %d", where, res, c.status)
			continue
		}
		if res.resp.Body == nil || len(res.body) > 0 {
			e.errorf("%s: the body is %v with %d bytes, want an empty one", where, res.resp.Body, len(res.body))
		}
		if res.resp.Header.Get("X-Kept") != "yes" || (c.length >= 0 && res.resp.ContentLength != c.length) {
			e.errorf("%s: ContentLength %d and headers %v, want %d and X-Kept", where, res.resp.ContentLength, res.resp.Header, c.length)
		}
	}
}

func informational(e *env) {
	s := e.serve(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Del("Link")
		}
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
	})
	var (
		mu    sync.Mutex
		codes = map[int]string{}
	)
	ctx := httptrace.WithClientTrace(e.ctx, &httptrace.ClientTrace{
		Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
			mu.Lock()
			defer mu.Unlock()
			codes[code] = header.Get("Link")
			return nil
		},
	})
	tr := s.transport()
	tr.ExpectContinueTimeout = e.patience
	rt := e.wrap(tr)
	if res := e.call(rt, e.request(http.MethodGet, s.URL).WithContext(ctx)); res.status() != 200 {
		e.errorf("got %v, want the 200 after the 103", res)
	}
	src := &source{data: []byte("expected")}
	req := src.request(e, http.MethodPost).WithContext(ctx)
	req.URL = mustParse(e, s.URL)
	req.Header.Set("Expect", "100-continue")
	if res := e.call(rt, req); res.status() != 200 || string(res.body) != "expected" || res.took >= e.patience {
		e.errorf("Expect: 100-continue: got %v after %v, want a 200 with the body that was sent", res, res.took)
	}
	mu.Lock()
	defer mu.Unlock()
	if codes[http.StatusEarlyHints] != "</style.css>; rel=preload" {
		e.errorf("the trace saw the informational responses %v, want a 103 with a Link", codes)
	}
	if _, ok := codes[http.StatusContinue]; !ok {
		e.errorf("the trace saw the informational responses %v, want a 100", codes)
	}
}

func closeTwice(e *env) {
	s := e.serve(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/missing" {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = io.WriteString(w, "content")
	})
	rt := e.wrap(s.transport())
	for _, path := range []string{"/", "/missing"} {
		for _, read := range []bool{true, false} {
			res := e.send(rt, e.request(http.MethodGet, s.URL+path))
			if res.err != nil || res.resp == nil {
				e.errorf("%s: got %v, want a response", path, res)
				continue
			}
			if read {
				_, _ = io.ReadAll(res.resp.Body)
			}
			_ = res.resp.Body.Close()
			_ = res.resp.Body.Close()
			if n, err := res.resp.Body.Read(make([]byte, 1)); err == nil {
				e.errorf("%s: a read after Close gave %d bytes and no error", path, n)
			}
			_ = res.resp.Body.Close()
		}
	}
}

func encoding(e *env) {
	s := e.serve(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			_, _ = io.WriteString(w, "plain")
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, "zipped")
		_ = z.Close()
	})
	rt := e.wrap(s.transport())
	res := e.call(rt, e.request(http.MethodGet, s.URL))
	switch {
	case res.err != nil || res.resp == nil || string(res.body) != "zipped":
		e.errorf("transparent: got %v, want the plain text of the gzip", res)
	case !res.resp.Uncompressed || res.resp.Header.Get("Content-Encoding") != "" || res.resp.ContentLength != -1:
		e.errorf("transparent: Uncompressed %v, Content-Encoding %q, ContentLength %d, want true, none and -1",
			res.resp.Uncompressed, res.resp.Header.Get("Content-Encoding"), res.resp.ContentLength)
	}

	req := e.request(http.MethodGet, s.URL)
	req.Header.Set("Accept-Encoding", "gzip")
	res = e.call(rt, req)
	if res.err != nil || res.resp == nil || res.resp.Uncompressed || res.resp.Header.Get("Content-Encoding") != "gzip" {
		e.fatalf("asked for gzip: got %v, want it raw, with its Content-Encoding", res)
	}
	z, err := gzip.NewReader(bytes.NewReader(res.body))
	if err != nil {
		e.fatalf("asked for gzip: %w", err)
	}
	if text, err := io.ReadAll(z); err != nil || string(text) != "zipped" {
		e.errorf("asked for gzip: it unzips to %q and the error %v", text, err)
	}
}

func requestSet(e *env) {
	for _, f := range []*fake{statuses(200), statuses(503, 200), statuses(404)} {
		req := e.request(http.MethodGet, anyURL)
		res := e.call(e.wrap(f), req)
		if res.err != nil || res.resp == nil {
			e.errorf("got %v, want a response", res)
			continue
		}
		if r := res.resp.Request; r == nil || r.Method != req.Method || r.URL == nil || r.URL.String() != anyURL {
			e.errorf("status %d: Response.Request is %v, want the caller's URL and method", res.status(), r)
		}
	}
}

func redirect(e *env) {
	s := e.serve(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}
	})
	res := e.call(e.wrap(s.transport()), e.request(http.MethodGet, s.URL+"/"))
	if n := s.hits.Load(); n != 1 || res.status() != http.StatusFound || res.resp.Header.Get("Location") != "/elsewhere" {
		e.errorf("the server got %d requests, the caller %v, want one and the 302", n, res)
	}
}
