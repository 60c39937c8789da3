package metrics_test

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/flags"
	"github.com/prusik-go/prusik/metrics"
)

func TestFlagsAreSeen(t *testing.T) {
	m, reg := start(t, metrics.Config{})
	newSet := func() *flags.Set {
		set := flags.New("app", flags.Config{})
		set.Bool("STUB", flags.Doc("Serves canned data."))
		limit := set.Int("LIMIT", flags.Default(10), flags.Doc("Limits."))
		set.Int("MAIL_LIMIT", flags.Follows(limit), flags.Doc("Limits mail."))
		set.Duration("WAIT", flags.Doc("Waits."))
		set.Int("PIN", flags.Secret(), flags.Doc("Opens."))
		set.String("WORD", flags.Doc("Says."))
		return set
	}
	set, another := newSet(), newSet()
	require.NoError(t, set.Load([]string{"WAIT=1m30s", "PIN=1234", "WORD=hunter2"}))
	require.NoError(t, another.Load([]string{"STUB=true", "WAIT=1s"}))
	m.AddFlags(set)
	m.AddFlags(set)
	m.AddFlags(nil)
	look := func() map[string]int { return only(samples(t, reg), "feature_flag_") }
	require.Equal(t, map[string]int{
		`feature_flag_value{flag="LIMIT"}`: 10, `feature_flag_value{flag="MAIL_LIMIT"}`: 10, `feature_flag_value{flag="WAIT"}`: 90,
	}, look())
	require.Contains(t, samples(t, reg), `feature_flag_enabled{flag="STUB"}`, "off is a value")
	require.Contains(t, samples(t, reg), `feature_flag_overridden{flag="WORD"}`)
	require.NotContains(t, samples(t, reg), `feature_flag_value{flag="PIN"}`, "a secret")
	require.NotContains(t, samples(t, reg), `feature_flag_value{flag="STUB"}`)

	change := flags.Change{Flag: "LIMIT", Value: "20", Author: "ann", Reason: "load"}
	require.NoError(t, set.Override(change))
	require.Error(t, set.Override(flags.Change{Flag: "LIMIT", Value: "x", Author: "ann", Reason: "load"}))
	require.Error(t, set.Override(flags.Change{Flag: "made\nup", Value: "x", Author: "ann", Reason: "load"}))
	stub, ok := set.Lookup("STUB").(*flags.Bool)
	require.True(t, ok)
	stub.Handler(flags.Gate{})(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	want := map[string]int{
		`feature_flag_value{flag="LIMIT"}`: 20, `feature_flag_value{flag="MAIL_LIMIT"}`: 20, `feature_flag_value{flag="WAIT"}`: 90,
		`feature_flag_overridden{flag="LIMIT"}`:                       1,
		`feature_flag_changes_total{cause="overridden",flag="LIMIT"}`: 1, `feature_flag_changes_total{cause="followed",flag="MAIL_LIMIT"}`: 1,
		`feature_flag_refusals_total{flag="LIMIT"}`: 1, `feature_flag_refusals_total{flag="other"}`: 1,
		`feature_flag_gate_rejections_total{flag="STUB"}`: 1,
	}
	require.Equal(t, want, look())

	m.AddFlags(another)
	want[`feature_flag_enabled{flag="STUB"}`] = 1
	require.Equal(t, want, look(), "of two sets the greatest")
	runtime.KeepAlive(another)
}
