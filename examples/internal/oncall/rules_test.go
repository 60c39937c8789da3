package oncall_test

import (
	"encoding/json"
	"io/fs"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/prusik-go/prusik/metrics/ops"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func file(t *testing.T, name string) string {
	t.Helper()
	raw, err := fs.ReadFile(ops.Files, name)
	require.NoError(t, err)
	return string(raw)
}

// The rules as they are, with their windows of minutes.
func TestRulesByPromtool(t *testing.T) {
	promtool := tool(t, "promtool")
	for _, args := range [][]string{{"check", "rules", "alerts.yml"}, {"test", "rules", "alerts_test.yml"}} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = "../../../metrics/ops"
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
}

// Every field of the dashboard is one of Grafana's own schema, and none that it requires is missing.
func TestDashboardIsGrafanas(t *testing.T) {
	plugins.RegisterDefaultPlugins()
	var d dashboard.Dashboard //nolint:staticcheck // the schema of Grafana 11; the one that is preferred now is of 12
	if err := d.UnmarshalJSONStrict([]byte(file(t, "dashboard.json"))); err != nil {
		require.Empty(t, err.Error()) // a list of faults, which is not nil where it is empty
	}
	require.NoError(t, d.Validate())
}

// short makes the rules fit for a drill of a minute, with a scrape a second: all windows and delays are minutes in alerts.yml,
// and become seconds by this table. Nothing else is changed, and no window may be new.
func short(t *testing.T) string {
	t.Helper()
	windows := map[string]string{"[2m]": "[6s]", "[5m]": "[10s]", "[10m]": "[10s]", "[30m]": "[15s]"}
	rules := regexp.MustCompile(`\[\w+\]`).ReplaceAllStringFunc(file(t, "alerts.yml"), func(w string) string {
		require.Contains(t, windows, w)
		return windows[w]
	})
	return regexp.MustCompile(`for: \d+m`).ReplaceAllString(rules, "for: 2s")
}

func alertNames(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, m := range regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(file(t, "alerts.yml"), -1) {
		names = append(names, m[1])
	}
	return names
}

// panel is what the test and the picture need of one.
type panel struct {
	Type, Title string
	GridPos     struct{ H, W, X, Y int }
	Targets     []target
	FieldConfig struct {
		Defaults struct {
			Unit     string
			Min, Max *float64
			Decimals *int
			Custom   struct{ Stacking struct{ Mode string } }
			Mappings []struct {
				Options map[string]struct{ Text, Color string }
			}
			Thresholds struct{ Steps []struct{ Value *float64 } }
		}
	}
}

type target struct {
	Expr, LegendFormat string
	Instant            bool
}

type board struct {
	Panels     []panel
	Templating struct {
		List []struct{ Type, Definition string }
	}
	Annotations struct{ List []struct{ Expr string } }
}

func readBoard(t *testing.T) (b board) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(file(t, "dashboard.json")), &b))
	return b
}

// settled is an expression of the dashboard with its variables filled in.
func settled(expr string) string {
	return strings.NewReplacer("$__rate_interval", "4s", "$service", ".*").Replace(expr)
}
