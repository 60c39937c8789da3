package correlation_test

import (
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
