package browser

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"testing"

	"github.com/chromedp/cdproto/runtime"
)

// Axe reads axe-core from a file that npm has installed. It skips the test where it is not installed, or fails it where
// PRUSIK_REQUIRE_AXE is set, as in CI.
func Axe(tb testing.TB, file string) string {
	tb.Helper()
	source, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		const how = "axe-core is not installed: npm ci --prefix examples/voice/page/testdata"
		if os.Getenv("PRUSIK_REQUIRE_AXE") != "" {
			tb.Fatal(how)
		}
		tb.Skip(how)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return string(source)
}

// Finding is what axe-core says of one of its rules.
type Finding struct {
	ID, Impact, Help string
	Nodes            []string
}

// String is the finding with all that it was found on.
func (f Finding) String() string {
	return fmt.Sprintf("%s (%s): %s %q", f.ID, f.Impact, f.Help, f.Nodes)
}

// Audit is what axe-core found: rules that are violated, rules it cannot decide, and how many it has seen kept.
type Audit struct {
	Violations, Undecided []Finding
	Passes                int
}

// Audit runs axe-core, as [Axe] has read it, with all its rules on the page as it is.
func (p *Page) Audit(axe string) Audit {
	p.tb.Helper()
	if !Eval[bool](p, `"axe" in window`) {
		run(p, do(runtime.Evaluate, runtime.EvaluateParams{Expression: axe}))
	}
	return Eval[Audit](p, `axe.run(document, { resultTypes: ["violations", "incomplete"] }).then((r) => {
		const findings = (all) => all.map((v) => ({
			ID: v.id, Impact: v.impact || "", Help: v.help, Nodes: v.nodes.map((n) => n.target.join(" ") + ": " + n.failureSummary),
		}));
		return { Violations: findings(r.violations), Undecided: findings(r.incomplete), Passes: r.passes.length };
	})`)
}
