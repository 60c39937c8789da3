package twiliosim

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prusik-go/prusik/examples/internal/sim/fault"
)

// The account a zero [Config] has. Both parts are alphanumeric, as twilio-go demands of credentials.
const (
	AccountSID = "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	AuthToken  = "simulatortoken"
)

// Config describes a [Sim].
type Config struct {
	// AccountSID is the one account. Empty: [AccountSID].
	AccountSID string
	// AuthToken is its password. Empty: [AuthToken].
	AuthToken string
	// Numbers are the account's own numbers, allowed as From beside the magic +15005550006. Nil: any number is.
	Numbers []string
	// Marker makes of a message's body what tells two texts apart for [Sim.Duplicates]. Nil: the whole body.
	Marker func(body string) string
	// CallsPerSecond is how fast queued calls are dialled; the queue of 24 hours ends in error 22005. Zero: 1, the
	// documented default. Negative: calls do not queue.
	CallsPerSecond float64
	// Server is passed on to [fault.New]: script, TLS, ledger. Its Handler, Key and Errors must be nil.
	Server fault.Config
}

// Sim is a running simulator. Make one with [New] and end it with Close.
type Sim struct {
	*fault.Server
	cfg Config

	mu       sync.RWMutex
	made     uint64 // SIDs handed out
	requests uint64
	refused  map[string]int
	messages store[Message]
	calls    store[Call]
	dialAt   time.Time // when the next queued call is dialled
}

// New starts a simulator on a free port of 127.0.0.1.
func New(cfg Config) (*Sim, error) {
	cfg.AccountSID = cmp.Or(cfg.AccountSID, AccountSID)
	cfg.AuthToken = cmp.Or(cfg.AuthToken, AuthToken)
	cfg.CallsPerSecond = cmp.Or(cfg.CallsPerSecond, 1)
	if cfg.Marker == nil {
		cfg.Marker = func(body string) string { return body }
	}
	if cfg.Server.Handler != nil || cfg.Server.Key != nil || cfg.Server.Errors != nil {
		return nil, errors.New("twiliosim: Server.Handler, Server.Key and Server.Errors belong to the simulator, want nil")
	}
	s := &Sim{cfg: cfg, refused: make(map[string]int), messages: newStore[Message](), calls: newStore[Call]()}
	cfg.Server.Handler, cfg.Server.Key, cfg.Server.Errors = http.HandlerFunc(s.serve), s.key, s.injected
	server, err := fault.New(cfg.Server)
	if err != nil {
		return nil, fmt.Errorf("twiliosim: %w", err)
	}
	s.Server = server
	return s, nil
}

// Message is a text a person received.
type Message struct {
	SID, To, From, MessagingServiceSID, Body string
	// Media counts the MediaUrl parameters.
	Media int
	// CorrelationID and TestCall are the request's X-Correlation-ID and X-Test-Call headers.
	CorrelationID, TestCall string
	At                      time.Time
}

// Call is a call a person received.
type Call struct {
	SID, To, From string
	// Source is the call's Url, or else its Twiml or ApplicationSid.
	Source string
	// CorrelationID and TestCall are the request's X-Correlation-ID and X-Test-Call headers.
	CorrelationID, TestCall string
	// Queued is how long the call waits in the queue before it is dialled.
	Queued time.Duration
	At     time.Time
}

// Duplicate is one thing a person got more than once.
type Duplicate struct {
	// Kind is "message" or "call".
	Kind string
	To   string
	// Marker is the message's marker ([Config.Marker]) or the call's Source.
	Marker string
	SIDs   []string
}

// Received are the texts sent to a number, oldest first.
func (s *Sim) Received(to string) []Message {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.messages.to(to)
}

// Calls are the calls placed to a number, oldest first.
func (s *Sim) Calls(to string) []Call {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.calls.to(to)
}

// Totals are the numbers of texts and calls all people have received.
func (s *Sim) Totals() (messages, calls int) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.messages.all), len(s.calls.all)
}

// Duplicates are the texts with the same To and marker, and the calls with the same To and Source, that were sent more
// than once, sorted by kind, To and marker.
func (s *Sim) Duplicates() []Duplicate {
	s.mu.RLock()
	defer s.mu.RUnlock()
	found := append(s.calls.duplicates("call"), s.messages.duplicates("message")...)
	slices.SortFunc(found, func(a, b Duplicate) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.To, b.To), strings.Compare(a.Marker, b.Marker))
	})
	return found
}

