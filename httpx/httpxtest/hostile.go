package httpxtest

import (
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing/iotest"

	"github.com/prusik-go/prusik/errors"
)

func hostileChecks() []Check {
	return family("hostile",
		check("nil-response",
			"A base that returns neither a response nor an error causes no panic, and an error in the end", "", nilResponse),
		check("nil-body",
			"A response without a body causes no panic", "", nilBody),
		check("nil-header",
			"A response without headers causes no panic", "", nilHeader),
		check("response-and-error",
			"A base that returns both a response and an error causes no panic, and an error in the end", "", responseAndError),
		check("well-formed",
			"The caller never gets a malformed answer: base's is repaired, or an error, and what is dropped is closed",
			checksBase, wellFormed),
		check("panic",
			"A panic of base's may go through, but leaves nothing locked: the next call works", "", basePanics),
		check("goexit",
			"A goroutine that ends in base (runtime.Goexit) leaves nothing locked: the next call works", "", baseExits),
		check("body-breaks",
			"A body that breaks gives what it had and then its error, and not the end of file", "", bodyBreaks),
		check("odd-reads",
			"A body may give data together with the end of file, byte by byte, or nothing at times: it arrives whole", "", oddReads),
	)
}

// throughClient makes the call as most do. http.Client turns some malformed answers into errors by itself.
func (e *env) throughClient(rt http.RoundTripper, req *http.Request) (res result) {
	defer func() {
		if p := recover(); p != nil {
			res.panic = p
		}
	}()
	client := &http.Client{Transport: quiet(rt)}
	res.resp, res.err = client.Do(req) //nolint:bodyclose // it is, below
	if res.resp != nil && res.resp.Body != nil {
		res.body, res.berr = io.ReadAll(res.resp.Body)
		_ = res.resp.Body.Close()
	}
	return res
}

// quiet drops the response beside an error, which http.Client would report to the standard logger.
func quiet(rt http.RoundTripper) http.RoundTripper {
	return roundTripFunc(func(r *http.Request) (*http.Response, error) {
		resp, err := rt.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		return resp, nil
	})
}

// hostile makes calls over a base that answers like this.
func (e *env) hostile(wantErr bool, answer func(f *fake, r *http.Request) (*http.Response, error)) {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		f := new(fake)
		f.answer = func(_ int, r *http.Request) (*http.Response, error) { return answer(f, r) }
		res := e.throughClient(e.wrap(f), e.request(method, anyURL))
		if res.panic != nil || (wantErr && res.err == nil) {
			e.errorf("%s: got %v", method, res)
		}
		if n := f.n(); n > e.subject.attempts() {
			e.errorf("%s: sent %d times, want at most %d", method, n, e.subject.attempts())
		}
	}
}

func nilResponse(e *env) {
	e.hostile(true, func(*fake, *http.Request) (*http.Response, error) { return nil, nil }) // the point
}

func nilBody(e *env) {
	for _, code := range []int{200, 204, 404, 503} {
		for _, length := range []int64{0, -1, 10} {
			e.hostile(false, func(f *fake, r *http.Request) (*http.Response, error) {
				return f.bodiless(r, code, length), nil
			})
		}
	}
}

func nilHeader(e *env) {
	for _, code := range []int{200, 404, 429, 503} {
		e.hostile(false, func(f *fake, r *http.Request) (*http.Response, error) {
			resp := f.respond(r, code, "content")
			resp.Header, resp.Request = nil, nil
			return resp, nil
		})
	}
}

func responseAndError(e *env) {
	for _, code := range []int{200, 404, 503} {
		e.hostile(true, func(f *fake, r *http.Request) (*http.Response, error) {
			return f.respond(r, code, "content"), errReset()
		})
		e.hostile(true, func(f *fake, r *http.Request) (*http.Response, error) {
			resp := f.bodiless(r, code, 0)
			resp.Header = nil
			return resp, errReset()
		})
	}
}

