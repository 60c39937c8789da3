package inbound_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/correlation"
)

// What is flushed is there before the handler returns, through http.ResponseController and http.Flusher, and deadlines
// and full duplex reach the connection.
func TestStreams(t *testing.T) {
	t.Parallel()
	onEveryRouter(t, func(t *testing.T, serve func(server) client) {
		step := make(chan struct{})
		c := serve(server{use: stack(t, limiter(t, "api", "100/minute")), routes: []route{
			{pattern: "GET /events", handler: func(w http.ResponseWriter, r *http.Request) {
				next := func() {
					select {
					case <-step:
					case <-r.Context().Done(): // the test has failed
					}
				}
				w.Header().Set("Content-Type", "text/event-stream")
				rc := http.NewResponseController(w)
				if err := rc.SetWriteDeadline(time.Now().Add(patience)); err != nil {
					t.Error(err)
				}
				if err := rc.SetReadDeadline(time.Now().Add(patience)); err != nil {
					t.Error(err)
				}
				_, _ = io.WriteString(w, "data: 1\n\n")
				if err := rc.Flush(); err != nil {
					t.Error(err)
				}
				next()
				_, _ = io.WriteString(w, "data: 2\n\n")
				w.(http.Flusher).Flush()
				next()
			}},
		}})
		resp := c.open(t, "GET /events")
		require.NotEmpty(t, resp.Header.Get("RateLimit"))
		require.NotEmpty(t, resp.Header.Get(correlation.Header))
		lines := bufio.NewScanner(resp.Body)
		for _, want := range []string{"data: 1", "", "data: 2", ""} {
			require.True(t, lines.Scan())
			require.Equal(t, want, lines.Text())
			if want == "" {
				step <- struct{}{}
			}
		}
		require.False(t, lines.Scan())
		require.NoError(t, lines.Err())
	})
}

// An upgrade has the connection to itself: the server's answer is what the handler writes, and nothing after it.
func TestUpgrades(t *testing.T) {
	t.Parallel()
	onEveryRouter(t, func(t *testing.T, serve func(server) client) {
		hijack := func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) {
			return http.NewResponseController(w).Hijack()
		}
		assert := func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) { return w.(http.Hijacker).Hijack() }
		upgrade := func(how func(http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error)) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				conn, rw, err := how(w)
				if err != nil {
					http.Error(w, err.Error(), http.StatusNotImplemented)
					return
				}
				defer func() { _ = conn.Close() }()
				_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + r.Header.Get("Upgrade") + "\r\n")
				_ = w.Header().Write(rw) // the handler's to send, as a websocket library does
				_, _ = rw.WriteString("\r\n")
				_ = rw.Flush()
				line, _ := rw.ReadString('\n')
				_, _ = rw.WriteString(strings.ToUpper(line))
				_ = rw.Flush()
				if line == "panic\n" {
					panic("after the upgrade")
				}
			}
		}
		c := serve(server{use: stack(t, limiter(t, "api", "2/minute")), routes: []route{
			{pattern: "GET /controller", handler: upgrade(hijack)}, {pattern: "GET /assertion", handler: upgrade(assert)},
		}})
		header := []string{"Connection", "Upgrade", "Upgrade", "echo"}
		if c.proto == http2 {
			_, body := c.send(t, "GET /controller")
			require.Contains(t, body, "not supported", "HTTP/2 has no upgrade, and says so")
			return
		}
		for path, text := range map[string]string{"/controller": "hello\n", "/assertion": "panic\n"} {
			resp := c.open(t, "GET "+path, header...)
			require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
			require.NotEmpty(t, resp.Header.Get(correlation.Header))
			require.NotEmpty(t, resp.Header.Get("RateLimit"))
			conn, ok := resp.Body.(io.ReadWriteCloser)
			require.True(t, ok)
			_, err := io.WriteString(conn, text)
			require.NoError(t, err)
			rest, err := io.ReadAll(conn)
			require.NoError(t, err)
			require.Equal(t, strings.ToUpper(text), string(rest), "and no problem after it")
		}
		c.problem(t, http.StatusTooManyRequests, "GET /controller", header...)
	})
}
