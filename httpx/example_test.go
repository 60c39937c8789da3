package httpx_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/metrics"
)

// vendor answers 503 to the first requests, then 200.
func vendor(failures int) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if failures--; failures >= 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "hello")
	}))
}

// The one line: everything is on, with defaults.
func ExampleNewClient() {
	srv := vendor(2)
	defer srv.Close()

	client, err := httpx.NewClient("vendor", httpx.Config{BackoffBase: time.Millisecond})
	if err != nil {
		fmt.Println(err)
		return
	}
	resp, err := client.Get(srv.URL) // two 503s are retried: a GET is idempotent
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(resp.StatusCode, string(body))
	// Output: 200 hello
}

// One field, and the call, its attempts and its breaker are counted. A vendor that goes down is seen at the next scrape.
func ExampleNewClient_metrics() {
	srv := vendor(3)
	defer srv.Close()
	reg := prometheus.NewRegistry()
	m, err := metrics.New(reg, metrics.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := httpx.NewClient("vendor", httpx.Config{BackoffBase: time.Millisecond, Metrics: m})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 2 {
		if resp, err := client.Get(srv.URL); err == nil {
			_ = resp.Body.Close()
		}
	}
	w := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	client.CloseIdleConnections()
	for line := range strings.Lines(w.Body.String()) {
		for _, name := range []string{"http_client_calls_total", "http_client_attempts_total", "circuit_breaker_state"} {
			if strings.HasPrefix(line, name) {
				fmt.Print(line)
			}
		}
	}
	// Output:
	// circuit_breaker_state{key="",service="vendor"} 2
	// http_client_attempts_total{reason="503",service="vendor"} 3
	// http_client_attempts_total{reason="success",service="vendor"} 0
	// http_client_calls_total{method="GET",outcome="circuit_open",service="vendor"} 1
	// http_client_calls_total{method="GET",outcome="vendor_bad_response",service="vendor"} 1
}

// A POST without an idempotency key is sent once, and what is known of it is told.
func ExampleOutcomeOf() {
	srv := vendor(1)
	defer srv.Close()

	client, err := httpx.NewClient("vendor", httpx.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	resp, err := client.Post(srv.URL, "text/plain", strings.NewReader("text me"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	out, _ := httpx.OutcomeOf(resp)
	fmt.Println(resp.StatusCode, out.Attempts, out.Delivery, out.Stop)
	// Output: 503 1 unknown unsafe_method
}

func ExampleWithObserver() {
	srv := vendor(1)
	defer srv.Close()

	client, err := httpx.NewClient("vendor", httpx.Config{BackoffBase: time.Millisecond})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := httpx.WithObserver(context.Background(), func(e httpx.Event) {
		fmt.Printf("%s, attempt %d of %d\n", e.Status, e.Attempt, e.MaxAttempts)
	})
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL, http.NoBody)
	resp, err := client.Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = resp.Body.Close()
	// Output:
	// attempt, attempt 1 of 3
	// retrying, attempt 2 of 3
	// attempt, attempt 2 of 3
	// succeeded, attempt 2 of 3
}

func ExampleNewTransport() {
	transport, err := httpx.NewTransport("vendor", httpx.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	transport.Breaker().ForceOpen() // an operator's command

	client := &http.Client{Transport: transport}
	_, err = client.Get("http://vendor.example")
	fmt.Println(errors.KindOf(err), errors.DeliveryOf(err), errors.StopOf(err))
	// Output: circuit_open not_sent breaker_open
}

func ExampleTransport_Explain() {
	transport, err := httpx.NewTransport("vendor", httpx.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range transport.Explain().Stages {
		fmt.Println(s.Policy)
	}
	// Output:
	// correlation
	// bulkhead
	// total_timeout
	// retry
	// retry_budget
	// breaker
	// attempt_timeout
	// bodies
	// body_idle_timeout
}

func ExampleResponseError() {
	srv := vendor(1)
	defer srv.Close()

	client, err := httpx.NewClient("vendor", httpx.Config{MaxAttempts: -1})
	if err != nil {
		fmt.Println(err)
		return
	}
	resp, err := client.Get(srv.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	err = httpx.ResponseError(resp)
	fmt.Println(errors.KindOf(err), errors.DeliveryOf(err))
	// Output: vendor_bad_response unknown
}

func ExampleNewEventStream() {
	events, err := httpx.NewEventStream(httpx.EventStreamConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer events.Close()
	events.Publish(httpx.Event{Status: httpx.StatusRetrying, CorrelationID: "id-1", Attempt: 2, MaxAttempts: 3, NextRetryIn: 5 * time.Second})

	srv := httptest.NewServer(events)
	defer srv.Close()
	resp, err := http.Get(srv.URL + "?id=id-1")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "data:") {
			fmt.Println(lines.Text())
			break
		}
	}
	// Output:
	// data: {"status":"retrying","attempt":2,"max_attempts":3,"next_retry_in_seconds":5,"correlation_id":"id-1"}
}
