package idempotency

import (
	"context"
	"crypto/rand"
	"net/http"
	"slices"
	"time"

	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/internal/check"
)

// Keys heeds the idempotency keys of requests. Make it with [New]. It may be used from several goroutines and must not be copied.
type Keys struct {
	name   string
	cfg    Config // effective
	store  Store
	memory *memory // where it is the store, else nil
}

// New returns Keys. The name goes into errors, events and stores: 1 to 64 letters, digits, ".", "_" or "-". Keys that share a
// [Store] share records if they share their name. Everything that is wrong with name and cfg is reported at once.
func New(name string, cfg Config) (*Keys, error) {
	faults := check.New("idempotency", name)
	faults.Name(name)
	cfg = cfg.effective(faults)
	if err := faults.Err(); err != nil {
		return nil, err
	}
	k := &Keys{name: name, cfg: cfg, store: cfg.Store}
	if k.store == nil {
		k.memory = newMemory(cfg.MaxKeys, cfg.MaxBytes)
		k.store = k.memory
	}
	return k, nil
}

// Name is the name.
func (k *Keys) Name() string { return k.name }

// Config is a copy of the effective configuration: defaults filled in.
func (k *Keys) Config() Config {
	cfg := k.cfg
	cfg.Methods = slices.Clone(cfg.Methods)
	return cfg
}

// Snapshot is how things stand with the memory.
type Snapshot struct {
	// Keys is the number of keys held, some of which may have expired.
	Keys int
	// Bytes is what their answers take, of [Config.MaxBytes].
	Bytes int
}

// Snapshot takes the memory's lock. With a [Store] it is zero.
func (k *Keys) Snapshot() Snapshot {
	if k.memory == nil {
		return Snapshot{}
	}
	return k.memory.snapshot()
}

// member is the member of a problem that says which [Decision] it is.
const member = "idempotency"

const (
	// comeBack is the Retry-After of a request in progress: the least there is. It may take as long as a request takes.
	comeBack = time.Second
	// within bounds what is told a Store after the handler, when the request's own context may be done.
	within = 5 * time.Second

	errNoScope    = constError("idempotency: Handler was given no scope")
	errEmptyScope = constError("idempotency: an empty scope: all would share their keys")
	errBadRecord  = constError("idempotency: the store's record is none that was kept")
)

// Handler returns the middleware. Mount it on one route, a group or the whole server, on chi as r.Use(k.Handler(scope)) or
// r.With(k.Handler(scope)), inside of correlation, errors.Middleware and limits, and of what finds out who the caller is.
// Mounted twice on one request, it acts once. What is behind it gets a copy of the request: what reads Request.Pattern outside of
// it and of the router reads nothing.
//
// scope says whose key it is: a user, an account, an address. It is required, as one caller must not be given an answer to
// another; [github.com/prusik-go/prusik/ratelimit.ClientIP] fits where there are no users. A nil scope and an empty one answer a
// request with a key with a 500, and an error of scope by its kind. It is called for requests with a key only.
//
// A request whose method is not of [Config.Methods], or that has no key and needs none, goes on untouched. For others see the
// package documentation.
func (k *Keys) Handler(scope func(*http.Request) (string, error)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !slices.Contains(k.cfg.Methods, r.Method) || !k.cfg.Required && len(r.Header[Header]) == 0 {
				next.ServeHTTP(w, r)
				return
			}
			if rn := runOf(r.Context()); rn != nil && rn.keys == k {
				next.ServeHTTP(w, r)
				return
			}
			if c, body, ok := k.claim(w, r, scope); ok {
				k.begin(w, r, next, c, body)
			}
		})
	}
}

