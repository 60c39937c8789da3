package soak_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/examples/internal/sim/fault"
	"github.com/prusik-go/prusik/httpx"
)

// slack is what a call may take beyond its timeouts on a machine that is busy with something else.
const slack = 10 * time.Second

// checker compares what callers were told with what the vendors saw.
type checker struct {
	seed    uint64
	vendors *vendors
	clients *clients
	keys    map[string]string // of ours, to the call it was made for
	stats   *stats

	found []string // violations, with all there is to know
	more  int      // those beyond the first few
}

// mostFound is how many violations are described; the rest are counted.
const mostFound = 6

// verdict is one call under examination.
type verdict struct {
	*told
	k       *checker
	client  *client
	entries []fault.Entry
	of      [maxAttempts + 1][]fault.Entry // by attempt
	e       *errors.Error                  // the call's error, or nil
	history []errors.Attempt
	id      string // the correlation id the caller was told
	given   errors.Delivery
	stop    errors.Stop
	wrong   []string
}

func (v *verdict) failf(format string, args ...any) {
	v.wrong = append(v.wrong, fmt.Sprintf(format, args...))
}

// check examines one call.
func (k *checker) check(t *told, entries []fault.Entry, heard map[string]*heard) {
	v := &verdict{told: t, k: k, client: k.clients.of(t.plan.vendor), entries: entries}
	v.sort()
	v.answer()
	v.correlation()
	v.attempts()
	v.keys()
	v.delivery()
	v.sentOnce()
	v.stops()
	v.waits()
	v.content()
	v.progress()
	v.hooks(heard[v.id])
	k.stats.add(v)
	if len(v.wrong) == 0 {
		return
	}
	if len(k.found) >= mostFound {
		k.more++
		return
	}
	k.found = append(k.found, v.describe())
}

// describe is everything about a call that went wrong.
func (v *verdict) describe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, call %s:\n  %s\n  plan: %+v\n", v.k.seed, v.plan.id, strings.Join(v.wrong, "\n  "), v.plan)
	fmt.Fprintf(&b, "  told: status %d, delivery %v, stop %q, id %q, body %d bytes, body error %v, error %v\n",
		v.status, v.given, v.stop, v.id, len(v.body), v.bodyErr, v.err)
	for i, a := range v.history {
		fmt.Fprintf(&b, "  told of attempt %d: %+v\n", i+1, a)
	}
	for i := range v.count() {
		t := &v.rec.trips[i]
		fmt.Fprintf(&b, "  sent attempt %d: status %d, error %v, connections %d of %d, key %q, took %v\n",
			i+1, t.status, t.err, t.conns.Load(), t.asked.Load(), t.key, t.end.Sub(t.begin))
	}
	for _, e := range v.entries {
		fmt.Fprintf(&b, "  saw %s as request %d on connection %d: %s, read whole %t, processed %t, handler %d, answered %d, id %q, key %.60q\n",
			e.TestCall, e.Seq, e.Conn, e.Fault, e.ReadWhole, e.Processed, e.HandlerStatus, e.Status, e.CorrelationID, e.Key)
	}
	return b.String()
}

// count is the number of attempts that were sent.
func (v *verdict) count() int { return min(v.rec.count, maxAttempts) }

// sort assigns the entries to the attempts.
func (v *verdict) sort() {
	if v.rec.count > maxAttempts {
		v.failf("%d attempts of at most %d", v.rec.count, maxAttempts)
	}
	for _, e := range v.entries {
		_, n := splitAttempt(e.TestCall)
		if n < 1 || n > v.count() {
			v.failf("request %d came as attempt %d of %d", e.Seq, n, v.count())
			continue
		}
		v.of[n] = append(v.of[n], e)
		if !e.Done {
			v.failf("request %d is still being served", e.Seq)
		}
	}
}

