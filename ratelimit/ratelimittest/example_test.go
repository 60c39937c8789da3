package ratelimittest_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/prusik-go/prusik/ratelimit"
	"github.com/prusik-go/prusik/ratelimit/ratelimittest"
)

// printT stands in for the *testing.T of a test.
type printT struct{ testing.TB }

func (printT) Helper()                   {}
func (printT) Errorf(f string, a ...any) { fmt.Printf(f+"\n", a...) }

// A route that somebody has forgotten.
func ExampleRequireLimited() {
	l, err := ratelimit.New("api", ratelimit.Config{Limits: ratelimit.Limits{{Count: 10, Period: time.Minute}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	mux := http.NewServeMux()
	mux.Handle("POST /calls", l.Handler(ratelimit.RemoteAddr)(handler))
	mux.Handle("POST /sms", handler)

	var t printT
	ratelimittest.RequireLimited(t, mux, "POST /calls", "POST /sms")
	// Output:
	// ratelimittest: POST /sms is not limited: 1000 requests from one client, and none was refused for its rate; the last was answered with 200
}
