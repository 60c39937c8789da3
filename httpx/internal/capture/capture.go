// Package capture takes a response body off the wire, up to a bound, and hands it on from memory.
package capture

import (
	"fmt"
	"io"
	"net/http"
)

// ErrCut ends a body that was longer than what is kept of it.
var ErrCut = fmt.Errorf("%w: more than the bytes that are kept of an error's body", io.ErrUnexpectedEOF)

// errClosed is what reading a closed body gives, here as in net/http.
var errClosed = http.ErrBodyReadAfterClose

// Body is a captured body. It can be used again for the next attempt's, see [Body.Take]. It reads like the original, and after what was captured it ends as the original did: with
// io.EOF, with the error the wire gave, or with [ErrCut] where the bound cut it off.
type Body struct {
	// Owner is the call the body belongs to.
	Owner any

	data   []byte
	off    int
	err    error
	closed bool
}

// Take reads src up to most bytes and closes it; b then holds what it read, in place of what it held before. size is the
// Content-Length, or negative.
func (b *Body) Take(src io.ReadCloser, size, most int64) {
	data, err := read(b.data[:0], src, size, most)
	_ = src.Close() // whatever Close says, all there is to know of this body is known
	if int64(len(data)) > most {
		data, err = data[:most], ErrCut
	}
	b.data, b.err, b.off, b.closed = data, err, 0, false
}

// Peek reads up to most bytes of src without closing it, and returns a body that serves them and goes on with src.
// The data is nil where src did not end within the bound: half a document is of no use to a parser.
func Peek(src io.ReadCloser, size, most int64) (data []byte, whole io.ReadCloser) {
	data, err := read(nil, src, size, most)
	s := &stitched{data: data, err: err, src: src}
	if err != io.EOF { //nolint:errorlint // io.Reader's contract is the bare value
		return nil, s
	}
	return data, s
}

// read appends to buf what src held, and says how it ended. Where it holds more than most bytes, one more is returned,
// and no error.
func read(buf []byte, src io.Reader, size, most int64) ([]byte, error) {
	room := min(max(size, 0), most)
	if size < 0 {
		room = min(512, most) // io.ReadAll's first guess
	}
	if room++; int64(cap(buf)) < room { // one more, so that a body of the stated size meets its end without growing
		buf = make([]byte, 0, room)
	}
	for {
		n, err := src.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if int64(len(buf)) > most {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
		if len(buf) == cap(buf) {
			grown := make([]byte, len(buf), min(2*int64(cap(buf))+512, most+1))
			copy(grown, buf)
			buf = grown
		}
	}
}

// Bytes is what was captured. The caller must not change it.
func (b *Body) Bytes() []byte { return b.data }

// Err is what ended the body, and nil where it ended well.
func (b *Body) Err() error {
	if b.err == io.EOF { //nolint:errorlint // io.Reader's contract is the bare value
		return nil
	}
	return b.err
}

// SetErr puts err in the place of what ended the body.
func (b *Body) SetErr(err error) { b.err = err }

// Read implements [io.Reader].
func (b *Body) Read(p []byte) (int, error) {
	if b.closed {
		return 0, errClosed
	}
	if b.off < len(b.data) {
		n := copy(p, b.data[b.off:])
		b.off += n
		return n, nil
	}
	return 0, b.err
}

// Close implements [io.Closer]; the wire is closed already.
func (b *Body) Close() error {
	b.closed = true
	return nil
}

// stitched is data, then the rest of src; err is what src ended with while data was read, or nil.
type stitched struct {
	data []byte
	err  error
	src  io.ReadCloser
}

func (s *stitched) Read(p []byte) (int, error) {
	if len(s.data) > 0 {
		n := copy(p, s.data)
		s.data = s.data[n:]
		return n, nil
	}
	if s.err != nil {
		return 0, s.err
	}
	return s.src.Read(p)
}

func (s *stitched) Close() error { return s.src.Close() }