// answer reads what the caller got: an error or a response.
func (v *verdict) answer() {
	var told int
	switch {
	case v.err != nil:
		v.failure()
		if v.e == nil {
			return
		}
		told, v.given, v.stop, v.id, v.history = v.e.Retry.Attempt, v.e.Delivery, v.e.Stop, v.e.CorrelationID, v.e.Attempts
		if len(v.history) != told {
			v.failf("the error tells of %d attempts and describes %d", told, len(v.history))
		}
		if d := errors.DeliveryOf(v.err); d != v.e.Delivery {
			v.failf("DeliveryOf says %v", d)
		}
	case v.outcome != nil:
		o := v.outcome
		told, v.given, v.stop, v.id, v.history = o.Attempts, o.Delivery, o.Stop, o.CorrelationID, o.History
		if first := told == 1 && o.Delivery == errors.Delivered; len(v.history) != told && (!first || len(v.history) != 0) {
			v.failf("the outcome tells of %d attempts and describes %d", told, len(v.history))
		}
		if o.Service != v.client.name || o.MaxAttempts != maxAttempts {
			v.failf("the outcome is of %q with %d attempts", o.Service, o.MaxAttempts)
		}
	default:
		v.failf("a response without an outcome")
		return
	}
	if told != v.rec.count {
		v.failf("told of %d attempts, sent %d", told, v.rec.count)
	}
	if v.err == nil && (v.status < 400) != (v.given == errors.Delivered) {
		v.failf("status %d with delivery %v", v.status, v.given)
	}
	if v.err == nil && (v.refusal == nil) != (v.given == errors.Delivered) {
		v.failf("delivery %v with ResponseError %v", v.given, v.refusal)
	}
	if d := v.took; d > totalTimeout+idleTimeout+slack {
		v.failf("took %v", d)
	}
}

// failure checks the error of a call.
func (v *verdict) failure() {
	outer, ok := v.err.(*url.Error) //nolint:errorlint // the very type is promised, not something that wraps it
	if !ok {
		v.failf("the error is a %T", v.err)
		return
	}
	if v.e, ok = outer.Err.(*errors.Error); !ok { //nolint:errorlint // as above
		v.failf("the error holds a %T", outer.Err)
		return
	}
	v.complete("the error", v.e)
	if v.e.Kind == errors.Canceled && !errors.Is(v.err, context.Canceled) {
		v.failf("canceled, and not context.Canceled")
	}
	if v.e.Kind == errors.VendorTimeout {
		var timeout net.Error
		if !errors.Is(v.err, context.DeadlineExceeded) || !errors.As(v.err, &timeout) || !timeout.Timeout() {
			v.failf("a timeout that is neither context.DeadlineExceeded nor net.Error.Timeout")
		}
	}
	if given := v.plan.cancel != never; v.e.Kind == errors.Canceled && !(given && v.canceled) {
		v.failf("canceled by nobody")
	}
}

// complete checks what every error of a call has.
func (v *verdict) complete(what string, e *errors.Error) {
	if !slices.Contains(errors.Kinds(), e.Kind) {
		v.failf("%s has kind %q", what, e.Kind)
	}
	if !slices.Contains(errors.Stops(), e.Stop) {
		v.failf("%s has stop %q", what, e.Stop)
	}
	if e.Service != v.client.name {
		v.failf("%s is of service %q", what, e.Service)
	}
	if want := v.plan.method + " " + strings.TrimPrefix(strings.TrimPrefix(v.k.vendors.server(v.plan.vendor).URL(), "https://"), "http://"); e.Op != want {
		v.failf("%s is of %q, want %q", what, e.Op, want)
	}
	if e.Retry.MaxAttempts != maxAttempts {
		v.failf("%s tells of %d attempts at most", what, e.Retry.MaxAttempts)
	}
	if !correlation.Valid(e.CorrelationID) {
		v.failf("%s has correlation id %q", what, e.CorrelationID)
	}
}

// correlation checks that there is one id: the caller's, the error's and the vendor's.
func (v *verdict) correlation() {
	if v.told.id != "" && v.id != v.told.id {
		v.failf("the caller's correlation id %q became %q", v.told.id, v.id)
	}
	for i := range v.count() {
		if t := &v.rec.trips[i]; t.id != v.id || t.call != v.plan.id {
			v.failf("attempt %d was sent as %q of call %q", i+1, t.id, t.call)
		}
	}
	for _, e := range v.entries {
		if e.CorrelationID != v.id {
			v.failf("request %d came as %q", e.Seq, e.CorrelationID)
		}
	}
}

