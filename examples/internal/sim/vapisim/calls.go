package vapisim

import (
	"cmp"
	"maps"
	"net/http"
	"regexp"
	"time"

	"github.com/prusik-go/prusik/examples/internal/sim/fault"
)

const (
	endedByCustomer = "customer-ended-call"
	endedByDelete   = "manually-canceled"
	endedByLimit    = "call.start.error-subscription-concurrency-limit-reached"

	noLimit = 1_000_000 // what concurrencyLimit says where there is none
)

var (
	e164 = regexp.MustCompile(`^\+[1-9][0-9]{1,14}$`)
	uuid = regexp.MustCompile(`^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$`)
)

// callState is what a resource has more when it is a call.
type callState struct {
	fresh  bool // not read back yet
	ended  time.Time
	reason string
	ends   time.Time // when it ends by itself
}

func (c *callState) wire(j map[string]any) {
	j["type"] = "outboundPhoneCall"
	j["phoneCallProvider"], j["phoneCallTransport"] = "twilio", "pstn"
	switch {
	case c.fresh:
		j["status"] = "queued"
	case c.ended.IsZero():
		j["status"], j["startedAt"] = "in-progress", j["createdAt"]
	default:
		j["status"], j["endedReason"], j["endedAt"] = "ended", c.reason, stamp(c.ended)
	}
}

// end ends a call that is going on and reports whether it was. The lock is held.
func (s *Sim) end(o *resource, now time.Time, reason string) bool {
	if o.call == nil || !o.call.ended.IsZero() {
		return false
	}
	o.call.ended, o.call.reason = now, reason
	s.active--
	return true
}

// expire ends the calls whose time is over. The lock is held.
func (s *Sim) expire(now time.Time) {
	for len(s.running) > 0 && !now.Before(s.running[0].call.ends) {
		s.end(s.running[0], s.running[0].call.ends, endedByCustomer)
		s.running[0] = nil
		s.running = s.running[1:]
	}
}

// createCall is POST /call: one customer, or customers for a batch. The lock is held.
func (s *Sim) createCall(r *http.Request, now time.Time) (int, any) {
	fields, faults := decode(r)
	delete(fields, "id")
	faults = append(faults, checkName(fields)...)
	batch, isBatch := fields["customers"].([]any)
	customer, _ := fields["customer"].(map[string]any)
	if customer != nil {
		faults = append(faults, checkCustomer("customer", customer)...)
	}
	for _, name := range []string{"assistantId", "phoneNumberId"} {
		if id, ok := fields[name].(string); ok && !uuid.MatchString(id) {
			faults = append(faults, name+" must be a UUID")
		}
	}
	if len(faults) > 0 {
		return refuse(http.StatusBadRequest, faults...)
	}
	if message := s.missing(fields, isBatch); message != "" {
		return policy(message)
	}
	if isBatch {
		return s.createBatch(r, fields, batch, now)
	}
	if s.full() {
		return s.overLimit(r, fields, now)
	}
	o := s.place(r, fields, now)
	j := o.wire()
	o.call.fresh = false
	j["subscriptionLimits"] = s.limits(false)
	return http.StatusCreated, j
}

// missing says what a call lacks, and "" when it lacks nothing. The lock is held.
func (s *Sim) missing(fields map[string]any, batch bool) string {
	has := func(names ...string) bool {
		for _, name := range names {
			if fields[name] != nil {
				return true
			}
		}
		return false
	}
	switch {
	case !has("assistantId", "assistant", "squadId", "squad", "workflowId", "workflow"):
		return "Need either `assistant`, `assistantId`, `squad`, `squadId`, `workflow` or `workflowId`."
	case !has("phoneNumberId", "phoneNumber"):
		return "Need either `phoneNumber` or `phoneNumberId`."
	case !batch && !has("customerId", "customer"):
		return "Need either `customer`, `customerId` or `customers`."
	}
	if id, ok := fields["assistantId"].(string); ok && s.assistants.byID[id] == nil {
		return "Couldn't find assistant " + id + "."
	}
	if id, ok := fields["phoneNumberId"].(string); ok && s.phoneNumbers.byID[id] == nil {
		return "Couldn't find phone number " + id + "."
	}
	return ""
}

