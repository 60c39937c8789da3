package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/twilio/twilio-go/client"

	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/errors"
)

// callbacks are the vendors' reports on what became of a text or a call. One that is not signed by the vendor is refused, and so
// are all where there is no secret to tell by. The URL carries the id of the request that it is about.
type callbacks struct {
	signer                             *correlation.Signer
	publicURL, twilioToken, vapiSecret string
	log                                *slog.Logger
	seen                               seen
}

// report is what a vendor says; key is the same for each time it says it.
type report struct{ vendor, key, subject, status string }

// url is where Twilio reports on what ctx's request asks for.
func (c *callbacks) url(ctx context.Context) string {
	id, ok := correlation.ID(ctx)
	if c.publicURL == "" || !ok {
		return ""
	}
	return c.publicURL + "/callbacks/twilio/" + c.signer.Token(id, 0)
}

// restore gives the request the id of its token. A token that is not ours, or too old, costs the report its id and nothing more:
// whether it is believed is the signature's to say.
func (c *callbacks) restore(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if id, err := c.signer.Verify(chi.URLParam(r, "token")); err == nil {
			w.Header().Set(correlation.Header, id)
			*r = *r.WithContext(correlation.WithID(r.Context(), id)) // in place: metrics reads the pattern of this request
		}
		next.ServeHTTP(w, r)
	})
}

var errNoSecret = &errors.Error{
	Kind: errors.Unavailable, Op: "verify a callback", Public: "Callbacks are not accepted: this service has no secret to verify them with.",
}

func (c *callbacks) twilio(w http.ResponseWriter, r *http.Request) error {
	if c.twilioToken == "" || c.publicURL == "" {
		return errNoSecret
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		return unreadable(err)
	}
	params := make(map[string]string, len(r.PostForm))
	for name, values := range r.PostForm {
		if len(values) != 1 { // only one of them would be in the signature
			return refuse("repeated parameter")
		}
		params[name] = values[0]
	}
	verifier := client.NewRequestValidator(c.twilioToken)
	if !verifier.Validate(c.publicURL+r.URL.RequestURI(), params, r.Header.Get("X-Twilio-Signature")) {
		return refuse("bad signature")
	}
	subject, status := params["MessageSid"], params["MessageStatus"]
	if subject == "" {
		subject, status = params["CallSid"], params["CallStatus"]
	}
	return c.hear(w, r, report{"twilio", "twilio " + subject + " " + status, subject, status})
}

func (c *callbacks) vapi(w http.ResponseWriter, r *http.Request) error {
	if c.vapiSecret == "" {
		return errNoSecret
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 8*maxBody)) // a transcript is in some
	if err != nil {
		return unreadable(err)
	}
	if !c.fromVapi(r.Header, body) {
		return refuse("bad signature")
	}
	var m struct {
		Message struct {
			Type, Status string
			Call         struct{ ID string }
		}
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return unreadable(err)
	}
	call, what := m.Message.Call.ID, strings.TrimSuffix(m.Message.Type+" "+m.Message.Status, " ")
	return c.hear(w, r, report{"vapi", "vapi " + call + " " + what, call, what})
}

// maxAge is how old a signed callback of Vapi may be. Its pages give no number; five minutes are ours.
const maxAge = 5 * time.Minute

// fromVapi verifies Vapi's HMAC credential by its defaults, or the plain secret of X-Vapi-Secret, its older way.
func (c *callbacks) fromVapi(h http.Header, body []byte) bool {
	signature, stamp := h.Get("X-Signature"), h.Get("X-Timestamp")
	if signature == "" {
		return subtle.ConstantTimeCompare([]byte(h.Get("X-Vapi-Secret")), []byte(c.vapiSecret)) == 1
	}
	n, err := strconv.ParseInt(stamp, 10, 64)
	at := time.Unix(n, 0)
	if n > 1e11 { // milliseconds: the unit is not documented
		at = time.UnixMilli(n)
	}
	if age := time.Since(at); err != nil || age > maxAge || age < -maxAge {
		return false
	}
	mac := hmac.New(sha256.New, []byte(c.vapiSecret))
	mac.Write([]byte(stamp + "."))
	mac.Write(body)
	given, err := hex.DecodeString(signature)
	return err == nil && hmac.Equal(given, mac.Sum(nil))
}

// hear takes a report once. A vendor that hears nothing in time reports again.
func (c *callbacks) hear(w http.ResponseWriter, r *http.Request, is report) error {
	heard := c.seen.before(is.key)
	c.log.InfoContext(r.Context(), "callback", "vendor", is.vendor, "subject", is.subject, "status", is.status, "duplicate", heard)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func refuse(why string) error {
	return &errors.Error{Kind: errors.Forbidden, Op: "verify a callback", Err: errors.New(why)}
}

func unreadable(err error) error {
	return &errors.Error{Kind: errors.Invalid, Op: "read a callback", Err: err}
}

// maxSeen bounds the memory for reports: a vendor repeats one within minutes.
const maxSeen = 10_000

// seen remembers the last maxSeen keys. Each instance has its own: a repeated report that reaches another one is logged twice.
type seen struct {
	mu   sync.Mutex
	keys map[string]struct{}
	ring []string
	next int
}

// before says whether key was there already, and remembers it.
func (s *seen) before(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.keys[key]; ok {
		return true
	}
	if s.keys == nil {
		s.keys, s.ring = make(map[string]struct{}), make([]string, maxSeen)
	}
	delete(s.keys, s.ring[s.next])
	s.keys[key] = struct{}{}
	s.ring[s.next] = key
	s.next = (s.next + 1) % maxSeen
	return false
}
