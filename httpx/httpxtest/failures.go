package httpxtest

import (
	"bytes"
	"context"
	"crypto/tls"
	"net/http"
	"strings"

	"github.com/prusik-go/prusik/errors"
)

func errorChecks() []Check {
	return family("errors",
		check("dial",
			"A failed dial is delivery not_sent", prusik, dialError),
		both("unsafe",
			"A POST whose connection breaks after the write is delivery unknown, stopped by unsafe_method", prusikRetry, unsafeStop),
		check("exhausted",
			"A GET whose connection breaks each time is delivery unknown, stopped by exhausted, with every attempt listed",
			prusikRetry, exhausted),
		check("canceled",
			"A canceled call is of kind canceled, stopped by canceled, and not_sent where it was canceled before", prusik,
			canceledError),
		check("deadline",
			"A deadline of the caller's is an error that says so, and is neither canceled nor internal", prusik, deadlineError),
		check("certificate",
			"A certificate that cannot be verified is not_sent, stopped by permanent", prusik, certificateError),
		check("scheme",
			"A URL scheme that base does not speak is not_sent, stopped by permanent", prusik, schemeError),
		check("malformed",
			"A malformed answer of base's is of kind vendor_bad_response", prusik, malformedError),
		check("not-replayable",
			"A body that cannot be sent again is stopped by body_not_replayable", prusikRetry, notReplayable),
		check("refused",
			"A refusal by the transport itself is not_sent", prusikRefuse, refusedError),
		check("no-secrets",
			"An error's text holds no path, no query, no header and no body", prusik, noSecrets),
	)
}

// prusikError returns the [*errors.Error] a call must have ended with, or nil where it has not.
func (e *env) prusikError(where string, res result) *errors.Error {
	err, ok := errors.AsType[*errors.Error](res.err)
	if !ok {
		e.errorf("%s: got %v (%T), want an *errors.Error", where, res, res.err)
		return nil
	}
	return err
}

// wantError checks a call's error; an empty kind or stop is not looked at.
func (e *env) wantError(where string, res result, kind errors.Kind, d errors.Delivery, stop errors.Stop) {
	err := e.prusikError(where, res)
	if err == nil {
		return
	}
	if kind != "" && err.Kind != kind {
		e.errorf("%s: kind %q, want %q: %w", where, err.Kind, kind, err)
	}
	if err.Delivery != d {
		e.errorf("%s: delivery %v, want %v: %w", where, err.Delivery, d, err)
	}
	if stop != "" && err.Stop != stop {
		e.errorf("%s: stopped by %q, want %q: %w", where, err.Stop, stop, err)
	}
}

func dialError(e *env) {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		res := e.call(e.wrap(unreachable()), e.request(method, anyURL))
		e.wantError(method, res, "", errors.NotSent, "")
	}
}

func unsafeStop(e *env) {
	s := e.serve(breakConn)
	src := &source{data: []byte("some content")}
	req := src.request(e, http.MethodPost)
	req.URL = mustParse(e, s.URL)
	e.wantError("a reset", e.call(e.wrap(s.transport()), req), "", errors.Unknown, errors.StopUnsafeMethod)
}

func exhausted(e *env) {
	f := failing(errReset())
	res := e.call(e.wrap(f), e.request(http.MethodGet, anyURL))
	e.wantError("a reset", res, "", errors.Unknown, errors.StopExhausted)
	if err, ok := errors.AsType[*errors.Error](res.err); ok && len(err.Attempts) != f.n() {
		e.errorf("the error lists %d attempts, base saw %d", len(err.Attempts), f.n())
	}
}

func canceledError(e *env) {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		ctx, cancel := context.WithCancel(e.ctx)
		defer cancel()
		f := &fake{answer: func(_ int, r *http.Request) (*http.Response, error) {
			cancel()
			return e.stall(r)
		}}
		rt := e.wrap(f)
		req := func() *http.Request { return e.request(method, anyURL).WithContext(ctx) }
		e.wantError(method+", in flight", e.await(e.later(rt, req()), method), errors.Canceled, errors.Unknown, errors.StopCanceled)
		e.wantError(method+", before", e.await(e.later(rt, req()), method), errors.Canceled, errors.NotSent, errors.StopCanceled)
	}
}

