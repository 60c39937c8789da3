package vapisim

import (
	"encoding/json"
	"net/http"

	"github.com/prusik-go/prusik/examples/internal/sim/fault"
)

// apiError is Vapi's error body.
type apiError struct {
	Message    any    `json:"message"` // string or []string
	Error      string `json:"error"`
	StatusCode int    `json:"statusCode"`
}

// refuse is an error answer. Validation faults come as a list, even a single one.
func refuse(status int, messages ...string) (int, any) {
	e := apiError{Error: http.StatusText(status), StatusCode: status, Message: messages}
	if status != http.StatusBadRequest {
		e.Message = messages[0]
	}
	return status, e
}

// policy is a 400 that is not about the request's form: its message is a string.
func policy(message string) (int, any) {
	return http.StatusBadRequest, apiError{
		Error: http.StatusText(http.StatusBadRequest), StatusCode: http.StatusBadRequest, Message: message,
	}
}

func noRoute(r *http.Request) (int, any) {
	return refuse(http.StatusNotFound, "Cannot "+r.Method+" "+r.URL.Path)
}

// injected is the error body of a status a fault asks for.
func injected(_ *http.Request, status int) fault.Answer {
	message := http.StatusText(status)
	if status == http.StatusTooManyRequests {
		message = "Rate limit exceeded"
	}
	text, _ := json.Marshal(apiError{Message: message, Error: http.StatusText(status), StatusCode: status}) // cannot fail
	return fault.Answer{Header: http.Header{"Content-Type": {contentType}}, Body: text}
}

const contentType = "application/json; charset=utf-8"

func writeJSON(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err) // the server answers 500 with it
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(text)
}
