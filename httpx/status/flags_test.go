package status_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/flags"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/status"
)

func newFlags(t *testing.T, environ ...string) *flags.Set {
	t.Helper()
	set := flags.New("app", flags.Config{})
	limit := set.Int("LIMIT", flags.Default(10), flags.Range(1, 100), flags.Doc("Limits."))
	set.Int("MAIL_LIMIT", flags.Follows(limit), flags.Doc("Limits mail."))
	set.Bool("STUB", flags.NeverIn(flags.Production), flags.Doc("Serves canned data."))
	set.String("TOKEN", flags.Secret(), flags.Doc("Opens."))
	set.Bool("FIXED", flags.Locked(), flags.Doc("Stays."))
	require.NoError(t, set.Load(environ))
	return set
}

func flag(t *testing.T, s *status.Status, name string) status.Flag {
	t.Helper()
	for _, f := range s.State().Flags[0].Flags {
		if f.Name == name {
			return f
		}
	}
	t.Fatalf("no flag %s", name)
	return status.Flag{}
}

func TestFlagsAreListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStatus(t, status.Config{MaxWatched: 1})
		require.Empty(t, s.State().Flags)
		s.WatchFlags(nil)
		set := newFlags(t, "LIMIT=20", "TOKEN=hunter2")
		s.WatchFlags(set)
		s.WatchFlags(set)
		s.WatchFlags(newFlags(t))
		st := s.State()
		require.Len(t, st.Flags, 1)
		require.Equal(t, 1, st.Omitted)
		require.Equal(t, "app", st.Flags[0].Set)
		require.Equal(t, "production", st.Flags[0].Environment)
		require.True(t, st.Flags[0].Assumed)
		require.Equal(t, status.Flag{Name: "LIMIT", Type: "int", Doc: "Limits.", Value: "20", Default: "10", Source: "environment"}, flag(t, s, "LIMIT"))
		require.Equal(t, "LIMIT", flag(t, s, "MAIL_LIMIT").Origin)
		require.True(t, flag(t, s, "FIXED").Locked)
		require.Equal(t, "(secret)", flag(t, s, "TOKEN").Value)

		require.NoError(t, set.Override(
			flags.Change{Flag: "LIMIT", Value: "5", Author: "ann", Reason: "outage", For: time.Minute, CorrelationID: "id-1"},
			flags.Change{Flag: "TOKEN", Value: "hunter3", Author: "ann", Reason: "leak"}))
		f := flag(t, s, "LIMIT")
		require.Equal(t, []any{"5", "override", "ann", "outage", time.Now(), time.Now().Add(time.Minute)}, []any{f.Value, f.Source, f.Author, f.Reason, f.Since, f.Until})
		recent := s.State().Recent
		require.Len(t, recent, 2, "what follows is plain")
		require.Equal(t, status.Decision{
			At: time.Now(), Count: 1, Source: "app", What: status.Switched, Flag: "LIMIT", From: "20", To: "5", Reason: "overridden", Who: "ann",
			Why: "outage", CorrelationID: "id-1", Wait: status.Seconds(time.Minute),
		}, recent[1])
		require.NotContains(t, asJSON(t, s.State()), "hunter")

		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, "20", flag(t, s, "LIMIT").Value)
		require.Equal(t, "expired", s.State().Recent[0].Reason)
	})
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	return string(raw)
}

