package twilioctx

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx"
)

// Outcome is what is known of a request.
type Outcome struct {
	httpx.Outcome

	// Status is the HTTP status of Twilio's answer, zero where none came.
	Status int
}

// unsent is the outcome before anything is sent.
func unsent() Outcome { return Outcome{Outcome: httpx.Outcome{Delivery: errors.NotSent}} }

// ofError is the outcome of a request without an answer, and its error.
func ofError(err error) (Outcome, *errors.Error) {
	e, ok := errors.AsType[*errors.Error](err)
	if !ok { // of a transport that is not httpx's
		e = &errors.Error{Kind: errors.KindOf(err), Delivery: errors.DeliveryOf(err), Err: err}
	}
	return Outcome{Outcome: httpx.Outcome{
		Service: e.Service, CorrelationID: e.CorrelationID, Delivery: e.Delivery, Stop: e.Stop, Attempts: e.Retry.Attempt,
		MaxAttempts: e.Retry.MaxAttempts, History: e.Attempts, RetryAfter: e.Retry.After,
	}}, e
}

// ofResponse is the outcome of a request that was answered, and its error where the answer is one. The last event
// stands in where the response cannot say it: it has no body, as that of a DELETE.
func ofResponse(method string, resp *http.Response, last httpx.Event) (Outcome, *errors.Error) {
	failed, _ := errors.AsType[*errors.Error](httpx.ResponseError(resp))
	known, ok := httpx.OutcomeOf(resp)
	if !ok {
		known = httpx.Outcome{
			Service: last.Service, CorrelationID: last.CorrelationID, Delivery: errors.Delivered, Stop: last.Stop,
			Attempts: last.Attempt, MaxAttempts: last.MaxAttempts, RetryAfter: last.NextRetryIn,
		}
		if failed != nil {
			known.Delivery = failed.Delivery
		}
	}
	o := Outcome{Outcome: known, Status: resp.StatusCode}
	if o.Status >= 300 && o.Status < 400 && method != http.MethodGet {
		o.Delivery = errors.Unknown // it is not followed, and does not say whether anything was done
	}
	return o, failed
}

// failure is what twilio-go's error is returned as.
func (s *send) failure(sdk error) error {
	switch {
	case !s.sent: // twilio-go refused by itself, its credentials for example
		return &errors.Error{
			Kind: errors.Internal, Op: "twilio-go", Delivery: errors.NotSent, Stop: errors.StopPermanent, Err: sdk,
		}
	case s.failed == nil:
		return s.outcome.explain(sdk)
	}
	return &failure{call: s.failed, sdk: sdk}
}

// explain returns err, with what is known of the request added where err is that twilio-go could not read an answer.
func (o *Outcome) explain(err error) error {
	if _, known := errors.AsType[*errors.Error](err); known || !unreadable(err) || o.Status == 0 {
		return err
	}
	return &failure{sdk: err, call: &errors.Error{
		Kind: errors.VendorBadResponse, Op: "twilio-go", Service: o.Service, Delivery: o.Delivery, Stop: errors.StopPermanent,
		CorrelationID: o.CorrelationID, Attempts: o.History,
		Retry: errors.Retry{After: o.RetryAfter, Attempt: o.Attempts, MaxAttempts: o.MaxAttempts},
		Err:   errUnreadable,
	}}
}

var errUnreadable = errors.New("the answer cannot be read")

func unreadable(err error) bool {
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return true
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// failure is the error of a call: ours, and twilio-go's for those who look for it.
type failure struct {
	call *errors.Error
	sdk  error
}

// Error is the text of ours: twilio-go's holds the URL, and what Twilio says may name a phone number.
func (f *failure) Error() string { return f.call.Error() }

// Unwrap returns both, ours first.
func (f *failure) Unwrap() []error { return []error{f.call, f.sdk} }

// LogValue logs ours.
func (f *failure) LogValue() slog.Value { return f.call.LogValue() }