func checkCustomer(path string, customer map[string]any) []string {
	number, ok := customer["number"].(string)
	if !ok || customer["numberE164CheckEnabled"] == false || e164.MatchString(number) {
		return nil
	}
	return []string{path + ".number must be a valid phone number in the E.164 format"}
}

// createBatch places one call for each of the customers; it can succeed in part.
func (s *Sim) createBatch(r *http.Request, fields map[string]any, batch []any, now time.Time) (int, any) {
	results, errs := []any{}, []any{}
	blocked := false
	for _, item := range batch {
		customer, _ := item.(map[string]any)
		faults := checkCustomer("customer", customer)
		if s.full() {
			blocked = true
			faults = append(faults, "Over Concurrency Limit")
		}
		if len(faults) > 0 {
			errs = append(errs, map[string]any{"customer": item, "error": faults[0]})
			continue
		}
		one := maps.Clone(fields)
		delete(one, "customers")
		one["customer"] = customer
		o := s.place(r, one, now)
		results = append(results, o.wire())
		o.call.fresh = false
	}
	fault.SetProcessed(r, len(results) > 0)
	return http.StatusCreated, map[string]any{
		"results": results, "errors": errs, "subscriptionLimits": s.limits(blocked),
	}
}

// place makes a phone ring. The lock is held.
func (s *Sim) place(r *http.Request, fields map[string]any, now time.Time) *resource {
	o := s.resource(fields, now)
	o.call = &callState{fresh: true}
	s.calls.add(o)
	s.active++
	if s.cfg.CallDuration > 0 {
		o.call.ends = now.Add(s.cfg.CallDuration)
		s.running = append(s.running, o)
	}
	c := Call{
		ID: o.id, Customer: customerOf(fields), At: now,
		CorrelationID: r.Header.Get("X-Correlation-ID"), TestCall: r.Header.Get("X-Test-Call"),
	}
	c.Name, _ = fields["name"].(string)
	s.byPhone[c.Customer] = append(s.byPhone[c.Customer], len(s.placed))
	s.placed = append(s.placed, c)
	if c.Name != "" {
		k := sameness{c.Name, c.Customer}
		s.same[k] = append(s.same[k], c.ID)
	}
	return o
}

func customerOf(fields map[string]any) string {
	customer, _ := fields["customer"].(map[string]any)
	number, _ := customer["number"].(string)
	sip, _ := customer["sipUri"].(string)
	id, _ := fields["customerId"].(string)
	return cmp.Or(number, sip, id)
}

func (s *Sim) full() bool { return s.limit >= 0 && s.active >= s.limit }

// overLimit answers a call for which there is no slot. No phone rings. The lock is held.
func (s *Sim) overLimit(r *http.Request, fields map[string]any, now time.Time) (int, any) {
	fault.SetProcessed(r, false)
	switch s.shape {
	case LimitBlocked, LimitEndsLater:
	case LimitBadRequest:
		return http.StatusBadRequest, map[string]any{"error": "Over Concurrency Limit"}
	case LimitTooManyRequests:
		return refuse(http.StatusTooManyRequests, "Rate limit exceeded")
	}
	o := s.resource(fields, now)
	o.call = &callState{fresh: s.shape == LimitEndsLater, ended: now, reason: endedByLimit}
	s.calls.add(o)
	j := o.wire()
	o.call.fresh = false
	j["subscriptionLimits"] = s.limits(s.shape == LimitBlocked)
	return http.StatusCreated, j
}

// limits is the subscriptionLimits object: the slots left with the calls just made counted in.
func (s *Sim) limits(blocked bool) map[string]any {
	limit := s.limit
	if limit < 0 {
		limit = noLimit
	}
	return map[string]any{
		"concurrencyBlocked": blocked, "concurrencyLimit": limit, "remainingConcurrentCalls": max(limit-s.active, 0),
	}
}
