package vapisim_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/prusik-go/prusik/examples/internal/sim/vapisim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const person = "+15558675310"

type rig struct {
	*vapisim.Sim
	client *http.Client
}

func start(t *testing.T, cfg vapisim.Config) *rig {
	t.Helper()
	sim, err := vapisim.New(cfg)
	require.NoError(t, err)
	transport := sim.Transport()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		require.NoError(t, sim.Close())
	})
	return &rig{Sim: sim, client: &http.Client{Transport: transport}}
}

// do sends one authenticated request and decodes what it answers.
func (g *rig) do(t *testing.T, method, path, body string) (int, any) {
	t.Helper()
	return g.doAs(t, method, path, body, "Bearer "+vapisim.Token)
}

func (g *rig) doAs(t *testing.T, method, path, body, authorization string) (int, any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, g.URL()+path, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", authorization)
	resp, err := g.client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, "application/json; charset=utf-8", resp.Header.Get("Content-Type"))
	var answer any
	require.NoError(t, json.Unmarshal(text, &answer), "%s", text)
	return resp.StatusCode, answer
}

// order is the body of a call.
func order(name, number string) string {
	return `{"name":"` + name + `","assistantId":"` + vapisim.AssistantID + `","phoneNumberId":"` + vapisim.PhoneNumberID +
		`","customer":{"number":"` + number + `"}}`
}

// place places one call and returns it as answered.
func (g *rig) place(t *testing.T, name, number string) map[string]any {
	t.Helper()
	status, c := g.do(t, "POST", "/call", order(name, number))
	require.Equal(t, http.StatusCreated, status, c)
	return c.(map[string]any)
}

func (g *rig) get(t *testing.T, path string) map[string]any {
	t.Helper()
	status, item := g.do(t, "GET", path, "")
	require.Equal(t, http.StatusOK, status, item)
	return item.(map[string]any)
}

func (g *rig) list(t *testing.T, path string) []string {
	t.Helper()
	status, items := g.do(t, "GET", path, "")
	require.Equal(t, http.StatusOK, status, items)
	ids := []string{}
	for _, item := range items.([]any) {
		ids = append(ids, item.(map[string]any)["id"].(string))
	}
	return ids
}
