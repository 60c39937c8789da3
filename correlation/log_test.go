package correlation_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/slogtest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/prusik-go/prusik/correlation"
)

// inject gives every record a context, for callers that cannot (slogtest).
type inject struct {
	slog.Handler

	ctx context.Context
}

func (i inject) Handle(_ context.Context, r slog.Record) error {
	return i.Handler.Handle(i.ctx, r)
}

func (i inject) WithAttrs(attrs []slog.Attr) slog.Handler {
	return inject{i.Handler.WithAttrs(attrs), i.ctx}
}

func (i inject) WithGroup(name string) slog.Handler { return inject{i.Handler.WithGroup(name), i.ctx} }

// traced returns a context with the id "mine" and a trace.
func traced(t testing.TB) context.Context {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("traceparent", traceparent)
	r.Header.Set(correlation.Header, "mine")
	_, seen, _ := serve(t, newCorrelator(t, correlation.Config{}), r)
	return seen.Context()
}

func decode(t testing.TB, line []byte) map[string]any {
	t.Helper()
	var m map[string]any
	require.NoError(t, json.Unmarshal(line, &m), "%s", line)
	return m
}

func TestLogHandlerIsASoundHandler(t *testing.T) {
	t.Parallel()
	for name, ctx := range map[string]context.Context{
		"no id": t.Context(), "id": correlation.WithID(t.Context(), "mine"), "trace": traced(t),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var buf bytes.Buffer
			slogtest.Run(t, func(*testing.T) slog.Handler {
				buf.Reset()
				return inject{correlation.LogHandler(slog.NewJSONHandler(&buf, nil)), ctx}
			}, func(t *testing.T) map[string]any {
				m := decode(t, buf.Bytes())
				_, has := m["correlation_id"]
				require.Equal(t, name != "no id", has)
				_, has = m["trace_id"]
				require.Equal(t, name == "trace", has)
				return m
			})
		})
	}
}

func TestLogHandlerPutsTheIDAtTheRoot(t *testing.T) {
	t.Parallel()
	ctx := traced(t)
	ours := `"correlation_id":"mine","trace_id":"` + traceID + `","span_id":"` + spanID + `"`
	type logger = *slog.Logger
	for name, test := range map[string]struct {
		log  func(logger)
		want string
	}{
		"plain":       {func(l logger) { l.InfoContext(ctx, "m") }, ours},
		"attrs":       {func(l logger) { l.InfoContext(ctx, "m", "a", 1) }, `"a":1,` + ours},
		"with":        {func(l logger) { l.With("a", 1).InfoContext(ctx, "m") }, `"a":1,` + ours},
		"group":       {func(l logger) { l.WithGroup("g").InfoContext(ctx, "m", "a", 1) }, `"g":{"a":1},` + ours},
		"empty group": {func(l logger) { l.WithGroup("g").InfoContext(ctx, "m") }, ours},
		"unnamed group": {func(l logger) {
			l.WithGroup("").InfoContext(ctx, "m", "a", 1)
		}, `"a":1,` + ours},
		"deep": {func(l logger) {
			l.With("a", 1).WithGroup("g").With("b", 2).WithGroup("h").With("c", 3).InfoContext(ctx, "m", "d", 4)
		}, `"a":1,"g":{"b":2,"h":{"c":3,"d":4}},` + ours},
		"siblings share nothing": {func(l logger) {
			l = l.WithGroup("g").With("a", 1).With("b", 2).With("c", 3)
			l4 := l.With("d", 4)
			_, _ = l.With("lost", 1), l.WithGroup("lost").With("x", 1)
			l4.InfoContext(ctx, "m")
		}, `"g":{"a":1,"b":2,"c":3,"d":4},` + ours},

		"record has it": {func(l logger) {
			l.InfoContext(ctx, "m", "correlation_id", "theirs", "trace_id", "t", "span_id", "s")
		}, `"correlation_id":"theirs","trace_id":"t","span_id":"s"`},
		"logger has it": {func(l logger) {
			l.With("correlation_id", "theirs").WithGroup("g").InfoContext(ctx, "m", "a", 1)
		}, `"correlation_id":"theirs","g":{"a":1},"trace_id":"` + traceID + `","span_id":"` + spanID + `"`},
		"an inline group has it": {func(l logger) {
			l.InfoContext(ctx, "m", slog.Group("", slog.Group("", "correlation_id", "theirs"), "trace_id", "t", "span_id", "s"))
		}, `"correlation_id":"theirs","trace_id":"t","span_id":"s"`},
		"a group has one of the name": {func(l logger) {
			l.InfoContext(ctx, "m", slog.Group("g", "correlation_id", "theirs"))
		}, `"g":{"correlation_id":"theirs"},` + ours},
		"the open group has one of the name": {func(l logger) {
			l.WithGroup("g").With("correlation_id", "theirs").InfoContext(ctx, "m", "trace_id", "t")
		}, `"g":{"correlation_id":"theirs","trace_id":"t"},` + ours},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for times, wrap := range []func(slog.Handler) slog.Handler{
				correlation.LogHandler,
				func(h slog.Handler) slog.Handler { return correlation.LogHandler(correlation.LogHandler(h)) },
			} {
				var buf bytes.Buffer
				test.log(slog.New(wrap(slog.NewJSONHandler(&buf, nil))))
				_, rest, found := strings.Cut(strings.TrimSpace(buf.String()), `"msg":"m",`)
				require.True(t, found, buf.String())
				require.Equal(t, test.want+"}", rest, "wrapped %d more times", times)
			}
		})
	}
}

