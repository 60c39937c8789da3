package metrics_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/prusik-go/prusik/metrics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start returns metrics on a registry of their own, which checks every scrape.
func start(tb testing.TB, cfg metrics.Config) (*metrics.Metrics, *prometheus.Registry) {
	tb.Helper()
	reg := prometheus.NewPedanticRegistry()
	m, err := metrics.New(reg, cfg)
	require.NoError(tb, err)
	return m, reg
}

// samples are the values of a scrape, as name{label="value",…}, without labels that are empty. A histogram is its count, a
// ratio is in percent.
func samples(tb testing.TB, reg prometheus.Gatherer) map[string]int {
	tb.Helper()
	all := make(map[string]int)
	for _, f := range gather(tb, reg.Gather) {
		for _, metric := range f.GetMetric() {
			var labels []string
			for _, l := range metric.GetLabel() {
				if l.GetValue() != "" {
					labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
				}
			}
			name := f.GetName()
			if len(labels) > 0 {
				name += "{" + strings.Join(labels, ",") + "}"
			}
			v := cmp.Or(metric.GetCounter().GetValue(), metric.GetGauge().GetValue(), float64(metric.GetHistogram().GetSampleCount()))
			if strings.HasSuffix(f.GetName(), "_ratio") {
				v *= 100
			}
			all[name] = int(math.Round(v))
		}
	}
	return all
}

// gather scrapes. Its families have a type of a module that we do not require.
func gather[Family any](tb testing.TB, scrape func() ([]Family, error)) []Family {
	tb.Helper()
	got, err := scrape()
	require.NoError(tb, err)
	return got
}

// only are the samples that are not zero and whose names begin so.
func only(all map[string]int, prefixes ...string) map[string]int {
	some := make(map[string]int)
	for name, v := range all {
		if v != 0 && slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) }) {
			some[name] = v
		}
	}
	return some
}
