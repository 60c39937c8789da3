package errors

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"strconv"
)

// ContentType is the media type of a [Problem] (RFC 9457).
const ContentType = "application/problem+json"

// headerCorrelationID is where the correlation middleware leaves the id; this package does not import it.
const headerCorrelationID = "X-Correlation-ID"

// maxProblem bounds what [DecodeProblem] reads, in bytes: the same bound the client puts on an error body.
const maxProblem = 64 << 10

// Problem is an RFC 9457 problem document. It holds what a client may read, and nothing else.
type Problem struct {
	// Type is a URI for the kind. Empty means "about:blank", which RFC 9457 gives to plain HTTP statuses.
	Type string
	// Title is the status's name; Status is the HTTP status.
	Title  string
	Status int
	// Detail is the public sentence.
	Detail string
	// Instance is a URI of this occurrence, if any.
	Instance string
	// Kind, Delivery and CorrelationID are extension members; Delivery is rendered for vendor calls only.
	Kind          Kind
	Delivery      string
	CorrelationID string
	// Retry renders as retry_after (seconds, where known) and retry (the object a front end shows).
	Retry Retry
	// Extra are further extension members. They never replace one of the members above.
	Extra map[string]any
}

// ProblemOf renders err for a client: kind, public sentence, retry value. Nothing of err's text is in it. It is that of
// the first [*Error] or [Kind] in err's tree, as in [KindOf].
func ProblemOf(err error) Problem {
	k := KindOf(err)
	p := Problem{Title: http.StatusText(k.Status()), Status: k.Status(), Detail: k.Public(), Kind: k}
	if k == Canceled {
		p.Title = "Client Closed Request"
	}
	first, _ := AsType[kinded](err)
	e, ok := first.(*Error) // found above
	if !ok {
		return p
	}
	if e.Public != "" {
		p.Detail = e.Public
	}
	if e.Stop != "" || e.Delivery != Unknown {
		p.Delivery = e.Delivery.String()
	}
	p.CorrelationID = e.CorrelationID
	p.Retry = e.Retry
	p.Extra = maps.Clone(e.Details)
	return p
}

// MarshalJSON renders the members RFC 9457 names, then ours. Empty ones are left out.
func (p Problem) MarshalJSON() ([]byte, error) {
	m := maps.Clone(p.Extra)
	if m == nil {
		m = make(map[string]any, 10)
	}
	for _, reserved := range problemMembers() {
		delete(m, reserved)
	}
	set := func(key, value string) {
		if value != "" {
			m[key] = value
		}
	}
	set("type", p.Type)
	set("title", p.Title)
	set("detail", p.Detail)
	set("instance", p.Instance)
	set("kind", string(p.Kind))
	set("delivery", p.Delivery)
	set("correlation_id", p.CorrelationID)
	if p.Type == "" {
		m["type"] = "about:blank"
	}
	if p.Status != 0 {
		m["status"] = p.Status
	}
	if p.Retry.After > 0 {
		m["retry_after"] = p.Retry.Seconds()
	}
	if p.Retry != (Retry{}) {
		m["retry"] = p.Retry
	}
	return json.Marshal(m)
}

func problemMembers() [10]string {
	return [...]string{
		"type", "title", "status", "detail", "instance", "kind", "delivery", "correlation_id", "retry_after", "retry",
	}
}

// DecodeProblem reads a problem document of up to 64 KiB. Members of a wrong type are ignored, as RFC 9457
// (section 3.1) asks; what is not a JSON object is an error that does not quote it.
func DecodeProblem(b []byte) (Problem, error) {
	if len(b) > maxProblem {
		return Problem{}, fmt.Errorf("errors: problem document of %d bytes, want at most %d", len(b), maxProblem)
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(b, &m); err != nil || m == nil {
		return Problem{}, New("errors: problem document is not a JSON object")
	}
	var p Problem
	for key, target := range map[string]any{
		"type": &p.Type, "title": &p.Title, "status": &p.Status, "detail": &p.Detail, "instance": &p.Instance,
		"kind": &p.Kind, "delivery": &p.Delivery, "correlation_id": &p.CorrelationID, "retry": &p.Retry,
	} {
		decode(m, key, target)
	}
	var after float64
	if decode(m, "retry_after", &after) && p.Retry.After == 0 {
		p.Retry.After = seconds(int64(min(max(math.Ceil(after), 0), float64(1<<53))))
	}
	for _, known := range problemMembers() {
		delete(m, known)
	}
	for key, raw := range m {
		var v any
		if json.Unmarshal(raw, &v) == nil {
			if p.Extra == nil {
				p.Extra = make(map[string]any, len(m))
			}
			p.Extra[key] = v
		}
	}
	return p, nil
}

// decode leaves target alone where the member is absent or of another type.
func decode(m map[string]json.RawMessage, key string, target any) bool {
	raw, ok := m[key]
	if !ok || string(raw) == "null" {
		return false
	}
	return json.Unmarshal(raw, target) == nil
}

// ErrorObserver is a response writer that is told of an error before [Write] answers with it: for a middleware that decides
// by what an answer means, which a status does not say. Write finds it behind writers that have an Unwrap method, as
// [http.ResponseController] does; where there are several, each is told, the innermost first.
type ErrorObserver interface {
	ObserveError(err error)
}

// observe tells the writers of an answer what it is made of.
func observe(w http.ResponseWriter, err error) {
	for {
		if o, ok := w.(ErrorObserver); ok {
			o.ObserveError(err)
		}
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return
		}
		w = u.Unwrap()
	}
}

// Write answers with the problem of err: see [WriteProblem]. It tells an [ErrorObserver] first.
func Write(w http.ResponseWriter, r *http.Request, err error) error {
	observe(w, err)
	return WriteProblem(w, r, ProblemOf(err))
}

// WriteProblem answers with p: its status, application/problem+json, Retry-After where known, and
// Cache-Control: no-store. The correlation id is p's, else the one in the response header. A status of 0 is a 500. A HEAD
// request gets the headers only. The error of writing the body is returned.
func WriteProblem(w http.ResponseWriter, r *http.Request, p Problem) error {
	h := w.Header()
	if p.Status == 0 {
		p.Status = http.StatusInternalServerError
	}
	if p.CorrelationID == "" {
		p.CorrelationID = h.Get(headerCorrelationID)
	}
	body, jerr := json.Marshal(p)
	if jerr != nil { // only a value in Extra can do this
		p.Extra = nil
		body, _ = json.Marshal(p)
	}
	h.Del("Content-Encoding")
	h.Del("Etag")
	h.Del("Last-Modified")
	h.Del("Retry-After") // the handler may have set one of its own
	h.Set("Content-Type", ContentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if after := p.Retry.Header(); after != "" {
		h.Set("Retry-After", after)
	}
	w.WriteHeader(p.Status)
	if r != nil && r.Method == http.MethodHead {
		return nil
	}
	_, werr := w.Write(body)
	return werr
}
