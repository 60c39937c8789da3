// Command ratios measures Prusik's client and its peers side by side and prints Markdown tables of what they cost
// in relation to the bare client. With -check it fails where a limit is broken.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path"
	"runtime"
	"strings"
	"time"

	"github.com/prusik-go/prusik/internal/bench"
)

// rule is a limit on what Prusik may cost: in relation to another, or where to is empty in nanoseconds.
type rule struct {
	scenario, subject, to string
	most                  float64
}

// rules returns the limits of the project, each on CPU time.
func rules() []rule {
	return []rule{
		{"stub/" + bench.Get + "/serial", bench.Prusik, bench.Bare, 3.2},
		{"stub/" + bench.Get + "/serial", bench.Prusik, bench.HandTimeouts, 0.65},
		{"stub/" + bench.Get + "/serial", bench.PrusikUntimed, bench.Bare, 2.0},
		{"stub/" + bench.Retry + "/serial", bench.PrusikUntimed, bench.Loop, 1.8},
		{"stub/" + bench.Open + "/serial", bench.Prusik, bench.Bare, 1.1},
		{"metrics/" + bench.Get + "/serial", bench.PrusikMetrics, bench.PrusikSilent, 1.15},
		{"metrics/" + bench.Retry + "/serial", bench.PrusikMetrics, bench.PrusikSilent, 1.15},
		{"metrics/" + bench.Open + "/serial", bench.PrusikMetrics, bench.PrusikSilent, 1.15},
		{"breaker/" + bench.Closed + "/serial", bench.PrusikBreaker, bench.Gobreaker, 1.0},
		{"breaker/" + bench.Closed + "/serial", bench.PrusikPermit, bench.Gobreaker, 1.0},
		{"breaker/" + bench.Closed + "/serial", bench.PrusikTimed, bench.Gobreaker, 1.0},
		{"breaker/" + bench.ClosedFailing + "/serial", bench.PrusikBreaker, bench.Gobreaker, 1.0},
		{"breaker/" + bench.ClosedFailing + "/serial", bench.PrusikPermit, bench.Gobreaker, 1.0},
		{"breaker/" + bench.ClosedFailing + "/serial", bench.PrusikTimed, bench.Gobreaker, 1.0},
		{"limiter/" + bench.OneKey + "/serial", bench.PrusikLimit, bench.Httprate, 0.35},
		{"limiter/" + bench.OneKey + "/parallel", bench.PrusikLimit, bench.Httprate, 0.35},
		{"limiter/" + bench.SomeKeys + "/serial", bench.PrusikLimit, bench.Httprate, 0.35},
		{"limiter/" + bench.SomeKeys + "/parallel", bench.PrusikLimit, bench.Httprate, 0.35},
		{"limiter/" + bench.ManyKeys + "/serial", bench.PrusikLimit, "", 1500},
		{"limiter/" + bench.ManyKeys + "/parallel", bench.PrusikLimit, "", 1500},
		{"chi/" + bench.Route + "/serial", bench.PrusikStack, bench.BareChi, 2.2},
		{"chi/" + bench.Route + "/serial", bench.PrusikWhole, bench.BareChi, 2.2},
		{"chi/" + bench.MountedRoute + "/serial", bench.PrusikStack, bench.BareChi, 2.2},
		{"chi/" + bench.MountedRoute + "/serial", bench.PrusikWhole, bench.BareChi, 2.2},
	}
}

var errLimit = errors.New("a limit is broken, or was not measured")

// The marks in a file between which -o puts its output.
const from, to = "<!-- ratios -->\n", "<!-- /ratios -->\n"

func main() {
	rounds := flag.Int("rounds", 21, "how many rounds each scenario runs")
	slice := flag.Duration("slice", 10*time.Millisecond, "CPU time of one contestant in one round")
	match := flag.String("scenario", "", "only scenarios with this in their name, such as stub/GET, or a pattern: */GET/serial")
	detail := flag.Bool("detail", false, "also print a table for each scenario, with times, spread and wall clock")
	check := flag.Bool("check", false, "exit with an error where a limit is broken")
	out := flag.String("o", "", "put the tables into this file, between "+strings.TrimSpace(from)+" and its end mark")
	flag.Parse()
	if err := run(*rounds, *slice, *match, *detail, *check, *out); err != nil {
		fmt.Fprintln(os.Stderr, "ratios:", err)
		os.Exit(1)
	}
}

