package vapisim

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prusik-go/prusik/examples/internal/sim/fault"
)

// What a zero [Config] has.
const (
	Token         = "simulator-token"
	OrgID         = "00000000-0000-4000-8000-0000000000aa"
	AssistantID   = "00000000-0000-4000-8000-0000000000a1"
	PhoneNumberID = "00000000-0000-4000-8000-0000000000b1"
	PhoneNumber   = "+15005550006"
)

// LimitShape is how a call over the concurrency limit is answered.
type LimitShape uint8

const (
	// LimitBlocked is 201 with subscriptionLimits.concurrencyBlocked true and a call that has ended.
	LimitBlocked LimitShape = iota
	// LimitBadRequest is 400 {"error":"Over Concurrency Limit"}.
	LimitBadRequest
	// LimitTooManyRequests is 429 "Rate limit exceeded", without a Retry-After.
	LimitTooManyRequests
	// LimitEndsLater is 201 like any other, and a call whose endedReason says, when read back, that the limit was reached.
	LimitEndsLater
)

// Config describes a [Sim].
type Config struct {
	// Token is the bearer token. Empty: [Token].
	Token string
	// ConcurrencyLimit is how many calls may go on at a time. Zero: 10, the documented default. Negative: no limit.
	ConcurrencyLimit int
	// LimitShape is how a call over the limit is answered. Zero: [LimitBlocked].
	LimitShape LimitShape
	// CallDuration ends a call that long after its start. Zero: calls go on until [Sim.EndCall].
	CallDuration time.Duration
	// Assistants are there at the start; fields without an id get one. Nil: one with the id [AssistantID].
	Assistants []map[string]any
	// PhoneNumbers are there at the start. Nil: one of Twilio's with the id [PhoneNumberID].
	PhoneNumbers []map[string]any
	// Server is passed on to [fault.New]: script, TLS, ledger. Its Handler, Key and Errors must be nil.
	Server fault.Config
}

// Sim is a running simulator. Make one with [New] and end it with Close.
type Sim struct {
	*fault.Server
	cfg Config

	mu           sync.Mutex
	made         uint64 // ids handed out
	limit        int
	shape        LimitShape
	calls        *collection
	assistants   *collection
	phoneNumbers *collection

	active  int
	running []*resource // calls that end by themselves, in the order of their ends
	placed  []Call
	byPhone map[string][]int // indexes of placed
	same    map[sameness][]string
}

type sameness struct{ name, customer string }

// New starts a simulator on a free port of 127.0.0.1.
func New(cfg Config) (*Sim, error) {
	cfg.Token = cmp.Or(cfg.Token, Token)
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Assistants == nil {
		cfg.Assistants = []map[string]any{{"id": AssistantID, "name": "Front desk", "firstMessage": "Hello."}}
	}
	if cfg.PhoneNumbers == nil {
		cfg.PhoneNumbers = []map[string]any{{
			"id": PhoneNumberID, "provider": "twilio", "number": PhoneNumber, "name": "Main line", "status": "active",
			"twilioAccountSid": "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		}}
	}
	s := &Sim{cfg: cfg, shape: cfg.LimitShape, limit: cmp.Or(cfg.ConcurrencyLimit, 10)}
	s.clear()
	cfg.Server.Handler, cfg.Server.Key, cfg.Server.Errors = http.HandlerFunc(s.serve), key, injected
	server, err := fault.New(cfg.Server)
	if err != nil {
		return nil, fmt.Errorf("vapisim: %w", err)
	}
	s.Server = server
	return s, nil
}

func (c Config) check() error {
	var errs []error
	if c.Server.Handler != nil || c.Server.Key != nil || c.Server.Errors != nil {
		errs = append(errs, errors.New("vapisim: Server.Handler, Server.Key and Server.Errors belong to the simulator, want nil"))
	}
	if c.LimitShape > LimitEndsLater {
		errs = append(errs, fmt.Errorf("vapisim: LimitShape is %d, want one of the constants", c.LimitShape))
	}
	if c.CallDuration < 0 {
		errs = append(errs, fmt.Errorf("vapisim: CallDuration is %v, want 0 or more", c.CallDuration))
	}
	return errors.Join(errs...)
}

// clear is the state of the start. The lock is held, or s is not shared yet.
func (s *Sim) clear() {
	s.calls, s.assistants, s.phoneNumbers = newCollection(), newCollection(), newCollection()
	s.active, s.running, s.placed = 0, nil, nil
	s.byPhone, s.same = make(map[string][]int), make(map[sameness][]string)
	now := time.Now()
	for _, fields := range s.cfg.Assistants {
		s.assistants.add(s.resource(fields, now))
	}
	for _, fields := range s.cfg.PhoneNumbers {
		s.phoneNumbers.add(s.resource(fields, now))
	}
}

// Call is a call a person received.
type Call struct {
	ID string
	// Customer is the number called, or else the customer's SIP URI or id.
	Customer string
	// Name is the call's name, which callers use to find it again.
	Name string
	// CorrelationID and TestCall are the request's X-Correlation-ID and X-Test-Call headers.
	CorrelationID, TestCall string
	At                      time.Time
}

// Duplicate is a named call that one person got more than once.
type Duplicate struct {
	Name, Customer string
	IDs            []string
}

// Calls are the calls placed to a customer, oldest first. Deleting a call does not take it back.
func (s *Sim) Calls(customer string) []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := make([]Call, 0, len(s.byPhone[customer]))
	for _, i := range s.byPhone[customer] {
		found = append(found, s.placed[i])
	}
	return found
}

// Placed is the number of calls all people have received.
func (s *Sim) Placed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.placed)
}

