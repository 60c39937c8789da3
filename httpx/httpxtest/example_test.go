package httpxtest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/prusik-go/prusik/httpx/httpxtest"
)

// naive retries whatever failed: what many a first version does.
type naive struct{ base http.RoundTripper }

func (n naive) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	for range 3 {
		resp, err = n.base.RoundTrip(r)
		if err == nil && resp.StatusCode < 500 {
			break
		}
	}
	return resp, err
}

// Run is called from a test of the decorator's package. Here the test is one that is never started.
func ExampleRun() {
	_ = func(t *testing.T) {
		httpxtest.Run(t, httpxtest.Subject{
			Wrap: func(base http.RoundTripper) (http.RoundTripper, error) {
				return naive{base}, nil
			},
			MaxAttempts: 3,
		})
	}
	// Output:
}

// Checks are values: list what some transport fails, without a test that fails.
func ExampleChecks() {
	subject := httpxtest.Subject{
		Wrap:        func(base http.RoundTripper) (http.RoundTripper, error) { return naive{base}, nil },
		MaxAttempts: 3,
	}
	for _, c := range httpxtest.Checks() {
		switch c.Name {
		case "retry/unsafe-status", "retry/limit", "leaks/dropped-bodies", "errors/dial":
			err := c.Run(context.Background(), subject)
			fmt.Println(c.Name, err == nil, errors.Is(err, httpxtest.ErrSkipped))
		}
	}
	// Output:
	// retry/unsafe-status false false
	// retry/limit true false
	// leaks/dropped-bodies false false
	// errors/dial false true
}

// A check can be run alone.
func ExampleCheck_Run() {
	passes := httpxtest.Subject{Wrap: func(base http.RoundTripper) (http.RoundTripper, error) { return base, nil }}
	for _, c := range httpxtest.Checks() {
		if c.Name == "responses/redirect" {
			fmt.Println(c.Doc)
			fmt.Println(c.Run(context.Background(), passes))
		}
	}
	// Output:
	// A redirect is a response, not followed.
	// <nil>
}
