package httpxtest_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx/httpxtest"
)

// mutant is a broken decorator, and the checks that must find it. Either the reference has a bug, or a broken decorator
// is put around it (outer) or under it (inner).
type mutant struct {
	name         string
	bug          bug
	outer, inner decorate
	hides        bool // the reference's methods beside RoundTrip
	// fails are the checks that fail; "x/*" stands for x/h1 and x/h2.
	fails []string
	// mayFail are checks that fail at times, by the timing of the network.
	mayFail []string
}

type decorate func(next http.RoundTripper, r *http.Request) (*http.Response, error)

// decorator makes a decorate a transport.
type decorator struct {
	next http.RoundTripper
	f    decorate
}

func (d *decorator) RoundTrip(r *http.Request) (*http.Response, error) { return d.f(d.next, r) }

func (d *decorator) CloseIdleConnections() {
	if c, ok := d.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func (m mutant) subject() httpxtest.Subject {
	s := reference(m.bug)
	around := func(wrap func(http.RoundTripper) (http.RoundTripper, error)) func(http.RoundTripper) (http.RoundTripper, error) {
		return func(base http.RoundTripper) (http.RoundTripper, error) {
			if m.inner != nil {
				base = &decorator{base, m.inner}
			}
			rt, err := wrap(base)
			if m.hides && err == nil {
				rt = struct{ http.RoundTripper }{rt}
			}
			if m.outer != nil && err == nil {
				rt = &decorator{rt, m.outer}
			}
			return rt, err
		}
	}
	s.Wrap, s.Refusing = around(s.Wrap), around(s.Refusing)
	return s
}

// onResponse changes responses.
func onResponse(f func(r *http.Request, resp *http.Response) *http.Response) decorate {
	return func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		return f(r, resp), nil
	}
}

// onError changes errors.
func onError(f func(error) error) decorate {
	return func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(r)
		if err != nil {
			return nil, f(err)
		}
		return resp, nil
	}
}

// onRequest changes the request, on a copy.
func onRequest(f func(r *http.Request)) decorate {
	return func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		f(r)
		return next.RoundTrip(r)
	}
}

// body is a response body with some of its methods replaced.
type body struct {
	io.ReadCloser

	read  func([]byte) (int, error)
	close func() error
}

func (b *body) Read(p []byte) (int, error) {
	if b.read != nil {
		return b.read(p)
	}
	return b.ReadCloser.Read(p)
}

func (b *body) Close() error {
	if b.close != nil {
		return b.close()
	}
	return b.ReadCloser.Close()
}

func rebody(f func(*body)) decorate {
	return onResponse(func(_ *http.Request, resp *http.Response) *http.Response {
		if resp.Body == nil || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp
		}
		b := &body{ReadCloser: resp.Body}
		f(b)
		resp.Body = b
		return resp
	})
}

