package fault

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// conn is one accepted connection. It sits under TLS, so that a reset is a reset.
type conn struct {
	*net.TCPConn
	server *Server
	id     uint64
	once   sync.Once
}

// Close closes the connection and counts it once.
func (c *conn) Close() error {
	c.once.Do(func() { c.server.forget(c) })
	return c.TCPConn.Close()
}

// reset closes the connection with an RST instead of a FIN.
func (c *conn) reset() {
	_ = c.SetLinger(0)
	_ = c.Close()
}

// listener counts what it accepts, and resets it at once while an outage asks for that.
type listener struct {
	*net.TCPListener
	server *Server
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		tcp, err := l.AcceptTCP()
		if err != nil {
			return nil, err
		}
		c := l.server.admit(tcp)
		f := l.server.outage.Load()
		if f == nil || f.kind != kindResetBeforeRead {
			return c, nil
		}
		seq := l.server.ledger.begin(Entry{At: now(), Conn: c.id})
		l.server.ledger.decided(seq, f.Name())
		l.server.ledger.end(seq)
		c.reset()
	}
}

func (s *Server) admit(tcp *net.TCPConn) *conn {
	s.connMu.Lock()
	defer s.connMu.Unlock()
	s.totalConns++
	c := &conn{TCPConn: tcp, server: s, id: s.totalConns}
	s.conns[c] = struct{}{}
	return c
}

func (s *Server) forget(c *conn) {
	s.connMu.Lock()
	defer s.connMu.Unlock()
	delete(s.conns, c)
}

// resetConns resets every open connection.
func (s *Server) resetConns() {
	s.connMu.Lock()
	open := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		open = append(open, c)
	}
	s.connMu.Unlock()
	for _, c := range open {
		c.reset()
	}
}

type connKey struct{}

func withConn(ctx context.Context, nc net.Conn) context.Context {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	return context.WithValue(ctx, connKey{}, nc)
}

// connOf is the connection a request came on. Every request of a Server has one.
func connOf(r *http.Request) *conn {
	c, _ := r.Context().Value(connKey{}).(*conn)
	return c
}
