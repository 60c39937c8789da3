package errors_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/prusik-go/prusik/errors"
)

func ExampleHandler() {
	h := errors.Handler(func(_ http.ResponseWriter, r *http.Request) error {
		if r.URL.Path == "/panic" {
			panic("a bug")
		}
		return fmt.Errorf("select call 7 from db-3: %w", errors.NotFound)
	}, errors.Hooks{OnError: func(e errors.HandlerEvent) {
		fmt.Println("log:", e.Err) // the client does not see this
	}})
	for _, path := range []string{"/calls/7", "/panic"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		fmt.Println(w.Code, w.Body)
	}
	// Output:
	// log: select call 7 from db-3: not_found
	// 404 {"detail":"There is nothing here.","kind":"not_found","status":404,"title":"Not Found","type":"about:blank"}
	// log: handler: internal: panic: a bug
	// 500 {"detail":"Something went wrong on our side.","kind":"internal","status":500,"title":"Internal Server Error","type":"about:blank"}
}

// For handlers of the usual form: their panics become problems too.
func ExampleMiddleware() {
	recoverer := errors.Middleware()
	h := recoverer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a bug") }))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	fmt.Println(w.Code, w.Header().Get("Content-Type"))
	// Output: 500 application/problem+json
}

func ExampleWrite() {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	_ = errors.Write(w, r, &errors.Error{
		Kind:   errors.RateLimited,
		Public: "Ten messages a minute, please.",
		Retry:  errors.Retry{After: 4200 * time.Millisecond},
	})
	fmt.Println(w.Code, w.Header().Get("Retry-After"))
	fmt.Println(w.Body)
	// Output:
	// 429 5
	// {"detail":"Ten messages a minute, please.","kind":"rate_limited","retry":{"status":"failed","attempt":0,"max_attempts":0,"next_retry_in_seconds":5},"retry_after":5,"status":429,"title":"Too Many Requests","type":"about:blank"}
}

func ExampleProblemOf() {
	p := errors.ProblemOf(&errors.Error{Kind: errors.CircuitOpen, Delivery: errors.NotSent, CorrelationID: "call-7"})
	p.Instance = "/calls/7"
	b, _ := json.MarshalIndent(p, "", "  ")
	fmt.Println(string(b))
	// Output:
	// {
	//   "correlation_id": "call-7",
	//   "delivery": "not_sent",
	//   "detail": "A service we depend on is down. Try again later.",
	//   "instance": "/calls/7",
	//   "kind": "circuit_open",
	//   "status": 503,
	//   "title": "Service Unavailable",
	//   "type": "about:blank"
	// }
}

func ExampleKindOf() {
	err := fmt.Errorf("texting the customer: %w", &errors.Error{
		Kind: errors.CircuitOpen, Service: "twilio", Delivery: errors.NotSent, Retry: errors.Retry{After: 5 * time.Second},
	})
	fmt.Println(errors.KindOf(err), errors.Is(err, errors.CircuitOpen), errors.DeliveryOf(err))
	if wait, ok := errors.RetryAfter(err); ok {
		fmt.Println("again in", wait)
	}
	// Output:
	// circuit_open true not_sent
	// again in 5s
}

func ExampleRetry() {
	b, _ := json.Marshal(errors.Retry{Status: "retrying", Attempt: 2, MaxAttempts: 3, After: 5 * time.Second})
	fmt.Println(string(b))
	// Output: {"status":"retrying","attempt":2,"max_attempts":3,"next_retry_in_seconds":5}
}

func ExampleDecodeProblem() {
	p, err := errors.DecodeProblem([]byte(`{"status":503,"kind":"circuit_open","retry_after":5}`))
	fmt.Println(p.Status, p.Kind, p.Retry.After, err)
	// Output: 503 circuit_open 5s <nil>
}
