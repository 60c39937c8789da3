// Package probe learns from net/http what became of an attempt's connection: whether one was asked for, and how often
// one was had. Only that can tell a request that never left from one whose answer was lost, and shows the attempts that
// net/http repeats by itself when a reused connection dies.
package probe

import (
	"context"
	"net/http/httptrace"
	"sync/atomic"
)

// Context is the context of an attempt. It is a context that answers net/http's question for trace hooks itself, and only
// when it is asked: a base that asks nothing costs nothing, where httptrace.WithClientTrace costs four allocations.
type Context struct {
	context.Context //nolint:containedctx // it is one

	trace atomic.Pointer[httptrace.ClientTrace]
	asked atomic.Int32
	had   atomic.Int32
}

// traceKey is the key under which httptrace looks for its hooks in a context. httptrace does not export it, but shows it to
// any context it is asked about. Without it (a Go release that asks in another way; the tests would say so) nothing is
// learned, and so nothing is taken for not sent.
//
//nolint:gochecknoglobals // a constant that Go cannot write as one
var traceKey = func() any {
	s := &spy{Context: context.Background()}
	httptrace.ContextClientTrace(s)
	return s.key
}()

type spy struct {
	context.Context //nolint:containedctx // it is one

	key any
}

// Value notes the key.
func (s *spy) Value(key any) any {
	s.key = key
	return nil
}

// Init makes c a probe over ctx.
func (c *Context) Init(ctx context.Context) { c.Context = ctx }

// Value implements [context.Context]. The hooks of the caller's own trace are called too.
func (c *Context) Value(key any) any {
	if key != traceKey || key == nil {
		return c.Context.Value(key)
	}
	if t := c.trace.Load(); t != nil {
		return t
	}
	t := httptrace.ContextClientTrace(httptrace.WithClientTrace(c.Context, &httptrace.ClientTrace{
		GetConn: func(string) { c.asked.Add(1) },
		GotConn: func(httptrace.GotConnInfo) { c.had.Add(1) },
	}))
	c.trace.CompareAndSwap(nil, t)
	return c.trace.Load()
}

// Reset forgets the attempt before.
func (c *Context) Reset() {
	c.asked.Store(0)
	c.had.Store(0)
}

// Connections is how many connections the attempt has had: 0 where it had none, or its base reports nothing.
func (c *Context) Connections() int { return int(c.had.Load()) }

// NeverConnected reports whether the attempt asked for a connection and never had one: then nothing was sent. A base that
// reports nothing proves nothing.
func (c *Context) NeverConnected() bool { return c.asked.Load() > 0 && c.had.Load() == 0 }
