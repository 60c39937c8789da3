package breaker_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
)

// Guard any function with Do. This is the form to choose unless the call is HTTP.
func Example() {
	b, err := breaker.New("calendar", breaker.Config{
		Failures: 2,
		Jitter:   -1, // for the output below; leave it on in a program
		Hooks: breaker.Hooks{OnTransition: func(e breaker.TransitionEvent) {
			fmt.Println(e.Name, "is", e.To)
		}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	down := func(context.Context) (string, error) { return "", io.ErrUnexpectedEOF }
	for range 3 {
		_, err := breaker.Do(context.Background(), b, down)
		if errors.Is(err, errors.CircuitOpen) {
			wait, _ := errors.RetryAfter(err)
			fmt.Println("not called; next try in", wait.Round(time.Second))
		} else {
			fmt.Println(err)
		}
	}
	// Output:
	// unexpected EOF
	// calendar is open
	// unexpected EOF
	// not called; next try in 30s
}

// Everything that is wrong with a configuration is reported at once.
func ExampleNew() {
	_, err := breaker.New("twilio", breaker.Config{Failures: 5, Window: 3, Jitter: 7})
	fmt.Println(err)
	// Output:
	// breaker "twilio": Window = 3: want 5 to 100000
	// breaker "twilio": Jitter = 7: want at most 1, or negative for none
}

// Open at half of the calls within ten seconds, and count slow answers as failures.
func ExampleNew_timeWindow() {
	b, err := breaker.New("twilio", breaker.Config{
		FailureRatio: 0.5,
		Period:       10 * time.Second,
		MinCalls:     4,
		SlowCall:     3 * time.Second,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, o := range []breaker.Outcome{breaker.Success, breaker.Failure, breaker.Ignored, breaker.Success, breaker.Failure} {
		p, _, _ := b.TryAcquire()
		p.Done(o)
		fmt.Println(b.State())
	}
	// Output:
	// closed
	// closed
	// closed
	// closed
	// open
}

// Where a call ends elsewhere than it begins, ask with Allow and report with done.
func ExampleBreaker_Allow() {
	b, err := breaker.New("events", breaker.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	done, err := b.Allow()
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = io.Copy(io.Discard, strings.NewReader("a stream"))
	done(err)
	fmt.Println(b.State(), err)
	// Output: closed <nil>
}

// Shed load in front of a handler that keeps failing: chi's r.Use(b.Handler) does the same.
func ExampleBreaker_Handler() {
	b, err := breaker.New("reports", breaker.Config{Failures: 2, Jitter: -1})
	if err != nil {
		fmt.Println(err)
		return
	}
	h := b.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "the database is away", http.StatusInternalServerError)
	}))
	for range 3 {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/reports", nil))
		fmt.Printf("%d %q\n", rec.Code, rec.Header().Get("Retry-After"))
	}
	// Output:
	// 500 ""
	// 500 ""
	// 503 "30"
}

// Guard an http.Client. An httpx client has a breaker already.
func ExampleBreaker_Transport() {
	vendor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
	}))
	defer vendor.Close()

	b, err := breaker.New("vendor", breaker.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: b.Transport(nil)}
	defer client.CloseIdleConnections()
	for range 4 {
		resp, err := client.Get(vendor.URL)
		if err != nil {
			fmt.Println(errors.KindOf(err), errors.DeliveryOf(err))
			return
		}
		fmt.Println(resp.StatusCode)
		_ = resp.Body.Close()
	}
	// Output:
	// 502
	// 502
	// 502
	// circuit_open not_sent
}

// One breaker per host.
func ExampleGroup() {
	g, err := breaker.NewGroup("hosts", breaker.GroupConfig{Breaker: breaker.Config{Failures: 1}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fetch := func(host string) error {
		_, err := breaker.Do(context.Background(), g.Get(host), func(context.Context) (int, error) {
			if host == "down.example" {
				return 0, io.ErrUnexpectedEOF
			}
			return 1, nil
		})
		return err
	}
	_ = fetch("down.example")
	fmt.Println("up:", fetch("up.example"))
	fmt.Println("down:", errors.KindOf(fetch("down.example")))
	for b := range g.All() {
		fmt.Println(b.Name(), b.State())
	}
	// Output:
	// up: <nil>
	// down: circuit_open
	// hosts/down.example open
	// hosts/up.example closed
	// hosts/* closed
}

// A vendor is back sooner than thought: ask it sooner, in the outage that is under way.
func ExampleBreaker_Reconfigure() {
	b, err := breaker.New("vendor", breaker.Config{Failures: 1, OpenFor: time.Minute, Jitter: -1, Hooks: breaker.Hooks{
		OnReconfigure: func(e breaker.ReconfigureEvent) {
			fmt.Println(e.Name, "is open for", e.New.OpenFor, "instead of", e.Old.OpenFor)
		},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = breaker.Do(context.Background(), b, func(context.Context) (int, error) { return 0, io.ErrUnexpectedEOF })

	cfg := b.Given() // what is not changed stays
	cfg.OpenFor = 10 * time.Second
	if err := b.Reconfigure(cfg); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(b.State(), b.Snapshot().RetryAfter.Round(time.Second))
	// Output:
	// vendor is open for 10s instead of 1m0s
	// open 10s
}
