package errors_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/errors"
)

// full has a value in every member; secret marks what no client may read.
func full() *errors.Error {
	return &errors.Error{
		Kind: errors.VendorTimeout, Op: "POST api.vendor.example", Service: "vendor", Public: "Try later.",
		Delivery: errors.Unknown, Stop: errors.StopUnsafeMethod,
		Retry:         errors.Retry{After: 1500 * time.Millisecond, Attempt: 1, MaxAttempts: 3},
		CorrelationID: "id-1", VendorCode: "20500", VendorMessage: "secret +15005550001",
		Attempts: []errors.Attempt{{Status: 500, Reason: "500", Duration: time.Second}},
		Details:  map[string]any{"limit": "10 per minute"},
		Err:      io.ErrUnexpectedEOF,
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	require.Equal(t, "vendor: POST api.vendor.example: vendor_timeout (delivery unknown, stopped by unsafe_method, "+
		"attempt 1 of 3, vendor code 20500, retry after 1.5s): unexpected EOF", full().Error())
	require.Equal(t, "internal", (&errors.Error{}).Error())
	require.Equal(t, "breaker: circuit_open (delivery not_sent)",
		(&errors.Error{Kind: errors.CircuitOpen, Service: "breaker", Delivery: errors.NotSent}).Error())
	require.NotContains(t, full().Error(), "secret")
}

func TestKindOf(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		want errors.Kind
	}{
		{nil, ""},
		{errors.NotFound, errors.NotFound},
		{fmt.Errorf("call 7: %w", errors.NotFound), errors.NotFound},
		{&errors.Error{}, errors.Internal},
		{&errors.Error{Kind: errors.Conflict}, errors.Conflict},
		{&url.Error{Op: "Get", Err: &errors.Error{Kind: errors.CircuitOpen}}, errors.CircuitOpen},
		{&errors.Error{Kind: errors.Conflict, Err: errors.NotFound}, errors.Conflict},
		{&errors.Error{Kind: errors.VendorTimeout, Err: context.Canceled}, errors.VendorTimeout},
		{errors.Join(errors.New("x"), errors.Forbidden), errors.Forbidden},
		// The first in the tree, of either type.
		{errors.Join(errors.NotFound, &errors.Error{Kind: errors.Conflict}), errors.NotFound},
		{errors.Join(&errors.Error{Kind: errors.Conflict}, errors.NotFound), errors.Conflict},
		{fmt.Errorf("%w: %w", errors.NotFound, &errors.Error{Kind: errors.VendorBadResponse}), errors.NotFound},
		{errors.Kind(""), errors.Internal}, // an error is never no error

		{context.Canceled, errors.Canceled},
		{fmt.Errorf("reading: %w", context.Canceled), errors.Canceled},
		{context.DeadlineExceeded, errors.Unavailable},
		{&url.Error{Op: "Get", Err: context.DeadlineExceeded}, errors.Unavailable},
		{fmt.Errorf("body: %w", &http.MaxBytesError{Limit: 1}), errors.Invalid},
		{io.EOF, errors.Internal},
	} {
		require.Equal(t, test.want, errors.KindOf(test.err), "%v", test.err)
	}
}

func TestErrorMatches(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("call: %w", &errors.Error{Kind: errors.CircuitOpen, Err: io.ErrUnexpectedEOF})
	require.ErrorIs(t, err, errors.CircuitOpen)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.NotErrorIs(t, err, errors.Unavailable)
	require.NotErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, &errors.Error{}, errors.Internal)

	require.ErrorIs(t, &errors.Error{Kind: errors.VendorTimeout}, context.DeadlineExceeded)
	require.NotErrorIs(t, &errors.Error{Kind: errors.VendorTimeout}, context.Canceled)
	require.ErrorIs(t, &errors.Error{Kind: errors.Canceled}, context.Canceled)
	require.NotErrorIs(t, &errors.Error{Kind: errors.Canceled}, context.DeadlineExceeded)
	require.NotErrorIs(t, &errors.Error{}, uncomparable{}, "a target that cannot be compared")
}

type uncomparable []int

func (uncomparable) Error() string { return "" }

