package httpxtest

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/prusik-go/prusik/errors"
)

func retryChecks() []Check {
	return family("retry",
		check("unsafe-status",
			"A POST or PATCH without a key is sent once where the answer is 408, 500, 502, 503 or 504", "", unsafeStatus),
		check("unsafe-error",
			"A POST or PATCH without a key is sent once where base's error does not say that it never left", "", unsafeError),
		both("unsafe-reset",
			"A POST without a key is sent once where the connection breaks after the server has read it", "", unsafeReset),
		both("unsafe-timeout",
			"A POST without a key is sent once where the answer does not come in time", "", unsafeTimeout),
		check("idempotent-status",
			"GET, HEAD, OPTIONS, PUT and DELETE are sent again on 503", retries, idempotentStatus),
		check("idempotent-error",
			"GET, HEAD, OPTIONS, PUT and DELETE are sent again where the connection broke", retries, idempotentError),
		check("keyed",
			"A POST with an Idempotency-Key is sent again on 503, with the same key", retriesKeyed, keyed),
		check("limit",
			"A request is never sent more than MaxAttempts times", "", limit),
		check("refused-for-good",
			"What the server refuses for good is sent once: 400, 401, 403, 404, 405, 410, 422", "", refusedForGood),
		check("same-request",
			"Every attempt has the caller's method, URL, host and headers", retries, sameRequest),
		check("certificate",
			"A certificate that cannot be verified is not tried again: one handshake, and the error names it", "", certificate),
		check("scheme",
			"A URL scheme that base does not speak is not tried again", "", scheme),
	)
}

func unsafeStatus(e *env) {
	for _, method := range []string{http.MethodPost, http.MethodPatch} {
		for _, code := range []int{408, 500, 502, 503, 504} {
			f := statuses(code, 200)
			src := &source{data: []byte("some content")}
			res := e.call(e.wrap(f), src.request(e, method))
			if f.n() != 1 || res.status() != code || string(res.body) != "answer 1" {
				e.errorf("%s and %d: sent %d times, got %v, want once and the %d", method, code, f.n(), res, code)
			}
		}
	}
}

// timeoutError is what http.Transport's own time limits look like.
type timeoutError struct{}

func (timeoutError) Error() string   { return "timeout awaiting response headers" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }

func unsafeError(e *env) {
	for _, method := range []string{http.MethodPost, http.MethodPatch} {
		for _, err := range []error{errReset(), io.ErrUnexpectedEOF, io.EOF, timeoutError{}, errors.New("something else")} {
			f := failing(err)
			src := &source{data: []byte("some content")}
			res := e.call(e.wrap(f), src.request(e, method))
			if f.n() != 1 || res.err == nil {
				e.errorf("%s and the error %q: sent %d times, got %v, want once and an error", method, err, f.n(), res)
			}
		}
	}
}

func unsafeReset(e *env) {
	s := e.serve(breakConn)
	src := &source{data: []byte("some content")}
	req := src.request(e, http.MethodPost)
	req.URL = mustParse(e, s.URL)
	res := e.call(e.wrap(s.transport()), req)
	if n := s.hits.Load(); n != 1 || res.err == nil {
		e.errorf("the server got it %d times, the caller got %v, want once and an error", n, res)
	}
}

func unsafeTimeout(e *env) {
	s := e.serve(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	tr := s.transport()
	tr.ResponseHeaderTimeout = 5 * pause
	src := &source{data: []byte("some content")}
	req := src.request(e, http.MethodPost)
	req.URL = mustParse(e, s.URL)
	res := e.await(e.later(e.wrap(tr), req), "base has a time limit for the answer")
	if n := s.hits.Load(); n > 1 || res.err == nil { // none where the server was too slow to see it
		e.errorf("the server got it %d times, the caller got %v, want once and an error", n, res)
	}
}

func idempotent() []string {
	return []string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete}
}

func idempotentStatus(e *env) {
	for _, method := range idempotent() {
		f := statuses(503, 200)
		res := e.call(e.wrap(f), e.request(method, anyURL))
		if f.n() != 2 || res.status() != 200 || string(res.body) != "answer 2" {
			e.errorf("%s: sent %d times, got %v, want 2 and the second answer", method, f.n(), res)
		}
	}
}

