package breaker_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
)

func TestDoReturnsWhatTheFunctionReturns(t *testing.T) {
	t.Parallel()
	b := newBreaker(t, breaker.Config{})
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, "v")
	cause := io.ErrUnexpectedEOF
	v, err := breaker.Do(ctx, b, func(got context.Context) (string, error) { return got.Value(key{}).(string), cause })
	require.Equal(t, "v", v)
	require.Same(t, cause, err, "untouched")
}

func TestRefusalError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := opened(t, breaker.Config{})
		time.Sleep(10 * time.Second)
		called := false
		v, err := breaker.Do(t.Context(), b, func(context.Context) (int, error) { called = true; return 1, nil })
		require.False(t, called)
		require.Zero(t, v)
		require.Equal(t, &errors.Error{
			Kind: errors.CircuitOpen, Service: "vendor", Op: "breaker",
			Delivery: errors.NotSent, Stop: errors.StopBreakerOpen, Retry: errors.Retry{After: 20 * time.Second},
		}, err)
		require.EqualError(t, err,
			"vendor: breaker: circuit_open (delivery not_sent, stopped by breaker_open, retry after 20s)")

		done, err := b.Allow()
		require.ErrorIs(t, err, errors.CircuitOpen)
		require.NotPanics(t, func() { done(nil) })
		require.Equal(t, breaker.Open, b.State())
	})
}

func TestDoReportsWhatNeverReturns(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(){
		"panic":  func() { panic("boom") },
		"Goexit": runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var recovered any
				call := func(b *breaker.Breaker) {
					var wg sync.WaitGroup
					wg.Go(func() {
						defer func() { recovered = recover() }()
						_, _ = breaker.Do(t.Context(), b, func(context.Context) (int, error) { end(); return 0, nil })
					})
					wg.Wait()
				}
				b := newBreaker(t, breaker.Config{Failures: 1})
				call(b)
				require.Equal(t, breaker.Open, b.State(), "it counts as a failure")
				if name == "panic" {
					require.Equal(t, "boom", recovered, "and goes on")
				}
				time.Sleep(30 * time.Second)
				call(b)
				require.Equal(t, breaker.Open, b.State())
				require.Zero(t, b.Snapshot().ProbesInFlight, "the probe's place is free again")
				time.Sleep(60 * time.Second)
				_, err := breaker.Do(t.Context(), b, succeed)
				require.NoError(t, err)
				require.Equal(t, breaker.Closed, b.State())
			})
		})
	}
}

func TestCallersCancellationSaysNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := halfOpened(t, breaker.Config{})
		for _, err := range []error{context.Canceled, net.ErrClosed, errVendor} {
			ctx, cancel := context.WithCancel(t.Context())
			_, got := breaker.Do(ctx, b, func(context.Context) (int, error) { cancel(); return 0, err })
			require.Equal(t, err, got)
			require.Equal(t, breaker.HalfOpen, b.State(), "%v: the lease goes back", err)
			require.Zero(t, b.Snapshot().ProbesInFlight)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := breaker.Do(ctx, b, succeed)
		require.NoError(t, err)
		require.Equal(t, breaker.Closed, b.State(), "a success counts, canceled or not")
	})
}

func TestDeadlineIsFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, breaker.Config{Failures: 1})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := breaker.Do(ctx, b, func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, breaker.Open, b.State())
	})
}

func TestAllowCountsTheFirstReportOnly(t *testing.T) {
	t.Parallel()
	b := newBreaker(t, breaker.Config{Failures: 2})
	done, err := b.Allow()
	require.NoError(t, err)
	done(errVendor)
	done(errVendor)
	done(errVendor)
	require.Equal(t, breaker.Closed, b.State())
	require.Equal(t, 1, b.Snapshot().Failures)
	done, err = b.Allow()
	require.NoError(t, err)
	done(errVendor)
	require.Equal(t, breaker.Open, b.State())
}

func TestClassifyIsAsked(t *testing.T) {
	t.Parallel()
	missing := os.ErrNotExist
	b := newBreaker(t, breaker.Config{Failures: 1, Classify: func(err error) breaker.Outcome {
		if errors.Is(err, missing) {
			return bad
		}
		return ign
	}})
	_, _ = breaker.Do(t.Context(), b, fail)
	done, err := b.Allow()
	require.NoError(t, err)
	done(errVendor)
	_, err = b.Transport(roundTrip(func(*http.Request) (*http.Response, error) { return nil, errVendor })).
		RoundTrip(request(t, nil))
	require.Error(t, err)
	require.Equal(t, breaker.Closed, b.State())

	done, err = b.Allow()
	require.NoError(t, err)
	done(fmt.Errorf("stat: %w", missing))
	require.Equal(t, breaker.Open, b.State())
}

func TestPanicOfClassifyIsFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		angry := breaker.Config{Classify: func(error) breaker.Outcome { panic("classify") }}
		b := halfOpened(t, angry)
		require.PanicsWithValue(t, "classify", func() { _, _ = breaker.Do(t.Context(), b, succeed) })
		require.Equal(t, breaker.Open, b.State())

		b = halfOpened(t, angry)
		done, err := b.Allow()
		require.NoError(t, err)
		require.PanicsWithValue(t, "classify", func() { done(nil) })
		require.Equal(t, breaker.Open, b.State())
		require.Zero(t, b.Snapshot().ProbesInFlight)
	})
}

func TestDefaultClassify(t *testing.T) {
	t.Parallel()
	byKind := map[errors.Kind]breaker.Outcome{
		errors.Invalid: ign, errors.Unauthenticated: ign, errors.Forbidden: ign, errors.NotFound: ign, errors.Conflict: ign,
		errors.FeatureDisabled: ign, errors.RateLimited: ign, errors.VendorRateLimited: ign,
		errors.CircuitOpen: ign, errors.Unavailable: ign, errors.Canceled: ign,
		errors.VendorBadResponse: bad, errors.VendorTimeout: bad, errors.Internal: bad,
	}
	for _, kind := range errors.Kinds() {
		want, listed := byKind[kind]
		require.True(t, listed, "%s: what is its outcome?", kind)
		require.Equal(t, want, breaker.DefaultClassify(kind), "%s", kind)
		require.Equal(t, want, breaker.DefaultClassify(fmt.Errorf("call: %w", &errors.Error{Kind: kind})), "%s", kind)
	}
	for _, c := range []struct {
		err  error
		want breaker.Outcome
	}{
		{nil, ok},
		{io.EOF, bad},
		{context.Canceled, ign},
		{fmt.Errorf("get: %w", context.Canceled), ign},
		{context.DeadlineExceeded, bad},
		{fmt.Errorf("get: %w", context.DeadlineExceeded), bad},
		{os.ErrDeadlineExceeded, bad},
		{&errors.Error{Kind: errors.RateLimited, Err: context.DeadlineExceeded}, ign}, // the wait did not fit
		{&errors.Error{Kind: errors.Unavailable, Err: context.DeadlineExceeded}, ign}, // no place in the bulkhead in time
		{&errors.Error{}, bad},
		{&http.MaxBytesError{}, ign},
		{&net.OpError{Op: "dial", Err: io.EOF}, bad},
	} {
		require.Equal(t, c.want, breaker.DefaultClassify(c.err), "%v", c.err)
	}
}
