package fault_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/prusik-go/prusik/examples/internal/sim/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const vendorBody = `{"id":"m1","text":"hello"}`

// vendor is a handler that counts what it did.
type vendor struct{ did atomic.Int64 }

func (v *vendor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	v.did.Add(1)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, vendorBody)
}

// rig is a server with a counting vendor and a plain client to it.
type rig struct {
	*fault.Server
	vendor *vendor
	client *http.Client
}

func start(t *testing.T, cfg fault.Config) *rig {
	t.Helper()
	v := &vendor{}
	if cfg.Handler == nil {
		cfg.Handler = v
	}
	s, err := fault.New(cfg)
	require.NoError(t, err)
	transport := s.Transport()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		require.NoError(t, s.Close())
	})
	return &rig{Server: s, vendor: v, client: &http.Client{Transport: transport}}
}

// post sends one request as call id and returns the answer, its body read whole.
func (g *rig) post(ctx context.Context, id string) (*http.Response, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.URL()+"/messages", strings.NewReader("text=hello"))
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("X-Test-Call", id)
	resp, err := g.client.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

// only is the one entry of a call.
func (g *rig) only(t *testing.T, id string) fault.Entry {
	t.Helper()
	entries := g.ByCall(id)
	require.Len(t, entries, 1)
	return entries[0]
}