func mutants() []mutant {
	return []mutant{
		// Bodies.
		{bug: closesBodyAfterAttempt, fails: []string{"body/closed-asynchronously", "body/closed-once", "body/getbody-fails", "body/one-shot"}},
		{bug: leavesBodyOnRefusal, fails: []string{"body/closed-when-refused"}},
		{bug: leavesBodyOnDone, fails: []string{"body/closed-on-failure/*", "body/closed-once"}},
		{bug: replaysDrained, fails: []string{"body/closed-asynchronously", "body/closed-once", "body/getbody-fails", "body/length/*", "body/one-shot", "body/one-shot-replayed", "body/rewound-by-getbody", "body/same-on-each-attempt", "concurrency/own-response/*", "errors/not-replayable"}},
		{bug: buffersRewindable, fails: []string{"body/getbody-fails", "body/rewindable-not-copied", "body/rewound-by-getbody", "body/same-on-each-attempt"}},
		{bug: ignoresGetBodyError, fails: []string{"body/getbody-fails"}},
		{bug: replaysOneShotEmpty, fails: []string{"body/length/*", "body/one-shot", "body/one-shot-replayed", "errors/not-replayable"}},
		{bug: buffersNothing, fails: []string{"body/one-shot-replayed"}},
		{bug: buffersAll, fails: []string{"body/one-shot-replayed", "errors/not-replayable"}},
		{bug: buffersInline, fails: []string{"context/canceled-in-one-shot"}},
		{name: "keeps base from closing the body", fails: []string{"body/closed-asynchronously", "body/closed-on-failure/*", "body/closed-once", "body/getbody-fails", "body/one-shot"}, inner: onRequest(func(r *http.Request) {
			if r.Body != nil && r.Body != http.NoBody {
				r.Body = io.NopCloser(r.Body)
			}
		})},
		{name: "adds a header to the caller's request", fails: []string{"body/request-untouched"}, outer: func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
			if r.Header != nil {
				r.Header.Set("X-Added", "1")
			}
			return next.RoundTrip(r)
		}},
		{name: "writes to nil headers", fails: []string{"body/request-untouched"}, outer: func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
			r = r.Clone(r.Context())
			r.Header.Set("X-Added", "1")
			return next.RoundTrip(r)
		}},
		{name: "appends to a header's values in place", fails: []string{"body/request-untouched"}, outer: func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
			c := *r
			c.Header = maps.Clone(r.Header)
			for k, v := range c.Header {
				c.Header[k] = append(v, "more")
				c.Header[k] = v
			}
			return next.RoundTrip(&c)
		}},
		{name: "replaces the caller's body", fails: []string{"body/request-untouched"}, outer: func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
			if r.Body != nil && r.Body != http.NoBody {
				r.Body = &body{ReadCloser: r.Body}
			}
			return next.RoundTrip(r)
		}},
		{name: "tees the body", fails: []string{"body/rewindable-not-copied"}, outer: onRequest(func(r *http.Request) {
			if r.Body != nil && r.Body != http.NoBody {
				r.Body = &body{ReadCloser: r.Body, read: io.TeeReader(r.Body, new(bytes.Buffer)).Read}
			}
		})},
		{name: "gives nil a body", fails: []string{"body/none"}, outer: onRequest(func(r *http.Request) {
			if r.Body == nil || r.Body == http.NoBody {
				r.Body = io.NopCloser(strings.NewReader(""))
			}
		})},
		{name: "loses the length", fails: []string{"body/length/*", "body/one-shot", "body/same-on-each-attempt"}, outer: onRequest(func(r *http.Request) {
			if r.ContentLength > 0 {
				r.ContentLength = -1
			}
		})},

		// Retries.
		{bug: retriesUnsafe, fails: []string{"errors/unsafe/*", "retry/unsafe-error", "retry/unsafe-reset/*", "retry/unsafe-status", "retry/unsafe-timeout/*"}},
		{bug: retriesUnsafeStatus, fails: []string{"retry/unsafe-status"}},
		{bug: retriesUnsafeTimeout, fails: []string{"retry/unsafe-error", "retry/unsafe-timeout/*"}},
		{bug: retriesGetOnly, fails: []string{"body/one-shot-replayed", "body/rewound-by-getbody", "body/same-on-each-attempt", "concurrency/own-response/*", "errors/not-replayable", "retry/idempotent-error", "retry/idempotent-status"}},
		{bug: retriesStatusOnly, fails: []string{"errors/exhausted", "errors/not-replayable", "errors/unsafe/*", "retry/idempotent-error"}},
		{bug: ignoresKey, fails: []string{"retry/keyed"}},
		{bug: oneTooMany, fails: []string{"hostile/nil-body", "hostile/nil-header", "hostile/response-and-error", "retry/limit"}},
		{bug: retriesRefusals, fails: []string{"retry/refused-for-good", "retry/unsafe-status"}},
		{bug: retriesCertificates, fails: []string{"errors/certificate", "retry/certificate"}},
		{bug: retriesSchemes, fails: []string{"errors/scheme", "retry/scheme"}},
		{bug: losesHeaders, fails: []string{"concurrency/own-response/*", "retry/keyed", "retry/same-request"}},

		// Responses.
		{bug: errorForLast, fails: []string{"body/length/*", "responses/last-one"}},
		{bug: returnsFirst, fails: []string{"leaks/connections/h1", "leaks/drain-bounded", "responses/last-one", "retry/idempotent-status"}},
		{name: "keeps one value of each header", fails: []string{"responses/intact/*", "responses/last-one"}, outer: onResponse(func(_ *http.Request, resp *http.Response) *http.Response {
			for k, v := range resp.Header {
				resp.Header[k] = v[:1]
			}
			return resp
		})},
		{name: "reads bodies up front", fails: []string{"context/canceled-in-body/*", "responses/close-twice/*", "responses/streamed/*", "responses/trailers/*"}, outer: onResponse(func(_ *http.Request, resp *http.Response) *http.Response {
			if resp.StatusCode != http.StatusSwitchingProtocols {
				b, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(b), &failing{err}))
			}
			return resp
		})},
		{
			name: "ends the attempt's context on return", fails: []string{"responses/streamed/*"},
			mayFail: []string{"leaks/connections/*", "responses/intact/*", "responses/trailers/*", "responses/encoding", "concurrency/own-response/*"}, inner: func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
				ctx, cancel := context.WithCancel(r.Context())
				defer cancel()
				return next.RoundTrip(r.WithContext(ctx))
			},
		},
		{name: "copies the response", fails: []string{"responses/trailers/*"}, outer: onResponse(func(_ *http.Request, resp *http.Response) *http.Response {
			c := *resp
			return &c
		})},
		{name: "wraps every body", fails: []string{"responses/upgrade"}, outer: onResponse(func(_ *http.Request, resp *http.Response) *http.Response {
			resp.Body = struct{ io.ReadCloser }{resp.Body}
			return resp
		})},
		{name: "leaves no body where it is empty", fails: []string{"responses/bodiless/*", "responses/upgrade", "retry/idempotent-status"}, outer: onResponse(func(r *http.Request, resp *http.Response) *http.Response {
			if r.Method == http.MethodHead || resp.ContentLength == 0 {
				_ = resp.Body.Close()
				resp.Body = nil
			}
			return resp
		})},
		{name: "loses the context's values", fails: []string{"context/values", "responses/informational/*"}, inner: func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
			return next.RoundTrip(r.WithContext(valueless{r.Context()}))
		}},
		{name: "panics on the second Close", fails: []string{"responses/close-twice/*"}, outer: rebody(func(b *body) {
			done := make(chan struct{})
			b.close = func() error { close(done); return b.ReadCloser.Close() }
		})},
		{name: "asks for gzip itself", fails: []string{"responses/encoding"}, inner: onRequest(func(r *http.Request) {
			if r.Header != nil {
				r.Header.Set("Accept-Encoding", "gzip")
			}
		})},
		{name: "forgets Response.Request", fails: []string{"responses/request-set"}, outer: onResponse(func(_ *http.Request, resp *http.Response) *http.Response {
			resp.Request = nil
			return resp
		})},
		{name: "follows redirects", fails: []string{"responses/redirect"}, outer: func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			if err != nil || resp.StatusCode != http.StatusFound {
				return resp, err
			}
			_ = resp.Body.Close()
			to, err := resp.Location()
			if err != nil {
				return nil, err
			}
			r = r.Clone(r.Context())
			r.URL = to
			return next.RoundTrip(r)
		}},

		// Leaks and concurrency.
		{name: "hides CloseIdleConnections", hides: true, fails: []string{"leaks/close-idle"}},
		{bug: dropsUnclosed, fails: []string{"leaks/connections/*", "leaks/dropped-bodies"}},
		{bug: dropsUndrained, fails: []string{"leaks/connections/h1"}},
		{bug: drainsAll, fails: []string{"leaks/drain-bounded"}},
		{bug: leavesErrorBodies, fails: []string{"leaks/unclosed-error-body/*"}},
		{name: "keeps Close from base", fails: []string{"hostile/well-formed", "leaks/dropped-bodies", "leaks/goroutines", "responses/close-twice/*"}, outer: rebody(func(b *body) { b.close = func() error { return nil } })},
		{name: "watches the context for ever", fails: []string{"leaks/goroutines"}, outer: func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
			go func() { <-r.Context().Done() }()
			return next.RoundTrip(r)
		}},
		{name: "mixes up concurrent responses", fails: []string{"concurrency/own-response/*"}, outer: (&mixer{c: make(chan *http.Response)}).roundTrip},

		// Contexts.
		{
			name: "detaches the context", fails: []string{"body/closed-on-failure/*", "context/canceled-awaiting-headers/*", "context/canceled-in-body/*", "context/canceled-in-dial", "context/canceled-in-write/*", "context/cause", "context/deadline/*", "errors/canceled", "errors/deadline"},
			mayFail: []string{"body/closed-once", "body/request-untouched", "errors/no-secrets", "leaks/dropped-bodies", "leaks/goroutines"},
			inner: func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
				ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 4*mutantTime) // or the test would hang
				resp, err := next.RoundTrip(r.WithContext(ctx))
				if err != nil {
					cancel()
					return resp, err
				}
				context.AfterFunc(ctx, cancel)
				return resp, nil
			},
		},
		{name: "lets go of the context on return", fails: []string{"context/canceled-in-body/*"}, inner: func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
			ctx, cancel := context.WithCancelCause(context.WithoutCancel(r.Context()))
			defer context.AfterFunc(r.Context(), func() { cancel(context.Cause(r.Context())) })()
			return next.RoundTrip(r.WithContext(ctx))
		}},
		{name: "rewords errors", fails: []string{"context/canceled-awaiting-headers/*", "context/canceled-before", "context/canceled-in-backoff", "context/canceled-in-dial", "context/canceled-in-one-shot", "context/canceled-in-write/*", "context/cause", "context/deadline/*", "errors/canceled", "errors/certificate", "errors/deadline", "errors/dial", "errors/exhausted", "errors/malformed", "errors/no-secrets", "errors/not-replayable", "errors/refused", "errors/scheme", "errors/unsafe/*", "retry/certificate"}, outer: onError(func(err error) error { return fmt.Errorf("failed: %v", err) })}, //nolint:errorlint // the point
		{name: "rewords the errors of bodies", fails: []string{"context/canceled-in-body/*", "hostile/body-breaks"}, outer: rebody(func(b *body) {
			b.read = func(p []byte) (int, error) {
				n, err := b.ReadCloser.Read(p)
				if err != nil && err != io.EOF { //nolint:errorlint // as io.ReadAll does
					err = errors.New("reading failed")
				}
				return n, err
			}
		})},
		{
			name: "revives a context that is done", fails: []string{"body/closed-on-failure/*", "context/canceled-before", "context/cause", "errors/canceled"},
			mayFail: []string{"context/deadline/*", "errors/deadline", "errors/no-secrets"}, outer: func(next http.RoundTripper, r *http.Request) (*http.Response, error) {
				if r.Context().Err() != nil {
					r = r.WithContext(context.WithoutCancel(r.Context()))
				}
				return next.RoundTrip(r)
			},
		},
		{bug: sleepsThrough, fails: []string{"context/canceled-in-backoff"}},
		{bug: sendsAfterCancel, fails: []string{"body/closed-on-failure/*", "body/closed-once", "body/request-untouched", "context/canceled-awaiting-headers/*", "context/canceled-in-backoff", "context/canceled-in-body/*", "context/canceled-in-dial", "context/canceled-in-write/*", "context/cause", "context/deadline/*", "errors/canceled", "errors/deadline", "errors/no-secrets", "leaks/dropped-bodies", "leaks/goroutines"}},
		{bug: forgetsCause, fails: []string{"context/cause"}},

		// Bases that misbehave.
		{bug: trustsBase, fails: []string{"errors/malformed", "hostile/nil-body", "hostile/nil-response", "hostile/well-formed"}},
		{bug: trustsNilHeader, fails: []string{"hostile/nil-header", "hostile/well-formed", "responses/intact/*"}},
		{bug: trustsNilBody, fails: []string{"errors/malformed", "hostile/nil-body", "hostile/well-formed", "responses/upgrade"}},
		{bug: prefersResponse, fails: []string{"hostile/response-and-error"}},
		{bug: dropsBesideError, fails: []string{"hostile/well-formed"}},
		{bug: locksWithoutDefer, fails: []string{"hostile/goexit", "hostile/panic"}},
		{bug: recoversOnly, fails: []string{"hostile/goexit"}},
		{bug: swallowsBodyErrors, fails: []string{"hostile/body-breaks"}},
		{name: "takes nothing for the end", fails: []string{"hostile/odd-reads"}, outer: rebody(func(b *body) {
			b.read = func(p []byte) (int, error) {
				n, err := b.ReadCloser.Read(p)
				if n == 0 && err == nil {
					err = io.EOF
				}
				return n, err
			}
		})},
		{
			name: "loses what comes with the end", fails: []string{"hostile/odd-reads", "responses/intact/h1"},
			mayFail: []string{"concurrency/own-response/*", "responses/encoding", "responses/informational/*", "responses/intact/h2", "responses/streamed/*"}, outer: rebody(func(b *body) {
				b.read = func(p []byte) (int, error) {
					n, err := b.ReadCloser.Read(p)
					if err != nil {
						n = 0
					}
					return n, err
				}
			}),
		},

		// Errors.
		{bug: plainErrors, fails: []string{"errors/canceled", "errors/certificate", "errors/deadline", "errors/dial", "errors/exhausted", "errors/malformed", "errors/no-secrets", "errors/not-replayable", "errors/refused", "errors/scheme", "errors/unsafe/*"}},
		{bug: alwaysUnknown, fails: []string{"errors/canceled", "errors/certificate", "errors/dial", "errors/refused", "errors/scheme"}},
		{bug: neverUnknown, fails: []string{"errors/canceled", "errors/deadline", "errors/exhausted", "errors/malformed", "errors/not-replayable", "errors/unsafe/*"}},
		{bug: alwaysExhausted, fails: []string{"errors/canceled", "errors/certificate", "errors/not-replayable", "errors/scheme", "errors/unsafe/*"}},
		{bug: noAttempts, fails: []string{"errors/exhausted"}},
		{bug: namesURL, fails: []string{"errors/no-secrets"}},
		{bug: internalKind, fails: []string{"errors/canceled", "errors/deadline", "errors/malformed", "errors/refused"}},
	}
}