func run(rounds int, slice time.Duration, match string, detail, check bool, out string) error {
	if rounds < 1 || slice <= 0 {
		return errors.New("-rounds and -slice must be above zero")
	}
	start := time.Now()
	var measured []measurement
	for _, s := range bench.Scenarios() {
		if ok, err := matches(match, s.String()); err != nil {
			return err
		} else if !ok {
			continue
		}
		fmt.Fprintf(os.Stderr, "%s\n", s)
		results, err := bench.Measure(s, rounds, slice)
		if err != nil {
			return err
		}
		measured = append(measured, measurement{s, results})
	}
	extra, exceeded, err := limiters(match)
	if err != nil {
		return err
	}
	if len(measured) == 0 && extra == "" {
		return fmt.Errorf("no scenario matches %q", match)
	}
	var page strings.Builder
	head(&page, start)
	broken := limits(&page, measured, match == "") || exceeded
	summary(&page, measured)
	page.WriteString(extra)
	if detail {
		details(&page, measured)
	}
	if _, err := io.WriteString(os.Stdout, page.String()); err != nil {
		return err
	}
	if out != "" {
		if err := replace(out, page.String()); err != nil {
			return err
		}
	}
	if check && broken {
		return errLimit
	}
	return nil
}

func matches(pattern, name string) (bool, error) {
	if strings.Contains(name, pattern) {
		return true, nil
	}
	return path.Match(pattern, name)
}

type measurement struct {
	bench.Scenario
	results []bench.Result
}

func (m measurement) of(name string) (bench.Result, bool) {
	for _, r := range m.results {
		if r.Name == name {
			return r, true
		}
	}
	return bench.Result{}, false
}

func head(w *strings.Builder, start time.Time) {
	w.WriteString("`go -C internal/bench run ./cmd/ratios")
	for _, arg := range os.Args[1:] {
		if strings.ContainsAny(arg, " *,") {
			arg = "'" + arg + "'"
		}
		fmt.Fprintf(w, " %s", arg)
	}
	fmt.Fprintf(w, "`, %s, %s %s/%s, %s, GOMAXPROCS %d, %s.\n\n", start.UTC().Format(time.DateOnly),
		runtime.Version(), runtime.GOOS, runtime.GOARCH, processor(), runtime.GOMAXPROCS(0),
		time.Since(start).Round(time.Second))
}

// processor is the model of the CPU, where the system tells.
func processor() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown CPU"
	}
	for line := range strings.Lines(string(info)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown CPU"
}

// limits prints the rules whose scenarios were measured, or all, and reports whether one is broken.
func limits(w *strings.Builder, measured []measurement, all bool) (broken bool) {
	var rows strings.Builder
	for _, r := range rules() {
		limit := fmt.Sprintf("%.2f", r.most)
		if r.to == "" {
			limit = time.Duration(r.most).String()
		}
		row, value, found := r.measure(measured)
		switch {
		case found:
			verdict := "pass"
			if value > r.most {
				verdict, broken = "**fail**", true
			}
			fmt.Fprintf(&rows, "| %s | %s | %s | %s | %s | %s |\n", r.scenario, r.subject, r.to, limit, row, verdict)
		case all:
			broken = true
			fmt.Fprintf(&rows, "| %s | %s | %s | %s | | | | not measured |\n", r.scenario, r.subject, r.to, limit)
		}
	}
	if rows.Len() > 0 {
		fmt.Fprint(w, "| scenario | subject | to | limit | CPU | wall | allocs | |\n|---|---|---|--:|--:|--:|--:|---|\n",
			rows.String(), "\n")
	}
	return broken
}

// measure returns the cells of the rule's row, and the value that most is for.
func (r rule) measure(measured []measurement) (row string, value float64, found bool) {
	for _, m := range measured {
		of, ok := m.of(r.subject)
		if m.String() != r.scenario || !ok {
			continue
		}
		if r.to == "" {
			return fmt.Sprintf("%v | %v | %.0f", of.CPU, of.Wall, of.Allocs), float64(of.CPU), true
		}
		against, ok := m.of(r.to)
		if !ok {
			continue
		}
		cpu, wall := of.CPURatio, of.WallRatio
		if m.Reference != r.to {
			cpu, wall = of.CPUAgainst, float64(of.Wall)/float64(against.Wall)
		}
		return fmt.Sprintf("%.2f | %.2f | %+d", cpu, wall, int(math.Round(of.Allocs-against.Allocs))), cpu, true
	}
	return "", 0, false
}

