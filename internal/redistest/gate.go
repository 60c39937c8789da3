package redistest

import (
	"net"
	"sync"
	"time"
)

// Gate is a way to a server that a test can shut, as if the server hung, break, slow down, or lead elsewhere, as a name does
// after a failover. It starts open. Its methods may be called from several goroutines.
type Gate struct {
	// Addr is its host:port.
	Addr string

	mu    sync.Mutex
	moved *sync.Cond // what follows has changed
	to    string
	shut  bool // nothing passes
	mute  bool // no answer passes
	late  time.Duration
	ended bool
	conns []net.Conn
}

// Gate opens a gate to the server, which ends with the test.
func (s *Server) Gate() *Gate {
	s.tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // on loopback, at once
	if err != nil {
		s.tb.Fatal(err)
	}
	g := &Gate{Addr: l.Addr().String(), to: s.Addr}
	g.moved = sync.NewCond(&g.mu)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			g.mu.Lock()
			to, late := g.to, g.late
			g.mu.Unlock()
			out, err := net.Dial("tcp", to) //nolint:noctx // on loopback, at once
			if err != nil {
				_ = in.Close()
				continue
			}
			g.set(func() { g.conns = append(g.conns, in, out) })
			all.Go(func() { g.pass(out, in, 0, false) })
			all.Go(func() { g.pass(in, out, late, true) })
		}
	})
	s.tb.Cleanup(func() {
		_ = l.Close()
		g.set(func() { g.ended = true })
		g.Drop()
		all.Wait()
	})
	return g
}

// URL is "redis://" and the address.
func (g *Gate) URL() string { return "redis://" + g.Addr }

// Shut lets nothing pass any more, until Open. Connections are accepted.
func (g *Gate) Shut() { g.set(func() { g.shut = true }) }

// Mute lets no answer pass any more, until Open: the server hears what it is told.
func (g *Gate) Mute() { g.set(func() { g.mute = true }) }

// Open lets through what was held and what is to come.
func (g *Gate) Open() { g.set(func() { g.shut, g.mute = false, false }) }

// Handshake delays the first answer of each connection to come, as many round trips to a far server would.
func (g *Gate) Handshake(d time.Duration) { g.set(func() { g.late = d }) }

// LeadTo makes the gate one to s, for connections to come.
func (g *Gate) LeadTo(s *Server) { g.set(func() { g.to = s.Addr }) }

// Drop closes every connection.
func (g *Gate) Drop() {
	g.set(func() {
		for _, c := range g.conns {
			_ = c.Close()
		}
		g.conns = nil
	})
}

func (g *Gate) set(change func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change()
	g.moved.Broadcast()
}

// pass copies from one side to the other while it may, the first of it late.
func (g *Gate) pass(to, from net.Conn, late time.Duration, answers bool) {
	defer to.Close()   //nolint:errcheck // both sides go together
	defer from.Close() //nolint:errcheck // both sides go together
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if late > 0 {
			<-time.After(late)
			late = 0
		}
		if !g.wait(answers) {
			return
		}
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// wait waits until something may pass, and reports whether the gate has not ended.
func (g *Gate) wait(answers bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for (g.shut || g.mute && answers) && !g.ended {
		g.moved.Wait()
	}
	return !g.ended
}
