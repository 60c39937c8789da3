package httpx

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx/internal/capture"
	"github.com/prusik-go/prusik/httpx/internal/expiry"
	"github.com/prusik-go/prusik/httpx/internal/fault"
	"github.com/prusik-go/prusik/httpx/internal/headers"
	"github.com/prusik-go/prusik/internal/answer"
	"github.com/prusik-go/prusik/internal/retryafter"
)

// result is what an attempt ended with: a response, or the error of its call, and what it means.
type result struct {
	resp     *http.Response // nil where there was an error
	captured bool           // resp's body was taken off the wire and is in the call
	streams  bool           // resp's body is still on the wire, and its end decides the breaker's outcome
	outcome  breaker.Outcome
	verdict  Verdict
}

func (r *result) status() int {
	if r.resp == nil {
		return 0
	}
	return r.resp.StatusCode
}

// judge makes the last result of what the base returned, whatever that is.
func (c *call) judge(resp *http.Response, err error) {
	c.last, c.wait, c.kind, c.err = result{}, 0, "", nil
	if err == nil {
		err = malformed(resp)
	}
	if err != nil {
		if resp != nil && resp.Body != nil {
			_ = resp.Body.Close() // a response beside an error is to be ignored (net/http), not leaked
		}
		c.watch.clock.Rest(c.now)
		c.failed(err)
		return
	}
	var seen []byte
	if resp.StatusCode < 400 {
		if p := &c.t.cfg.Profile; p.Classify != nil && p.inspects(resp) { // while the attempt's time runs
			c.watch.clock.Bound(c.now)
			seen, resp.Body = capture.Peek(resp.Body, resp.ContentLength, c.t.cfg.MaxErrorBody)
			c.now = expiry.Now()
		}
		if !c.watch.clock.Headers(c.now) {
			_ = resp.Body.Close()
			c.failed(expiry.Attempt()) // the context is canceled, the body lost
			return
		}
	}
	c.answered(resp, seen)
}

// malformed says what is wrong with a response that a transport must not return, and mends what net/http would.
func malformed(resp *http.Response) error {
	if resp == nil {
		return errNoResponse
	}
	if resp.StatusCode < 100 || resp.StatusCode > 999 {
		return fmt.Errorf("%w: status %d", errMalformed, resp.StatusCode)
	}
	if resp.Header == nil {
		resp.Header = make(http.Header)
	}
	if resp.Body == nil {
		if resp.ContentLength > 0 && (resp.Request == nil || resp.Request.Method != http.MethodHead) {
			return fmt.Errorf("%w: Content-Length %d and no body", errMalformed, resp.ContentLength)
		}
		resp.Body = http.NoBody
	}
	return nil
}

// failed is the result of an attempt without a response.
func (c *call) failed(err error) {
	cause := context.Cause(&c.watch.conn)
	err = fault.Strip(err)
	f := fault.Of(err)
	r := &c.last
	c.err, c.kind, r.outcome = err, errors.VendorBadResponse, breaker.Failure
	v := &r.verdict
	v.Reason = f.Reason
	switch {
	case c.ctx().Err() == context.Canceled:
		v.Reason, c.kind, r.outcome = "canceled", errors.Canceled, breaker.Ignored
		c.err = c.cause()
	case c.ctx().Err() != nil:
		// The caller's own deadline. It counts as a failure: a vendor that hangs must open the breaker also where every
		// caller's deadline is shorter than the attempt's.
		v.Reason, c.kind, c.err = "timeout", errors.VendorTimeout, c.cause()
	case errors.Is(cause, expiry.Attempt()), f.Timeout:
		v.Reason, c.kind = timeoutReason(f), errors.VendorTimeout
		if cause != nil {
			c.err = cause
		}
	case errors.Is(err, errNoResponse), errors.Is(err, errMalformed):
		v.Reason, v.Retry = "malformed", RetryNever
	case f.Local:
		c.kind, r.outcome = errors.Invalid, breaker.Ignored
	}
	// A dial that fails after a connection was had is net/http's repeat of a request that may have arrived.
	if f.NotSent && c.watch.conn.Connections() == 0 || c.watch.conn.NeverConnected() {
		v.Delivery = errors.NotSent
	}
	if f.Permanent {
		v.Retry = RetryNever
	}
}

// timeoutReason keeps the label that says where the time ran out.
func timeoutReason(f fault.Fault) string {
	if f.NotSent {
		return f.Reason
	}
	return "timeout"
}

// answered is the result of an attempt with a response. The body of an answer of 400 or above is taken off the wire
// here, under the attempt's clock; any other is handed on as it comes.
func (c *call) answered(resp *http.Response, body []byte) {
	p, r := &c.t.cfg.Profile, &c.last
	r.resp = resp
	if resp.StatusCode < 400 && p.Classify == nil {
		r.verdict.Delivery, r.outcome, r.streams = errors.Delivered, breaker.Success, streams(resp)
		return // the usual case on a good day
	}
	seen := Response{Request: c.req, Status: resp.StatusCode, Header: resp.Header, Body: body}
	if resp.StatusCode >= 400 {
		c.capture(r, resp.ContentLength)
		seen.Body = c.setback.captured.Bytes()
	}
	r.verdict = p.verdict(seen)
	v := &r.verdict
	if v.Delivery == errors.Rejected && c.watch.conn.Connections() > 1 && c.safe {
		v.Delivery = errors.Unknown // net/http has repeated it: this answer is not the first one's
	}
	if v.Delivery != errors.Delivered && !r.captured {
		c.capture(r, -1) // an answer that means a failure is kept like one
	}
	if v.Delivery != errors.Delivered || v.Limited {
		c.wait = p.asked(resp.Header, *v)
	}
	r.outcome = outcomeOf(seen.Status, *v)
	r.streams = !r.captured && streams(resp)
}

