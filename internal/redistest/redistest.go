// Package redistest runs a real Redis for a test: on a port of its own, in a directory of its own, with nothing kept.
// PRUSIK_REDIS_SERVER is the program, a path or a name in PATH, such as valkey-server; without it, redis-server.
package redistest

import (
	"bufio"
	"cmp"
	"context"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Server is a server process. Its methods are for one goroutine.
type Server struct {
	// Addr is its host:port, the same after a restart.
	Addr string

	tb   testing.TB
	bin  string
	args []string
	cmd  *exec.Cmd     // nil where it does not run
	gone chan struct{} // closed when cmd has ended
}

// patience is how long a server may take to start, or to answer. Machines that run tests are busy.
const patience = 30 * time.Second

// Start starts a server that stops with the test. args are more of the server's, such as "--requirepass", "secret". It skips
// the test where there is no redis-server, or fails it where PRUSIK_REQUIRE_REDIS is set, as in CI, or a PRUSIK_REDIS_SERVER
// that is not there.
func Start(tb testing.TB, args ...string) *Server {
	tb.Helper()
	named := os.Getenv("PRUSIK_REDIS_SERVER")
	bin, err := exec.LookPath(cmp.Or(named, "redis-server"))
	switch {
	case err == nil:
	case named != "":
		tb.Fatal("PRUSIK_REDIS_SERVER: " + err.Error())
	default:
		const how = "no redis-server in PATH: apt-get install redis-server, or brew install redis"
		if os.Getenv("PRUSIK_REQUIRE_REDIS") != "" {
			tb.Fatal(how)
		}
		tb.Skip(how)
	}
	s := &Server{tb: tb, bin: bin}
	tb.Cleanup(s.Kill)
	for range 5 { // a port that was free may be taken when the server asks for it
		s.Addr = freeAddr(tb)
		_, port, _ := net.SplitHostPort(s.Addr)
		s.args = append([]string{
			"--bind", "127.0.0.1", "--port", port, "--dir", tb.TempDir(),
			"--save", "", "--appendonly", "no", "--loglevel", "warning",
		}, args...)
		if s.start() {
			return s
		}
	}
	tb.Fatal("it did not start: " + bin + " " + strings.Join(s.args, " "))
	return nil
}

// URL is "redis://" and the address.
func (s *Server) URL() string { return "redis://" + s.Addr }

// Kill kills the server with SIGKILL, if it runs, and waits until it is gone.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	<-s.gone
	s.cmd = nil
}

// Restart starts it again where it was, empty.
func (s *Server) Restart() {
	s.tb.Helper()
	s.Kill()
	if !s.start() {
		s.tb.Fatal(s.bin + " did not start again at " + s.Addr)
	}
}

// start reports whether the server answers.
func (s *Server) start() bool {
	cmd := exec.Command(s.bin, s.args...) //nolint:gosec,noctx // program and arguments are a test's, and it has to outlive the test's context for Cleanup
	if err := cmd.Start(); err != nil {
		s.tb.Fatal(err)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_ = cmd.Wait() // it says that it was killed
	}()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !answers(ctx, s.Addr) {
		select {
		case <-tick.C:
		case <-gone:
			return false
		case <-ctx.Done():
			_ = cmd.Process.Kill()
			<-gone
			return false
		}
	}
	s.cmd, s.gone = cmd, gone
	return true
}

// answers reports whether a server at addr answers a PING, if only to ask for a password.
func answers(ctx context.Context, addr string) bool {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return false
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	return err == nil && (strings.HasPrefix(line, "+PONG") || strings.HasPrefix(line, "-NOAUTH"))
}

func freeAddr(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // on loopback, at once
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(l.Addr().(*net.TCPAddr).Port)) //nolint:errcheck,forcetypeassert // it is one
}
