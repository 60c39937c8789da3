// Package replay gives every attempt of a call its own copy of the request body.
//
// A body with GetBody is rewound by it and never copied. One without is recorded while the first attempt reads it,
// up to a bound, so that nothing is read ahead of the transport: a streaming upload still streams, and a caller
// that is canceled is not kept waiting for its own body.
package replay

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

// ErrNotReplayable is returned by [Body.Next] where the body cannot be sent again.
var ErrNotReplayable = errors.New("request body cannot be sent again: no GetBody, and longer than the buffer")

var errSuperseded = errors.New("request body now belongs to a later attempt")

// Body hands out the body of each attempt. The zero value has none.
type Body struct {
	req   *http.Request
	limit int64
	used  bool
	rec   *recorder
}

// Recorded is described with None.
func (b *Body) Recorded() bool { return b.rec != nil }

// Init prepares the body of req. A body without GetBody is recorded up to limit bytes; limit < 0 records nothing.
func (b *Body) Init(req *http.Request, limit int64) { b.req, b.limit = req, limit }

// None reports whether there is no body at all, Recorded whether it is recorded, so that not even the first attempt gets
// the caller's own.
func (b *Body) None() bool { return b.req == nil || b.req.Body == nil || b.req.Body == http.NoBody }

// Next returns the body for the next attempt: the caller's own for the first, another reader over the same bytes
// later. The transport that gets it closes it.
func (b *Body) Next() (io.ReadCloser, error) {
	first := !b.used
	b.used = true
	switch {
	case b.None():
		return b.req.Body, nil
	case b.req.GetBody != nil:
		if first {
			return b.req.Body, nil
		}
		return b.req.GetBody()
	case first && b.limit < 0:
		return b.req.Body, nil
	case first:
		b.rec = &recorder{src: b.req.Body, limit: b.limit}
	}
	return b.rec.view()
}

// Replayable reports whether [Body.Next] can serve another attempt. For GetBody only Next itself can tell.
func (b *Body) Replayable() bool {
	if b.None() || b.req.GetBody != nil {
		return true
	}
	return b.rec != nil && !b.rec.overflowed()
}

// Finish says that no attempt follows. A body that no transport was given is closed; a recorded one is closed once
// the last attempt's transport has closed its view of it, which may be after a response has begun.
func (b *Body) Finish() {
	switch {
	case b.None():
	case !b.used:
		b.used = true
		_ = b.req.Body.Close() // nothing was sent; there is nobody to tell
	case b.rec != nil:
		b.rec.finish()
	}
}

// recorder reads src once and serves it to one view after the other.
type recorder struct {
	mu       sync.Mutex // held while src is read: a later view waits for the bytes an earlier one is getting
	src      io.ReadCloser
	limit    int64
	buf      []byte
	err      error // sticky: what src ended with
	overflow bool

	state   sync.Mutex // guards what follows, never held while src is read
	current *view
	last    bool // no view follows
	closed  bool
}

func (r *recorder) overflowed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.overflow || r.err != nil && r.err != io.EOF //nolint:errorlint // io.Reader's contract is the bare value
}

func (r *recorder) view() (io.ReadCloser, error) {
	r.state.Lock()
	first := r.current == nil
	r.state.Unlock()
	if !first && r.overflowed() {
		return nil, ErrNotReplayable // and the attempt before stays the last
	}
	v := &view{r: r}
	r.state.Lock()
	r.current = v
	r.state.Unlock()
	return v, nil
}

func (r *recorder) finish() {
	r.state.Lock()
	r.last = true
	closeNow := !r.closed && (r.current == nil || r.current.closed)
	r.closed = r.closed || closeNow
	r.state.Unlock()
	if closeNow {
		_ = r.src.Close()
	}
}

// view is one attempt's reader.
type view struct {
	r      *recorder
	off    int
	closed bool // guarded by r.state
}

func (v *view) stale() bool {
	v.r.state.Lock()
	defer v.r.state.Unlock()
	return v.r.current != v || v.closed
}

func (v *view) Read(p []byte) (int, error) {
	r := v.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if v.stale() {
		return 0, errSuperseded
	}
	if v.off < len(r.buf) {
		n := copy(p, r.buf[v.off:])
		v.off += n
		return n, nil
	}
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.src.Read(p)
	if n > 0 && !r.overflow {
		if int64(len(r.buf)+n) <= r.limit {
			r.buf = append(r.buf, p[:n]...)
			v.off += n
		} else {
			r.overflow = true
		}
	}
	if err != nil {
		r.err = err
	}
	return n, err
}

// Close marks the view as done. The caller's body is closed with the last view.
func (v *view) Close() error {
	r := v.r
	r.state.Lock()
	closeNow := r.last && r.current == v && !r.closed
	v.closed = true
	r.closed = r.closed || closeNow
	r.state.Unlock()
	if closeNow {
		return r.src.Close()
	}
	return nil
}
