package twiliosim_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/prusik-go/prusik/examples/internal/sim/twiliosim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	from    = "+15005550006"
	person  = "+15558675310"
	account = "/2010-04-01/Accounts/" + twiliosim.AccountSID
)

type rig struct {
	*twiliosim.Sim
	client *http.Client
}

func start(t *testing.T, cfg twiliosim.Config) *rig {
	t.Helper()
	sim, err := twiliosim.New(cfg)
	require.NoError(t, err)
	transport := sim.Transport()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		require.NoError(t, sim.Close())
	})
	return &rig{Sim: sim, client: &http.Client{Transport: transport}}
}

// do sends one authenticated request and decodes the JSON object it answers.
func (g *rig) do(t *testing.T, method, path string, form url.Values) (*http.Response, map[string]any) {
	t.Helper()
	return g.doAs(t, method, path, form, func(r *http.Request) { r.SetBasicAuth(twiliosim.AccountSID, twiliosim.AuthToken) })
}

func (g *rig) doAs(t *testing.T, method, path string, form url.Values, as func(*http.Request)) (*http.Response, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, g.URL()+path, strings.NewReader(form.Encode()))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	as(req)
	resp, err := g.client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	var body map[string]any
	require.NoError(t, json.Unmarshal(text, &body), "%s", text)
	return resp, body
}

// text sends one message and returns its SID.
func (g *rig) text(t *testing.T, to, body string) string {
	t.Helper()
	resp, m := g.do(t, "POST", account+"/Messages.json", url.Values{"To": {to}, "From": {from}, "Body": {body}})
	require.Equal(t, http.StatusCreated, resp.StatusCode, m)
	return m["sid"].(string)
}

// call places one call and returns its SID.
func (g *rig) call(t *testing.T, to, source string) string {
	t.Helper()
	resp, c := g.do(t, "POST", account+"/Calls.json", url.Values{"To": {to}, "From": {from}, "Url": {source}})
	require.Equal(t, http.StatusCreated, resp.StatusCode, c)
	return c["sid"].(string)
}

func requireError(t *testing.T, resp *http.Response, body map[string]any, status, code int) {
	t.Helper()
	require.Equal(t, status, resp.StatusCode, body)
	require.EqualValues(t, code, body["code"])
	require.EqualValues(t, status, body["status"])
	require.NotEmpty(t, body["message"])
	require.Contains(t, body["more_info"], "https://www.twilio.com/docs/errors/")
	require.Equal(t, "application/json", resp.Header.Get("Content-Type"))
}
