package browser

import (
	"context"
	"encoding/json"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// do is a command of the browser's protocol as an action.
func do[P, R any](command cdp.Command[P, R], params P) chromedp.Action[R] {
	return func(ctx context.Context, _ *chromedp.Target) (R, error) { return chromedp.Call(ctx, command, params) }
}

func decode[T any](p *Page, raw []byte) (v T) {
	p.tb.Helper()
	if err := json.Unmarshal(raw, &v); err != nil {
		p.tb.Fatalf("browser: %v in %s", err, raw)
	}
	return v
}

// one waits for what has the role and the name, and calls a function on the first of it.
func (p *Page) one(role, name, function string) []byte {
	p.tb.Helper()
	var got []byte
	p.Await("a "+role+" "+name, func() bool {
		return run(p, func(ctx context.Context, _ *chromedp.Target) (bool, error) {
			objects, err := found(ctx, role, name)
			if err != nil || len(objects) == 0 {
				return false, err
			}
			got, err = call(ctx, objects[0], function)
			return true, err
		})
	})
	return got
}

// Click clicks what has the role and the accessible name with the mouse, times in quick succession: twice is a double click.
func (p *Page) Click(role, name string, times int64) {
	p.tb.Helper()
	at := decode[[2]float64](p, p.one(role, name, `function() {
		this.scrollIntoView({ block: "center", behavior: "instant" });
		const r = this.getBoundingClientRect();
		return [r.x + r.width / 2, r.y + r.height / 2];
	}`))
	for n := int64(1); n <= times; n++ {
		for _, what := range []input.DispatchMouseEventType{chromedp.MousePressed, chromedp.MouseReleased} {
			run(p, do(input.DispatchMouseEvent, input.DispatchMouseEventParams{
				Type: what, X: at[0], Y: at[1], Button: input.MouseButtonLeft, ClickCount: n,
			}))
		}
	}
}

// Point moves the mouse over what has the role and the accessible name.
func (p *Page) Point(role, name string) {
	p.tb.Helper()
	at := decode[[2]float64](p, p.one(role, name, `function() {
		const r = this.getBoundingClientRect();
		return [r.x + r.width / 2, r.y + r.height / 2];
	}`))
	run(p, do(input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: chromedp.MouseMoved, X: at[0], Y: at[1]}))
}

// Fill puts the focus into a field and writes text in place of what is there.
func (p *Page) Fill(role, name, text string) {
	p.tb.Helper()
	p.one(role, name, `function() { this.focus(); this.select(); }`)
	if text == "" {
		p.Press("\b")
		return
	}
	run(p, do(input.InsertText, input.InsertTextParams{Text: text}))
}

// Hold is one more Enter of a key that is held down, as a keyboard repeats it.
func (p *Page) Hold() {
	p.tb.Helper()
	run(p, do(input.DispatchKeyEvent, input.DispatchKeyEventParams{
		Type: input.DispatchKeyEventTypeKeyDown, Key: "Enter", Code: "Enter", Text: "\r", WindowsVirtualKeyCode: 13, AutoRepeat: new(true),
	}))
}

// Offline takes the network away from the browser, or gives it back, and then tells the page so: what it tries again when it
// hears of it meets what is the case. A connection that is open stays so.
func (p *Page) Offline(offline bool) {
	p.tb.Helper()
	const unlimited = -1.0
	run(p, do(network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
		MatchedNetworkConditions: []*network.Conditions{{Offline: offline, DownloadThroughput: unlimited, UploadThroughput: unlimited}},
	}))
	run(p, do(network.OverrideNetworkState, network.OverrideNetworkStateParams{
		Offline: offline, DownloadThroughput: unlimited, UploadThroughput: unlimited,
	}))
}

// Before runs a script in every document that is opened from now on, before its own.
func (p *Page) Before(script string) {
	p.tb.Helper()
	run(p, do(page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script}))
}

// Grant gives pages of origin a permission, such as "clipboard-write".
func (p *Page) Grant(origin, permission string) {
	p.tb.Helper()
	run(p, func(ctx context.Context, _ *chromedp.Target) (struct{}, error) {
		_, err := chromedp.CallBrowser(ctx, browser.SetPermission, browser.SetPermissionParams{
			Permission: &browser.PermissionDescriptor{Name: permission}, Setting: browser.PermissionSettingGranted, Origin: origin,
		})
		return struct{}{}, err
	})
}