// attempts compares each attempt with its arrivals.
func (v *verdict) attempts() {
	want := v.entryKeys()
	for i := range v.count() {
		t, arrived := &v.rec.trips[i], v.of[i+1]
		if n := int(t.conns.Load()); len(arrived) > n {
			v.failf("attempt %d came %d times over %d connections", i+1, len(arrived), n)
		}
		if len(arrived) > 1 && !v.repeatable(t) {
			v.failf("attempt %d came %d times", i+1, len(arrived))
		}
		if t.status != 0 && !slices.ContainsFunc(arrived, func(e fault.Entry) bool { return e.Status == t.status }) {
			v.failf("attempt %d was answered %d by nobody", i+1, t.status)
		}
		for _, e := range arrived {
			if e.ReadWhole && !slices.Contains(want, e.Key) {
				v.failf("request %d came with key and body %.60q, want %.60q", e.Seq, e.Key, want)
			}
		}
		if i >= len(v.history) {
			continue
		}
		a := &v.history[i]
		if a.Status != t.status && (a.Status != 0 || t.status >= 400) {
			v.failf("attempt %d is told as %d and was answered %d", i+1, a.Status, t.status)
		}
		v.attempt(i+1, a.Delivery)
	}
}

// attempt compares what was told of an attempt's delivery with what came of it.
func (v *verdict) attempt(n int, given errors.Delivery) {
	arrived := v.of[n]
	if v.plan.method == http.MethodGet && v.rec.trips[n-1].asked.Load() > 1 {
		return // repeated by net/http: what is told is of the last try, and a GET changes nothing
	}
	switch acted := processed(arrived); {
	case given == errors.NotSent && len(arrived) > 0:
		v.failf("attempt %d is told as not sent and came", n)
	case given == errors.Rejected && (acted > 0 || len(arrived) == 0):
		v.failf("attempt %d is told as rejected, came %d times and was processed %d times", n, len(arrived), acted)
	case given == errors.Delivered && acted == 0:
		v.failf("attempt %d is told as delivered and was not processed", n)
	}
}

// repeatable says whether net/http may have repeated an attempt by itself.
func (v *verdict) repeatable(t *trip) bool {
	rewinds := v.plan.body == noBody || v.plan.body == rewindable
	return v.plan.safe() && rewinds && (v.plan.method == http.MethodGet || t.key != "")
}

// entryKeys are what the ledger may hold of the call's requests.
func (v *verdict) entryKeys() []string {
	p := &v.plan
	if p.vendor != texts {
		return []string{entryKey(v.rec.trips[0].key, []byte(v.payload))}
	}
	form, _ := url.ParseQuery(v.payload)
	switch {
	case p.method != http.MethodPost:
		return []string{""}
	case form.Get("Url") != "":
		return []string{"call|" + p.to() + "|" + form.Get("Url")}
	default:
		return []string{"message|" + p.to() + "|" + form.Get("Body")}
	}
}

// keys checks that a call has one idempotency key, and only where the vendor takes one.
func (v *verdict) keys() {
	p := &v.plan
	for i := range v.count() {
		key := v.rec.trips[i].key
		switch {
		case key != v.rec.trips[0].key:
			v.failf("attempt %d has key %q, the first had %q", i+1, key, v.rec.trips[0].key)
		case p.key != "" && key != p.key:
			v.failf("the caller's key %q became %q", p.key, key)
		case p.key == "" && p.keyed && key == "":
			v.failf("no key was made")
		case p.key == "" && !p.keyed && key != "":
			v.failf("a key was made where none is taken: %q", key)
		}
	}
	if key := v.rec.trips[0].key; key != "" && p.key == "" {
		if of, known := v.k.keys[key]; known && of != p.id {
			v.failf("its key was made for call %s", of)
		}
		v.k.keys[key] = p.id
	}
	if n := v.k.vendors.effects.count(p.id); p.vendor != texts && n > 1 {
		v.failf("done %d times", n)
	}
}