func TestLogHandlerWithoutAnIDIsItsNext(t *testing.T) {
	t.Parallel()
	var direct, wrapped bytes.Buffer
	for buf, h := range map[*bytes.Buffer]slog.Handler{
		&direct:  slog.NewTextHandler(&direct, &slog.HandlerOptions{ReplaceAttr: noTime}),
		&wrapped: correlation.LogHandler(slog.NewTextHandler(&wrapped, &slog.HandlerOptions{ReplaceAttr: noTime})),
	} {
		l := slog.New(h)
		l.Info("one", "a", 1)
		l.With("a", 1).WithGroup("g").With("b", slog.GroupValue(slog.Int("c", 2))).WithGroup("h").Info("two", "d", 3)
		l.Debug("not enabled")
		require.Equal(t, 2, strings.Count(buf.String(), "\n"))
	}
	require.Equal(t, direct.String(), wrapped.String())
}

func noTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

func TestLogHandlerKeepsLevelSourceAndLogValuers(t *testing.T) {
	t.Parallel()
	var buf bytes.Buffer
	l := slog.New(correlation.LogHandler(slog.NewJSONHandler(&buf, &slog.HandlerOptions{
		AddSource: true, Level: slog.LevelWarn,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == "secret" {
				return slog.String("secret", strings.Join(groups, "."))
			}
			return a
		},
	})))
	ctx := correlation.WithID(t.Context(), "mine")
	require.False(t, l.Enabled(ctx, slog.LevelInfo))
	l.InfoContext(ctx, "dropped")
	require.Empty(t, buf.String())
	l.WithGroup("g").With("secret", 1).WithGroup("h").WarnContext(ctx, "m", "secret", 2, "v", valuer{})
	m := decode(t, buf.Bytes())
	require.Equal(t, "WARN", m["level"])
	require.Contains(t, m["source"].(map[string]any)["file"], "log_test.go")
	require.Equal(t, map[string]any{"secret": "g", "h": map[string]any{"secret": "g.h", "v": "resolved"}}, m["g"])
}

type valuer struct{}

func (valuer) LogValue() slog.Value { return slog.StringValue("resolved") }

// A record may be handed to several handlers: none may see what another added.
func TestLogHandlerDoesNotWriteIntoASharedRecord(t *testing.T) {
	t.Parallel()
	ctx := correlation.WithID(t.Context(), "mine")
	r := slog.NewRecord(time.Time{}, slog.LevelInfo, "m", 0)
	for i := range 20 { // one by one, so that the record has room to spare at times
		r.AddAttrs(slog.Int(fmt.Sprint("k", i), i))
		var buf bytes.Buffer
		plain := slog.NewJSONHandler(&buf, nil)
		for _, h := range []slog.Handler{correlation.LogHandler(plain), plain, correlation.LogHandler(plain)} {
			require.NoError(t, h.Handle(ctx, r))
		}
		lines := strings.Split(strings.TrimSpace(buf.String()), "\n")
		require.Len(t, lines, 3)
		require.NotContains(t, lines[1], "correlation_id")
		require.Equal(t, 1, strings.Count(lines[2], "correlation_id"))
		require.Equal(t, lines[0], lines[2])
	}
}

