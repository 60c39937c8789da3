package httpx

import (
	"net/http"
	"time"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx/internal/capture"
	"github.com/prusik-go/prusik/httpx/internal/stream"
	"github.com/prusik-go/prusik/internal/answer"
)

// Outcome is what a call did to get its response.
type Outcome struct {
	Service, CorrelationID string
	// Delivery is what is known of the request at the vendor, Stop why no further attempt was made; Stop is empty where
	// the call succeeded.
	Delivery errors.Delivery
	Stop     errors.Stop
	// Attempts is how many were sent of MaxAttempts. History describes them; it is empty where the first one succeeded.
	Attempts, MaxAttempts int
	History               []errors.Attempt
	// RetryAfter is the wait until a new call is worthwhile, zero where it is not known.
	RetryAfter time.Duration
}

// OutcomeOf says what a client of this package did to get resp. It is false for a response of another client, for an
// upgraded connection (101), and where somebody has put another body in the place of resp's.
func OutcomeOf(resp *http.Response) (Outcome, bool) {
	c := callOf(resp)
	if c == nil {
		return Outcome{}, false
	}
	return Outcome{
		Service: c.t.name, CorrelationID: c.id[0], Delivery: c.delivery(), Stop: c.stop, Attempts: int(c.n),
		MaxAttempts: c.t.cfg.MaxAttempts, History: c.history(), RetryAfter: c.wait,
	}, true
}

func callOf(resp *http.Response) *call {
	if resp == nil {
		return nil
	}
	var owner any
	switch b := resp.Body.(type) {
	case *stream.Body:
		owner = b.Owner()
	case *capture.Body:
		owner = b.Owner
	}
	c, _ := owner.(*call)
	return c
}

// ResponseError returns a response that means a failure as an [*errors.Error], for callers without a vendor's SDK: kind by
// status, delivery, attempts, and the vendor's own code and message as its profile reads them. It is nil for a response
// that means success. The body stays as it is and is still the caller's to close.
func ResponseError(resp *http.Response) error {
	c := callOf(resp)
	if c == nil {
		if resp == nil || resp.StatusCode < 400 {
			return nil
		}
		return &errors.Error{Kind: kindOf(standard(resp.StatusCode), resp.StatusCode), Delivery: standard(resp.StatusCode).Delivery}
	}
	v := c.last.verdict
	if v.Delivery == errors.Delivered {
		return nil
	}
	e := c.newError(kindOf(v, resp.StatusCode), nil, c.history())
	e.Delivery = c.delivery()
	p := &c.t.cfg.Profile
	if decode := p.DecodeError; decode != nil && c.last.captured {
		ve := decode(Response{
			Request: c.req, Status: resp.StatusCode, Header: resp.Header, Body: c.setback.captured.Bytes(),
		})
		e.VendorCode, e.VendorMessage, e.VendorRequestID = ve.Code, ve.Message, ve.RequestID
	}
	if e.VendorRequestID == "" && p.RequestIDHeader != "" {
		e.VendorRequestID = resp.Header.Get(p.RequestIDHeader)
	}
	return e
}

// kindOf is the kind of an answer that means a failure.
func kindOf(v Verdict, status int) errors.Kind {
	if v.Limited {
		return errors.VendorRateLimited
	}
	return answer.Kind(status)
}
