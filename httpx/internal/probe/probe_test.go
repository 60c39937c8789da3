package probe_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/httpx/internal/probe"
)

// If a Go release asks for its hooks in another way, this is where it shows.
func TestNetHTTPAsksAndIsHeard(t *testing.T) {
	for name, secure := range map[string]bool{"h1": false, "h2": true} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewUnstartedServer(http.NotFoundHandler())
			if srv.EnableHTTP2 = secure; secure {
				srv.StartTLS()
			} else {
				srv.Start()
			}
			defer srv.Close()
			own := 0
			ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { own++ }})
			var p probe.Context
			p.Init(ctx)
			for range 2 {
				p.Reset()
				require.False(t, p.NeverConnected())
				req, err := http.NewRequestWithContext(&p, http.MethodGet, srv.URL, http.NoBody)
				require.NoError(t, err)
				resp, err := srv.Client().Do(req)
				require.NoError(t, err)
				require.NoError(t, resp.Body.Close())
				require.Equal(t, 1, p.Connections())
				require.False(t, p.NeverConnected())
			}
			require.Equal(t, 2, own, "the caller's own hooks are heard as well")
		})
	}
}

func TestADialThatFailsHadNoConnection(t *testing.T) {
	var p probe.Context
	p.Init(t.Context())
	req, err := http.NewRequestWithContext(&p, http.MethodGet, "http://vendor.test", http.NoBody)
	require.NoError(t, err)
	tr := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, net.ErrClosed }}
	resp, err := tr.RoundTrip(req)
	if err == nil {
		_ = resp.Body.Close()
	}
	require.Error(t, err)
	require.True(t, p.NeverConnected())
	require.Zero(t, p.Connections())
}

// It must be transparent to package context: a child of it registers with the parent, without a goroutine.
func TestItIsTheContextItWraps(t *testing.T) {
	type key struct{}
	cause := net.ErrClosed
	parent, cancel := context.WithCancelCause(context.WithValue(t.Context(), key{}, 7))
	var p probe.Context
	p.Init(parent)
	before := runtime.NumGoroutine()
	child, stop := context.WithCancel(&p)
	defer stop()
	require.Equal(t, before, runtime.NumGoroutine())
	require.Equal(t, 7, p.Value(key{}))
	cancel(cause)
	<-child.Done()
	require.ErrorIs(t, context.Cause(child), cause)
	require.ErrorIs(t, context.Cause(&p), cause)
}
