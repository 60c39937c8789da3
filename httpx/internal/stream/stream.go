// Package stream is the body of a response that is handed on as it comes: it reports the end of the call, once, at
// the first of EOF, Close and a failed read.
package stream

import (
	"io"
	"net/http"
	"sync/atomic"
)

// Owner is the call a body belongs to.
type Owner interface {
	// Reading brackets every read.
	Reading(begin bool)
	// Began is called once, when the first bytes have come.
	Began()
	// Ended is called once with the number of bytes read and the error that ended the body: nil for EOF and Close. The
	// error it returns is what the reader gets instead.
	Ended(n int64, err error) error
}

// Body is a response body that reports to its owner. The zero value is not usable; see [Body.Init]. Like the body of
// net/http, it may be closed while a read is under way, and is read by one goroutine at a time.
type Body struct {
	src   io.ReadCloser
	owner Owner
	n     atomic.Int64
	ended atomic.Bool
	err   error // what a failed read gave; written and read by the reading goroutine only
}

// Init makes b the body over src.
func (b *Body) Init(src io.ReadCloser, owner Owner) { b.src, b.owner = src, owner }

// InitEnded makes b a body of no bytes, whose end is reported already.
func (b *Body) InitEnded(owner Owner) {
	b.src, b.owner = http.NoBody, owner
	b.ended.Store(true)
}

// Owner is what Init was given.
func (b *Body) Owner() Owner { return b.owner }

// Read implements [io.Reader].
func (b *Body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	b.owner.Reading(true)
	n, err := b.src.Read(p)
	b.owner.Reading(false)
	if n > 0 && b.n.Add(int64(n)) == int64(n) {
		b.owner.Began()
	}
	switch {
	case err == nil:
	case err == io.EOF: //nolint:errorlint // io.Reader's contract is the bare value
		_ = b.end(nil) // no error went in
	default:
		err = b.end(err)
		b.err = err
	}
	return n, err
}

// Close implements [io.Closer].
func (b *Body) Close() error {
	err := b.src.Close()
	_ = b.end(nil) // the end of a body that is closed is nobody's error
	return err
}

func (b *Body) end(err error) error {
	if b.ended.Swap(true) {
		return err
	}
	return b.owner.Ended(b.n.Load(), err)
}
