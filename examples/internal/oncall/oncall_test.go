package oncall_test

import (
	"context"
	"flag"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/examples/internal/sim/fault"
	"github.com/prusik-go/prusik/flags"
)

var drawFlag = flag.String("oncall.draw", "", "draw the dashboard of the run into this PNG `file`")

// scrapes is how often the program is scraped, and the rules are evaluated.
const scrapes = time.Second

// watch is what has been seen of the alerts, by name and what they are about.
type watch struct {
	server *server
	fired  map[string]time.Time
	now    []string
}

func about(a firing) string {
	l := a.Labels
	return l["alertname"] + " " + l["service"] + l["limiter"] + l["flag"]
}

func (w *watch) look(ctx context.Context, t *testing.T) {
	t.Helper()
	all, err := w.server.alerts(ctx)
	require.NoError(t, err)
	w.now = nil
	for _, a := range all {
		name := about(a)
		w.now = append(w.now, name)
		if _, known := w.fired[name]; !known {
			w.fired[name] = time.Now()
		}
	}
}

// until looks until done, which it is told what still lacks.
func (w *watch) until(ctx context.Context, t *testing.T, what string, lacks func() []string) {
	t.Helper()
	began := time.Now()
	tick := time.NewTicker(scrapes / 4)
	defer tick.Stop()
	var lack []string
	for {
		w.look(ctx, t)
		if lack = lacks(); len(lack) == 0 {
			t.Logf("%-28s after %4.1f s", what, time.Since(began).Seconds())
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: in vain for %s; firing are %q", what, strings.Join(lack, ", "), w.now)
		}
	}
}

// quiet looks for d, and sees nothing.
func (w *watch) quiet(ctx context.Context, t *testing.T, what string, d time.Duration) {
	t.Helper()
	end := time.Now().Add(d)
	w.until(ctx, t, what, func() []string {
		if require.Empty(t, w.now, "an alert: %s", what); time.Now().Before(end) {
			return []string{"its end"}
		}
		return nil
	})
}

func (w *watch) seen(names ...string) func() []string {
	return func() []string {
		return slices.DeleteFunc(slices.Clone(names), func(n string) bool { _, ok := w.fired[n]; return ok })
	}
}

func TestOnCall(t *testing.T) {
	tool(t, "prometheus")
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute) // some 45 s on a machine that is not busy
	defer cancel()
	p := start(t)
	var stopTraffic context.CancelFunc
	p.ctx, stopTraffic = context.WithCancel(ctx)
	defer p.workers.Wait()
	defer http.DefaultClient.CloseIdleConnections()
	defer stopTraffic()
	w := &watch{server: startServer(t, p.url, short(t), scrapes), fired: map[string]time.Time{}}
	// One that keeps native histograms only: what reads latencies has to work there as well.
	native := &watch{server: startServer(t, p.url, short(t), scrapes, "--enable-feature=native-histograms"), fired: map[string]time.Time{}}

	// Prometheus takes some seconds to find its targets.
	for _, w := range []*watch{w, native} {
		w.until(ctx, t, "the first scrapes", func() []string {
			now := time.Now()
			if up, err := w.server.over(ctx, "count_over_time(up[1h]) > 1", now, now, scrapes); err != nil || len(up) == 0 {
				return []string{fmt.Sprint("up ", err)}
			}
			return nil
		})
	}
	began := time.Now()

	// The alerts that have to be seen. Of twilio and vapi there may be no other one.
	want := []string{
		"BreakerOpen twilio", "BreakerFlapping calendar", "BreakerOverridden calendar", "RetryAmplification crm", "RetryBudgetExhausted mail",
		"LimiterStoreDown api", "VendorSlow speech", "UnguardedTraffic legacy", "StubModeOn INTEGRATIONS_STUB_MODE",
	}
	for _, name := range alertNames(t) {
		require.True(t, slices.ContainsFunc(want, func(s string) bool { return strings.HasPrefix(s, name+" ") }), "%s is not in this drill", name)
	}

	// A good day.
	const pause = 200 * time.Millisecond
	p.traffic(1, 700*time.Millisecond, "POST /api/v1/twilio/calls", "")
	p.traffic(4, pause, "POST /api/v1/twilio/messages", "")
	p.traffic(2, pause, "GET /api/v1/twilio/messages", "")
	p.traffic(2, pause, "GET /api/v1/vapi/settings", "")
	p.traffic(6, pause, "GET /api/v1/crm/1", "")
	p.traffic(4, pause, "GET /api/v1/mail/1", "")
	p.traffic(4, pause, "GET /api/v1/speech/1", "")
	p.traffic(2, pause/4, "GET /api/v1/calendar/1", "")
	w.quiet(ctx, t, "a good day", 3*time.Second)
	// Twilio finds some calls too many.
	limited := func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/Calls.json") }
	tooMany := fault.TooManyRequestsAfter(time.Second)
	p.twilioSim.SetScript(fault.When(limited, fault.Sequence(tooMany, tooMany).Then(well()), well()))
	w.quiet(ctx, t, "a good day with two 429", 4*time.Second)

	// Twilio goes down, and then everything else.
	p.twilioSim.Outage(fault.ProcessedStatus(http.StatusServiceUnavailable))
	w.until(ctx, t, "Twilio is down", w.seen("BreakerOpen twilio"))
	p.speech.SetScript(fault.Always(fault.Latency(5500 * time.Millisecond)))
	p.crm.SetScript(failing(t, 0.4))
	p.mail.SetScript(failing(t, 0.6))
	stopLegacy := p.traffic(2, pause, "GET /api/v1/legacy/1", "")
	stopGreedy := p.traffic(6, pause/4, "GET /api/v1/vapi/settings", "greedy")
	p.store.down.Store(true)
	require.NoError(t, p.flags.Override(flags.Change{Flag: "INTEGRATIONS_STUB_MODE", Value: "true", Author: "ann", Reason: "drill"}))
	p.moody.Store(true)
	p.calendar.Outage(fault.Status(http.StatusBadGateway))
	w.until(ctx, t, "the calendar comes and goes", w.seen("BreakerFlapping calendar"))
	p.moody.Store(false)
	p.calendar.transport.Breaker().ForceOpen()
	w.until(ctx, t, "everything is down", w.seen(want...))
	native.until(ctx, t, "VendorSlow, native histograms", native.seen("VendorSlow speech"))

	// All is well again.
	p.twilioSim.Recover()
	p.calendar.Recover()
	p.calendar.transport.Breaker().Reset()
	for _, v := range []*vendor{p.speech, p.crm, p.mail} {
		v.SetScript(well())
	}
	stopLegacy()
	stopGreedy()
	p.store.down.Store(false)
	require.NoError(t, p.flags.Clear(flags.Change{Flag: "INTEGRATIONS_STUB_MODE", Author: "ann", Reason: "drill over"}))
	w.until(ctx, t, "all is well again", func() []string { return w.now })
	w.quiet(ctx, t, "nothing comes back", 3*time.Second)
	ended := time.Now()

	for name, at := range w.fired {
		t.Logf("%4.1f s  %s", at.Sub(began).Seconds(), name)
		if strings.HasSuffix(name, " twilio") || strings.HasSuffix(name, " vapi") {
			require.Contains(t, want, name)
		}
	}
	drawn := everyPanelShowsData(ctx, t, w.server, began, ended)
	theRestShowsData(ctx, t, w.server, began, ended)
	theNativeServerShowsLatencies(ctx, t, native.server, began, ended)
	if *drawFlag != "" {
		draw(t, *drawFlag, drawn, began, ended)
	}
}