// streams says whether the end of the body decides the breaker's outcome: an upgraded connection and an event stream go on
// for as long as they like, and have proved enough by their headers.
func streams(resp *http.Response) bool {
	if resp.Body == http.NoBody || resp.StatusCode == http.StatusSwitchingProtocols {
		return false
	}
	ct := resp.Header["Content-Type"]
	return len(ct) == 0 || !strings.HasPrefix(ct[0], "text/event-stream")
}

// capture takes the answer's body off the wire: from then on nothing of the attempt is left there.
func (c *call) capture(r *result, size int64) {
	b := &c.bad().captured
	c.watch.clock.Bound(c.now)
	b.Take(r.resp.Body, size, c.t.cfg.MaxErrorBody)
	r.captured, r.resp.Body = true, b
	c.now = expiry.Now()
	c.watch.clock.Rest(c.now)
}

// outcomeOf is what the breaker hears. A limit is the limiter's to hear; another 4xx is the caller's fault and says
// nothing of the vendor's health, not even that it is well.
func outcomeOf(status int, v Verdict) breaker.Outcome {
	switch {
	case v.Limited && v.Delivery != errors.Delivered:
		return breaker.Ignored
	case status >= 500:
		return breaker.Failure
	case status >= 400, v.Delivery == errors.Rejected:
		return breaker.Ignored
	case v.Delivery != errors.Delivered:
		return breaker.Failure
	default:
		return breaker.Success
	}
}

// inspects says whether the profile wants to see the body of this answer below 400.
func (p *Profile) inspects(resp *http.Response) bool {
	return slices.Contains(p.InspectBody, resp.StatusCode) &&
		strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json")
}

// verdict is the profile's view of an answer, else the standard one.
func (p *Profile) verdict(r Response) Verdict {
	v, ok := Verdict{}, false
	if p.Classify != nil {
		v, ok = p.Classify(r)
	}
	if !ok {
		v = standard(r.Status)
	}
	if v.Reason == "" && v.Delivery != errors.Delivered {
		v.Reason = answer.Reason(r.Status)
	}
	return v
}

// standard is what a status means where the vendor says nothing else.
func standard(status int) Verdict {
	v := Verdict{Delivery: answer.Delivery(status)}
	if v.Delivery == errors.Rejected {
		if v.Limited = status == http.StatusTooManyRequests; !v.Limited {
			v.Retry = RetryNever
		}
	}
	return v
}

// asked is the wait an answer asks for: by the vendor's own headers, the standard one, for a limit the reset of its empty
// quota, and where no header says it the verdict's.
func (p *Profile) asked(h http.Header, v Verdict) time.Duration {
	if len(p.RetryAfter) > 0 || h["Retry-After"] != nil {
		if d, ok := headers.FirstWait(h, p.RetryAfter, retryafter.SentAt(h)); ok {
			return d
		}
	}
	if v.Limited {
		if remaining, reset, ok := p.limits(h); ok && remaining == 0 && reset > 0 {
			return reset
		}
	}
	return v.Wait
}

// limits reads what remains of the vendor's quota, the scarcest first: from the headers of its profile, and from the
// RateLimit field of the IETF draft.
func (p *Profile) limits(h http.Header) (remaining int64, reset time.Duration, ok bool) {
	if fields := h[headerRateLimit]; len(fields) > 0 {
		remaining, reset, ok = headers.ParseRateLimit(fields)
	}
	for _, l := range p.Limits {
		n, known := headers.Int(h, l.Remaining)
		if !known {
			continue
		}
		var sent time.Time
		if l.Unit == UnitEpochSeconds || l.Unit == UnitRetryAfter {
			sent = retryafter.SentAt(h)
		}
		d, _ := headers.Wait(h.Get(l.Reset), l.Unit, sent)
		if !ok || n < remaining || n == remaining && d > reset {
			remaining, reset, ok = n, d, true
		}
	}
	return remaining, reset, ok
}

// canonical has the names of its headers in the form net/http keeps them under, so that a look-up allocates nothing.
func (p Profile) canonical() Profile {
	p.RetryAfter, p.Limits = slices.Clone(p.RetryAfter), slices.Clone(p.Limits)
	for i := range p.RetryAfter {
		p.RetryAfter[i].Name = http.CanonicalHeaderKey(p.RetryAfter[i].Name)
	}
	for i := range p.Limits {
		l := &p.Limits[i]
		for _, name := range []*string{&l.Remaining, &l.Reset} {
			*name = http.CanonicalHeaderKey(*name)
		}
	}
	p.IdempotencyHeader = http.CanonicalHeaderKey(p.IdempotencyHeader)
	return p
}
