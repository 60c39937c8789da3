package tracing_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/tracing"
	"github.com/prusik-go/prusik/metrics"
)

func TestARecordHasTheLiveSpansIDs(t *testing.T) {
	s := record(t)
	ctx := inbound(t, "01")
	live, span := s.provider.Tracer("test").Start(ctx, "route")
	defer span.End()
	alone, other := s.provider.Tracer("test").Start(t.Context(), "job")
	defer other.End()
	mine := map[string]any{"trace_id": span.SpanContext().TraceID().String(), "span_id": span.SpanContext().SpanID().String(), "correlation_id": "mine"}

	for name, tc := range map[string]struct {
		ctx  context.Context
		log  func(*slog.Logger) *slog.Logger
		want map[string]any
		args []any
	}{
		"at the root": {ctx: live, want: mine},
		"in groups":   {ctx: live, want: mine, log: func(l *slog.Logger) *slog.Logger { return l.With("a", 1).WithGroup("g").With("b", 2).WithGroup("h") }, args: []any{"c", 3}},
		"another's trace": {
			ctx: alone, want: map[string]any{"trace_id": other.SpanContext().TraceID().String(), "span_id": other.SpanContext().SpanID().String(), "correlation_id": nil},
		},
		"no span":         {ctx: ctx, want: map[string]any{"trace_id": traceID, "span_id": spanID, "correlation_id": "mine"}},
		"nothing":         {ctx: t.Context(), want: map[string]any{"trace_id": nil, "span_id": nil, "correlation_id": nil}},
		"there already":   {ctx: live, args: []any{"trace_id", "own", "span_id", "own"}, want: map[string]any{"trace_id": "own", "span_id": "own", "correlation_id": "mine"}},
		"without context": {want: map[string]any{"trace_id": nil, "span_id": nil, "correlation_id": nil}},
	} {
		for twice, wrap := range map[string]func(slog.Handler) slog.Handler{
			"": tracing.LogHandler, ", around correlation's": func(h slog.Handler) slog.Handler { return tracing.LogHandler(correlation.LogHandler(h)) },
		} {
			t.Run(name+twice, func(t *testing.T) {
				var out bytes.Buffer
				l := slog.New(wrap(slog.NewJSONHandler(&out, nil)))
				if tc.log != nil {
					l = tc.log(l)
				}
				l.InfoContext(tc.ctx, "hello", tc.args...)
				var got map[string]any
				require.NoError(t, json.Unmarshal(out.Bytes(), &got))
				for k, v := range tc.want {
					require.Equal(t, v, got[k], k)
					require.LessOrEqual(t, bytes.Count(out.Bytes(), []byte(`"`+k+`"`)), 1, "%s", out.Bytes())
				}
				if name == "in groups" {
					require.Equal(t, map[string]any{"b": 2.0, "h": map[string]any{"c": 3.0}}, got["g"])
				}
			})
		}
	}
}

func TestTheTraceForExemplars(t *testing.T) {
	s, never := record(t), record(t, sdktrace.WithSampler(sdktrace.NeverSample()))
	sampled, span := s.provider.Tracer("test").Start(inbound(t, "01"), "route")
	defer span.End()
	dropped, _ := never.provider.Tracer("test").Start(inbound(t, "01"), "route")
	for name, tc := range map[string]struct {
		ctx     context.Context
		id      string
		sampled bool
	}{
		"live":         {sampled, span.SpanContext().TraceID().String(), true},
		"dropped":      {dropped, "", false},
		"the caller's": {inbound(t, "01"), traceID, true},
		"not sampled":  {inbound(t, "00"), traceID, false},
		"none":         {t.Context(), "", false},
	} {
		id, ok := tracing.TraceOf(tc.ctx)
		require.Equal(t, tc.id, id, name)
		require.Equal(t, tc.sampled, ok, name)
	}
	require.Zero(t, testing.AllocsPerRun(100, func() { tracing.TraceOf(dropped) }))
}

// The exemplars of a client's call and attempt are of the trace its spans are in.
func TestExemplarsPointAtTheSpans(t *testing.T) {
	s, reg := record(t), prometheus.NewRegistry()
	m, err := metrics.New(reg, metrics.Config{Trace: tracing.TraceOf})
	require.NoError(t, err)
	_, err = send(t, t.Context(), s.client(t, httpx.Config{Base: base(fine), Metrics: m}), http.MethodGet, "http://vendor.test/", "")
	require.NoError(t, err)
	call, _ := s.call(t)
	families, err := reg.Gather()
	require.NoError(t, err)
	found := map[string]string{}
	for _, f := range families {
		for _, series := range f.GetMetric() {
			for _, b := range series.GetHistogram().GetBucket() {
				if e := b.GetExemplar(); e != nil {
					found[f.GetName()] = e.GetLabel()[0].GetValue()
				}
			}
		}
	}
	id := call.SpanContext.TraceID().String()
	require.Equal(t, map[string]string{"http_client_call_duration_seconds": id, "http_client_attempt_duration_seconds": id}, found)
}
