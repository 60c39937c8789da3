package main

import (
	"encoding/json"
	"io"
	"net/http"

	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/errors"
)

// maxBody bounds what is read of a request, in bytes. The longest text is 1,600 characters.
const maxBody = 64 << 10

// answer sends v.
func answer(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the client has gone: nobody is left to tell
	return nil
}

// read reads the one JSON object that r has to be into v.
func read(w http.ResponseWriter, r *http.Request, v any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("more than one value")
		}
	}
	if err == nil {
		return nil
	}
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return err
	}
	return &errors.Error{
		Kind: errors.Invalid, Op: "read the request", Delivery: errors.NotSent, Err: err,
		Public: "The body has to be one JSON object with the documented fields.",
	}
}

// invalid says which field of a request is wrong, in a sentence that a page can put beside it.
func invalid(field, sentence string) error {
	return &errors.Error{
		Kind: errors.Invalid, Op: "read the request", Delivery: errors.NotSent, Public: sentence,
		Details: map[string]any{"fields": map[string]string{field: sentence}},
	}
}

// done is what every success of a vendor's call says: after how many attempts, and under which id it is in the logs.
type done struct {
	Attempts      int    `json:"attempts"`
	CorrelationID string `json:"correlation_id"`
}

func doneBy(attempts int, r *http.Request) done {
	id, _ := correlation.ID(r.Context())
	return done{attempts, id}
}

// guidance says what to do next where there is nothing to show.
type guidance struct {
	Guidance string `json:"guidance,omitempty"`
}

func guide(n int, next string) guidance {
	if n > 0 {
		return guidance{}
	}
	return guidance{next}
}