// What http.Client returns: *url.Error asks its cause whether time ran out.
func TestErrorIsANetErrorThroughURLError(t *testing.T) {
	t.Parallel()
	timesOut := func(cause error) (timeout, temporary bool) {
		var err error = &url.Error{Op: "Get", URL: "https://vendor.example", Err: cause}
		ne, ok := errors.AsType[net.Error](err)
		require.True(t, ok)
		return ne.Timeout(), ne.Temporary() //nolint:staticcheck // the interface has it still
	}
	for _, k := range errors.Kinds() {
		timeout, _ := timesOut(&errors.Error{Kind: k})
		require.Equal(t, k == errors.VendorTimeout, timeout, "%s", k)
	}
	timeout, _ := timesOut(&errors.Error{Kind: errors.VendorBadResponse, Err: os.ErrDeadlineExceeded})
	require.True(t, timeout, "the cause knows")
	timeout, _ = timesOut(&errors.Error{Kind: errors.VendorBadResponse, Err: io.EOF})
	require.False(t, timeout)

	timeout, _ = timesOut(&errors.Error{Kind: errors.VendorBadResponse, Err: &net.DNSError{IsNotFound: true}})
	require.False(t, timeout)

	_, temporary := timesOut(&errors.Error{Kind: errors.CircuitOpen})
	require.True(t, temporary)
	_, temporary = timesOut(&errors.Error{Kind: errors.CircuitOpen, Stop: errors.StopPermanent})
	require.False(t, temporary)
	_, temporary = timesOut(&errors.Error{Kind: errors.Invalid})
	require.False(t, temporary)
}

func TestAccessors(t *testing.T) {
	t.Parallel()
	wrapped := fmt.Errorf("call: %w", full())
	after, ok := errors.RetryAfter(wrapped)
	require.True(t, ok)
	require.Equal(t, 1500*time.Millisecond, after)
	for _, err := range []error{nil, io.EOF, errors.RateLimited, &errors.Error{}, &errors.Error{Retry: errors.Retry{After: -1}}} {
		after, ok = errors.RetryAfter(err)
		require.False(t, ok)
		require.Zero(t, after)
	}

	require.Equal(t, errors.Delivered, errors.DeliveryOf(nil))
	require.Equal(t, errors.Unknown, errors.DeliveryOf(io.EOF))
	require.Equal(t, errors.NotSent, errors.DeliveryOf(fmt.Errorf("x: %w", &errors.Error{Delivery: errors.NotSent})))

	require.Equal(t, errors.StopUnsafeMethod, errors.StopOf(wrapped))
	require.Empty(t, errors.StopOf(nil))
	require.Empty(t, errors.StopOf(io.EOF))

	require.Equal(t, errors.FaultVendor, full().Fault())
	require.Equal(t, errors.FaultUs, (&errors.Error{}).Fault())
}

func TestMatchingAllocatesNothing(t *testing.T) {
	err := error(&url.Error{Op: "Get", Err: full()})
	require.Zero(t, testing.AllocsPerRun(100, func() {
		errors.KindOf(err)
		errors.RetryAfter(err)
		errors.DeliveryOf(err)
		errors.StopOf(err)
	}))
}

func TestLogValue(t *testing.T) {
	t.Parallel()
	log := func(err error) string {
		var buf bytes.Buffer
		slog.New(slog.NewTextHandler(&buf, &slog.HandlerOptions{ReplaceAttr: func(g []string, a slog.Attr) slog.Attr {
			if len(g) == 0 && a.Key != "err" {
				return slog.Attr{}
			}
			return a
		}})).Info("m", "err", err)
		return buf.String()
	}
	got := log(full())
	require.Equal(t, "err.kind=vendor_timeout err.delivery=unknown err.service=vendor err.op=\"POST api.vendor.example\" "+
		"err.stop=unsafe_method err.vendor_code=20500 err.correlation_id=id-1 err.attempts=1 err.retry_after=1.5s "+
		"err.cause=\"unexpected EOF\"\n", got)
	require.NotContains(t, got, "secret")
	require.Equal(t, "err.kind=internal err.delivery=not_sent\n", log(&errors.Error{Delivery: errors.NotSent}))
}
