package status_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/status"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errDown = errors.New("vendor: down")

// vendor answers without a network: with a status, or where that is zero with an error.
type vendor struct {
	status atomic.Int64
	header http.Header
}

func up() *vendor   { return answers(http.StatusOK) }
func down() *vendor { return answers(0) }

func answers(status int64) *vendor {
	v := &vendor{header: http.Header{}}
	v.status.Store(status)
	return v
}

func (v *vendor) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
	code := int(v.status.Load())
	if code == 0 {
		return nil, errDown
	}
	return &http.Response{StatusCode: code, Header: v.header, Body: io.NopCloser(strings.NewReader("hello")), Request: r}, nil
}

func newStatus(t testing.TB, cfg status.Config) *status.Status {
	t.Helper()
	s, err := status.New(cfg)
	require.NoError(t, err)
	return s
}

// watch makes a client whose breaker opens for exactly 30 s, and which retries at once.
func watch(t testing.TB, s *status.Status, name string, cfg httpx.Config) *http.Client {
	t.Helper()
	if cfg.BackoffBase == 0 {
		cfg.BackoffBase = -1
	}
	cfg.Breaker.Jitter = -1
	c, err := httpx.NewClient(name, s.WatchClient(cfg))
	require.NoError(t, err)
	return c
}

// get makes one call and reads all of its answer.
func get(t testing.TB, c *http.Client) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://vendor.test/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
}

// only returns the state of the one client.
func only(t testing.TB, s *status.Status) status.Client {
	t.Helper()
	st := s.State()
	require.Len(t, st.Clients, 1)
	return st.Clients[0]
}

// tells are the recent decisions in short, the newest first.
func tells(s *status.Status) []string {
	var all []string
	for _, d := range s.State().Recent {
		all = append(all, strings.TrimSpace(d.Source+" "+string(d.What)+" "+strings.TrimSpace(d.Reason+" "+string(d.Stop))+" "+d.To))
	}
	return all
}

func transport(t testing.TB, c *http.Client) *httpx.Transport {
	t.Helper()
	tr, ok := c.Transport.(*httpx.Transport)
	require.True(t, ok)
	return tr
}

func theBreaker(t testing.TB, c *http.Client) *breaker.Breaker {
	t.Helper()
	return transport(t, c).Breaker()
}
