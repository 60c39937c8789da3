package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
)

// Served is a server's middlewares around a handler, or none.
type Served struct {
	// Name is the row in the table.
	Name string
	// New puts the middlewares around next.
	New func(next http.HandlerFunc) (http.Handler, error)
	// Field is a field that an answer has.
	Field string
}

// answer is a response writer that keeps nothing but its header.
type answer struct {
	header http.Header
	wrote  int
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(int)             {}
func (a *answer) Write(b []byte) (int, error) { a.wrote += len(b); return len(b), nil }

// WriteString spares a copy, as net/http's own does.
func (a *answer) WriteString(s string) (int, error) { a.wrote += len(s); return len(s), nil }

// serve writes two bytes.
func serve(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }

// peers are n addresses, a port after each. They are gone through in order and lie side by side, so that reading one costs
// what it costs in a server, which has just made it; a hash puts them anywhere.
func peers(n int) []string {
	var b []byte
	ends := make([]int, n)
	for i := range ends {
		b = netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}).AppendTo(b)
		b = append(b, ":4711"...)
		ends[i] = len(b)
	}
	all, text, start := make([]string, n), string(b), 0
	for i, end := range ends {
		all[i], start = text[start:end], end
	}
	return all
}

// subject serves requests of peers to path, one after the other in each worker.
func (s Served) subject(path string, peers []string) (*Subject, error) {
	h, err := s.New(serve)
	if err != nil {
		return nil, fmt.Errorf("bench: %s: %w", s.Name, err)
	}
	type worker struct {
		answer
		r  *http.Request
		at int
		_  [64]byte
	}
	var workers [MaxWorkers]*worker
	for i := range workers {
		workers[i] = &worker{
			answer: answer{header: http.Header{}}, at: i * 31 % len(peers),
			r: httptest.NewRequestWithContext(context.Background(), http.MethodGet, path, nil),
		}
	}
	run := func(worker, n int) error {
		w := workers[worker]
		w.wrote = 0
		for range n {
			clear(w.header)
			if w.at++; w.at >= len(peers) {
				w.at = 0
			}
			w.r.RemoteAddr = peers[w.at]
			h.ServeHTTP(&w.answer, w.r)
		}
		if w.wrote != 2*n || s.Field != "" && len(w.header[s.Field]) != 1 {
			return fmt.Errorf("bench: %s: %d requests, %d bytes, header %v", s.Name, n, w.wrote, w.header)
		}
		return nil
	}
	filled := false
	return &Subject{
		Name: s.Name, Op: run, Close: func() error { return nil },
		settle: func() error {
			if filled {
				return nil
			}
			filled = true
			return run(0, len(peers)) // each peer once
		},
	}, nil
}
