package correlation

import "context"

// Header is the header an id travels in, inbound, outbound and on responses. net/http writes it as
// X-Correlation-Id; names of headers are compared without regard to case.
const Header = "X-Correlation-ID"

// canonical is the key of [Header] in an http.Header.
const canonical = "X-Correlation-Id"

// maxLen is the longest id accepted: a UUID is 36, the longest trace ids in use are 55.
const maxLen = 64

// scope is a context that carries an id, or a trace, or both. It is a context type of its own, and holds the header values made of
// the id, so that a request costs one allocation here and not four.
type scope struct {
	context.Context //nolint:containedctx // it is one

	id    string // empty: none
	trace traceparent
	// echo and sent are header values: one for the response, one for outbound requests. Nobody else's slice is
	// ever the same array, so that a handler that edits its response header in place changes nothing else.
	echo, sent [1]string
}

type scopeKey struct{}

func makeScope(parent context.Context, id string, trace traceparent) scope {
	return scope{Context: parent, id: id, trace: trace, echo: [1]string{id}, sent: [1]string{id}}
}

func newScope(parent context.Context, id string, trace traceparent) *scope {
	s := makeScope(parent, id, trace)
	return &s
}

// Value finds the scope itself; other keys are the parent's.
func (s *scope) Value(key any) any {
	if _, ok := key.(scopeKey); ok {
		return s
	}
	return s.Context.Value(key)
}

// scopeOf returns the innermost scope, or nil.
func scopeOf(ctx context.Context) *scope {
	if ctx == nil { // a slog.Handler may be handed one
		return nil
	}
	s, _ := ctx.Value(scopeKey{}).(*scope)
	return s
}

// ID returns the id of ctx, and whether there is one. It allocates nothing.
func ID(ctx context.Context) (string, bool) {
	s := scopeOf(ctx)
	if s == nil {
		return "", false
	}
	return s.id, s.id != ""
}

// WithID returns a context that carries id, in place of the one ctx may have; the trace is kept. An id that is
// not [Valid] changes nothing and ctx itself is returned: what is in a context reaches headers and logs
// unchecked, so nothing unchecked gets in.
func WithID(ctx context.Context, id string) context.Context {
	s := scopeOf(ctx)
	switch {
	case !Valid(id):
		return ctx
	case s == nil:
		return newScope(ctx, id, "")
	case s.id == id:
		return ctx
	default:
		return newScope(ctx, id, s.trace)
	}
}

// Detach returns a context for work that outlives the request: as [context.WithoutCancel], it keeps every value,
// the id and the trace among them, and drops cancellation and deadline; give the work a deadline of its own.
// Where ctx has no id, one is made, so that the work can be found in the log.
//
// Values a router keeps in a context may be used again by it once the request is over (chi does): read what you
// need of them before, not in the detached work.
func Detach(ctx context.Context) context.Context {
	detached := context.WithoutCancel(ctx)
	if _, ok := ID(ctx); !ok {
		return WithID(detached, NewID())
	}
	return detached
}

// Valid reports whether id may be used: a letter or digit, then up to 63 letters, digits, '.', '_', '~' or '-'
// (^[A-Za-z0-9][A-Za-z0-9._~-]{0,63}$). All of these stand unescaped in a URL, a header, a log line, a label.
func Valid(id string) bool {
	if id == "" || len(id) > maxLen || id[0] == '.' || id[0] == '_' || id[0] == '~' || id[0] == '-' {
		return false
	}
	for i := range len(id) {
		if c := id[i]; !allowed(c) {
			return false
		}
	}
	return true
}

// allowed looks c up in two constants, a bit for each character up to 127.
func allowed(c byte) bool {
	const (
		low  = 1<<'-' | 1<<'.' | (1<<10-1)<<'0'
		high = (1<<26-1)<<('A'-64) | 1<<('_'-64) | (1<<26-1)<<('a'-64) | 1<<('~'-64)
	)
	if c < 64 {
		return uint64(low)>>c&1 != 0
	}
	return c < 128 && uint64(high)>>(c-64)&1 != 0
}
