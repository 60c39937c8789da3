package correlation_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/correlation"
)

// The example of the W3C Trace Context recommendation.
const (
	traceID     = "4bf92f3577b34da6a3ce929d0e0e4736"
	spanID      = "00f067aa0ba902b7"
	traceparent = "00-" + traceID + "-" + spanID + "-01"
)

func traceOfHeader(t testing.TB, values ...string) (correlation.Trace, bool) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header["Traceparent"] = values
	_, seen, _ := serve(t, newCorrelator(t, correlation.Config{}), r)
	return correlation.TraceOf(seen.Context())
}

func TestTraceparent(t *testing.T) {
	t.Parallel()
	for flags, sampled := range map[string]bool{"00": false, "01": true, "02": false, "03": true, "fe": false, "ff": true, "0b": true, "0a": false} {
		got, ok := traceOfHeader(t, "00-"+traceID+"-"+spanID+"-"+flags)
		require.True(t, ok, flags)
		require.Equal(t, correlation.Trace{TraceID: traceID, SpanID: spanID, Sampled: sampled}, got, flags)
	}
}

func TestTraceparentIsReadToTheLetter(t *testing.T) {
	t.Parallel()
	const zeros = "00000000000000000000000000000000"
	for _, values := range [][]string{
		nil,
		{""},
		{traceparent, traceparent},
		{traceparent + " "},
		{" " + traceparent},
		{traceparent + "-x"},
		{traceparent[:54]},
		{"01" + traceparent[2:]},
		{"ff" + traceparent[2:]},
		{"00-" + zeros + "-" + spanID + "-01"},
		{"00-" + traceID + "-" + zeros[:16] + "-01"},
		{"00-" + "4BF92F3577B34DA6A3CE929D0E0E4736" + "-" + spanID + "-01"},
		{"00-" + traceID + "-" + "00F067AA0BA902B7" + "-01"},
		{"00-" + traceID + "-" + spanID + "-0A"},
		{"00-" + traceID + "-" + spanID + "-0g"},
		{"00-" + traceID + "-" + spanID + "_01"},
		{"00-" + traceID + "_" + spanID + "-01"},
		{"00_" + traceID + "-" + spanID + "-01"},
		{"00-" + "g" + traceID[1:] + "-" + spanID + "-01"},
		{"00-" + traceID + "-" + spanID[:15] + "/" + "-01"},
	} {
		_, ok := traceOfHeader(t, values...)
		require.False(t, ok, "%q", values)
	}
}

func TestTraceStaysWithTheID(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("traceparent", traceparent)
	_, seen, _ := serve(t, newCorrelator(t, correlation.Config{}), r)
	want, ok := correlation.TraceOf(seen.Context())
	require.True(t, ok)

	got, ok := correlation.TraceOf(correlation.Detach(correlation.WithID(seen.Context(), "other")))
	require.True(t, ok)
	require.Equal(t, want, got)

	_, ok = correlation.TraceOf(correlation.WithID(t.Context(), "other"))
	require.False(t, ok)
}

func TestWithTraceTakesThePlaceOfTheCallers(t *testing.T) {
	t.Parallel()
	live := correlation.Trace{TraceID: "0af7651916cd43dd8448eb211c80319c", SpanID: "b7ad6b7169203331"}
	ctx := correlation.WithTrace(traced(t), live)
	got, ok := correlation.TraceOf(ctx)
	require.True(t, ok)
	require.Equal(t, live, got)
	id, _ := correlation.ID(ctx)
	require.Equal(t, "mine", id)

	for _, bad := range []correlation.Trace{
		{},
		{TraceID: live.TraceID},
		{SpanID: live.SpanID},
		{TraceID: live.TraceID + "0", SpanID: live.SpanID},
		{TraceID: live.TraceID, SpanID: "0000000000000000"},
		{TraceID: live.TraceID, SpanID: "\n7ad6b7169203331"},
		{TraceID: "0AF7651916CD43DD8448EB211C80319C", SpanID: live.SpanID},
	} {
		require.Equal(t, ctx, correlation.WithTrace(ctx, bad), "%+v", bad)
	}
}

// A trace is not an id: whatever makes one for want of it still does, and keeps the trace.
func TestATraceWithoutAnID(t *testing.T) {
	t.Parallel()
	live := correlation.Trace{TraceID: traceID, SpanID: spanID, Sampled: true}
	ctx := correlation.WithTrace(t.Context(), live)
	_, ok := correlation.ID(ctx)
	require.False(t, ok)

	var out bytes.Buffer
	slog.New(correlation.LogHandler(slog.NewJSONHandler(&out, nil))).WithGroup("g").InfoContext(ctx, "m", "k", "v")
	line := decode(t, out.Bytes())
	require.Equal(t, traceID, line["trace_id"])
	require.Equal(t, spanID, line["span_id"])
	require.NotContains(t, line, "correlation_id")

	for name, with := range map[string]context.Context{
		"Detach": correlation.Detach(ctx), "WithID": correlation.WithID(ctx, "a-1"), "Transport": sentContext(t, ctx),
	} {
		id, ok := correlation.ID(with)
		require.True(t, ok, name)
		require.NotEmpty(t, id, name)
		got, _ := correlation.TraceOf(with)
		require.Equal(t, live, got, name)
	}
}

// sentContext is the context of a request that a Transport has sent with ctx. The id on it has to be in its header too.
func sentContext(t *testing.T, ctx context.Context) context.Context {
	t.Helper()
	var sent *http.Request
	base := roundTripper(func(r *http.Request) (*http.Response, error) {
		sent = r
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
	})
	_, err := newCorrelator(t, correlation.Config{}).Transport(base).RoundTrip(
		httptest.NewRequest(http.MethodGet, "http://vendor.test/", nil).WithContext(ctx))
	require.NoError(t, err)
	id, _ := correlation.ID(sent.Context())
	require.Equal(t, id, sent.Header.Get(correlation.Header))
	return sent.Context()
}