// Refuse makes every text and call to a number fail with one of Twilio's error codes, 21610 (opted out) or 21608 (not
// verified) say. Code 0 lifts it.
func (s *Sim) Refuse(to string, code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if code == 0 {
		delete(s.refused, to)
		return
	}
	s.refused[to] = code
}

// Reset forgets every text and call, the call queue and the ledger. Refused numbers, script and outage stay.
func (s *Sim) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages, s.calls = newStore[Message](), newStore[Call]()
	s.dialAt = time.Time{}
	s.Server.Reset()
}

// sid is a new SID. The lock is held.
func (s *Sim) sid(prefix string) string {
	s.made++
	return prefix + hex32(s.made)
}

// hex32 spreads n over 32 hex digits, one to one.
func hex32(n uint64) string {
	a := n * 0x9e3779b97f4a7c15 // odd, so a bijection
	a ^= a >> 32
	return fmt.Sprintf("%016x%016x", a, a*0xbf58476d1ce4e5b9)
}

// key identifies what a create asks for.
func (s *Sim) key(r *http.Request, body []byte) string {
	if r.Method != http.MethodPost {
		return ""
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return ""
	}
	switch {
	case strings.HasSuffix(r.URL.Path, "/Messages.json"):
		return "message|" + form.Get("To") + "|" + s.cfg.Marker(form.Get("Body"))
	case strings.HasSuffix(r.URL.Path, "/Calls.json"):
		return "call|" + form.Get("To") + "|" + source(form)
	}
	return ""
}

// serve is the API.
func (s *Sim) serve(w http.ResponseWriter, r *http.Request) {
	begin := time.Now()
	status, body := s.route(r)
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="Twilio API"`)
	}
	s.vendorHeaders(w.Header(), time.Since(begin))
	writeJSON(w, status, body)
}

// vendorHeaders are what Twilio sends with every answer.
func (s *Sim) vendorHeaders(h http.Header, took time.Duration) {
	s.mu.Lock()
	s.requests++
	n := s.requests
	s.mu.Unlock()
	h.Set("Content-Type", "application/json")
	h.Set("Twilio-Request-Id", "RQ"+hex32(n))
	h.Set("Twilio-Concurrent-Requests", strconv.Itoa(s.InFlight()))
	h.Set("Twilio-Request-Duration", strconv.FormatFloat(took.Seconds(), 'f', 3, 64))
	h.Set("X-API-Domain", "api.twilio.com")
	h.Set("X-Home-Region", "us1")
	h.Set("X-Powered-By", "AT-5000")
	h.Set("X-Shenanigans", "none")
}

// route authenticates and dispatches. Paths match exactly.
func (s *Sim) route(r *http.Request) (status int, body any) {
	user, password, ok := r.BasicAuth()
	if !ok || user != s.cfg.AccountSID || password != s.cfg.AuthToken {
		return refuse(20003)
	}
	rest, ok := strings.CutPrefix(r.URL.Path, "/2010-04-01/Accounts/"+s.cfg.AccountSID+"/")
	if !ok {
		return notFound(r)
	}
	handlers := map[string]func(*http.Request) (int, any){}
	switch rest {
	case "Messages.json":
		handlers["GET"], handlers["POST"] = s.listMessages, s.createMessage
	case "Calls.json":
		handlers["GET"], handlers["POST"] = s.listCalls, s.createCall
	default:
		if sid, ok := resource(rest, "Messages/"); ok {
			handlers["GET"] = func(r *http.Request) (int, any) { return s.getMessage(r, sid) }
		} else if sid, ok := resource(rest, "Calls/"); ok {
			handlers["GET"] = func(r *http.Request) (int, any) { return s.getCall(r, sid) }
		} else {
			return notFound(r)
		}
	}
	handler := handlers[r.Method]
	if handler == nil {
		return refuse(20004)
	}
	return handler(r)
}

// resource is the SID of a path like Messages/SM1.json.
func resource(path, prefix string) (sid string, ok bool) {
	sid, ok = strings.CutPrefix(path, prefix)
	if !ok {
		return "", false
	}
	sid, ok = strings.CutSuffix(sid, ".json")
	return sid, ok && sid != "" && !strings.Contains(sid, "/")
}
