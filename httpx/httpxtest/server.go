package httpxtest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
)

// server is a real one, on the loopback interface, over the protocol of the check.
type server struct {
	*httptest.Server

	e *env
	// hits are requests whose handler was reached, opened all connections so far, hellos TLS handshakes begun.
	hits, opened, hellos atomic.Int64

	mu   sync.Mutex
	open map[net.Conn]bool
}

// serve starts a server of the check's protocol; it is gone when the check is over.
func (e *env) serve(h http.HandlerFunc) *server { return e.start(h, e.proto == 2) }

func (e *env) start(h http.HandlerFunc, secure bool) *server {
	s := &server{e: e, open: make(map[net.Conn]bool)}
	unlabelled(func() {
		s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.hits.Add(1)
			h(w, r)
		}))
		s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		s.Config.ConnState = s.connState
		if secure {
			s.startTLS()
			return
		}
		s.Start()
	})
	e.onCleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

func (s *server) startTLS() {
	s.EnableHTTP2 = true
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	s.TLS.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		s.hellos.Add(1)
		return nil, nil // the contract of GetConfigForClient: use the one there is
	}
	s.StartTLS()
}

func (s *server) connState(c net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch state {
	case http.StateNew:
		s.opened.Add(1)
		s.open[c] = true
	case http.StateClosed, http.StateHijacked:
		delete(s.open, c)
	default: // active and idle are open
	}
}

func (s *server) stillOpen() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// transport is a base that speaks to this server: a plain http.Transport of its own.
func (s *server) transport() *http.Transport {
	tr := &http.Transport{
		MaxIdleConnsPerHost: 64,
	}
	if s.TLS != nil {
		tr.ForceAttemptHTTP2 = true
		roots := x509.NewCertPool()
		roots.AddCert(s.Certificate())
		tr.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	}
	s.e.onCleanup(tr.CloseIdleConnections)
	return tr
}

// stall keeps a handler waiting until the client or the check is gone.
func (s *server) stall(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-s.e.over:
	}
}

// unreachable is a base whose every dial is refused. (A port that was free a moment ago would do, until another server
// gets it.)
func unreachable() *http.Transport {
	return &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, errRefused() }}
}

// breakConn ends the connection of a request whose body has been read, without an answer: a reset over HTTP/1.1, a
// reset of the stream over HTTP/2.
func breakConn(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	if r.ProtoMajor == 2 {
		panic(http.ErrAbortHandler)
	}
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

// discard closes what there is no use in hearing from.
func discard(c io.Closer) { _ = c.Close() }

// drip writes a line and flushes it.
func drip(w http.ResponseWriter, line string) {
	_, _ = io.WriteString(w, line)
	_ = http.NewResponseController(w).Flush()
}