// answer is a panel with what the server says, a list of series for each target.
type answer struct {
	panel
	results [][]result
}

func everyPanelShowsData(ctx context.Context, t *testing.T, s *server, from, to time.Time) []answer {
	t.Helper()
	var all []answer
	for _, p := range readBoard(t).Panels {
		a := answer{panel: p}
		for _, target := range p.Targets {
			series, err := s.over(ctx, settled(target.Expr), from, to, scrapes)
			require.NoError(t, err, p.Title)
			require.True(t, showsData(series), "%s shows nothing: %s", p.Title, target.Expr)
			a.results = append(a.results, series)
		}
		all = append(all, a)
	}
	return all
}

func showsData(series []result) bool {
	return slices.ContainsFunc(series, func(r result) bool {
		return slices.ContainsFunc(r.Values, func(p point) bool { return !math.IsNaN(p.value) && !math.IsInf(p.value, 0) })
	})
}

func theNativeServerShowsLatencies(ctx context.Context, t *testing.T, s *server, from, to time.Time) {
	t.Helper()
	n := 0
	for _, p := range readBoard(t).Panels {
		for _, target := range p.Targets {
			if !strings.HasPrefix(target.Expr, "histogram_quantile") {
				continue
			}
			n++
			series, err := s.over(ctx, settled(target.Expr), from, to, scrapes)
			require.NoError(t, err, p.Title)
			require.True(t, showsData(series), "%s shows nothing of native histograms", p.Title)
			classic, err := s.over(ctx, `{__name__=~".*_duration_seconds_bucket"}`, from, to, scrapes)
			require.NoError(t, err)
			require.Empty(t, classic, "this server has classic histograms, and proves nothing")
		}
	}
	require.Positive(t, n)
}

// theRestShowsData asks for the services to choose from, and for the annotations.
func theRestShowsData(ctx context.Context, t *testing.T, s *server, from, to time.Time) {
	t.Helper()
	d := readBoard(t)
	for _, v := range d.Templating.List {
		if v.Type != "query" {
			continue
		}
		m := regexp.MustCompile(`^label_values\((.*), (\w+)\)$`).FindStringSubmatch(v.Definition)
		require.NotNil(t, m, v.Definition)
		var values []string
		require.NoError(t, s.ask(ctx, "label/"+m[2]+"/values", map[string][]string{"match[]": {m[1]}}, &values))
		require.Equal(t, []string{"calendar", "crm", "legacy", "mail", "speech", "twilio", "vapi"}, values)
	}
	for _, a := range d.Annotations.List {
		series, err := s.over(ctx, a.Expr, from, to, scrapes)
		require.NoError(t, err, a.Expr)
		require.True(t, showsData(series), a.Expr)
	}
}
