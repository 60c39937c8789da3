package fault_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/httpx/internal/fault"
)

// The errors are those of the real transport: its texts and types may change with a Go release, and then this fails.
func TestWhatTheRealTransportReports(t *testing.T) {
	var rst lingerless
	reset := httptest.NewServer(http.HandlerFunc(rst.serve))
	defer reset.Close()
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	silent := listen(t, func(net.Conn) { <-t.Context().Done() })
	garbage := listen(t, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 1024))
		_, _ = c.Write([]byte("this is not HTTP\r\n\r\n"))
	})
	closed := listen(t, func(net.Conn) {})
	require.NoError(t, closed.Close())

	for name, tc := range map[string]struct {
		url, method string
		header      http.Header
		tune        func(*http.Transport)
		want        fault.Fault
	}{
		"dial refused":      {url: "http://" + closed.Addr().String(), want: fault.Fault{Reason: "dial", NotSent: true}},
		"no such host":      {url: "http://host.invalid", want: fault.Fault{Reason: "dns", NotSent: true}},
		"untrusted issuer":  {url: secure.URL, want: fault.Fault{Reason: "tls", NotSent: true, Permanent: true}},
		"plain, not TLS":    {url: strings.Replace(plain.URL, "http", "https", 1), want: fault.Fault{Reason: "tls", NotSent: true, Permanent: true}},
		"unsupported":       {url: "ftp://vendor.test", want: fault.Fault{Reason: "invalid", NotSent: true, Permanent: true, Local: true}},
		"no host":           {url: "http:///path", want: fault.Fault{Reason: "invalid", NotSent: true, Permanent: true, Local: true}},
		"bad method":        {url: plain.URL, method: "SP ACE", want: fault.Fault{Reason: "invalid", NotSent: true, Permanent: true, Local: true}},
		"bad header":        {url: plain.URL, header: http.Header{"X": {"a\nb"}}, want: fault.Fault{Reason: "invalid", NotSent: true, Permanent: true, Local: true}},
		"reset":             {url: reset.URL, want: fault.Fault{Reason: "reset"}},
		"not HTTP":          {url: "http://" + garbage.Addr().String(), want: fault.Fault{Reason: "protocol"}},
		"handshake timeout": {url: "https://" + silent.Addr().String(), tune: func(tr *http.Transport) { tr.TLSHandshakeTimeout = 20 * time.Millisecond }, want: fault.Fault{Reason: "tls", NotSent: true, Timeout: true}},
		"dial timeout": {url: "http://" + silent.Addr().String(), tune: func(tr *http.Transport) {
			tr.DialContext = (&net.Dialer{Timeout: time.Nanosecond}).DialContext
		}, want: fault.Fault{Reason: "dial", NotSent: true, Timeout: true}},
		"header timeout": {url: "http://" + silent.Addr().String(), tune: func(tr *http.Transport) { tr.ResponseHeaderTimeout = 20 * time.Millisecond }, want: fault.Fault{Reason: "timeout", Timeout: true}},
		"proxy refused": {url: plain.URL, tune: func(tr *http.Transport) {
			tr.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: closed.Addr().String()})
		}, want: fault.Fault{Reason: "dial", NotSent: true}},
	} {
		t.Run(name, func(t *testing.T) {
			tr := &http.Transport{}
			defer tr.CloseIdleConnections()
			if tc.tune != nil {
				tc.tune(tr)
			}
			req := &http.Request{Method: tc.method, Header: tc.header}
			var err error
			req.URL, err = url.Parse(tc.url)
			require.NoError(t, err)
			if req.Header == nil {
				req.Header = http.Header{}
			}
			resp, err := tr.RoundTrip(req.WithContext(t.Context()))
			if err == nil {
				_ = resp.Body.Close()
			}
			require.Error(t, err)
			require.Equal(t, tc.want, fault.Of(err), "%T: %v", err, err)
		})
	}
}

func TestWhatIsNotKnownMayHaveBeenSent(t *testing.T) {
	for _, err := range []error{
		errors.New("anything"), context.DeadlineExceeded, context.Canceled, syscall.EPIPE,
		&net.OpError{Op: "read", Err: syscall.ECONNRESET}, tls.AlertError(40),
		tls.RecordHeaderError{Msg: "unsupported version"},
	} {
		f := fault.Of(err)
		require.False(t, f.NotSent, "%v", err)
		require.False(t, f.Permanent, "%v", err)
	}
}

func TestStripTakesTheURLAway(t *testing.T) {
	inner := errors.New("refused")
	err := &url.Error{Op: "Get", URL: "http://u:secret@host/?token=secret", Err: &url.Error{Op: "Get", URL: "secret", Err: inner}}
	require.Equal(t, inner, fault.Strip(err))
	require.Equal(t, inner, fault.Strip(inner))
	odd := &url.Error{Op: "Get", URL: "x"}
	require.Equal(t, error(odd), fault.Strip(odd))
}

type lingerless struct{}

func (lingerless) serve(w http.ResponseWriter, _ *http.Request) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

func listen(t *testing.T, serve func(net.Conn)) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				serve(c)
			}()
		}
	}()
	return l
}
