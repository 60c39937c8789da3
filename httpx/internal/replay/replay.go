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
	"sync/atomic"
)

// ErrNotReplayable is returned by [Body.Next] where the body cannot be sent again.
var ErrNotReplayable = errors.New("request body cannot be sent again: no GetBody, and longer than the buffer")

var errSuperseded = errors.New("request body now belongs to a later attempt")

// Body hands out the body of each attempt at one request, which every method is given. The zero value is ready.
type Body struct {
	used bool
	rec  *recorder
}

// None reports whether req has no body at all.
func None(req *http.Request) bool { return req.Body == nil || req.Body == http.NoBody }

// Next returns the body for the next attempt: the caller's own for the first, another reader over the same bytes
// later. The transport that gets it closes it. A body without GetBody is recorded up to limit bytes; limit < 0 records
// nothing.
func (b *Body) Next(req *http.Request, limit int64) (io.ReadCloser, error) {
	first := !b.used
	b.used = true
	switch {
	case None(req):
		return req.Body, nil
	case req.GetBody != nil:
		if first {
			return req.Body, nil
		}
		return req.GetBody()
	case first && limit < 0:
		return req.Body, nil
	case first:
		b.rec = &recorder{src: req.Body, limit: limit}
	}
	return b.rec.view()
}

// Replayable reports whether [Body.Next] can serve another attempt. For GetBody only Next itself can tell.
func (b *Body) Replayable(req *http.Request) bool {
	if None(req) || req.GetBody != nil {
		return true
	}
	return b.rec != nil && !b.rec.lost.Load()
}

// Finish says that no attempt follows. A body that no transport was given is closed; a recorded one is closed once
// the last attempt's transport has closed its view of it, which may be after a response has begun.
func (b *Body) Finish(req *http.Request) {
	switch {
	case None(req):
	case !b.used:
		b.used = true
		_ = req.Body.Close() // nothing was sent; there is nobody to tell
	case b.rec != nil:
		b.rec.finish()
	}
}

// recorder reads src once and serves it to one view after the other.
type recorder struct {
	mu    sync.Mutex // held while src is read: a later view waits for the bytes an earlier one is getting
	src   io.ReadCloser
	limit int64
	buf   []byte
	err   error       // sticky: what src ended with
	lost  atomic.Bool // bytes were read that are kept nowhere, or src has failed: no later view can have it all

	state   sync.Mutex // guards what follows, never held while src is read
	current *view
	last    bool // no view follows
	closed  bool
}

func (r *recorder) view() (io.ReadCloser, error) {
	r.state.Lock()
	first := r.current == nil
	r.state.Unlock()
	if !first && r.lost.Load() { // mu is not asked for: an earlier view may hold it, in a read of src that does not end
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
	ahead  bool // it has read what is kept nowhere
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
	switch {
	case r.lost.Load() && !v.ahead: // by an earlier view, in a read that was under way when this one began
		return 0, ErrNotReplayable
	case r.err != nil:
		return 0, r.err
	}
	n, err := r.src.Read(p)
	if n > 0 && !v.ahead {
		if int64(len(r.buf)+n) <= r.limit {
			r.buf = append(r.buf, p[:n]...)
			v.off += n
		} else {
			v.ahead = true
			r.lost.Store(true)
		}
	}
	if err != nil {
		r.err = err
		if err != io.EOF {
			v.ahead = true
			r.lost.Store(true)
		}
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