// failing is a reader that gives an error, or the end of file for nil.
type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) {
	if f.err == nil {
		return 0, io.EOF
	}
	return 0, f.err
}

// valueless is a context that has lost its values.
type valueless struct{ context.Context }

func (valueless) Value(any) any { return nil }

// mixer gives two concurrent callers each other's response.
type mixer struct{ c chan *http.Response }

func (m *mixer) roundTrip(next http.RoundTripper, r *http.Request) (*http.Response, error) {
	resp, err := next.RoundTrip(r)
	if err != nil || r.Header.Get("X-Id") == "" {
		return resp, err
	}
	t := time.NewTimer(time.Millisecond)
	defer t.Stop()
	select {
	case m.c <- resp:
		return <-m.c, nil
	case other := <-m.c:
		m.c <- resp
		return other, nil
	case <-t.C:
		return resp, nil
	}
}

// mutantTime bounds a check of a mutant, many of which hang or leak.
const mutantTime = 3 * time.Second

// failures runs all checks over a subject. HTTP/2 costs a handshake each time: it is tried where want has it, and where
// the same check has failed over HTTP/1.1.
func failures(t *testing.T, s httpxtest.Subject, want []string) map[string]error {
	t.Helper()
	var (
		mu    sync.Mutex
		found = map[string]error{}
		wg    sync.WaitGroup
		slots = make(chan struct{}, 4)
	)
	run := func(c httpxtest.Check) {
		slots <- struct{}{}
		defer func() { <-slots }()
		if err := c.RunWithin(t.Context(), s, mutantTime); err != nil && !errors.Is(err, httpxtest.ErrSkipped) {
			mu.Lock()
			defer mu.Unlock()
			found[c.Name] = err
		}
	}
	var second []httpxtest.Check
	for _, c := range httpxtest.Checks() {
		if strings.HasSuffix(c.Name, "/h2") && !slices.Contains(want, c.Name) {
			second = append(second, c)
			continue
		}
		wg.Go(func() { run(c) })
	}
	wg.Wait()
	for _, c := range second {
		if found[strings.TrimSuffix(c.Name, "2")+"1"] != nil {
			wg.Go(func() { run(c) })
		}
	}
	wg.Wait()
	return found
}

func expand(names []string) []string {
	var all []string
	for _, n := range names {
		if stem, ok := strings.CutSuffix(n, "/*"); ok {
			all = append(all, stem+"/h1", stem+"/h2")
			continue
		}
		all = append(all, n)
	}
	slices.Sort(all)
	return all
}

func TestMutants(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("all checks over all mutants take a minute")
	}
	for _, m := range mutants() {
		name := m.name
		if name == "" {
			name = string(m.bug)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := expand(m.fails)
			got := failures(t, m.subject(), want)
			for _, n := range want {
				if got[n] == nil {
					t.Errorf("%s does not fail", n)
				}
			}
			may := expand(m.mayFail)
			for n, err := range got {
				if !slices.Contains(want, n) && !slices.Contains(may, n) {
					t.Errorf("%s fails: %v", n, err)
				}
			}
			t.Logf("FAILS %q", slices.Sorted(maps.Keys(got)))
		})
	}
}

// A check that no broken decorator fails would be no check.
func TestEveryCheckFindsAMutant(t *testing.T) {
	t.Parallel()
	var found []string
	for _, m := range mutants() {
		found = append(found, expand(m.fails)...)
	}
	for _, c := range httpxtest.Checks() {
		require.Contains(t, found, c.Name)
	}
}
