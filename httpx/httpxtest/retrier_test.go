package httpxtest_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx/httpxtest"
)

// bug is a defect the reference retrier can be given. The zero value is none.
type bug string

const (
	closesBodyAfterAttempt bug = "closes the body after each attempt"
	leavesBodyOnRefusal    bug = "leaves the body open when it refuses"
	leavesBodyOnDone       bug = "leaves the body open when the context is done"
	replaysDrained         bug = "sends the drained body again"
	buffersRewindable      bug = "buffers a body that has GetBody"
	ignoresGetBodyError    bug = "ignores GetBody's error"
	replaysOneShotEmpty    bug = "sends a one-shot body again, empty"
	buffersNothing         bug = "buffers nothing though it says so"
	buffersAll             bug = "buffers bodies of any size"
	buffersInline          bug = "buffers without an eye on the context"
	retriesUnsafe          bug = "retries POST on everything"
	retriesUnsafeStatus    bug = "retries POST on 503"
	retriesUnsafeTimeout   bug = "retries POST on timeouts"
	retriesGetOnly         bug = "retries GET only"
	retriesStatusOnly      bug = "retries statuses only"
	ignoresKey             bug = "ignores the idempotency key"
	oneTooMany             bug = "makes one attempt too many"
	retriesRefusals        bug = "retries every 4xx"
	retriesCertificates    bug = "retries certificate errors"
	retriesSchemes         bug = "retries unsupported schemes"
	losesHeaders           bug = "loses the headers in a retry"
	errorForLast           bug = "makes an error of the last response"
	returnsFirst           bug = "returns the first response in place of the last"
	dropsUnclosed          bug = "drops responses without closing them"
	dropsUndrained         bug = "drops responses without draining them"
	drainsAll              bug = "drains responses without bound"
	leavesErrorBodies      bug = "leaves error bodies on the wire"
	swallowsBodyErrors     bug = "swallows the error of an error body"
	sleepsThrough          bug = "sleeps without an eye on the context"
	sendsAfterCancel       bug = "sends again after a cancel"
	forgetsCause           bug = "forgets the cause"
	trustsBase             bug = "trusts base"
	trustsNilHeader        bug = "writes into base's headers"
	trustsNilBody          bug = "closes base's body unseen"
	prefersResponse        bug = "prefers the response to the error"
	dropsBesideError       bug = "leaves the response beside an error open"
	locksWithoutDefer      bug = "holds a lock over base, without defer"
	recoversOnly           bug = "releases its lock on panics only"
	plainErrors            bug = "returns plain errors"
	alwaysUnknown          bug = "says unknown always"
	neverUnknown           bug = "says not_sent always"
	alwaysExhausted        bug = "says exhausted always"
	noAttempts             bug = "lists no attempts"
	namesURL               bug = "names the URL in its errors"
	internalKind           bug = "says internal always"
)

const (
	replayLimit  = 64 << 10
	captureLimit = 64 << 10
	backoff      = time.Millisecond
)

// retrier is a small decorator that keeps every rule, but for its bug.
type retrier struct {
	base   http.RoundTripper
	max    int
	prusik bool
	open   bool // refuses everything
	bug    bug

	lock chan struct{} // for the bugs about locks; it holds one
}

func (r *retrier) has(bugs ...bug) bool { return slices.Contains(bugs, r.bug) }

