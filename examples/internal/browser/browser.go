// Package browser drives a headless Chromium for a test, the way a person would who cannot see the page: by roles,
// accessible names, live regions and the keyboard.
package browser

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is how long anything may take. Machines that run tests are busy.
const patience = time.Minute

// Page is one tab. Its methods are for one goroutine, and fail the test where the browser does.
type Page struct {
	tb  testing.TB
	ctx context.Context //nolint:containedctx // the tab is a context in chromedp

	mu         sync.Mutex
	complaints []string
}

// Open starts a browser of its own for the test, with an empty profile, and a tab of the given size in CSS pixels. It skips
// the test where there is no chromium in PATH, or fails it where PRUSIK_REQUIRE_CHROMIUM is set, as in CI.
func Open(tb testing.TB, width, height int64) *Page {
	tb.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil && path == "" {
			path = found
		}
	}
	if path == "" {
		const how = "no chromium in PATH: apt-get install chromium"
		if os.Getenv("PRUSIK_REQUIRE_CHROMIUM") != "" {
			tb.Fatal(how)
		}
		tb.Skip(how)
	}
	// It is shown pages of this process only, so it needs neither a network nor, as root, a sandbox.
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(tempDir(tb)), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.WSURLReadTimeout(patience))
	ctx, end := chromedp.NewExecAllocator(context.WithoutCancel(tb.Context()), opts...)
	tab, shut := chromedp.NewContext(ctx)
	tb.Cleanup(func() {
		_ = chromedp.Cancel(tab) // ends the browser and waits for it
		shut()
		end()
	})
	p := &Page{tb: tb, ctx: tab}
	if err := chromedp.Listen(tab, p.listen); err != nil { // starts the browser
		tb.Fatalf("browser: %v", err)
	}
	p.Size(width, height)
	return p
}

// tempDir is one whose removal may be tried again: processes of a browser that has ended still write to its profile.
func tempDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "browser") //nolint:usetesting // as above
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		for range 50 {
			if os.RemoveAll(dir) == nil {
				return
			}
			<-time.After(100 * time.Millisecond)
		}
	})
	return dir
}

func (p *Page) listen(ev any) {
	var said string
	switch ev := ev.(type) {
	case *cdplog.EventEntryAdded:
		said = string(ev.Entry.Level) + ": " + ev.Entry.Text
	case *runtime.EventExceptionThrown:
		said = "exception: " + ev.ExceptionDetails.Text
		if e := ev.ExceptionDetails.Exception; e != nil {
			said += " " + e.Description
		}
	default:
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.complaints = append(p.complaints, said)
}

// Complaints are what the browser had to say of the page: errors of scripts, failed requests, and what its policy forbade.
func (p *Page) Complaints() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.complaints...)
}

// run runs an action within patience.
func run[T any](p *Page, a chromedp.Action[T]) T {
	p.tb.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		p.tb.Fatalf("browser: %v; it said %q", err, p.Complaints())
	}
	return v
}

// Go opens url.
func (p *Page) Go(url string) {
	p.tb.Helper()
	run(p, chromedp.Navigate(url))
}

// Prefer sets media features, such as "prefers-color-scheme: dark".
func (p *Page) Prefer(features ...string) {
	p.tb.Helper()
	var all []*emulation.MediaFeature
	for _, f := range features {
		name, value, _ := strings.Cut(f, ": ")
		all = append(all, &emulation.MediaFeature{Name: name, Value: value})
	}
	run(p, func(ctx context.Context, _ *chromedp.Target) (struct{}, error) {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: all})
		return struct{}{}, err
	})
}

// Size changes the window, in CSS pixels.
func (p *Page) Size(width, height int64) {
	p.tb.Helper()
	run(p, chromedp.EmulateViewport(width, height))
}

// Press presses keys, one after the other: characters, or keys of chromedp's package kb.
func (p *Page) Press(keys ...string) {
	p.tb.Helper()
	for _, k := range keys {
		run(p, chromedp.KeyEvent(k))
	}
}

