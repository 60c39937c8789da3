package status_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/status"
)

// post sends a command as the page does; headers may be changed by pairs.
func post(t testing.TB, h http.Handler, body string, header ...string) (*httptest.ResponseRecorder, errors.Problem) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://ops.test/status", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	p, err := errors.DecodeProblem(w.Body.Bytes())
	require.NoError(t, err)
	if w.Code != http.StatusOK {
		require.Equal(t, errors.ContentType, w.Header().Get("Content-Type"))
		require.Equal(t, w.Code, p.Status)
	}
	return w, p
}

const forceOpen = `{"client":"vendor","breaker":"vendor","command":"force_open"}`

func letIn(*http.Request) (string, error) { return "anna", nil }

func TestWithoutAGuardThereAreNoCommands(t *testing.T) {
	s := newStatus(t, status.Config{})
	c := watch(t, s, "vendor", httpx.Config{Base: up()})
	w, _ := post(t, s, forceOpen)
	require.Equal(t, http.StatusMethodNotAllowed, w.Code)
	require.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
	require.Equal(t, breaker.Closed, theBreaker(t, c).State())

	guarded := newStatus(t, status.Config{Guard: letIn})
	for _, method := range []string{http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodPatch} {
		r := httptest.NewRequestWithContext(t.Context(), method, "/", http.NoBody)
		w := httptest.NewRecorder()
		guarded.ServeHTTP(w, r)
		require.Equal(t, http.StatusMethodNotAllowed, w.Code)
		require.Equal(t, "GET, HEAD, POST", w.Header().Get("Allow"))
	}
	require.True(t, guarded.State().Commands)
	require.False(t, s.State().Commands)
}

func TestCommands(t *testing.T) {
	var heard []status.CommandEvent
	var logged logBook
	s := newStatus(t, status.Config{
		Guard: letIn, Logger: logged.logger(), Hooks: status.Hooks{OnCommand: func(e status.CommandEvent) { heard = append(heard, e) }},
	})
	c := watch(t, s, "vendor", httpx.Config{Base: up()})
	ids, err := correlation.New(correlation.Config{})
	require.NoError(t, err)
	h := ids.Handler(s)
	state := breaker.Closed
	for command, want := range map[status.Command]breaker.State{
		status.ForceOpen: breaker.ForcedOpen, status.Disable: breaker.DisabledState, status.Reset: breaker.Closed,
	} {
		heard = nil
		w, _ := post(t, h, `{"client":"vendor","breaker":"vendor","command":"`+string(command)+`"}`, correlation.Header, "id-"+string(command))
		require.Equal(t, http.StatusOK, w.Code)
		var got status.Breaker
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
		require.Equal(t, want.String(), got.State)
		require.Equal(t, want, theBreaker(t, c).State())
		require.Equal(t, "id-"+string(command), w.Header().Get(correlation.Header))
		require.Len(t, heard, 1)
		require.False(t, heard[0].At.IsZero())
		require.Equal(t, status.CommandEvent{
			At: heard[0].At, Who: "anna", CorrelationID: "id-" + string(command), Command: command, Client: "vendor", Breaker: "vendor", From: state, To: want,
		}, heard[0])
		require.Contains(t, logged.String(), "level=WARN msg=\"breaker command\" correlation_id=id-"+string(command)+" who=anna command="+string(command)+
			" client=vendor breaker=vendor from="+state.String()+" to="+want.String())
		d := find(t, s, status.Commanded)
		require.Equal(t, "anna", d.Who)
		require.Equal(t, "id-"+string(command), d.CorrelationID)
		state = want
	}
}

func TestACommandForOneHost(t *testing.T) {
	s := newStatus(t, status.Config{Guard: letIn})
	c := watch(t, s, "vendor", httpx.Config{Base: up(), BreakerPerHost: true})
	get(t, c)
	w, _ := post(t, s, `{"client":"vendor","breaker":"vendor/vendor.test","command":"force_open"}`)
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, breaker.ForcedOpen, transport(t, c).Breakers().Get("vendor.test").State())
	w, _ = post(t, s, `{"client":"vendor","breaker":"vendor/other.test","command":"force_open"}`)
	require.Equal(t, http.StatusNotFound, w.Code, "a command makes no breaker")
	require.Len(t, only(t, s).Breakers, 1)
}