func (r *retrier) CloseIdleConnections() {
	if c, ok := r.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// call is the state of one RoundTrip.
type call struct {
	*retrier

	req      *http.Request
	safe     bool // may be sent again though it may have arrived
	next     func() (io.ReadCloser, error)
	attempts []errors.Attempt
}

func (r *retrier) RoundTrip(req *http.Request) (*http.Response, error) {
	c := &call{retrier: r, req: req}
	idempotent := []string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete}
	if r.has(retriesGetOnly) {
		idempotent = idempotent[:1]
	}
	c.safe = slices.Contains(idempotent, req.Method) ||
		(req.Header.Get("Idempotency-Key") != "" && !r.has(ignoresKey)) || r.has(retriesUnsafe)
	switch {
	case r.open:
		if !r.has(leavesBodyOnRefusal) {
			closeBody(req)
		}
		return nil, c.fail(errors.New("open"), errors.CircuitOpen, errors.NotSent, errors.StopBreakerOpen)
	case req.Context().Err() != nil:
		if !r.has(leavesBodyOnDone) {
			closeBody(req)
		}
		return nil, c.interrupted(errors.NotSent)
	}
	first, err := c.prepare()
	if err != nil {
		return nil, c.interrupted(errors.NotSent)
	}
	return c.loop(first)
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

// prepare finds the body of the first attempt, and how to make those of the others.
func (c *call) prepare() (io.ReadCloser, error) {
	body := c.req.Body
	none := func() (io.ReadCloser, error) { return body, nil }
	switch {
	case body == nil || body == http.NoBody || c.has(replaysDrained):
		c.next = none
		return body, nil
	case c.req.GetBody != nil && !c.has(buffersRewindable):
		c.next = c.req.GetBody
		return body, nil
	case c.has(replaysOneShotEmpty):
		c.next = func() (io.ReadCloser, error) { return http.NoBody, nil }
		return body, nil
	case c.has(buffersNothing):
		return body, nil
	}
	buf := make([]byte, replayLimit+1)
	if c.has(buffersAll) {
		buf = make([]byte, 64<<20)
	}
	if !c.has(buffersInline) {
		defer context.AfterFunc(c.req.Context(), func() { _ = body.Close() })()
	}
	n, err := io.ReadFull(body, buf)
	buf = buf[:n]
	if c.req.Context().Err() != nil {
		return nil, context.Cause(c.req.Context()) // AfterFunc has closed the body
	}
	if err == nil { // too long
		return struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(buf), body), body}, nil
	}
	_ = body.Close()
	c.next = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(buf)), nil }
	return c.next()
}

func (c *call) loop(body io.ReadCloser) (*http.Response, error) {
	most := c.max
	if c.has(oneTooMany) {
		most++
	}
	var firstBody []byte
	for n := 1; ; n++ {
		resp, err := c.attempt(body, n)
		retry, delivery, stop := c.judge(resp, err)
		if retry && n >= most {
			retry, stop = false, errors.StopExhausted
		}
		if retry && c.next == nil {
			retry, stop = false, errors.StopBodyNotReplayable
		}
		if retry && c.req.Context().Err() != nil && !c.has(sendsAfterCancel) {
			retry = false
		}
		if retry {
			var berr error
			if body, berr = c.next(); berr != nil {
				if !c.has(ignoresGetBodyError) {
					retry, stop = false, errors.StopBodyNotReplayable
				} else {
					body = nil
				}
			}
		}
		if !retry {
			if err != nil {
				return nil, c.final(err, delivery, stop)
			}
			if stop == errors.StopExhausted && c.has(errorForLast) {
				_ = resp.Body.Close()
				return nil, errors.New("giving up")
			}
			if firstBody != nil {
				_ = resp.Body.Close()
				resp.Body = io.NopCloser(bytes.NewReader(firstBody))
			}
			return c.handOn(resp), nil
		}
		if resp != nil {
			if c.has(returnsFirst) && firstBody == nil {
				firstBody, _ = io.ReadAll(resp.Body)
			}
			c.drop(resp)
		}
		if !c.wait(resp) {
			if body != nil {
				_ = body.Close()
			}
			return nil, c.interrupted(delivery)
		}
	}
}

