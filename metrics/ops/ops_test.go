package ops_test

import (
	"encoding/json"
	"io/fs"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/flags"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/status"
	"github.com/prusik-go/prusik/metrics"
	"github.com/prusik-go/prusik/metrics/ops"
	"github.com/prusik-go/prusik/ratelimit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func read(t *testing.T, name string) string {
	t.Helper()
	raw, err := fs.ReadFile(ops.Files, name)
	require.NoError(t, err)
	return string(raw)
}

// alert is a rule of alerts.yml. The file keeps to one shape, so that no reader of YAML is needed; promtool reads it as well.
type alert struct{ name, expr, severity, annotations, runbook string }

func alerts(t *testing.T) []alert {
	t.Helper()
	rule := regexp.MustCompile(`(?s)^(\w+)\n(?: +#[^\n]*\n)*        expr: \|\n((?:          [^\n]*\n)+)(?:        for: \d+m\n)?        labels:\n          severity: (\w+)\n        annotations:\n(.*          runbook_url: (\S+)\n)\n?$`)
	var all []alert
	for _, text := range strings.Split(read(t, "alerts.yml"), "      - alert: ")[1:] {
		m := rule.FindStringSubmatch(text)
		require.NotNil(t, m, "this rule has another shape than the others:\n%s", text)
		all = append(all, alert{m[1], m[2], m[3], m[4], m[5]})
	}
	require.NotEmpty(t, all)
	return all
}

func TestAlertsNameWhatThereIs(t *testing.T) {
	v := newVocabulary()
	for _, a := range alerts(t) {
		require.Empty(t, v.faults(a.expr), a.name)
		require.Contains(t, []string{"critical", "warning"}, a.severity, a.name)
		require.Contains(t, a.annotations, "          summary: ", a.name)
		require.Contains(t, a.annotations, "          description: ", a.name)
		for _, m := range regexp.MustCompile(`\$labels\.(\w+)`).FindAllStringSubmatch(a.annotations, -1) {
			require.Contains(t, parse(a.expr).grouped, m[1], "the text of %s names a label that the alert has not", a.name)
		}
	}
}

// Every alert is explained, and nothing is that is no alert.
func TestRunbookHasASectionForEachAlert(t *testing.T) {
	var want, have []string
	for _, a := range alerts(t) {
		want = append(want, a.name)
		require.Equal(t, "https://github.com/prusik-go/prusik/blob/main/metrics/ops/RUNBOOK.md#"+strings.ToLower(a.name), a.runbook)
	}
	sections, _, _ := strings.Cut(read(t, "RUNBOOK.md"), "\n## Deployment checklist\n")
	for _, section := range strings.Split(sections, "\n## ")[1:] {
		name, text, _ := strings.Cut(section, "\n")
		have = append(have, name)
		for _, part := range []string{"**Meaning.** ", "**First look.** ", "**Action.** "} {
			require.Equal(t, 1, strings.Count(text, "\n"+part), "%s in %s", part, name)
		}
	}
	require.Equal(t, want, have)
}

// The runbook names panels in italics, and the API in code.
func TestRunbookNamesWhatThereIs(t *testing.T) {
	text := read(t, "RUNBOOK.md")
	fence := regexp.MustCompile("(?s)```.*?```")
	text = fence.ReplaceAllString(text, "")
	titles := map[string]bool{}
	for _, p := range dashboard(t).Panels {
		titles[p.Title] = true
	}
	italic := regexp.MustCompile(`[ (]\*([A-Z][^*]+)\*`).FindAllStringSubmatch(text, -1)
	require.NotEmpty(t, italic)
	for _, m := range italic {
		require.Contains(t, titles, strings.Join(strings.Fields(m[1]), " "), "no such panel")
	}

	known := map[string]bool{"Config": true, "Metrics": true} // beside what follows, whose names the compiler checks
	for name := range map[string]any{"NewClient": httpx.NewClient, "NewTransport": httpx.NewTransport, "FromFlags": httpx.FromFlags, "Unknown": errors.Unknown, "Disabled": breaker.Disabled} {
		known[name] = true
	}
	for _, v := range []any{&httpx.Transport{}, &breaker.Breaker{}, &breaker.Group{}, &metrics.Metrics{}, &flags.Set{}} {
		for method := range reflect.TypeOf(v).Methods() {
			known[method.Name] = true
		}
	}
	for _, v := range []any{httpx.Config{}, breaker.Config{}, ratelimit.Config{}, status.Config{}} {
		for field := range reflect.TypeOf(v).Fields() {
			known[field.Name] = true
		}
	}
	vocabulary := newVocabulary()
	code := regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(text, -1)
	require.NotEmpty(t, code)
	for _, m := range code {
		for _, name := range regexp.MustCompile(`\b[A-Z][a-z]\w*`).FindAllString(m[1], -1) {
			require.Contains(t, known, name, "`%s`: the API has no such name", m[1])
		}
		if strings.Contains(m[1], "{") {
			require.Empty(t, vocabulary.faults(m[1]), m[1])
		}
	}
}

