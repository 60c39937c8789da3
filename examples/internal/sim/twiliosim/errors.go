package twiliosim

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/prusik-go/prusik/examples/internal/sim/fault"
)

// apiError is Twilio's error body.
type apiError struct {
	Code     int    `json:"code"`
	Message  string `json:"message"`
	MoreInfo string `json:"more_info"`
	Status   int    `json:"status"`
}

// known are the documented errors; a code that is not here answers 400.
var known = map[int]struct { //nolint:gochecknoglobals // a table, never written
	status  int
	message string
}{
	20001: {400, "Unknown parameters"},
	20003: {401, "Authenticate"},
	20004: {405, "Method not allowed"},
	20403: {403, "Forbidden"},
	20404: {404, "The requested resource was not found"},
	20429: {429, "Too Many Requests"},
	20500: {500, "Internal Server Error"},
	20502: {502, "Bad Gateway"},
	20503: {503, "Service Unavailable"},
	20504: {504, "Gateway Timeout"},
	10004: {400, "Call concurrency limit exceeded"},
	21201: {400, "No 'To' number is specified"},
	21205: {400, "Url parameter is required"},
	21210: {400, "The source phone number provided is not yet verified for your account"},
	21211: {400, "The 'To' number is not a valid phone number"},
	21212: {400, "The 'From' number is not a valid phone number, shortcode, or alphanumeric sender ID"},
	21213: {400, "Caller phone number is required"},
	21214: {400, "'To' phone number cannot be reached"},
	21215: {400, "Account not authorized to call the 'To' number"},
	21216: {400, "Account not allowed to call the 'To' number"},
	21217: {400, "Phone number does not appear to be valid"},
	21408: {400, "Permission to send an SMS has not been enabled for the region indicated by the 'To' number"},
	21603: {400, "A 'From' phone number is required"},
	21604: {400, "A 'To' phone number is required"},
	21606: {400, "The 'From' phone number provided is not a valid message-capable Twilio phone number"},
	21608: {400, "The 'To' number is unverified. Trial accounts cannot send messages to unverified numbers"},
	21610: {400, "Attempt to send to unsubscribed recipient"},
	21611: {400, "This 'From' number has exceeded the maximum number of queued messages"},
	21612: {400, "The 'To' phone number is not currently reachable using the 'From' phone number"},
	21614: {400, "'To' number is not a valid mobile number"},
	21617: {400, "The concatenated message body exceeds the 1600 character limit"},
	21619: {400, "A text message body or media urls must be specified"},
	22005: {400, "The call queue is full"},
}

// The numbers of Twilio's test credentials that fail (twilio.com/docs/iam/test-credentials).
//
//nolint:gochecknoglobals // tables, never written
var (
	magicMessageFrom = map[string]int{"+15005550001": 21212, "+15005550007": 21606, "+15005550008": 21611}
	magicMessageTo   = map[string]int{
		"+15005550001": 21211, "+15005550002": 21612, "+15005550003": 21408, "+15005550004": 21610, "+15005550009": 21614,
	}
	magicCallFrom = map[string]int{"+15005550001": 21212}
	magicCallTo   = map[string]int{
		"+15005550001": 21217, "+15005550002": 21214, "+15005550003": 21215, "+15005550004": 21216,
	}
)

const magicFrom = "+15005550006"

// refuse is the answer for an error code.
func refuse(code int) (int, any) {
	e, ok := known[code]
	if !ok {
		e.status, e.message = http.StatusBadRequest, fmt.Sprintf("Error %d", code)
	}
	return e.status, newError(code, e.status, e.message)
}

func notFound(r *http.Request) (int, any) {
	return http.StatusNotFound, newError(20404, http.StatusNotFound,
		"The requested resource "+r.URL.Path+" was not found")
}

func newError(code, status int, message string) apiError {
	return apiError{
		Code: code, Message: message, Status: status,
		MoreInfo: fmt.Sprintf("https://www.twilio.com/docs/errors/%d", code),
	}
}

// injected is the error body of a status a fault asks for: 20000 and the status, as in 20429, 20500 and 20503.
func (s *Sim) injected(_ *http.Request, status int) fault.Answer {
	code := 20000 + status
	message := http.StatusText(status)
	if e, ok := known[code]; ok {
		message = e.message
	}
	a := fault.Answer{Header: http.Header{}}
	s.vendorHeaders(a.Header, 0)
	a.Body, _ = json.Marshal(newError(code, status, message)) // strings and ints: cannot fail
	return a
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		panic(err) // the server answers 500 with it
	}
	w.WriteHeader(status)
	_, _ = w.Write(text)
}