// delivery compares what the caller was told of the whole call with what came of it.
func (v *verdict) delivery() {
	if v.err != nil && v.e == nil {
		return
	}
	acted := processed(v.entries)
	if v.plan.method == http.MethodGet {
		acted = 0 // nothing is done twice, or at all; its attempts are compared one by one
	}
	switch v.given {
	case errors.NotSent:
		if acted > 0 {
			v.failf("told not sent, and was processed %d times", acted)
		}
		for i, a := range v.history {
			if a.Delivery != errors.NotSent && a.Delivery != errors.Rejected {
				v.failf("told not sent, and attempt %d was %v", i+1, a.Delivery)
			}
		}
	case errors.Rejected:
		if acted > 0 || len(v.entries) == 0 {
			v.failf("told rejected, came %d times and was processed %d times", len(v.entries), acted)
		}
	case errors.Delivered:
		if processed(v.of[v.count()]) == 0 {
			v.failf("told delivered, and the last attempt was not processed")
		}
	default:
	}
	if v.plan.vendor == expired && (len(v.entries) > 0 || v.given == errors.Delivered || v.given == errors.Rejected) {
		v.failf("told %v by a vendor whose certificate ran out", v.given)
	}
}

// sentOnce is the promise: what is neither idempotent nor keyed is not sent again after it may have been processed.
func (v *verdict) sentOnce() {
	if v.plan.safe() {
		return
	}
	if n := processed(v.entries); n > 1 {
		v.failf("DUPLICATE: processed %d times", n)
	}
	for i := range v.count() - 1 {
		for _, e := range v.of[i+1] {
			if e.Status != http.StatusTooManyRequests || e.Processed {
				v.failf("sent again after request %d, which was answered %d", e.Seq, e.Status)
			}
		}
		if i < len(v.history) && v.history[i].Delivery != errors.NotSent && v.history[i].Delivery != errors.Rejected {
			v.failf("sent again after attempt %d of delivery %v", i+1, v.history[i].Delivery)
		}
	}
}

// stops checks that the reason fits.
func (v *verdict) stops() {
	if v.err != nil && v.e == nil {
		return
	}
	last := errors.NotSent
	if n := len(v.history); n > 0 {
		last = v.history[n-1].Delivery
	}
	if v.given == errors.Delivered {
		if v.stop != "" {
			v.failf("delivered, and stopped by %q", v.stop)
		}
		return
	}
	var wrong bool
	switch v.stop {
	case errors.StopExhausted:
		wrong = v.rec.count != maxAttempts
	case errors.StopUnsafeMethod:
		wrong = v.plan.safe() || last != errors.Unknown
	case errors.StopBodyNotReplayable:
		wrong = v.plan.body != onceBig
	case errors.StopCanceled:
		wrong = v.plan.cancel == never
	case errors.StopBudget:
		wrong = v.client != v.k.clients.ledgers
	case errors.StopBreakerOpen:
		wrong = v.e != nil && v.rec.count == 0 && (v.e.Kind != errors.CircuitOpen || v.e.Retry.After <= 0)
	case errors.StopBulkheadFull:
		wrong = v.rec.count > 0 || v.given != errors.NotSent
	case errors.StopPermanent:
		wrong = !v.permanent()
	case errors.StopRateLimited:
		wrong = v.plan.refuse == 0 && v.rec.trips[max(0, v.count()-1)].status != http.StatusTooManyRequests && v.plan.from() != fromFull
	case errors.StopDeadline:
		wrong = v.plan.deadline == 0 && !v.askedToWait() && v.took < totalTimeout-100*time.Millisecond
	default:
		wrong = true
	}
	if wrong {
		v.failf("stopped by %q after %d attempts, the last of them %v", v.stop, v.rec.count, last)
	}
	if !v.plan.safe() && v.rec.count > 0 && last == errors.Unknown &&
		v.stop != errors.StopUnsafeMethod && v.stop != errors.StopCanceled && v.stop != errors.StopDeadline {
		v.failf("an attempt that may not be repeated was stopped by %q", v.stop)
	}
}

// permanent says whether the last attempt would have failed the same way again.
func (v *verdict) permanent() bool {
	if v.plan.vendor == expired {
		return true
	}
	switch status := v.rec.trips[max(0, v.count()-1)].status; status {
	case http.StatusTooManyRequests, http.StatusRequestTimeout:
		return false
	default:
		return status >= 400 && status < 500
	}
}

// askedToWait says whether the vendor asked for a wait.
func (v *verdict) askedToWait() bool {
	for i := range v.count() {
		if v.rec.trips[i].retryAfter != "" {
			return true
		}
	}
	return false
}

