package fault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	defaultMaxEntries = 1 << 18
	defaultMaxBody    = 1 << 20
	upPatience        = 5 * time.Second
)

var errClosed = errors.New("fault: the server is closed")

func now() time.Time { return time.Now() }

// Config describes a [Server].
type Config struct {
	// Handler is the vendor's behaviour. Required. It may not stream.
	Handler http.Handler
	// Script decides the fault of each request. Nil: none.
	Script Script
	// Key makes a request's identifying key for the ledger; body is the whole body. Nil: no key.
	Key func(r *http.Request, body []byte) string
	// Errors is the vendor's answer for a status that a fault injects. Nil: a small JSON object.
	Errors func(r *http.Request, status int) Answer
	// TLS says whether the server speaks TLS, and with which certificate. Zero: plain HTTP.
	TLS TLS
	// HTTP2 offers HTTP/2 as well. It needs TLS.
	HTTP2 bool
	// MaxEntries bounds the ledger; the oldest entries go first. Zero: 262,144. Negative is an error.
	MaxEntries int
	// MaxBody bounds a request's body in bytes; a longer one is answered with 413 and the handler does not run.
	// Zero: 1 MiB. Negative is an error.
	MaxBody int64
}

// Server is a vendor on a real TCP port of 127.0.0.1. Make one with [New] and end it with [Server.Close].
type Server struct {
	cfg    Config
	addr   string
	pool   *x509.CertPool
	http   *http.Server
	ledger *ledger

	script  atomic.Pointer[Script]
	outage  atomic.Pointer[Fault]
	closing chan struct{}

	closeOnce sync.Once

	listenMu sync.Mutex // held over Down, Up and Close
	listener net.Listener
	accepted chan struct{} // closed when the accept loop has ended
	closed   bool

	connMu     sync.Mutex
	conns      map[*conn]struct{}
	totalConns uint64
	serving    int           // connections net/http has a goroutine for
	drained    chan struct{} // closed when serving reaches 0; nil when nobody waits
}

// New starts a server on a free port.
func New(cfg Config) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.MaxEntries == 0 {
		cfg.MaxEntries = defaultMaxEntries
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = defaultMaxBody
	}
	if cfg.Errors == nil {
		cfg.Errors = plainError
	}
	s := &Server{
		cfg:     cfg,
		ledger:  newLedger(cfg.MaxEntries),
		closing: make(chan struct{}),
		conns:   make(map[*conn]struct{}),
	}
	s.SetScript(cfg.Script)
	s.http = &http.Server{
		Handler:     http.HandlerFunc(s.serve),
		ConnContext: withConn,
		ConnState:   s.connState,
		ErrorLog:    log.New(io.Discard, "", 0), // its lines are about the faults that were asked for
		Protocols:   new(http.Protocols),
	}
	s.http.Protocols.SetHTTP1(true)
	s.http.Protocols.SetHTTP2(cfg.HTTP2)
	if cfg.TLS != Plain {
		cert, pool, err := certificate(cfg.TLS)
		if err != nil {
			return nil, err
		}
		s.pool = pool
		s.http.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	}
	ln, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, fmt.Errorf("fault: listen: %w", err)
	}
	s.addr = ln.Addr().String()
	s.accept(ln)
	return s, nil
}

func (c Config) check() error {
	var errs []error
	if c.Handler == nil {
		errs = append(errs, errors.New("fault: Handler is nil"))
	}
	if c.TLS > ExpiredCert {
		errs = append(errs, fmt.Errorf("fault: TLS is %d, want Plain, ValidCert or ExpiredCert", c.TLS))
	}
	if c.HTTP2 && c.TLS == Plain {
		errs = append(errs, errors.New("fault: HTTP2 needs TLS"))
	}
	if c.MaxEntries < 0 {
		errs = append(errs, fmt.Errorf("fault: MaxEntries is %d, want 0 or more", c.MaxEntries))
	}
	if c.MaxBody < 0 {
		errs = append(errs, fmt.Errorf("fault: MaxBody is %d, want 0 or more", c.MaxBody))
	}
	return errors.Join(errs...)
}

// accept serves what ln accepts. The caller holds listenMu, or is New.
func (s *Server) accept(ln *net.TCPListener) {
	wrapped := &listener{TCPListener: ln, server: s}
	done := make(chan struct{})
	s.listener, s.accepted = wrapped, done
	go func() {
		defer close(done)
		if s.cfg.TLS == Plain {
			_ = s.http.Serve(wrapped)
			return
		}
		_ = s.http.ServeTLS(wrapped, "", "")
	}()
}

func (s *Server) connState(_ net.Conn, state http.ConnState) {
	s.connMu.Lock()
	defer s.connMu.Unlock()
	if state == http.StateNew {
		s.serving++
	}
	if state != http.StateClosed {
		return
	}
	s.serving--
	if s.serving == 0 && s.drained != nil {
		close(s.drained)
		s.drained = nil
	}
}