// Eval evaluates a JavaScript expression, and awaits it where it is a promise.
func Eval[T any](p *Page, expression string) T {
	p.tb.Helper()
	return run(p, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// found are the objects of what has the role and the accessible name, as far as it is there for assistive technology; an
// empty name is any.
func found(ctx context.Context, role, name string) ([]runtime.RemoteObjectID, error) {
	doc, err := chromedp.Call(ctx, runtime.Evaluate, runtime.EvaluateParams{Expression: "document"})
	if err != nil {
		return nil, err
	}
	tree, err := chromedp.Call(ctx, accessibility.QueryAXTree,
		accessibility.QueryAXTreeParams{ObjectID: doc.Result.ObjectID, Role: role, AccessibleName: name})
	if err != nil {
		return nil, err
	}
	var objects []runtime.RemoteObjectID
	for _, n := range tree.Nodes {
		if n.Ignored {
			continue
		}
		node, err := chromedp.Call(ctx, dom.ResolveNode, dom.ResolveNodeParams{BackendNodeID: n.BackendDOMNodeID})
		if err != nil {
			continue // it has gone since
		}
		objects = append(objects, node.Object.ObjectID)
	}
	return objects, nil
}

// Named are the texts of what has the role and the accessible name, as far as it is there for assistive technology; an empty
// name is any. The text of a meter or a progress bar is its value text.
func (p *Page) Named(role, name string) []string {
	p.tb.Helper()
	return run(p, func(ctx context.Context, _ *chromedp.Target) ([]string, error) {
		objects, err := found(ctx, role, name)
		if err != nil {
			return nil, err
		}
		var texts []string
		for _, o := range objects {
			got, err := call(ctx, o, `function() { return this.getAttribute("aria-valuetext") || this.innerText }`)
			if err != nil {
				return nil, err
			}
			texts = append(texts, text(got))
		}
		return texts, nil
	})
}

// call calls a JavaScript function on an object, and returns what it returns as JSON.
func call(ctx context.Context, o runtime.RemoteObjectID, function string) ([]byte, error) {
	byValue := true
	got, err := chromedp.Call(ctx, runtime.CallFunctionOn, runtime.CallFunctionOnParams{
		ObjectID: o, ReturnByValue: &byValue, FunctionDeclaration: function,
	})
	if err != nil {
		return nil, err
	}
	return got.Result.Value, nil
}

// Shows waits until what has the role and the name says all of it.
func (p *Page) Shows(role, name string, want ...string) {
	p.tb.Helper()
	p.Await(role+" "+name+" says "+strings.Join(want, ", "), func() bool {
		return slices.ContainsFunc(p.Named(role, name), func(text string) bool {
			return !slices.ContainsFunc(want, func(w string) bool { return !strings.Contains(text, w) })
		})
	})
}

// text is a JSON string's.
func text(raw []byte) (s string) {
	_ = json.Unmarshal(raw, &s) // what is none has no text
	return s
}

// Focused is the role and the accessible name of what has the focus.
func (p *Page) Focused() (role, name string) {
	p.tb.Helper()
	n := run(p, func(ctx context.Context, _ *chromedp.Target) (*accessibility.Node, error) {
		e, err := chromedp.Call(ctx, runtime.Evaluate, runtime.EvaluateParams{Expression: "document.activeElement"})
		if err != nil {
			return nil, err
		}
		alone := false
		tree, err := chromedp.Call(ctx, accessibility.GetPartialAXTree,
			accessibility.GetPartialAXTreeParams{ObjectID: e.Result.ObjectID, FetchRelatives: &alone})
		if err != nil || len(tree.Nodes) == 0 {
			return &accessibility.Node{}, err
		}
		return tree.Nodes[0], nil
	})
	if n.Role != nil {
		role = text(n.Role.Value)
	}
	if n.Name != nil {
		name = text(n.Name.Value)
	}
	return role, name
}

// Tab presses Tab until what has the role and the accessible name has the focus.
func (p *Page) Tab(role, name string) {
	p.tb.Helper()
	var seen []string
	for range 200 {
		p.Press("\t")
		r, n := p.Focused()
		if r == role && n == name {
			return
		}
		seen = append(seen, r+" "+n)
	}
	p.tb.Fatalf("no %s %q in reach of the Tab key; there are %q", role, name, seen)
}

// Await waits until done. It polls, for what it asks is the browser's to know.
func (p *Page) Await(what string, done func() bool) {
	p.tb.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(patience); !done(); <-ticker.C {
		if time.Now().After(deadline) {
			p.tb.Fatalf("never: %s\nthe browser said %q, and shows\n%s", what, p.Complaints(), Eval[string](p, "document.body.innerText"))
		}
	}
}

// Shoot writes a picture of the whole page to dir/name.png.
func (p *Page) Shoot(dir, name string) {
	p.tb.Helper()
	p.write(filepath.Join(dir, name+".png"), chromedp.FullScreenshot(100))
}

// Draw writes a picture of what the window shows to a file.
func (p *Page) Draw(file string) {
	p.tb.Helper()
	p.write(file, chromedp.CaptureScreenshot())
}

func (p *Page) write(file string, shot chromedp.Action[[]byte]) {
	p.tb.Helper()
	if err := os.WriteFile(file, run(p, shot), 0o600); err != nil {
		p.tb.Fatal(err)
	}
}

// Pictures is where a test's pictures go: the directory that PRUSIK_SCREENSHOTS names, where they are kept, or else one that
// ends with the test.
func Pictures(tb testing.TB) string {
	tb.Helper()
	dir := os.Getenv("PRUSIK_SCREENSHOTS")
	if dir == "" {
		return tb.TempDir()
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		tb.Fatal(err)
	}
	return dir
}
