package soak_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/examples/internal/sim/twiliosim"
	"github.com/prusik-go/prusik/httpx"
)

const twilioAccount = "/2010-04-01/Accounts/" + twiliosim.AccountSID

// told is what a caller learned of its call, and the tap's record of it.
type told struct {
	plan    plan
	payload string
	id      string // the correlation id the caller gave, or ""
	rec     *record
	events  []httpx.Event

	err     error
	status  int
	noBody  bool
	outcome *httpx.Outcome
	refusal error // httpx.ResponseError

	body      []byte
	bodyWhole bool // read to a clean end
	bodyErr   error
	canceled  bool // the caller had given up by itself, or its deadline was over, when the call was over
	took      time.Duration
}

// caller makes calls.
type caller struct {
	vendors *vendors
	clients *clients
	ctx     context.Context // of the whole run; it outlives every call
}

// do makes the call of p and does with its answer what p says.
func (c *caller) do(p plan) *told {
	t := &told{plan: p, rec: &record{}}
	ctx, cancel := context.WithValue(c.ctx, recordKey{}, t.rec), func() {}
	if p.cancel != never { // a context that is never canceled shows what hangs on its parent
		ctx, cancel = context.WithCancel(ctx)
	}
	defer cancel()
	t.rec.cancel = func(now moment) {
		if now == p.cancel {
			cancel()
		}
	}
	if p.deadline > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, p.deadline)
		defer stop()
	}
	if p.refuse > 0 {
		left := p.refuse
		ctx = context.WithValue(ctx, refuseKey{}, &left)
	}
	if p.ids == idContext {
		t.id = "ctx-" + p.id
		ctx = correlation.WithID(ctx, t.id)
	}
	if p.observe {
		ctx = httpx.WithObserver(ctx, t.observe)
	}
	req := c.request(ctx, t)
	if p.cancel == before {
		cancel()
	}
	if p.cancel == afterTime {
		timer := time.AfterFunc(p.after, cancel)
		defer timer.Stop()
	}

	begin := time.Now()
	resp, err := c.clients.of(p.vendor).http.Do(req)
	if t.err = err; err == nil {
		t.answered(resp)
	}
	t.took, t.canceled = time.Since(begin), ctx.Err() != nil
	return t
}

func (t *told) observe(e httpx.Event) {
	t.events = append(t.events, e)
	switch {
	case e.Status == httpx.StatusAttempt && e.Attempt == t.plan.at:
		t.rec.cancel(onAttempt)
	case e.Status == httpx.StatusRetrying:
		t.rec.cancel(onRetrying)
	default:
	}
}

// request is what the plan says.
func (c *caller) request(ctx context.Context, t *told) *http.Request {
	p := &t.plan
	base := c.vendors.server(p.vendor).URL()
	if p.vendor == texts {
		base += twilioAccount
	}
	req, err := http.NewRequestWithContext(ctx, p.method, base+p.path, http.NoBody)
	if err != nil {
		panic(err) // a plan that cannot be sent
	}
	req.Header.Set("X-Test-Call", p.id)
	if p.key != "" {
		req.Header.Set("Idempotency-Key", p.key)
	}
	if p.ids == idHeader {
		t.id = "hdr-" + p.id
		req.Header.Set(correlation.Header, t.id)
	}
	if p.vendor == texts {
		req.SetBasicAuth(twiliosim.AccountSID, twiliosim.AuthToken)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if p.body == noBody {
		return req
	}
	t.payload = p.payload()
	open := &c.clients.bodies
	req.Body = newBody(t.payload, open)
	req.ContentLength = int64(len(t.payload))
	switch {
	case p.body == rewindable:
		req.GetBody = func() (io.ReadCloser, error) { return newBody(t.payload, open), nil }
	case p.bytes%2 == 0:
		req.ContentLength = -1 // sent in chunks
	}
	return req
}

// payload names the call, so that one that is lost, cut or another's is seen.
func (p *plan) payload() string {
	pad := strings.Repeat("x", p.bytes)
	if p.vendor != texts {
		return p.id + " " + pad
	}
	form := url.Values{"To": {p.to()}, "From": {p.from()}}
	if strings.HasPrefix(p.path, "/Calls") {
		form.Set("Url", "https://example.com/"+p.id)
	} else {
		form.Set("Body", p.id+" "+pad)
	}
	return form.Encode()
}

// to is a person of the call's own, or one who has opted out.
func (p *plan) to() string {
	n := 0
	_, _ = fmt.Sscanf(p.id, "c%d", &n)
	if n%25 == 0 {
		return optedOut
	}
	return number(n)
}

func (p *plan) from() string {
	if p.bytes%50 == 1 {
		return fromFull
	}
	return fromOwn
}

// answered notes the answer and reads its body, or does not.
func (t *told) answered(resp *http.Response) {
	t.status, t.noBody = resp.StatusCode, resp.StatusCode == http.StatusNoContent || resp.ContentLength == 0
	if o, ok := httpx.OutcomeOf(resp); ok {
		t.outcome = &o
	}
	t.refusal = httpx.ResponseError(resp)
	how := t.plan.reading
	if resp.StatusCode >= 400 {
		how = t.plan.errors
	}
	switch how {
	case abandon:
		return
	case readSome:
		some := make([]byte, 10)
		n, err := resp.Body.Read(some)
		t.body = some[:n]
		if err != nil && err != io.EOF {
			t.bodyErr = err
		}
	case readAll:
		var all bytes.Buffer
		some := make([]byte, 64)
		n, err := resp.Body.Read(some)
		all.Write(some[:n])
		t.rec.cancel(midBody)
		if err == nil {
			_, err = all.ReadFrom(resp.Body)
		}
		if err == io.EOF { //nolint:errorlint // io.Reader's contract is the bare value
			err = nil
		}
		t.body, t.bodyErr, t.bodyWhole = all.Bytes(), err, err == nil
	case closeOnly:
	}
	_ = resp.Body.Close()
}