// Duplicates are the calls with the same name to the same customer that were placed more than once, sorted by name and
// customer. A call without a name is no duplicate of any.
func (s *Sim) Duplicates() []Duplicate {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []Duplicate
	for k, ids := range s.same {
		if len(ids) > 1 {
			found = append(found, Duplicate{Name: k.name, Customer: k.customer, IDs: slices.Clone(ids)})
		}
	}
	slices.SortFunc(found, func(a, b Duplicate) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Customer, b.Customer))
	})
	return found
}

// Active is the number of calls going on.
func (s *Sim) Active() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(time.Now())
	return s.active
}

// SetLimit changes the concurrency limit, negative for none, and how a call over it is answered.
func (s *Sim) SetLimit(limit int, shape LimitShape) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit, s.shape = limit, shape
}

// EndCall ends a call, as when the customer hangs up, and reports whether it was going on.
func (s *Sim) EndCall(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.expire(now)
	c := s.calls.byID[id]
	return c != nil && s.end(c, now, endedByCustomer)
}

// EndCalls ends every call.
func (s *Sim) EndCalls() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for _, c := range s.calls.byID {
		s.end(c, now, endedByCustomer)
	}
	s.running = nil
}

// Reset forgets every call and the ledger, and restores the assistants and phone numbers of the start. Limit, script
// and outage stay.
func (s *Sim) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	s.Server.Reset()
}

// serve is the API.
func (s *Sim) serve(w http.ResponseWriter, r *http.Request) {
	status, body := s.route(r)
	writeJSON(w, status, body)
}

// route authenticates and dispatches. Paths match exactly.
func (s *Sim) route(r *http.Request) (status int, body any) {
	if r.Header.Get("Authorization") != "Bearer "+s.cfg.Token {
		return refuse(http.StatusUnauthorized, "Invalid Key.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.expire(now)
	root, id, single := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if single && (id == "" || strings.Contains(id, "/")) {
		return noRoute(r)
	}
	var c *collection
	what := root
	switch root {
	case "call":
		c = s.calls
	case "assistant":
		c = s.assistants
	case "phone-number":
		c, what = s.phoneNumbers, "phone number"
	default:
		return noRoute(r)
	}
	if !single {
		switch {
		case r.Method == http.MethodGet:
			return s.list(r, c)
		case r.Method == http.MethodPost && c == s.calls:
			return s.createCall(r, now)
		case r.Method == http.MethodPost && c == s.assistants:
			return s.createAssistant(r, now)
		}
		return noRoute(r)
	}
	item := c.byID[id]
	switch {
	case r.Method == http.MethodGet, r.Method == http.MethodPatch, r.Method == http.MethodDelete && c != s.phoneNumbers:
	default:
		return noRoute(r)
	}
	if item == nil {
		return refuse(http.StatusNotFound, "Couldn't find "+what+" "+id+".")
	}
	switch r.Method {
	case http.MethodPatch:
		return s.patch(r, c, item, now)
	case http.MethodDelete:
		s.end(item, now, endedByDelete)
		c.remove(item)
	}
	return http.StatusOK, item.wire()
}

func (s *Sim) createAssistant(r *http.Request, now time.Time) (int, any) {
	fields, faults := decode(r)
	faults = append(faults, checkName(fields)...)
	if len(faults) > 0 {
		return refuse(http.StatusBadRequest, faults...)
	}
	delete(fields, "id")
	a := s.resource(fields, now)
	s.assistants.add(a)
	return http.StatusCreated, a.wire()
}

// patch replaces the fields given; null takes one away. Of a call only the name can be changed.
func (s *Sim) patch(r *http.Request, c *collection, item *resource, now time.Time) (int, any) {
	changes, faults := decode(r)
	faults = append(faults, checkName(changes)...)
	fields := maps.Clone(item.fields)
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		switch {
		case slices.Contains(ownFields, name) || c == s.calls && name != "name":
			faults = append(faults, "property "+name+" should not exist")
		case changes[name] == nil:
			delete(fields, name)
		default:
			fields[name] = changes[name]
		}
	}
	if len(faults) > 0 {
		return refuse(http.StatusBadRequest, faults...)
	}
	item.fields, item.updated = fields, now
	return http.StatusOK, item.wire()
}

// key identifies what a create asks for.
func key(r *http.Request, body []byte) string {
	if r.Method != http.MethodPost || r.URL.Path != "/call" {
		return ""
	}
	var dto struct {
		Name     string
		Customer struct{ Number string }
	}
	if json.Unmarshal(body, &dto) != nil {
		return ""
	}
	return "call|" + dto.Name + "|" + dto.Customer.Number
}