func idempotentError(e *env) {
	for _, method := range idempotent() {
		f := statuses(200)
		answer := f.answer
		f.answer = func(n int, r *http.Request) (*http.Response, error) {
			if n == 1 {
				return nil, errReset()
			}
			return answer(n, r)
		}
		res := e.call(e.wrap(f), e.request(method, anyURL))
		if f.n() != 2 || res.status() != 200 {
			e.errorf("%s: sent %d times, got %v, want 2 and a 200", method, f.n(), res)
		}
	}
}

func keyed(e *env) {
	f := statuses(503, 200)
	src := &source{data: []byte("some content")}
	req := src.request(e, http.MethodPost)
	req.Header.Set("Idempotency-Key", "order-1")
	res := e.call(e.wrap(f), req)
	if f.n() != 2 || res.status() != 200 {
		e.errorf("sent %d times, got %v, want 2 and a 200", f.n(), res)
	}
	for i, s := range f.sent() {
		if got := s.header.Get("Idempotency-Key"); got != "order-1" {
			e.errorf("attempt %d has the key %q, want the caller's", i+1, got)
		}
	}
}

func limit(e *env) {
	most := e.subject.attempts()
	bases := map[string]func() *fake{
		"a reset":        func() *fake { return failing(errReset()) },
		"a refused dial": func() *fake { return failing(errRefused()) },
	}
	for _, code := range []int{408, 429, 500, 502, 503, 504} {
		bases[fmt.Sprint("status ", code)] = func() *fake { return statuses(code) }
	}
	for name, base := range bases {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			f := base()
			e.call(e.wrap(f), e.request(method, anyURL))
			if n := f.n(); n == 0 || n > most {
				e.errorf("%s and %s for good: sent %d times, want 1 to %d", method, name, n, most)
			}
		}
	}
}

func refusedForGood(e *env) {
	for _, code := range []int{400, 401, 403, 404, 405, 410, 422} {
		f := statuses(code, 200)
		res := e.call(e.wrap(f), e.request(http.MethodGet, anyURL))
		if f.n() != 1 || res.status() != code {
			e.errorf("%d: sent %d times, got %v, want once and the %d", code, f.n(), res, code)
		}
	}
}

func sameRequest(e *env) {
	f := statuses(503)
	req := e.request(http.MethodGet, anyURL)
	req.Host = "other.test"
	req.Header = http.Header{"Authorization": {"Bearer abc"}, "Accept": {"text/plain", "text/html"}, "X-Empty": {""}}
	want := req.Header.Clone()
	e.call(e.wrap(f), req)
	if f.n() < 2 {
		e.errorf("sent %d times, want a retry of a GET on 503", f.n())
	}
	for i, s := range f.sent() {
		if s.method != http.MethodGet || s.url != anyURL || s.host != "other.test" || !sameHeader(s.header, want) {
			e.errorf("attempt %d: %s %s, Host %s, %v, want the caller's", i+1, s.method, s.url, s.host, s.header)
		}
	}
}

func certificate(e *env) {
	s := e.start(func(http.ResponseWriter, *http.Request) {}, true)
	tr := s.transport()
	tr.TLSClientConfig.RootCAs = nil // the server's certificate is nobody's
	res := e.call(e.wrap(tr), e.request(http.MethodGet, s.URL))
	if n := s.hellos.Load(); n != 1 {
		e.errorf("%d handshakes, want 1", n)
	}
	if _, ok := untrusted(res.err); !ok {
		e.errorf("got %v, want a *tls.CertificateVerificationError", res)
	}
}

// meter counts what a real base is asked.
type meter struct {
	http.RoundTripper

	n atomic.Int64
}

func (m *meter) RoundTrip(r *http.Request) (*http.Response, error) {
	m.n.Add(1)
	return m.RoundTripper.RoundTrip(r)
}

func scheme(e *env) {
	m := &meter{RoundTripper: &http.Transport{}}
	res := e.call(e.wrap(m), e.request(http.MethodGet, strings.Replace(anyURL, "http:", "gopher:", 1)))
	if n := m.n.Load(); n > 1 || res.err == nil {
		e.errorf("base was asked %d times, got %v, want at most once and an error", n, res)
	}
}