func TestFlagsAreCommanded(t *testing.T) {
	var heard []status.CommandEvent
	var logged logBook
	s := newStatus(t, status.Config{
		Guard: letIn, Logger: logged.logger(), Hooks: status.Hooks{OnCommand: func(e status.CommandEvent) { heard = append(heard, e) }},
	})
	set := newFlags(t)
	s.WatchFlags(set)
	ids, err := correlation.New(correlation.Config{})
	require.NoError(t, err)
	h := ids.Handler(s)

	w, _ := post(t, h, `{"flag":"LIMIT","command":"override","value":"5","reason":"outage","for_seconds":600}`, correlation.Header, "id-1")
	require.Equal(t, http.StatusOK, w.Code)
	var got status.Flag
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	require.Equal(t, []string{"LIMIT", "5", "override", "anna", "outage"}, []string{got.Name, got.Value, got.Source, got.Author, got.Reason})
	require.InDelta(t, 600, time.Until(got.Until).Seconds(), 60)
	require.Len(t, heard, 1)
	heard[0].At = time.Time{}
	require.Equal(t, status.CommandEvent{Who: "anna", CorrelationID: "id-1", Command: status.Override, Set: "app", Flag: "LIMIT", Reason: "outage"}, heard[0])
	require.Equal(t, "id-1", s.State().Recent[0].CorrelationID)
	require.Contains(t, logged.String(), "flag command")

	for _, c := range []struct {
		body, want string
		status     int
	}{
		{`{"flag":"LIMIT","command":"override","value":"500","reason":"x"}`, `LIMIT = "500": want 1 to 100`, 400},
		{`{"flag":"LIMIT","command":"override","value":"5"}`, "LIMIT: want a Reason of 1 to 200 bytes", 400},
		{`{"flag":"LIMIT","command":"override","value":"5","reason":"x","for_seconds":-1}`, "An override holds for up to a year", 400},
		{`{"flag":"LIMIT","command":"override","value":"5","reason":"x","for_seconds":1e-12}`, "An override holds for up to a year", 400},
		{`{"flag":"LIMIT","command":"override","value":"5","reason":"x","for_seconds":1e300}`, "An override holds for up to a year", 400},
		{`{"flag":"LIMIT","command":"reset","reason":"x"}`, "The commands of a flag are override and clear.", 400},
		{`{"flag":"STUB","command":"override","value":"true","reason":"x"}`, "STUB = true is not allowed in production", 403},
		{`{"flag":"FIXED","command":"override","value":"true","reason":"x"}`, "FIXED is locked", 403},
		{`{"flag":"NOPE","command":"override","value":"true","reason":"x"}`, "There is no such flag.", 404},
		{`{"set":"other","flag":"LIMIT","command":"override","value":"5","reason":"x"}`, "There is no such flag.", 404},
	} {
		heard = nil
		w, p := post(t, h, c.body)
		require.Equal(t, c.status, w.Code, c.body)
		require.Contains(t, p.Detail, c.want)
		require.Len(t, heard, 1, "audited")
		require.Error(t, heard[0].Err)
	}
	require.Contains(t, logged.String(), "flag command refused")
	require.Equal(t, "5", flag(t, s, "LIMIT").Value)
	w, _ = post(t, h, `{"set":"app","flag":"LIMIT","command":"clear","reason":"over"}`)
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "10", flag(t, s, "LIMIT").Value)
	require.NotContains(t, logged.String(), "hunter")

	logged.reset()
	w, _ = post(t, h, `{"flag":"hunter","command":"override","value":"hunter","reason":"hunter"}`)
	require.Equal(t, http.StatusNotFound, w.Code)
	require.Contains(t, logged.String(), "flag command refused")
	require.NotContains(t, logged.String(), "breaker command")
	require.NotContains(t, logged.String(), "hunter")

	long := newStatus(t, status.Config{Guard: func(*http.Request) (string, error) { return strings.Repeat("é", 150), nil }})
	long.WatchFlags(set)
	w, _ = post(t, long, `{"flag":"LIMIT","command":"override","value":"5","reason":"x"}`)
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	require.Equal(t, strings.Repeat("é", 100), flag(t, long, "LIMIT").Author)

	nobody := newStatus(t, status.Config{Guard: func(*http.Request) (string, error) { return "", nil }})
	nobody.WatchFlags(set)
	w, _ = post(t, nobody, `{"flag":"LIMIT","command":"override","value":"5","reason":"x"}`)
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "status page", flag(t, nobody, "LIMIT").Author)
}

// What a flag has changed is on the page's path, and not what was there when it was opened.
func TestTheExplanationFollowsTheFlags(t *testing.T) {
	s := newStatus(t, status.Config{})
	set := flags.New("app", flags.Config{})
	cfg := httpx.FromFlags(set, "vendor")
	require.NoError(t, set.Load(nil))
	cfg.Base = up()
	_, err := httpx.NewClient("vendor", s.WatchClient(cfg))
	require.NoError(t, err)
	require.Contains(t, s.State().Clients[0].Explain.String(), "opens at 3 failures in a row")
	require.NoError(t, set.Override(flags.Change{Flag: "CIRCUIT_BREAKER_THRESHOLD", Value: "8", Author: "a", Reason: "r"}))
	require.Contains(t, s.State().Clients[0].Explain.String(), "opens at 8 failures in a row")
}
