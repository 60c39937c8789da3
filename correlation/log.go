package correlation

import (
	"context"
	"log/slog"
	"slices"
)

// The keys [LogHandler] adds.
const (
	keyID    = "correlation_id"
	keyTrace = "trace_id"
	keySpan  = "span_id"
)

// LogHandler adds the id of the context a record was logged with as correlation_id, and trace_id and span_id where
// the request came with a traceparent or a tracer has put its own there ([WithTrace]). They stand at the root of the
// record whatever groups the logger has opened, so that one query finds every line of a request. A key that the logger
// or the record has at the root already is left alone. Without an id or a trace in the context a record passes as it is.
//
// Only the context can carry the id: log with InfoContext and its siblings, not with Info. Groups opened on next before
// it was given to LogHandler cannot be undone. next must not be nil.
//
// With either, a logger's groups reach next as group values of the record, which slog defines to mean the same.
func LogHandler(next slog.Handler) slog.Handler {
	return &logHandler{root: next, plain: next}
}

// logHandler is immutable.
type logHandler struct {
	// root has the attributes given outside of any group; open is the innermost group since then, or nil.
	root slog.Handler
	open *logGroup
	// plain has the same attributes and groups in next's own way, for records without either.
	plain slog.Handler
	// has are the keys of ours that root has.
	has keySet
}

type logGroup struct {
	name   string
	attrs  []slog.Attr
	parent *logGroup
}

func (h *logHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.root.Enabled(ctx, level)
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	h2 := *h
	h2.plain = h.plain.WithAttrs(attrs)
	if h.open != nil {
		g := *h.open
		g.attrs = append(slices.Clip(g.attrs), attrs...)
		h2.open = &g
		return &h2
	}
	h2.root = h2.plain
	for _, a := range attrs {
		h2.has |= keysOf(a)
	}
	return &h2
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	h2 := *h
	h2.plain = h.plain.WithGroup(name)
	h2.open = &logGroup{name: name, parent: h.open}
	return &h2
}

func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	s := scopeOf(ctx)
	if s == nil {
		return h.plain.Handle(ctx, r)
	}
	has := h.has
	if h.open != nil {
		r = h.open.nest(r)
	} else {
		r.Attrs(func(a slog.Attr) bool {
			has |= keysOf(a)
			return true
		})
		r = r.Clone()
	}
	add := func(set keySet, key, value string) {
		if has&set == 0 && value != "" {
			r.AddAttrs(slog.String(key, value))
		}
	}
	add(hasID, keyID, s.id)
	trace := s.trace.read()
	add(hasTrace, keyTrace, trace.TraceID)
	add(hasSpan, keySpan, trace.SpanID)
	return h.root.Handle(ctx, r)
}

// nest returns a record that has r's attributes in g, in g's parent, and so on up to the root.
func (g *logGroup) nest(r slog.Record) slog.Record {
	attrs := make([]slog.Attr, 0, len(g.attrs)+r.NumAttrs())
	attrs = append(attrs, g.attrs...)
	r.Attrs(func(a slog.Attr) bool {
		attrs = append(attrs, a)
		return true
	})
	for ; g.parent != nil; g = g.parent {
		attrs = append(slices.Clip(g.parent.attrs), slog.Attr{Key: g.name, Value: slog.GroupValue(attrs...)})
	}
	nested := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	nested.AddAttrs(slog.Attr{Key: g.name, Value: slog.GroupValue(attrs...)})
	return nested
}

// keySet is a set of the keys of ours.
type keySet uint8

const (
	hasID keySet = 1 << iota
	hasTrace
	hasSpan
)

// keysOf returns the keys of ours that a puts where it stands. The members of a group without a name stand there too.
func keysOf(a slog.Attr) keySet {
	switch a.Key {
	case keyID:
		return hasID
	case keyTrace:
		return hasTrace
	case keySpan:
		return hasSpan
	case "":
		var found keySet
		if v := a.Value.Resolve(); v.Kind() == slog.KindGroup {
			for _, member := range v.Group() {
				found |= keysOf(member)
			}
		}
		return found
	default:
		return 0
	}
}
