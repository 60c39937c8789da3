package bench_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/hashicorp/go-retryablehttp"
	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/httpxtest"
)

const conformanceAttempts = 3

// failsafeSubject is failsafehttp at its best: the last response is returned, and an open breaker is not retried.
func failsafeSubject() httpxtest.Subject {
	build := func(open bool) func(http.RoundTripper) (http.RoundTripper, error) {
		return func(base http.RoundTripper) (http.RoundTripper, error) {
			b := circuitbreaker.NewBuilder[*http.Response]().WithFailureThreshold(1000).WithDelay(time.Hour).Build()
			if open {
				b.Open()
			}
			retry := failsafehttp.NewRetryPolicyBuilder().
				WithMaxAttempts(conformanceAttempts).
				WithBackoff(time.Millisecond, 2*time.Millisecond).
				AbortOnErrors(circuitbreaker.ErrOpen).
				ReturnLastFailure().
				Build()
			return failsafehttp.NewRoundTripper(base, retry, b), nil
		}
	}
	return httpxtest.Subject{Wrap: build(false), Refusing: build(true), MaxAttempts: conformanceAttempts, RetriesKeyed: true}
}

// retryableSubject is go-retryablehttp as a transport, with the last response returned.
func retryableSubject() httpxtest.Subject {
	return httpxtest.Subject{
		Wrap: func(base http.RoundTripper) (http.RoundTripper, error) {
			client := retryablehttp.NewClient()
			client.HTTPClient = &http.Client{Transport: base}
			client.Logger = nil
			client.RetryMax = conformanceAttempts - 1
			client.RetryWaitMin, client.RetryWaitMax = time.Millisecond, 2*time.Millisecond
			client.ErrorHandler = retryablehttp.PassthroughErrorHandler
			return &retryablehttp.RoundTripper{Client: client}, nil
		},
		MaxAttempts: conformanceAttempts, RetriesKeyed: true,
	}
}

func prusikSubject() httpxtest.Subject {
	const buffer = 64 << 10
	build := func(refuse bool) func(http.RoundTripper) (http.RoundTripper, error) {
		return func(base http.RoundTripper) (http.RoundTripper, error) {
			return httpx.NewTransport("conformance", httpx.Config{
				Base: base, MaxAttempts: conformanceAttempts, BackoffBase: time.Millisecond, BackoffMax: 2 * time.Millisecond,
				RetryBudget: 1000, MaxBodyBuffer: buffer, KillSwitch: func() bool { return refuse },
				Breaker: breaker.Config{Failures: 1000},
			})
		}
	}
	return httpxtest.Subject{
		Wrap: build(false), Refusing: build(true), MaxAttempts: conformanceAttempts, ReplaysUpTo: buffer, RetriesKeyed: true,
		ClosesErrorBodies: true, KeepsCause: true, ChecksBase: true, PrusikErrors: true,
	}
}

func TestConformancePrusik(t *testing.T) {
	t.Parallel()
	httpxtest.Run(t, prusikSubject())
}

// The kit is worth something where it tells transports apart: what the peers fail is known, each of it by name.
func TestConformancePeers(t *testing.T) {
	t.Parallel()
	peers := []struct {
		name    string
		subject httpxtest.Subject
		fails   []string
	}{
		{"failsafehttp v0.9.8", failsafeSubject(), []string{
			"body/closed-asynchronously", "body/closed-on-failure/h1", "body/closed-on-failure/h2", "body/closed-once", "body/closed-when-refused", "body/getbody-fails", "body/one-shot", "body/request-untouched", "body/rewindable-not-copied", "body/rewound-by-getbody",
			"context/canceled-in-one-shot", "context/canceled-in-write/h1", "context/canceled-in-write/h2",
			"hostile/nil-body", "hostile/nil-response",
			"leaks/close-idle", "leaks/connections/h1", "leaks/connections/h2", "leaks/dropped-bodies",
			"responses/upgrade",
			"retry/certificate", "retry/unsafe-error", "retry/unsafe-reset/h1", "retry/unsafe-reset/h2", "retry/unsafe-status", "retry/unsafe-timeout/h1", "retry/unsafe-timeout/h2",
		}},
		{"go-retryablehttp v0.7.8", retryableSubject(), []string{
			"body/closed-asynchronously", "body/closed-on-failure/h1", "body/closed-on-failure/h2", "body/closed-once", "body/getbody-fails", "body/one-shot", "body/request-untouched", "body/rewindable-not-copied", "body/rewound-by-getbody",
			"context/canceled-in-backoff", "context/canceled-in-one-shot", "context/canceled-in-write/h1", "context/canceled-in-write/h2",
			"leaks/close-idle",
			"responses/redirect",
			"retry/unsafe-error", "retry/unsafe-reset/h1", "retry/unsafe-reset/h2", "retry/unsafe-status", "retry/unsafe-timeout/h1", "retry/unsafe-timeout/h2",
		}},
	}
	for _, p := range peers {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			got := conformanceFailures(t, p.subject)
			var table strings.Builder
			fmt.Fprintf(&table, "%d checks fail:\n", len(got))
			for _, name := range slices.Sorted(maps.Keys(got)) {
				_, why, _ := strings.Cut(got[name].Error(), "\n") // the first line is the rule
				why, _, _ = strings.Cut(why, "\n")
				fmt.Fprintf(&table, "  %-30s %.120s\n", name, why)
			}
			t.Log(table.String())
			require.ElementsMatch(t, p.fails, slices.Collect(maps.Keys(got)))
		})
	}
}

// conformanceFailures runs all checks, some at a time: a machine that is too busy makes them slow.
func conformanceFailures(t *testing.T, s httpxtest.Subject) map[string]error {
	t.Helper()
	var (
		mu    sync.Mutex
		found = map[string]error{}
		wg    sync.WaitGroup
		slots = make(chan struct{}, 8)
	)
	for _, c := range httpxtest.Checks() {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if err := c.Run(t.Context(), s); err != nil && !errors.Is(err, httpxtest.ErrSkipped) {
				mu.Lock()
				defer mu.Unlock()
				found[c.Name] = err
			}
		})
		if c.Serial {
			wg.Wait()
		}
	}
	wg.Wait()
	return found
}
