package httpx_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx"
)

// A black-holed connect is the most frequent face of an outage: nothing was sent, so a POST may try again.
func TestAPostThatNeverGotAConnectionWasNotSent(t *testing.T) {
	for name, tc := range map[string]struct {
		report bool // a base that tells net/http's trace hooks
		want   errors.Delivery
		sends  int
	}{
		"net/http says it never had one": {true, errors.NotSent, 3},
		"a base that says nothing":       {false, errors.Unknown, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var dials atomic.Int64
			end := make(chan struct{}) // net/http dials on when its caller has gone
			defer close(end)
			hole := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
				dials.Add(1)
				<-end
				return nil, net.ErrClosed
			}}
			var base http.RoundTripper = hole
			silent := follow(hang)
			if !tc.report {
				base = silent
			}
			// Long enough for a busy machine to get to the dial: before that, nobody can say that there was none.
			c := client(t, httpx.Config{Base: base, AttemptTimeout: 200 * time.Millisecond, BackoffBase: noWait})
			_, _, err := send(t, t.Context(), c, "POST", "text me")
			require.Equal(t, tc.want, errors.DeliveryOf(err))
			require.Equal(t, errors.VendorTimeout, errors.KindOf(err))
			e, ok := errors.AsType[*errors.Error](err)
			require.True(t, ok)
			require.Len(t, e.Attempts, tc.sends)
			require.LessOrEqual(t, max(int(dials.Load()), silent.count()), tc.sends)
		})
	}
}

func TestAPostThatHadAConnectionMayHaveBeenSent(t *testing.T) {
	got := make(chan struct{}, 9)
	done := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		got <- struct{}{}
		<-done
	}))
	defer srv.Close()
	defer close(done)
	c := client(t, httpx.Config{AttemptTimeout: 100 * time.Millisecond, BackoffBase: noWait})
	defer c.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL, strings.NewReader("text me"))
	require.NoError(t, err)
	resp, err := c.Do(req)
	if err == nil {
		_ = resp.Body.Close()
	}
	require.Equal(t, errors.Unknown, errors.DeliveryOf(err))
	require.Equal(t, errors.StopUnsafeMethod, errors.StopOf(err))
	require.Len(t, got, 1, "a person is texted once")
}

func TestAnUpgradedConnectionIsTheCallers(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_ = rw.Flush()
		line, _ := rw.ReadString('\n')
		_, _ = rw.WriteString(strings.ToUpper(line))
		_ = rw.Flush()
	}))
	defer srv.Close()
	var sentWith context.Context
	base := &http.Transport{}
	tr, err := httpx.NewTransport("vendor", httpx.Config{Base: follow(func(req *http.Request) (*http.Response, error) {
		sentWith = req.Context()
		return base.RoundTrip(req)
	})})
	require.NoError(t, err)
	defer base.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL, http.NoBody)
	require.NoError(t, err)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	resp, err := tr.RoundTrip(req)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
	require.Zero(t, tr.InFlight(), "the call is over; the connection is the caller's")
	require.NoError(t, sentWith.Err(), "and so is its context")
	conn, ok := resp.Body.(io.ReadWriteCloser)
	require.True(t, ok, "%T", resp.Body)
	_, err = io.WriteString(conn, "ping\n")
	require.NoError(t, err)
	line, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "PING\n", line)
	require.NoError(t, conn.Close())
}

func TestHeadersThatComeAsTimeRunsOutAreTooLate(t *testing.T) {
	body := &closeCounter{Reader: strings.NewReader("x")}
	base := follow(func(req *http.Request) (*http.Response, error) {
		<-req.Context().Done()
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: body, Request: req}, nil
	})
	_, _, err := send(t, t.Context(), client(t, httpx.Config{Base: base, AttemptTimeout: time.Millisecond, MaxAttempts: -1}), "GET", "")
	require.Equal(t, errors.VendorTimeout, errors.KindOf(err), "its body could not be read any more")
	require.Equal(t, errors.Unknown, errors.DeliveryOf(err))
	require.Equal(t, 1, body.closes)
}

func TestTrailersComeThrough(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, "data")
		w.Header().Set("X-Sum", "42")
	}))
	defer srv.Close()
	c := client(t, httpx.Config{})
	defer c.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL, http.NoBody)
	require.NoError(t, err)
	resp, err := c.Do(req)
	require.NoError(t, err)
	_, err = io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, "42", resp.Trailer.Get("X-Sum"))
}

// net/http repeats a request by itself when a reused connection dies before the answer, if it has an Idempotency-Key. A
// vendor that ignores the key would text twice.
func TestAKeyThatTheVendorIgnoresIsOutOfNetHTTPsSight(t *testing.T) {
	for name, tc := range map[string]struct {
		header string
		body   string
		honour bool
		texts  int64 // received for the one that broke
		keys   string
	}{
		"ignored":               {"Idempotency-Key", "text me", false, 1, "mine"},
		"ignored, no body":      {"Idempotency-Key", "", false, 1, "mine"},
		"ignored, other name":   {"X-Idempotency-Key", "text me", false, 1, ""},
		"honoured, and so ours": {"Idempotency-Key", "text me", true, 2, "mine"},
	} {
		t.Run(name, func(t *testing.T) {
			var texts atomic.Int64
			var key atomic.Value
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if r.URL.Path != "/broken" {
					return
				}
				key.Store(r.Header.Get("Idempotency-Key"))
				if texts.Add(1) == 1 { // sent, and the answer lost
					c, _, err := http.NewResponseController(w).Hijack()
					if err == nil {
						_ = c.Close()
					}
				}
			}))
			defer srv.Close()
			c := client(t, httpx.Config{BackoffBase: noWait, Profile: httpx.Profile{HonoursKey: func(*http.Request) bool { return tc.honour }}})
			defer c.CloseIdleConnections()
			post := func(path string) error {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+path, strings.NewReader(tc.body))
				require.NoError(t, err)
				req.Header.Set(tc.header, "mine")
				resp, err := c.Do(req)
				if err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
				}
				require.Equal(t, "mine", req.Header.Get(tc.header), "the caller's request is as it was")
				return err
			}
			require.NoError(t, post("/warm")) // the next one gets a reused connection
			err := post("/broken")
			require.Equal(t, tc.texts, texts.Load())
			require.Equal(t, tc.keys, key.Load(), "the vendor still gets the key")
			if !tc.honour {
				require.Equal(t, errors.Unknown, errors.DeliveryOf(err))
				require.Equal(t, errors.StopUnsafeMethod, errors.StopOf(err))
			}
		})
	}
}

// A dial that fails is no proof that nothing was sent: it may be net/http's repeat of a request whose connection died.
func TestAFailedDialAfterAConnectionIsNotNotSent(t *testing.T) {
	var srv *httptest.Server
	var got atomic.Int64
	srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/warm" {
			return
		}
		got.Add(1)
		c, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = srv.Listener.Close() // nobody can connect any more
			_ = c.Close()
		}
	}))
	defer srv.Close()
	c := client(t, httpx.Config{MaxAttempts: -1})
	defer c.CloseIdleConnections()
	do := func(path string) error {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+path, http.NoBody)
		require.NoError(t, err)
		resp, err := c.Do(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		return err
	}
	require.NoError(t, do("/warm"))
	err := do("/gone")
	require.Error(t, err)
	require.EqualValues(t, 1, got.Load())
	require.Equal(t, errors.Unknown, errors.DeliveryOf(err))
}
