package tracing_test

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/tracing"
)

const (
	traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	spanID  = "00f067aa0ba902b7"
)

// inbound is the context of a request that came with a traceparent, as package correlation has it.
func inbound(t testing.TB, flags string) context.Context {
	t.Helper()
	cor, err := correlation.New(correlation.Config{})
	require.NoError(t, err)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
	r.Header.Set("traceparent", "00-"+traceID+"-"+spanID+"-"+flags)
	r.Header.Set(correlation.Header, "mine")
	var ctx context.Context
	cor.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { ctx = r.Context() })).
		ServeHTTP(httptest.NewRecorder(), r)
	return ctx
}

// one sends one GET and returns the header that went out.
func one(t testing.TB, ctx context.Context, cfg tracing.Config) http.Header {
	t.Helper()
	var sent http.Header
	c, err := tracing.New(cfg).NewClient("vendor", httpx.Config{Base: base(func(r *http.Request) (*http.Response, error) {
		sent = r.Header
		return fine(r)
	})})
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://vendor.test/", http.NoBody)
	require.NoError(t, err)
	// With the id on it already, the pipeline sends the caller's own header map.
	req.Header.Set(correlation.Header, "mine")
	before := maps.Clone(req.Header)
	resp, err := c.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, before, req.Header, "the caller's request is the caller's")
	return sent
}

func TestACallBelongsToTheCallersTrace(t *testing.T) {
	s := record(t)
	one(t, inbound(t, "01"), tracing.Config{Provider: s.provider})
	call, _ := s.call(t)
	require.Equal(t, traceID, call.SpanContext.TraceID().String())
	require.Equal(t, spanID, call.Parent.SpanID().String())
	require.True(t, call.Parent.IsRemote())

	s = record(t)
	one(t, inbound(t, "00"), tracing.Config{Provider: s.provider})
	require.Empty(t, s.Started(), "the caller has decided not to sample")
}

func TestATraceThatIsNotSampledTravelsAllTheSame(t *testing.T) {
	s := record(t, sdktrace.WithSampler(sdktrace.NeverSample()))
	h := one(t, inbound(t, "01"), tracing.Config{Provider: s.provider})
	require.Regexp(t, "^00-"+traceID+"-[0-9a-f]{16}-00$", h.Get("Traceparent"))
	require.NotContains(t, h.Get("Traceparent"), spanID)
	require.Empty(t, s.Started())

	// Without an SDK the trace of whoever called passes through.
	h = one(t, inbound(t, "01"), tracing.Config{Provider: noop.NewTracerProvider()})
	require.Equal(t, "00-"+traceID+"-"+spanID+"-01", h.Get("Traceparent"))
	require.NotContains(t, one(t, t.Context(), tracing.Config{Provider: noop.NewTracerProvider()}), "Traceparent")
	require.NotContains(t, one(t, t.Context(), tracing.Config{}), "Traceparent", "nobody has set OpenTelemetry's global")
}

func TestThePropagatorIsTheCallersToChoose(t *testing.T) {
	s := record(t)
	member, err := baggage.NewMember("user", "ada")
	require.NoError(t, err)
	bag, err := baggage.New(member)
	require.NoError(t, err)
	ctx := baggage.ContextWithBaggage(t.Context(), bag)

	h := one(t, ctx, tracing.Config{Provider: s.provider})
	require.NotEmpty(t, h.Get("Traceparent"))
	require.NotContains(t, h, "Baggage", "a vendor learns of a user what it is told, not what is in the baggage")

	h = one(t, ctx, tracing.Config{Provider: s.provider, Propagator: propagation.Baggage{}})
	require.Equal(t, "user=ada", h.Get("Baggage"))
	require.NotContains(t, h, "Traceparent")

	h = one(t, ctx, tracing.Config{Provider: s.provider, Propagator: propagation.NewCompositeTextMapPropagator()})
	require.Equal(t, http.Header{http.CanonicalHeaderKey(correlation.Header): {"mine"}}, h)

	h = one(t, ctx, tracing.Config{Provider: s.provider, Propagator: nosy{t}})
	require.Equal(t, "1", h.Get("X-Nosy"))
}

// nosy reads what it writes to.
type nosy struct{ t testing.TB }

func (nosy) Fields() []string { return []string{"X-Nosy"} }

func (nosy) Extract(ctx context.Context, _ propagation.TextMapCarrier) context.Context { return ctx }

func (n nosy) Inject(_ context.Context, c propagation.TextMapCarrier) {
	require.Equal(n.t, "mine", c.Get(correlation.Header))
	require.Equal(n.t, []string{http.CanonicalHeaderKey(correlation.Header)}, c.Keys())
	c.Set("X-Nosy", "1")
}

// What a sampler sees is what the span says at its start.
func TestASamplerSeesTheCall(t *testing.T) {
	var seen []map[string]any
	s := record(t, sdktrace.WithSampler(sampler(func(p sdktrace.SamplingParameters) bool {
		seen = append(seen, attrs(p.Attributes))
		return true
	})))
	one(t, t.Context(), tracing.Config{Provider: s.provider})
	require.Equal(t, []map[string]any{
		{"http.request.method": "GET", "service.peer.name": "vendor", "server.address": "vendor.test", "server.port": int64(80)},
		{
			"http.request.method": "GET", "service.peer.name": "vendor", "server.address": "vendor.test", "server.port": int64(80),
			"url.full": "http://vendor.test/REDACTED", "correlation_id": "mine",
		},
	}, seen)
}

type sampler func(sdktrace.SamplingParameters) bool

func (s sampler) Description() string { return "test" }

func (s sampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	d := sdktrace.Drop
	if s(p) {
		d = sdktrace.RecordAndSample
	}
	return sdktrace.SamplingResult{Decision: d, Tracestate: trace.SpanContextFromContext(p.ParentContext).TraceState()}
}

// A call that is made within another's attempt, for a fresh token say, is no attempt of that one, recorded or not.
func TestACallWithinAnAttempt(t *testing.T) {
	var client *http.Client
	s := record(t, sdktrace.WithSampler(sampler(func(p sdktrace.SamplingParameters) bool { return p.Name != "vendor POST" })))
	client = s.client(t, httpx.Config{Base: base(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodGet {
			_, err := send(t, r.Context(), client, http.MethodPost, "http://vendor.test/token", "")
			require.NoError(t, err)
		}
		return fine(r)
	})})
	_, err := send(t, t.Context(), client, http.MethodGet, "http://vendor.test/", "")
	require.NoError(t, err)
	call, attempts := s.call(t)
	require.Equal(t, "vendor GET", call.Name)
	require.Len(t, attempts, 1)
	require.Equal(t, int64(1), attrs(call.Attributes)["prusik.attempts"])
}

// ids are always the same, for examples.
type ids struct{}

func (ids) NewIDs(context.Context) (trace.TraceID, trace.SpanID) {
	t, _ := trace.TraceIDFromHex(traceID)
	s, _ := trace.SpanIDFromHex(spanID)
	return t, s
}

func (ids) NewSpanID(context.Context, trace.TraceID) trace.SpanID {
	s, _ := trace.SpanIDFromHex(spanID)
	return s
}