func TestCommandsThatAreRefused(t *testing.T) {
	asked := 0
	secret := errors.New("planted: no such session")
	guard := func(r *http.Request) (string, error) {
		asked++
		switch r.Header.Get("Authorization") {
		case "nobody":
			return "", secret
		case "unknown":
			return "", &errors.Error{Kind: errors.Unauthenticated, Err: secret}
		}
		return "anna", nil
	}
	for name, tc := range map[string]struct {
		body   string
		header []string
		status int
		detail string
		who    string
	}{
		"by the guard":           {forceOpen, []string{"Authorization", "nobody"}, 403, "not allowed", ""},
		"by the guard's kind":    {forceOpen, []string{"Authorization", "unknown"}, 401, "Sign in", ""},
		"from another site":      {forceOpen, []string{"Sec-Fetch-Site", "cross-site"}, 403, "from this site only", "-"},
		"from another subdomain": {forceOpen, []string{"Sec-Fetch-Site", "same-site"}, 403, "from this site only", "-"},
		"from another origin":    {forceOpen, []string{"Origin", "https://evil.test"}, 403, "from this site only", "-"},
		"as a form":              {"client=vendor", []string{"Content-Type", "application/x-www-form-urlencoded"}, 400, "application/json", "anna"},
		"as text":                {forceOpen, []string{"Content-Type", "text/plain"}, 400, "application/json", "anna"},
		"without a type":         {forceOpen, []string{"Content-Type", ""}, 400, "application/json", "anna"},
		"not JSON":               {"{", nil, 400, "JSON", "anna"},
		"too much JSON":          {forceOpen + forceOpen, nil, 400, "JSON", "anna"},
		"a member too many":      {`{"client":"vendor","breaker":"vendor","command":"force_open","all":true}`, nil, 400, "JSON", "anna"},
		"too long":               {`{"client":"` + strings.Repeat("x", 5000) + `"}`, nil, 400, "JSON", "anna"},
		"another client":         {`{"client":"nobody","breaker":"vendor","command":"reset"}`, nil, 404, "no such breaker", "anna"},
		"another breaker":        {`{"client":"vendor","breaker":"nobody","command":"reset"}`, nil, 404, "no such breaker", "anna"},
		"another command":        {`{"client":"vendor","breaker":"vendor","command":"explode"}`, nil, 400, "force_open, disable and reset", "anna"},
	} {
		t.Run(name, func(t *testing.T) {
			asked = 0
			var heard []status.CommandEvent
			var logged logBook
			s := newStatus(t, status.Config{
				Guard: guard, Logger: logged.logger(),
				Hooks: status.Hooks{OnCommand: func(e status.CommandEvent) { heard = append(heard, e) }},
			})
			c := watch(t, s, "vendor", httpx.Config{Base: up()})
			w, p := post(t, s, tc.body, tc.header...)
			require.Equal(t, tc.status, w.Code)
			require.Contains(t, p.Detail, tc.detail)
			require.NotContains(t, w.Body.String(), "planted")
			require.Equal(t, breaker.Closed, theBreaker(t, c).State())
			require.Empty(t, s.State().Recent)
			require.Len(t, heard, 1, "what is refused is audited too")
			require.Error(t, heard[0].Err)
			require.Empty(t, heard[0].Command)
			if tc.who == "-" {
				require.Zero(t, asked, "another site does not get as far as the guard")
				tc.who = ""
			}
			require.Equal(t, tc.who, heard[0].Who)
			require.Equal(t, p.CorrelationID, heard[0].CorrelationID)
			require.True(t, correlation.Valid(p.CorrelationID), "an id is made where there is no middleware")
			require.Contains(t, logged.String(), "breaker command refused")
			require.Contains(t, logged.String(), "correlation_id="+p.CorrelationID)
		})
	}
}

func TestAnOriginThatIsTrusted(t *testing.T) {
	cross := http.NewCrossOriginProtection()
	require.NoError(t, cross.AddTrustedOrigin("https://console.test"))
	s := newStatus(t, status.Config{Guard: letIn, CrossOrigin: cross})
	watch(t, s, "vendor", httpx.Config{Base: up()})
	w, _ := post(t, s, forceOpen, "Origin", "https://console.test", "Sec-Fetch-Site", "cross-site")
	require.Equal(t, http.StatusOK, w.Code)
}