// Whatever a logger does with groups and attributes, the output is next's own and the id.
func TestLogHandlerProperty(t *testing.T) {
	t.Parallel()
	base := t.Context()
	rapid.Check(t, func(t *rapid.T) {
		var direct, wrapped bytes.Buffer
		a := slog.New(slog.NewJSONHandler(&direct, nil))
		b := slog.New(correlation.LogHandler(slog.NewJSONHandler(&wrapped, nil)))
		n := 0
		attr := func() slog.Attr {
			n++
			key := fmt.Sprint("k", n)
			switch rapid.IntRange(0, 4).Draw(t, "attr") {
			case 0:
				return slog.Group(key, "x", n, slog.Group("y"))
			case 1:
				return slog.Group(key)
			case 2:
				return slog.Group("", key, n)
			case 3:
				return slog.Any(key, valuer{})
			default:
				return slog.Int(key, n)
			}
		}
		for range rapid.IntRange(0, 6).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "group") {
				n++
				name := rapid.SampledFrom([]string{fmt.Sprint("g", n), ""}).Draw(t, "name")
				a, b = a.WithGroup(name), b.WithGroup(name)
				continue
			}
			at := attr()
			a, b = a.With(at), b.With(at)
		}
		attrs := make([]slog.Attr, rapid.IntRange(0, 7).Draw(t, "attrs"))
		for i := range attrs {
			attrs[i] = attr()
		}
		ctx := correlation.WithID(base, "mine")
		a.LogAttrs(ctx, slog.LevelInfo, "m", attrs...)
		b.LogAttrs(ctx, slog.LevelInfo, "m", attrs...)
		var want, got map[string]any
		if json.Unmarshal(direct.Bytes(), &want) != nil || json.Unmarshal(wrapped.Bytes(), &got) != nil {
			t.Fatalf("not JSON: %s %s", &direct, &wrapped)
		}
		if got["correlation_id"] != "mine" {
			t.Fatalf("no id: %s", &wrapped)
		}
		delete(got, "correlation_id")
		delete(got, "time")
		delete(want, "time")
		if !maps.EqualFunc(got, want, func(x, y any) bool { return fmt.Sprint(x) == fmt.Sprint(y) }) {
			t.Fatalf("\n got %s\nwant %s", &wrapped, &direct)
		}
	})
}

func TestLogHandlerWithNothingIsItself(t *testing.T) {
	t.Parallel()
	h := correlation.LogHandler(slog.DiscardHandler)
	require.Same(t, h, h.WithGroup(""))
	require.Same(t, h, h.WithAttrs(nil))
}

func TestLogHandlerTakesANilContext(t *testing.T) {
	t.Parallel()
	h := correlation.LogHandler(slog.DiscardHandler)
	var none context.Context
	require.NoError(t, h.Handle(none, slog.Record{}))
}

// discard is enabled and writes nothing, so that what is counted is LogHandler's.
type discard struct{}

func (discard) Enabled(context.Context, slog.Level) bool  { return true }
func (discard) Handle(context.Context, slog.Record) error { return nil }
func (d discard) WithAttrs([]slog.Attr) slog.Handler      { return d }
func (d discard) WithGroup(string) slog.Handler           { return d }

func TestLogHandlerAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("counts allocations")
	}
	l := slog.New(correlation.LogHandler(discard{}))
	with, without := correlation.WithID(t.Context(), "mine"), t.Context()
	a := slog.Int("a", 1)
	require.Zero(t, testing.AllocsPerRun(100, func() { l.LogAttrs(without, slog.LevelInfo, "m", a) }))
	require.Zero(t, testing.AllocsPerRun(100, func() { l.LogAttrs(with, slog.LevelInfo, "m", a) }))
	grouped := l.WithGroup("g")
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() { grouped.LogAttrs(with, slog.LevelInfo, "m", a) }), 3.0)
}