// attempt sends the request once and repairs or refuses what base should not have answered.
func (c *call) attempt(body io.ReadCloser, n int) (*http.Response, error) {
	ctx := c.req.Context()
	if c.has(sendsAfterCancel) {
		ctx = context.WithoutCancel(ctx)
	}
	out := c.req.Clone(ctx)
	out.Body = body
	if n > 1 && c.has(losesHeaders) {
		out.Header = http.Header{}
	}
	resp, err := c.locked(out)
	if c.has(closesBodyAfterAttempt) {
		closeBody(out)
	}
	c.attempts = append(c.attempts, errors.Attempt{Reason: "sent"})
	switch {
	case err == nil && c.has(trustsBase):
		_ = resp.StatusCode
		return resp, nil
	case resp != nil && err != nil:
		if c.has(prefersResponse) {
			if resp.Body == nil {
				resp.Body = http.NoBody
			}
			return resp, nil
		}
		if resp.Body != nil && !c.has(dropsBesideError) {
			_ = resp.Body.Close()
		}
		return nil, err
	case err != nil:
		return nil, err
	case resp == nil:
		return nil, errMalformed
	case resp.Body == nil && !c.has(trustsNilBody):
		if resp.ContentLength > 0 && out.Method != http.MethodHead {
			return nil, errMalformed
		}
		resp.Body = http.NoBody
	}
	if resp.Header == nil && !c.has(trustsNilHeader) {
		resp.Header = http.Header{}
	}
	if c.has(trustsNilHeader) {
		resp.Header.Set("X-Attempts", strconv.Itoa(n))
	}
	if c.has(trustsNilBody) {
		resp.Body = &counted{ReadCloser: resp.Body, close: resp.Body.Close}
	}
	resp.Request = c.req
	return resp, nil
}

type counted struct {
	io.ReadCloser

	close func() error
}

var errMalformed = errors.New("malformed answer")

// locked calls base, as some decorators do, under a lock. Who waits for it can give up, so that a test ends.
func (c *call) locked(out *http.Request) (*http.Response, error) {
	if !c.has(locksWithoutDefer, recoversOnly) {
		return c.base.RoundTrip(out)
	}
	select {
	case c.lock <- struct{}{}:
	case <-out.Context().Done():
		return nil, context.Cause(out.Context())
	}
	defer func() {
		if p := recover(); p != nil {
			if c.has(recoversOnly) {
				<-c.lock
			}
			panic(p)
		}
	}()
	resp, err := c.base.RoundTrip(out)
	<-c.lock
	return resp, err
}

// judge says whether an attempt may be repeated, what is known of it, and why not.
func (c *call) judge(resp *http.Response, err error) (retry bool, d errors.Delivery, stop errors.Stop) {
	if err != nil {
		op, ok := errors.AsType[*net.OpError](err)
		_, cert := errors.AsType[*tls.CertificateVerificationError](err)
		timeout, isTimeout := errors.AsType[net.Error](err)
		switch {
		case c.req.Context().Err() != nil:
			return c.has(sendsAfterCancel), errors.Unknown, ""
		case cert:
			return c.has(retriesCertificates), errors.NotSent, errors.StopPermanent
		case strings.Contains(err.Error(), "unsupported protocol scheme"):
			return c.has(retriesSchemes), errors.NotSent, errors.StopPermanent
		case ok && op.Op == "dial":
			return true, errors.NotSent, ""
		case errors.Is(err, errMalformed), c.has(retriesStatusOnly):
			return false, errors.Unknown, errors.StopPermanent
		case c.has(retriesUnsafeTimeout) && isTimeout && timeout.Timeout(), c.safe:
			return true, errors.Unknown, ""
		default:
			return false, errors.Unknown, errors.StopUnsafeMethod
		}
	}
	switch code := resp.StatusCode; {
	case code == http.StatusTooManyRequests, c.has(retriesRefusals) && code >= 400 && code < 500:
		return true, errors.Rejected, ""
	case slices.Contains([]int{408, 500, 502, 503, 504}, code):
		return c.safe || (c.has(retriesUnsafeStatus) && code == 503), errors.Unknown, errors.StopUnsafeMethod
	default:
		return false, errors.Delivered, ""
	}
}

