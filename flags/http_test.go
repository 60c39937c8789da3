package flags_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/flags"
)

func get(t *testing.T, h http.Handler) (status int, problem map[string]any) {
	t.Helper()
	srv := httptest.NewServer(h)
	defer srv.Close()
	resp, err := srv.Client().Get(srv.URL)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	if resp.StatusCode != http.StatusOK {
		require.Equal(t, "application/problem+json", resp.Header.Get("Content-Type"))
		require.NoError(t, json.Unmarshal(body, &problem))
	}
	return resp.StatusCode, problem
}

func TestTheGateIsAskedAtEachRequest(t *testing.T) {
	t.Parallel()
	turned := 0
	set := flags.New("app", flags.Config{Hooks: flags.Hooks{OnGate: func(e flags.GateEvent) {
		turned++
		require.Equal(t, "STUB", e.Flag)
	}}})
	stub := set.Bool("STUB", flags.Doc(doc))
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	gate := stub.Handler(flags.Gate{Detail: "Stub mode disabled"})(ok)
	hidden := stub.Handler(flags.Gate{Detail: "Stub mode disabled", NotFound: true})(ok)
	plain := stub.Handler(flags.Gate{})(ok)

	status, problem := get(t, gate)
	require.Equal(t, 500, status, "not loaded: nobody knows")
	require.Equal(t, "internal", problem["kind"])
	require.Zero(t, turned)

	require.NoError(t, set.Load(nil))
	status, problem = get(t, gate)
	require.Equal(t, 403, status)
	require.Equal(t, "feature_disabled", problem["kind"])
	require.Equal(t, "Stub mode disabled", problem["detail"])
	status, problem = get(t, hidden)
	require.Equal(t, 404, status)
	require.Equal(t, "not_found", problem["kind"])
	require.NotContains(t, problem["detail"], "Stub")
	status, problem = get(t, plain)
	require.Equal(t, 403, status)
	require.NotEmpty(t, problem["detail"])
	require.Equal(t, 3, turned)

	require.NoError(t, set.Override(flags.Change{Flag: "STUB", Value: "true", Author: "a", Reason: "r"}))
	for _, h := range []http.Handler{gate, hidden, plain} {
		status, _ = get(t, h)
		require.Equal(t, 200, status)
	}
	require.NoError(t, set.Clear(flags.Change{Flag: "STUB", Author: "a", Reason: "r"}))
	status, _ = get(t, gate)
	require.Equal(t, 403, status)
}

func TestOneRequestSeesOneSetOfValues(t *testing.T) {
	t.Parallel()
	set := flags.New("app", flags.Config{})
	stub, limit := set.Bool("STUB", flags.Doc(doc)), set.Int("LIMIT", flags.Default(1), flags.Doc(doc))
	require.NoError(t, set.Load(nil))
	passed := false
	inner := stub.Handler(flags.Gate{})(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { passed = true }))
	var err error
	var pinned, now int
	h := set.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err = set.Override(
			flags.Change{Flag: "STUB", Value: "true", Author: "a", Reason: "r"}, flags.Change{Flag: "LIMIT", Value: "2", Author: "a", Reason: "r"})
		pinned, now = limit.In(r.Context()), limit.Get()
		set.Handler(inner).ServeHTTP(w, r) // pinned already
	}))
	status, _ := get(t, h)
	require.NoError(t, err)
	require.Equal(t, []int{1, 2}, []int{pinned, now})
	require.Equal(t, 403, status, "the gate sees what the request saw")
	require.False(t, passed)
	status, _ = get(t, set.Handler(inner))
	require.Equal(t, 200, status, "the next request")
	require.True(t, passed)
}

// A request that began before the set was loaded is not let through in its midst.
func TestAGateIsClosedToWhatWasPinnedBeforeLoad(t *testing.T) {
	t.Parallel()
	set := flags.New("app", flags.Config{})
	gate := set.Bool("STUB", flags.Default(true), flags.Doc(doc)).Handler(flags.Gate{})(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	var err error
	status, _ := get(t, set.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err = set.Load(nil)
		gate.ServeHTTP(w, r)
	})))
	require.NoError(t, err)
	require.Equal(t, 500, status)
	status, _ = get(t, set.Handler(gate))
	require.Equal(t, 200, status)
}

func TestPinsOfTwoSetsDoNotMeet(t *testing.T) {
	t.Parallel()
	one, two := flags.New("one", flags.Config{}), flags.New("two", flags.Config{})
	a, b := one.Int("A", flags.Default(1), flags.Doc(doc)), two.Int("B", flags.Default(2), flags.Doc(doc))
	ctx := two.Pin(one.Pin(t.Context()))
	require.Equal(t, 1, a.In(ctx))
	require.Equal(t, 2, b.In(ctx))
	require.Equal(t, ctx, one.Pin(ctx))
	late := one.Int("C", flags.Default(3), flags.Doc(doc))
	require.Equal(t, 3, late.In(ctx), "declared after the pin")
	require.Equal(t, 1, a.In(context.Background()))
}

func TestTheListingIsReadOnlyJSON(t *testing.T) {
	t.Parallel()
	set := flags.New("app", flags.Config{})
	set.Int("LIMIT", flags.Default(1), flags.Range(1, 9), flags.Doc(doc))
	require.NoError(t, set.Load([]string{"LIMIT=4", "APP_ENV=staging"}))
	h := set.ListHandler()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
	require.JSONEq(t, `{"set":"app","environment":"staging","variable":"APP_ENV","environment_given":"staging","loaded":true,"flags":[
		{"name":"LIMIT","type":"int","doc":"A sentence.","value":"4","default":"1","number":4,"source":"environment","min":"1","max":"9"}]}`, w.Body.String())
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	var l flags.Listing
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &l))
	require.Equal(t, set.List(), l)

	w = httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodHead, "/", http.NoBody))
	require.Equal(t, 200, w.Code)
	require.Empty(t, w.Body.String())
	w = httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", http.NoBody))
	require.Equal(t, 405, w.Code)
	require.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
}