// malformed are the answers no base should give.
func malformed() map[string]func(f *fake, r *http.Request) (*http.Response, error) {
	return map[string]func(f *fake, r *http.Request) (*http.Response, error){
		"neither a response nor an error": func(*fake, *http.Request) (*http.Response, error) {
			return nil, nil // the point
		},
		"both a response and an error": func(f *fake, r *http.Request) (*http.Response, error) {
			return f.respond(r, 200, "content"), errReset()
		},
		"no body": func(f *fake, r *http.Request) (*http.Response, error) {
			return f.bodiless(r, 200, 10), nil
		},
		"no headers": func(f *fake, r *http.Request) (*http.Response, error) {
			resp := f.respond(r, 200, "content")
			resp.Header = nil
			return resp, nil
		},
	}
}

func wellFormed(e *env) {
	for name, answer := range malformed() { //nolint:bodyclose // e.call does
		f := new(fake)
		f.answer = func(_ int, r *http.Request) (*http.Response, error) { return answer(f, r) }
		res := e.call(e.wrap(f), e.request(http.MethodPost, anyURL))
		switch {
		case res.panic != nil, (res.resp == nil) == (res.err == nil):
			e.errorf("%s: got %v, a response: %v", name, res, res.resp != nil)
		case res.resp != nil && (res.resp.Body == nil || res.resp.Header == nil):
			e.errorf("%s: got a response without body or header", name)
		}
		for _, b := range f.answers() {
			if b.closes.Load() == 0 {
				e.errorf("%s: the response was dropped and not closed", name)
			}
		}
	}
}

// basePanics panics once with and once without a request body: a breaker that counts panics must not be open yet.
func basePanics(e *env) {
	e.once(func() { panic("base panics, as a check asks it to") })
}

func baseExits(e *env) {
	e.once(runtime.Goexit)
}

// once has base call f the first time.
func (e *env) once(f func()) {
	b := statuses(200)
	answer := b.answer
	b.answer = func(n int, r *http.Request) (*http.Response, error) {
		if n == 1 {
			f()
		}
		return answer(n, r)
	}
	rt := e.wrap(b)
	if !e.prompt(func() { e.call(rt, e.request(http.MethodPost, anyURL)) }) {
		e.fatalf("the call hangs")
	}
	if res := e.await(e.later(rt, e.request(http.MethodPost, anyURL)), "the call after it"); res.status() != 200 {
		e.errorf("the call after it got %v, want a 200", res)
	}
}

func bodyBreaks(e *env) {
	broken := errors.New("the line is dead")
	for _, code := range []int{200, 404, 500} {
		f := new(fake)
		f.answer = func(_ int, r *http.Request) (*http.Response, error) {
			resp := f.respond(r, code, "")
			resp.ContentLength = 100
			resp.Body = f.track(io.MultiReader(strings.NewReader("half of it"), iotest.ErrReader(broken)))
			return resp, nil
		}
		res := e.call(e.wrap(f), e.request(http.MethodPost, anyURL))
		if res.err != nil && errors.Is(res.err, broken) {
			continue // it looked at the body before it handed it on, and says so
		}
		if res.status() != code || string(res.body) != "half of it" || !errors.Is(res.berr, broken) {
			e.errorf("%d: got %v, want \"half of it\" and the error %q", code, res, broken)
		}
	}
}

func oddReads(e *env) {
	for name, odd := range map[string]func(io.Reader) io.Reader{
		"data with the end of file": iotest.DataErrReader,
		"byte by byte":              iotest.OneByteReader,
		"nothing at times":          func(r io.Reader) io.Reader { return &hesitant{r: r} },
	} {
		for _, code := range []int{200, 404, 500} {
			f := new(fake)
			f.answer = func(_ int, r *http.Request) (*http.Response, error) {
				resp := f.respond(r, code, "")
				resp.ContentLength, resp.Body = -1, f.track(odd(strings.NewReader("all of it")))
				return resp, nil
			}
			if res := e.call(e.wrap(f), e.request(http.MethodPost, anyURL)); string(res.body) != "all of it" || res.berr != nil {
				e.errorf("%s, %d: got %v, want \"all of it\"", name, code, res)
			}
		}
	}
}

// hesitant returns 0 and no error every other time, which io.Reader allows.
type hesitant struct {
	r io.Reader
	n int
}

func (h *hesitant) Read(p []byte) (int, error) {
	if h.n++; h.n%2 == 1 {
		return 0, nil
	}
	return h.r.Read(p)
}