func deadlineError(e *env) {
	res := e.deadlineMissed(e.request(http.MethodPost, anyURL))
	e.wantError("no answer", res, "", errors.Unknown, "")
	err, ok := errors.AsType[*errors.Error](res.err)
	if !ok {
		return
	}
	if err.Kind == errors.Canceled || err.Kind == errors.Internal || err.Kind == "" {
		e.errorf("kind %q for a deadline", err.Kind)
	}
	if !errors.Is(res.err, context.DeadlineExceeded) || !err.Timeout() {
		e.errorf("got %v, want an error that is context.DeadlineExceeded and says Timeout", res)
	}
}

// deadlineMissed makes a call that base does not answer.
func (e *env) deadlineMissed(req *http.Request) result {
	f := &fake{answer: func(_ int, r *http.Request) (*http.Response, error) { return e.stall(r) }}
	rt := e.wrap(f)
	ctx, cancel := context.WithTimeout(e.ctx, 2*pause)
	defer cancel()
	return e.await(e.later(rt, req.WithContext(ctx)), "no answer")
}

func untrusted(err error) (*tls.CertificateVerificationError, bool) {
	return errors.AsType[*tls.CertificateVerificationError](err)
}

func certificateError(e *env) {
	s := e.start(func(http.ResponseWriter, *http.Request) {}, true)
	tr := s.transport()
	tr.TLSClientConfig.RootCAs = nil
	res := e.call(e.wrap(tr), e.request(http.MethodGet, s.URL))
	e.wantError("an unknown authority", res, "", errors.NotSent, errors.StopPermanent)
}

func schemeError(e *env) {
	req := e.request(http.MethodGet, strings.Replace(anyURL, "http:", "gopher:", 1))
	e.wantError("gopher", e.call(e.wrap(&http.Transport{}), req), "", errors.NotSent, errors.StopPermanent)
}

func malformedError(e *env) {
	for _, name := range []string{"neither a response nor an error", "no body"} {
		f := new(fake)
		f.answer = func(_ int, r *http.Request) (*http.Response, error) { return malformed()[name](f, r) }
		res := e.call(e.wrap(f), e.request(http.MethodPost, anyURL))
		e.wantError(name, res, errors.VendorBadResponse, errors.Unknown, "")
	}
}

func notReplayable(e *env) {
	src := &source{data: bytes.Repeat([]byte("y"), int(e.subject.ReplaysUpTo)+(1<<20)), oneShot: true}
	f := failing(errReset())
	res := e.call(e.wrap(f), src.request(e, http.MethodPut))
	e.wantError("a PUT and a reset", res, "", errors.Unknown, errors.StopBodyNotReplayable)
	if f.n() != 1 {
		e.errorf("sent %d times, want once", f.n())
	}
}

func refusedError(e *env) {
	res := e.call(e.refusing(statuses(200)), e.request(http.MethodGet, anyURL))
	e.wantError("refused", res, "", errors.NotSent, "")
	if err, ok := errors.AsType[*errors.Error](res.err); ok && (err.Kind == "" || err.Kind == errors.Internal) {
		e.errorf("kind %q for a refusal", err.Kind)
	}
}

func noSecrets(e *env) {
	const secret = "hunter2"
	request := func(url string) *http.Request {
		src := &source{data: []byte("body-" + secret)}
		req := src.request(e, http.MethodPost)
		req.URL = mustParse(e, url+"/path-"+secret+"?token="+secret)
		req.Header.Set("Authorization", "Bearer "+secret)
		return req
	}
	for name, res := range map[string]result{
		"a refused dial": e.call(e.wrap(unreachable()), request("http://subject.test")),
		"a scheme":       e.call(e.wrap(&http.Transport{}), request("gopher://subject.test")),
		"a reset":        e.call(e.wrap(failing(errReset())), request("http://subject.test")),
		"a deadline":     e.deadlineMissed(request("http://subject.test")),
	} {
		if err := e.prusikError(name, res); err != nil && strings.Contains(res.err.Error(), secret) {
			e.errorf("%s: the error's text holds a secret: %q", name, res.err)
		}
	}
}