// summary prints one table for each transport and way of calling: contestants down, scenarios across.
func summary(w *strings.Builder, measured []measurement) {
	for len(measured) > 0 {
		n := 1
		for n < len(measured) && measured[n].Over == measured[0].Over && measured[n].Parallel == measured[0].Parallel {
			n++
		}
		matrix(w, measured[:n])
		measured = measured[n:]
	}
}

func matrix(w *strings.Builder, block []measurement) {
	title := map[string]string{
		"stub": "Over a stub transport", "loopback": "Over loopback", "breaker": "Breaker alone",
		"metrics": "Prusik with metrics and without",
		"limiter": "Rate limit middleware by address, with its fields", "chi": "Around a route of chi",
	}
	how := "one caller"
	if block[0].Parallel {
		how = fmt.Sprintf("%d callers", block[0].Workers())
	}
	fmt.Fprintf(w, "**%s, %s**\n\n| |", title[block[0].Over], how)
	for _, m := range block {
		fmt.Fprintf(w, " %s |", m.Name)
	}
	fmt.Fprint(w, "\n|---|", strings.Repeat("--:|", len(block)), "\n")
	for _, name := range names(block) {
		fmt.Fprintf(w, "| %s |", name)
		for _, m := range block {
			r, ok := m.of(name)
			if !ok {
				fmt.Fprint(w, " |")
				continue
			}
			fmt.Fprintf(w, " %s |", cell(m, r))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w)
}

// cell is the CPU time in relation to the reference and to the second one, and the allocations above the reference.
func cell(m measurement, r bench.Result) string {
	reference, _ := m.of(m.Reference)
	if r.Name == m.Reference {
		return fmt.Sprintf("1 (%v, %.0f)", r.CPU, r.Allocs)
	}
	text := fmt.Sprintf("%.2f", r.CPURatio)
	if m.Against != "" {
		text += fmt.Sprintf(" / %.2f", r.CPUAgainst)
	}
	text += fmt.Sprintf(" %+d", int(math.Round(r.Allocs-reference.Allocs)))
	if more := r.Bytes - reference.Bytes; more > 64<<10 {
		text += fmt.Sprintf(", %.1f MiB", more/(1<<20))
	}
	return text
}

func names(block []measurement) []string {
	var all []string
	seen := map[string]bool{}
	for _, c := range bench.Contestants() {
		for _, m := range block {
			if _, ok := m.of(c.Name); ok && !seen[c.Name] {
				all, seen[c.Name] = append(all, c.Name), true
			}
		}
	}
	for _, m := range block {
		for _, r := range m.results {
			if !seen[r.Name] {
				all, seen[r.Name] = append(all, r.Name), true
			}
		}
	}
	return all
}

func details(w *strings.Builder, measured []measurement) {
	for _, m := range measured {
		fmt.Fprintf(w, "**%s**\n\n| | CPU | ratio | spread | to %q | wall | ratio | allocs | bytes |\n", m, m.Against)
		fmt.Fprint(w, "|---|--:|--:|--:|--:|--:|--:|--:|--:|\n")
		for _, r := range m.results {
			fmt.Fprintf(w, "| %s | %v | %.2f | %.2f | %.2f | %v | %.2f | %.1f | %.0f |\n", r.Name, r.CPU, r.CPURatio,
				r.CPUSpread, r.CPUAgainst, r.Wall, r.WallRatio, r.Allocs, r.Bytes)
		}
		fmt.Fprintln(w)
	}
}

// replace puts text between the marks in the file.
func replace(file, text string) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(old), from)
	_, after, closed := strings.Cut(rest, to)
	if !ok || !closed {
		return fmt.Errorf("%s: no %q and %q", file, from, to)
	}
	return os.WriteFile(file, []byte(before+from+"\n"+text+to+after), 0o644)
}
