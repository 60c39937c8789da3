package ops_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/metrics"
)

// series is one selector of an expression: the metric and the labels that it matches by.
type series struct {
	metric string
	labels []string
	call   string // the function it stands in directly, or ""
}

// query is what an expression of PromQL names. Its syntax is promtool's to check, in examples/internal/oncall.
type query struct {
	series  []series
	grouped []string // the labels of by, on and the like
}

var tokens = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|\[[^\]]*\]|[a-zA-Z_:][\w:]*|[0-9][\w.]*|[=!]~|[=!<>]=|\S`)

// parse reads names by their place: in braces they are labels, as they are in the list after by; before a bracket they are
// functions; and the rest, but for the operators, are metrics.
func parse(expr string) query {
	var q query
	all := append(tokens.FindAllString(expr, -1), "", "")
	list := func(i int) ([]string, int) { // the names in the parentheses at i
		var names []string
		for ; all[i] != ")" && all[i] != ""; i++ {
			if isName(all[i]) {
				names = append(names, all[i])
			}
		}
		return names, i
	}
	for i := 0; i < len(all)-2; i++ {
		word, next := all[i], all[i+1]
		switch {
		case word == "{":
			var s series
			s, i = braces(all, i)
			if n := len(q.series); s.metric == "" && n > 0 {
				q.series[n-1].labels = s.labels
				continue
			}
			for name := range strings.SplitSeq(s.metric, "|") {
				q.series = append(q.series, series{metric: name, labels: s.labels})
			}
		case !isName(word) || slices.Contains([]string{"and", "or", "unless", "bool", "offset"}, word):
		case slices.Contains([]string{"by", "without", "on", "ignoring", "group_left", "group_right"}, word):
			var names []string
			names, i = list(i + 1)
			q.grouped = append(q.grouped, names...)
		case next == "(" || next == "by" || next == "without":
		default:
			s := series{metric: word}
			if i > 1 && all[i-1] == "(" && isName(all[i-2]) {
				s.call = all[i-2]
			}
			q.series = append(q.series, s)
		}
	}
	return q
}

// braces reads the matchers that begin at i. The metric is what __name__ is matched with.
func braces(all []string, i int) (series, int) {
	var s series
	for ; all[i] != "}" && all[i] != ""; i++ {
		switch {
		case !isName(all[i]):
		case all[i] == "__name__":
			s.metric = strings.Trim(all[i+2], `"`)
		default:
			s.labels = append(s.labels, all[i])
		}
	}
	return s, i
}

func isName(s string) bool {
	return s != "" && (s[0] == '_' || s[0] == ':' || s[0] >= 'a' && s[0] <= 'z' || s[0] >= 'A' && s[0] <= 'Z')
}

func TestParse(t *testing.T) {
	require.Equal(t, query{
		series: []series{
			{metric: "a_bucket", labels: []string{"x", "y"}, call: "rate"},
			{metric: "b"},
			{metric: "c", call: "max"},
			{metric: "d", labels: []string{"z"}},
			{metric: "e", labels: []string{"z"}},
		},
		grouped: []string{"job", "le", "x"},
	}, parse(`histogram_quantile(0.95, sum by (job, le) (rate(a_bucket{x=~"or {by}|\"b\"", y!="2"}[5m]))) > 1e3
		unless on (x) b > 0 < 3 or (max(c) or {__name__=~"d|e",z="f"})`))
}

// vocabulary is what there is to name.
type vocabulary map[string]metrics.Definition

func newVocabulary() vocabulary {
	v := make(vocabulary)
	for _, d := range metrics.Definitions() {
		v[d.Name] = d
	}
	return v
}

// find returns the definition behind a name, and whether the name is that of a histogram's classic series.
func (v vocabulary) find(name string) (d metrics.Definition, classic, ok bool) {
	if d, ok := v[name]; ok {
		return d, false, true
	}
	for _, suffix := range []string{"_bucket", "_count", "_sum"} {
		if base, cut := strings.CutSuffix(name, suffix); cut && v[base].Type == metrics.TypeHistogram {
			return v[base], suffix == "_bucket", true
		}
	}
	return metrics.Definition{}, false, false
}

// faults says what is wrong with an expression: names that are not there, counters that are not rated, gauges that are.
func (v vocabulary) faults(expr string) []string {
	var all []string
	q := parse(expr)
	labels := map[string]bool{"job": true, "instance": true} // the server's own
	for _, s := range q.series {
		d, bucket, ok := v.find(s.metric)
		if !ok {
			all = append(all, "no metric "+s.metric)
			continue
		}
		for _, l := range d.Labels {
			labels[l] = true
		}
		labels["le"] = labels["le"] || bucket
		for _, l := range s.labels {
			if !slices.Contains(d.Labels, l) && (l != "le" || !bucket) {
				all = append(all, "no label "+l+" of "+s.metric)
			}
		}
		if rated := s.call == "rate" || s.call == "increase"; rated == (d.Type == metrics.TypeGauge) {
			all = append(all, s.metric+" is a "+string(d.Type)+" in "+s.call+"()")
		}
	}
	for _, l := range q.grouped {
		if !labels[l] {
			all = append(all, "no label "+l+" in what is grouped by it")
		}
	}
	if len(q.series) == 0 {
		all = append(all, "no metric at all")
	}
	return all
}

func TestFaultsAreFound(t *testing.T) {
	v := newVocabulary()
	for expr, want := range map[string]string{
		`max by (service) (circuit_breaker_stat)`:                         "no metric circuit_breaker_stat; no label service in what is grouped by it",
		`max by (servise) (circuit_breaker_state)`:                        "no label servise in what is grouped by it",
		`circuit_breaker_state{servise="x"}`:                              "no label servise of circuit_breaker_state",
		`rate(circuit_breaker_state[5m])`:                                 "circuit_breaker_state is a gauge in rate()",
		`sum(circuit_breaker_opens_total)`:                                "circuit_breaker_opens_total is a counter in sum()",
		`sum by (le) (rate(http_client_call_duration_seconds_count[5m]))`: "no label le in what is grouped by it",
		`rate(circuit_breaker_opens_total_bucket[5m])`:                    "no metric circuit_breaker_opens_total_bucket",
		`vector(1)`: "no metric at all",
		`sum by (le) (rate(http_client_call_duration_seconds_bucket[5m]))`: "",
	} {
		require.Equal(t, want, strings.Join(v.faults(expr), "; "), expr)
	}
}