func (s *Server) scheme() string {
	if s.cfg.TLS == Plain {
		return "http"
	}
	return "https"
}

// URL is the server's base URL, without a slash at its end. It stays the same over Down and Up.
func (s *Server) URL() string { return s.scheme() + "://" + s.addr }

// CertPool is the pool that trusts the server's certificate, and nil for a server without TLS.
func (s *Server) CertPool() *x509.CertPool { return s.pool }

// Transport is a new transport that trusts the server's certificate and speaks HTTP/2 where the server does. The
// caller closes its idle connections.
func (s *Server) Transport() *http.Transport {
	t := &http.Transport{MaxIdleConnsPerHost: 64, Protocols: new(http.Protocols)}
	t.Protocols.SetHTTP1(true)
	t.Protocols.SetHTTP2(s.cfg.HTTP2)
	if s.pool != nil {
		t.TLSClientConfig = &tls.Config{RootCAs: s.pool, MinVersion: tls.VersionTLS12}
	}
	return t
}

// SetScript replaces the script for the requests to come. Nil lets everything through.
func (s *Server) SetScript(script Script) { s.script.Store(&script) }

// Outage puts every request under f, until Recover. The script is not asked meanwhile.
func (s *Server) Outage(f Fault) { s.outage.Store(&f) }

// Recover ends an outage; the script decides again.
func (s *Server) Recover() { s.outage.Store(nil) }

// Down closes the port and resets every connection: to dial is refused until [Server.Up]. It does nothing to a
// server that is down.
func (s *Server) Down() {
	s.listenMu.Lock()
	defer s.listenMu.Unlock()
	s.down()
}

func (s *Server) down() {
	if s.listener == nil {
		return
	}
	_ = s.listener.Close()
	<-s.accepted
	s.listener = nil
	s.resetConns()
}

// Up listens again on the same port. It does nothing to a server that is up, and fails on one that is closed and
// when another process holds the port for more than five seconds.
func (s *Server) Up() error {
	s.listenMu.Lock()
	defer s.listenMu.Unlock()
	if s.closed {
		return errClosed
	}
	if s.listener != nil {
		return nil
	}
	addr, err := net.ResolveTCPAddr("tcp4", s.addr)
	if err != nil {
		return fmt.Errorf("fault: listen again: %w", err)
	}
	patience := time.NewTimer(upPatience)
	defer patience.Stop()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		ln, err := net.ListenTCP("tcp4", addr)
		if err == nil {
			s.accept(ln)
			return nil
		}
		select {
		case <-again.C:
		case <-patience.C:
			return fmt.Errorf("fault: listen again: %w", err)
		case <-s.closing:
			return errClosed
		}
	}
}

// Close ends the server: it resets every connection, ends every wait and returns when all its goroutines have, the
// handlers among them. It may be called again, and does not end the waits of a script or a handler.
func (s *Server) Close() error {
	s.closeOnce.Do(func() { close(s.closing) })
	s.listenMu.Lock()
	defer s.listenMu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.down()
	_ = s.http.Close()
	s.resetConns()
	s.drain()
	return s.ledger.quiesce(context.Background())
}

// drain waits until net/http serves no connection.
func (s *Server) drain() {
	s.connMu.Lock()
	if s.serving == 0 {
		s.connMu.Unlock()
		return
	}
	drained := make(chan struct{})
	s.drained = drained
	s.connMu.Unlock()
	<-drained
}

// Entries are the kept entries, oldest first.
func (s *Server) Entries() []Entry { return s.ledger.entries() }

// ByCall are the kept entries whose X-Test-Call or X-Correlation-ID is id, oldest first. It does not search.
func (s *Server) ByCall(id string) []Entry { return s.ledger.byCall(id) }

// Counts are the requests since the start, or the last Reset, by [Fault.Name]; requests that met no fault are under
// "none".
func (s *Server) Counts() map[string]int64 { return s.ledger.byFault() }

// Dropped is how many entries were dropped to stay within [Config.MaxEntries].
func (s *Server) Dropped() uint64 { return s.ledger.dropped() }

// InFlight is the number of requests the server is busy with.
func (s *Server) InFlight() int { return s.ledger.flying() }

// Quiesce waits until no request is in flight, or until ctx is done, whose cause it then returns.
func (s *Server) Quiesce(ctx context.Context) error { return s.ledger.quiesce(ctx) }

// Reset empties the ledger and its counters. Sequence numbers go on, and the connection counts stay.
func (s *Server) Reset() { s.ledger.reset() }

// OpenConns is the number of connections open now.
func (s *Server) OpenConns() int {
	s.connMu.Lock()
	defer s.connMu.Unlock()
	return len(s.conns)
}

// TotalConns is the number of connections ever accepted.
func (s *Server) TotalConns() uint64 {
	s.connMu.Lock()
	defer s.connMu.Unlock()
	return s.totalConns
}