// claim makes a claim of r, and answers r where it cannot.
func (k *Keys) claim(w http.ResponseWriter, r *http.Request, scope func(*http.Request) (string, error)) (c Claim, body []byte, ok bool) {
	key, ok := keyOf(r.Header)
	switch {
	case !ok:
		k.refuse(w, r, Malformed)
		return c, nil, false
	case key == "":
		k.refuse(w, r, Missing)
		return c, nil, false
	}
	owner, err := "", error(errNoScope)
	if scope != nil {
		if owner, err = scope(r); err == nil && owner == "" {
			err = errEmptyScope
		}
	}
	if err != nil {
		k.report(r, "scope", err, 0)
		_ = errors.Write(w, r, err) // the client is gone: nobody is left to tell
		return c, nil, false
	}
	body, err = readBody(r, k.cfg.MaxBody)
	switch {
	case errors.Is(err, errTooLarge):
		if r.ProtoMajor == 1 {
			w.Header().Set("Connection", "close") // the rest of the body is not read
		}
		k.refuse(w, r, TooLarge)
		return c, nil, false
	case err != nil:
		_ = errors.Write(w, r, &errors.Error{ // most likely to nobody
			Kind: errors.Invalid, Service: k.name, Op: "idempotency", Public: "The request's body could not be read.",
			Delivery: errors.NotSent, Err: err,
		})
		return c, nil, false
	}
	c = Claim{
		ID: claimID(k.name, owner, key), Fingerprint: fingerprint(r, body),
		Lease: k.cfg.Lease, TTL: k.cfg.TTL,
	}
	_, _ = rand.Read(c.Run[:]) // it never fails
	return c, body, true
}

// begin asks the store, and does what it says.
func (k *Keys) begin(w http.ResponseWriter, r *http.Request, next http.Handler, c Claim, body []byte) {
	rec, err := k.store.Begin(r.Context(), c)
	if err == nil && (rec.State < Claimed || rec.State > Finished) {
		err = errBadRecord
	}
	switch {
	case err != nil:
		k.failed(w, r, next, c, body, err)
	case rec.State == Claimed:
		k.decided(r, Run, "")
		k.run(w, r, next, c, body)
	case rec.Fingerprint != c.Fingerprint:
		k.refuse(w, r, Mismatch)
	case rec.State == Running:
		k.refuse(w, r, InProgress)
	case rec.State == Abandoned:
		k.refuse(w, r, Unknown)
	default:
		k.replay(w, r, rec.Answer)
	}
}

// failed decides where the store could not.
func (k *Keys) failed(w http.ResponseWriter, r *http.Request, next http.Handler, c Claim, body []byte, err error) {
	ctx := r.Context()
	full := errors.Is(err, ErrNoRoom)
	gone := !full && errors.Is(ctx.Err(), context.Canceled)
	outage := k.cfg.OnOutage
	if full || gone {
		outage = 0
	}
	if !gone { // a caller that has left is no fault
		k.report(r, "begin", err, outage)
	}
	if outage == FailOpen {
		k.decided(r, Unprotected, "")
		k.run(w, r, next, c, body)
		return
	}
	if !full {
		// The store may have claimed it all the same, and what is not going to be run must not count as begun.
		k.after(ctx, func(ctx context.Context) { _ = k.store.Release(ctx, c) }) // it is down: that was reported
	}
	k.decided(r, Refused, "")
	e := &errors.Error{Kind: errors.Unavailable, Service: k.name, Op: "idempotency", Delivery: errors.NotSent, Err: err}
	if gone {
		e.Kind, e.Stop = errors.Canceled, errors.StopCanceled
	} else {
		e.Retry.After, _ = errors.RetryAfter(err)
	}
	_ = errors.Write(w, r, e) // the client is gone: nobody is left to tell
}

// run runs next for a key that is claimed.
func (k *Keys) run(w http.ResponseWriter, r *http.Request, next http.Handler, c Claim, body []byte) {
	id, _ := correlation.ID(r.Context())
	rn := &run{keys: k}
	r = r.WithContext(context.WithValue(r.Context(), runKey{}, rn))
	if len(body) > 0 {
		b := &kept{}
		b.Reset(body)
		r.Body = b
	}
	rec := newRecorder(w, k.cfg.MaxResponse, id)
	returned := false
	defer func() { k.end(r, rn, rec, c, returned) }() // after a panic or a Goexit as well; both go on
	next.ServeHTTP(rec, r)
	returned = true
}