func (c *call) drop(resp *http.Response) {
	switch {
	case c.has(drainsAll):
		_, _ = io.Copy(io.Discard, resp.Body)
	case !c.has(dropsUndrained):
		_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	}
	if !c.has(dropsUnclosed) {
		_ = resp.Body.Close()
	}
}

// wait sleeps until the next attempt. It reports false where the context was faster.
func (c *call) wait(resp *http.Response) bool {
	d := backoff
	if resp != nil {
		if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
			d = time.Duration(s) * time.Second
		}
	}
	t := time.NewTimer(d)
	defer t.Stop()
	done := c.req.Context().Done()
	if c.has(sleepsThrough, sendsAfterCancel) {
		done = nil
	}
	select {
	case <-t.C:
		return c.req.Context().Err() == nil || c.has(sendsAfterCancel)
	case <-done:
		return false
	}
}

// handOn reads error bodies into memory, so that a caller who does not close them leaks nothing.
func (c *call) handOn(resp *http.Response) *http.Response {
	if resp.StatusCode < 400 || c.has(leavesErrorBodies) {
		return resp
	}
	buf, err := io.ReadAll(io.LimitReader(resp.Body, captureLimit))
	_ = resp.Body.Close()
	if err == nil || c.has(swallowsBodyErrors) {
		err = io.EOF
	}
	resp.Body = &memory{Reader: *bytes.NewReader(buf), end: err}
	return resp
}

// memory is a body that has been read.
type memory struct {
	bytes.Reader

	end    error
	closed bool
}

func (m *memory) Read(p []byte) (int, error) {
	if m.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := m.Reader.Read(p)
	if err == io.EOF { //nolint:errorlint // bytes.Reader's own
		err = m.end
	}
	return n, err
}

func (m *memory) Close() error {
	m.closed = true
	return nil
}

func (c *call) interrupted(d errors.Delivery) error {
	return c.final(context.Cause(c.req.Context()), d, "")
}

// final makes the error of the call.
func (c *call) final(err error, d errors.Delivery, stop errors.Stop) error {
	ctx := c.req.Context()
	kind := errors.VendorBadResponse
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		kind, stop = errors.Canceled, errors.StopCanceled
	case ctx.Err() != nil:
		kind, stop = errors.VendorTimeout, errors.StopDeadline
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
		if c.has(forgetsCause) {
			err = ctx.Err()
		}
	}
	return c.fail(err, kind, d, stop)
}

func (c *call) fail(err error, kind errors.Kind, d errors.Delivery, stop errors.Stop) error {
	if !c.prusik || c.has(plainErrors) {
		return err
	}
	e := &errors.Error{Kind: kind, Op: c.req.Method + " " + c.req.URL.Host, Delivery: d, Stop: stop, Attempts: c.attempts, Err: err}
	switch c.bug {
	case alwaysUnknown:
		e.Delivery = errors.Unknown
	case neverUnknown:
		e.Delivery = errors.NotSent
	case alwaysExhausted:
		e.Stop = errors.StopExhausted
	case noAttempts:
		e.Attempts = nil
	case namesURL:
		e.Op = c.req.Method + " " + c.req.URL.String()
	case internalKind:
		e.Kind = errors.Internal
	default: // a bug of another place
	}
	return e
}

// reference is the subject with all claims made, and one bug.
func reference(b bug) httpxtest.Subject {
	build := func(open bool) func(http.RoundTripper) (http.RoundTripper, error) {
		return func(base http.RoundTripper) (http.RoundTripper, error) {
			return &retrier{base: base, max: 3, prusik: true, open: open, bug: b, lock: make(chan struct{}, 1)}, nil
		}
	}
	return httpxtest.Subject{
		Wrap: build(false), Refusing: build(true), MaxAttempts: 3, ReplaysUpTo: replayLimit, RetriesKeyed: true,
		ClosesErrorBodies: true, KeepsCause: true, ChecksBase: true, PrusikErrors: true,
	}
}