type target struct{ RefID, Expr, LegendFormat string }

type panel struct {
	ID                       int
	Type, Title, Description string
	Datasource               struct{ Type, UID string }
	GridPos                  struct{ H, W, X, Y int }
	Targets                  []target
	FieldConfig              struct{ Defaults struct{ Unit string } }
}

type board struct {
	SchemaVersion int
	Panels        []panel
	Templating    struct {
		List []struct{ Name, Type, Definition string }
	}
	Annotations struct{ List []struct{ Expr string } }
}

func dashboard(t *testing.T) board {
	t.Helper()
	var b board
	require.NoError(t, json.Unmarshal([]byte(read(t, "dashboard.json")), &b))
	require.NotEmpty(t, b.Panels)
	return b
}

func TestPanelsNameWhatThereIs(t *testing.T) {
	v := newVocabulary()
	for _, p := range dashboard(t).Panels {
		if p.Type == "row" {
			require.True(t, strings.HasSuffix(p.Title, "?"), "a row is a question: %s", p.Title)
			continue
		}
		require.NotEmpty(t, p.Description, p.Title)
		require.NotEmpty(t, p.FieldConfig.Defaults.Unit, p.Title)
		require.Equal(t, "${datasource}", p.Datasource.UID, p.Title)
		require.NotEmpty(t, p.Targets, p.Title)
		for _, target := range p.Targets {
			require.Empty(t, v.faults(target.Expr), "%s: %s", p.Title, target.Expr)
			q := parse(target.Expr)
			for _, m := range regexp.MustCompile(`\{\{(\w+)\}\}`).FindAllStringSubmatch(target.LegendFormat, -1) {
				require.Contains(t, q.grouped, m[1], "the legend of %s", p.Title)
			}
			for _, s := range q.series {
				d, _, _ := v.find(s.metric)
				if slices.Contains(d.Labels, "service") && s.metric != "resilience_policy_info" {
					require.Contains(t, s.labels, "service", "%s in %s does not heed the variable", s.metric, p.Title)
				}
			}
		}
	}
	for _, variable := range dashboard(t).Templating.List {
		if variable.Type == "query" {
			selector, label, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(variable.Definition, "label_values("), ")"), "}, ")
			require.Equal(t, []string{"no label " + label + "x in what is grouped by it"}, v.gauges(selector+"}", label+"x"))
			require.Empty(t, v.gauges(selector+"}", label))
		}
	}
}

// gauges are the faults of a selector whose metrics are only looked up, where a counter is as good as a gauge.
func (v vocabulary) gauges(selector, label string) []string {
	return slices.DeleteFunc(v.faults("max by ("+label+") ("+selector+")"), func(f string) bool { return strings.Contains(f, "is a counter in") })
}

// The server's own ALERTS, of the alerts there are.
func TestAnnotationsAreOfOurAlerts(t *testing.T) {
	var names []string
	for _, a := range alerts(t) {
		names = append(names, a.name)
	}
	list := dashboard(t).Annotations.List
	require.Len(t, list, 1)
	require.Equal(t, `ALERTS{alertstate="firing", alertname=~"`+strings.Join(names, "|")+`"}`, list[0].Expr)
}

func TestPanelsDoNotOverlap(t *testing.T) {
	ids, places := map[int]string{}, map[[2]int]string{}
	for _, p := range dashboard(t).Panels {
		require.Empty(t, ids[p.ID], "the id of %s", p.Title)
		ids[p.ID] = p.Title
		require.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, p.Title)
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				require.Empty(t, places[[2]int{x, y}], "under %s", p.Title)
				places[[2]int{x, y}] = p.Title
			}
		}
	}
}