// waits checks that nobody came back earlier than asked.
func (v *verdict) waits() {
	const clocks = 5 * time.Millisecond // the monotonic one against that of the header
	for i := range v.count() - 1 {
		t, next := &v.rec.trips[i], &v.rec.trips[i+1]
		if t.status != http.StatusTooManyRequests || t.retryAfter == "" {
			continue
		}
		from := t.end
		if at, err := http.ParseTime(t.retryAfter); err == nil {
			from = at
		} else if d, err := time.ParseDuration(t.retryAfter + "s"); err == nil {
			from = from.Add(d)
		}
		if early := from.Sub(next.begin); early > clocks {
			v.failf("attempt %d came %v too early, asked was %q", i+2, early, t.retryAfter)
		}
	}
}

// content checks the body: whole, or an error that says so.
func (v *verdict) content() {
	if v.bodyErr != nil {
		e, ok := errors.AsType[*errors.Error](v.bodyErr)
		if !ok {
			v.failf("the body's error is a %T: %v", v.bodyErr, v.bodyErr)
			return
		}
		v.complete("the body's error", e)
		if v.status < 400 && e.Delivery != errors.Delivered || v.status >= 400 && e.Delivery != v.given {
			v.failf("the body's error says %v", e.Delivery)
		}
		if e.CorrelationID != v.id {
			v.failf("the body's error is of %q", e.CorrelationID)
		}
		return
	}
	if !v.bodyWhole || v.noBody {
		return
	}
	answers := slices.DeleteFunc(slices.Clone(v.of[v.count()]), func(e fault.Entry) bool { return e.Status != v.status })
	if len(answers) != 1 {
		return // repeated by net/http: which of them it is the ledger cannot tell
	}
	switch answers[0].Fault {
	case "truncated_body", "stalled_body":
		v.failf("half a body was given as a whole: %.60q", v.body)
	case "none", "latency", "slow_drip":
		if v.plan.vendor != texts && !bytes.Contains(v.body, []byte(`"`+v.plan.id+`"`)) || !bytes.HasSuffix(bytes.TrimSpace(v.body), []byte("}")) {
			v.failf("the body is %.60q", v.body)
		}
	}
}

// progress checks what an observer saw.
func (v *verdict) progress() {
	if !v.plan.observe {
		return
	}
	sent, ends := 0, 0
	for i, e := range v.events {
		switch e.Status {
		case httpx.StatusAttempt:
			if sent++; e.Attempt != sent {
				v.failf("event %d is of attempt %d, want %d", i, e.Attempt, sent)
			}
		case httpx.StatusSucceeded, httpx.StatusFailed:
			ends++
			if i != len(v.events)-1 || e.Delivery != v.given || (e.Status == httpx.StatusSucceeded) != (v.given == errors.Delivered) {
				v.failf("event %d of %d is %+v", i+1, len(v.events), e)
			}
		default:
		}
		if e.CorrelationID != v.id || e.Service != v.client.name {
			v.failf("event %d is of %q, %q", i, e.Service, e.CorrelationID)
		}
	}
	if sent != v.rec.count || ends != 1 {
		v.failf("the observer saw %d attempts and %d ends", sent, ends)
	}
}

// hooks checks what the client's hooks said of the call.
func (v *verdict) hooks(h *heard) {
	if h == nil {
		v.failf("no hook heard of %q", v.id)
		return
	}
	if len(h.calls) != 1 || len(h.attempts) != v.rec.count {
		v.failf("the hooks heard of %d calls and %d attempts, want 1 and %d", len(h.calls), len(h.attempts), v.rec.count)
		return
	}
	e := h.calls[0]
	if e.Err != v.e || e.Status != v.status || e.Delivery != v.given || e.Stop != v.stop || e.Attempts != v.rec.count || e.Service != v.client.name {
		v.failf("OnCall heard %+v", e)
	}
	if v.status < 400 && e.BodyErr != v.bodyErr { //nolint:errorlint // the very error the reader got
		v.failf("OnCall heard of body error %v", e.BodyErr)
	}
	for i, a := range h.attempts {
		if a.Number != i+1 || i < len(v.history) && a.Attempt != v.history[i] {
			v.failf("OnAttempt heard %+v", a)
		}
		if i < v.count() {
			v.attempt(i+1, a.Delivery)
		}
	}
}

// processed counts the entries the vendor acted on.
func processed(entries []fault.Entry) int {
	n := 0
	for _, e := range entries {
		if e.Processed {
			n++
		}
	}
	return n
}