// end keeps the answer, or frees the key.
func (k *Keys) end(r *http.Request, rn *run, w *recorder, c Claim, returned bool) {
	status, ctx := w.status, r.Context()
	e := Kept
	switch said := word(rn.said.Load()); {
	case !returned, w.hijacked, status == http.StatusSwitchingProtocols:
		e = Lost
	case said == free, said == silent && judge(status, w.err) == free:
		e = Freed
	case status == 0 && ctx.Err() != nil, status == errors.StatusClientClosedRequest:
		e = Lost // the handler saw that its client has gone, and did not say what it has done
	}
	switch e {
	case Freed:
		k.after(ctx, func(ctx context.Context) {
			if err := k.store.Release(ctx, c); err != nil {
				k.report(r, "release", err, 0)
			}
		})
	case Lost:
		w.buf = appendHead(nil, lost, 0, w.original, 0)
		k.finish(r, w, c)
	default:
		w.end()
		status = w.status
		k.finish(r, w, c)
	}
	if h := k.cfg.Hooks.OnEnd; h != nil {
		h(EndEvent{Name: k.name, Request: r, Status: status, End: e})
	}
}

// finish gives the answer to the store, and less of it where there is no room.
func (k *Keys) finish(r *http.Request, w *recorder, c Claim) {
	k.after(r.Context(), func(ctx context.Context) {
		err := k.store.Finish(ctx, c, w.buf)
		if errors.Is(err, ErrNoRoom) {
			if w.status != 0 && w.buf[1] != byte(lost) {
				w.short()
			}
			err = k.store.Finish(ctx, c, w.buf)
		}
		if err != nil {
			k.report(r, "finish", err, 0) // a retry will be told that the outcome is not known
		}
	})
}

// after calls f with a context that the request's end does not end.
func (k *Keys) after(ctx context.Context, f func(context.Context)) {
	ctx = context.WithoutCancel(ctx)
	if k.memory == nil { // which does not wait
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, within)
		defer cancel()
	}
	f(ctx)
}

// replay answers for the run that has finished.
func (k *Keys) replay(w http.ResponseWriter, r *http.Request, b []byte) {
	a, ok := decode(b)
	switch {
	case !ok:
		k.report(r, "begin", errBadRecord, 0)
		k.refuse(w, r, Unknown)
	case a.form == lost:
		if a.original != "" {
			w.Header()[HeaderOriginal] = []string{a.original}
		}
		k.answered(w, r, Unknown, a.original)
	case a.form == partial:
		k.decided(r, NotKept, a.original)
		a.tell(w, r)
	default:
		k.decided(r, Replayed, a.original)
		a.replay(w)
	}
}

// refuse answers with the problem of a decision.
func (k *Keys) refuse(w http.ResponseWriter, r *http.Request, d Decision) { k.answered(w, r, d, "") }

func (k *Keys) answered(w http.ResponseWriter, r *http.Request, d Decision, original string) {
	k.decided(r, d, original)
	p := errors.Problem{Kind: errors.Invalid, Status: http.StatusBadRequest, Extra: map[string]any{member: d}}
	switch d {
	case Missing:
		p.Detail = "The request needs an " + Header + " header."
	case Malformed:
		p.Detail = "The request needs one " + Header + ` header such as "8e03978e-40d5-43dd-bc93-6894a57f9324", of 1 to 255 characters.`
	case TooLarge:
		p.Status, p.Detail = http.StatusRequestEntityTooLarge, "The request's body is too large."
	case Mismatch:
		p.Status, p.Detail = http.StatusUnprocessableEntity, "This "+Header+" was used for another request. Use a new one for each."
	case InProgress:
		p.Kind, p.Status, p.Detail = errors.Conflict, http.StatusConflict, "This request is in progress. Ask again with the same "+Header+"."
		p.Retry.After = comeBack
	default:
		p.Kind, p.Status, p.Detail = errors.Internal, http.StatusInternalServerError,
			"This request was begun, and how it ended is not known. It may have been done: check before sending it again with a new "+Header+"."
		p.Delivery = errors.Unknown.String()
	}
	p.Title = http.StatusText(p.Status)
	_ = errors.WriteProblem(w, r, p) // the client is gone: nobody is left to tell
}

func (k *Keys) decided(r *http.Request, d Decision, original string) {
	if h := k.cfg.Hooks.OnDecision; h != nil {
		h(DecisionEvent{Name: k.name, Request: r, Decision: d, Original: original})
	}
}

func (k *Keys) report(r *http.Request, op string, err error, o Outage) {
	if h := k.cfg.Hooks.OnError; h != nil {
		h(ErrorEvent{Name: k.name, Request: r, Op: op, Err: err, Outage: o})
	}
}
