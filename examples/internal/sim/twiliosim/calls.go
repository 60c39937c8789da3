package twiliosim

import (
	"cmp"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const maxQueue = 24 * time.Hour

// callJSON is the Call resource, every documented field of it.
type callJSON struct {
	AccountSID      string            `json:"account_sid"`
	AnsweredBy      *string           `json:"answered_by"`
	APIVersion      string            `json:"api_version"`
	CallerName      *string           `json:"caller_name"`
	DateCreated     *string           `json:"date_created"`
	DateUpdated     *string           `json:"date_updated"`
	Direction       string            `json:"direction"`
	Duration        *string           `json:"duration"`
	EndTime         *string           `json:"end_time"`
	ForwardedFrom   *string           `json:"forwarded_from"`
	From            string            `json:"from"`
	FromFormatted   string            `json:"from_formatted"`
	GroupSID        *string           `json:"group_sid"`
	ParentCallSID   *string           `json:"parent_call_sid"`
	PhoneNumberSID  *string           `json:"phone_number_sid"`
	Price           *string           `json:"price"`
	PriceUnit       string            `json:"price_unit"`
	QueueTime       string            `json:"queue_time"`
	SID             string            `json:"sid"`
	StartTime       *string           `json:"start_time"`
	Status          string            `json:"status"`
	SubresourceURIs map[string]string `json:"subresource_uris"`
	To              string            `json:"to"`
	ToFormatted     string            `json:"to_formatted"`
	TrunkSID        *string           `json:"trunk_sid"`
	URI             string            `json:"uri"`
}

// wire is the resource as it is when just created, or as it is read back: completed.
func (c *Call) wire(account string, created bool) callJSON {
	path := "/2010-04-01/Accounts/" + account + "/Calls/" + c.SID
	sub := make(map[string]string, len(subresources))
	for name, file := range subresources {
		sub[name] = path + "/" + file
	}
	j := callJSON{
		AccountSID: account, APIVersion: "2010-04-01", Direction: "outbound-api", From: c.From,
		FromFormatted: formatted(c.From), PriceUnit: "USD", QueueTime: strconv.FormatInt(c.Queued.Milliseconds(), 10),
		SID: c.SID, Status: "queued", SubresourceURIs: sub, To: c.To, ToFormatted: formatted(c.To), URI: path + ".json",
	}
	if !created {
		dialled := c.At.Add(c.Queued)
		j.Status, j.Duration = "completed", orNil("0")
		j.DateCreated, j.DateUpdated, j.StartTime, j.EndTime = stamp(c.At), stamp(dialled), stamp(dialled), stamp(dialled)
	}
	return j
}

var subresources = map[string]string{ //nolint:gochecknoglobals // a table, never written
	"events": "Events.json", "notifications": "Notifications.json", "payments": "Payments.json",
	"recordings": "Recordings.json", "siprec": "Siprec.json", "streams": "Streams.json",
	"transcriptions":                     "Transcriptions.json",
	"user_defined_message_subscriptions": "UserDefinedMessageSubscriptions.json",
	"user_defined_messages":              "UserDefinedMessages.json",
}

func (s *Sim) createCall(r *http.Request) (int, any) {
	form := postForm(r)
	c := Call{
		To: form.Get("To"), From: form.Get("From"), Source: source(form), At: time.Now(),
		CorrelationID: r.Header.Get("X-Correlation-ID"), TestCall: r.Header.Get("X-Test-Call"),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if code := s.checkCall(c); code != 0 {
		return refuse(code)
	}
	if s.cfg.CallsPerSecond > 0 {
		if s.dialAt.Before(c.At) {
			s.dialAt = c.At
		}
		c.Queued = s.dialAt.Sub(c.At)
		if c.Queued > maxQueue {
			return refuse(22005)
		}
		s.dialAt = s.dialAt.Add(time.Duration(float64(time.Second) / s.cfg.CallsPerSecond))
	}
	c.SID = s.sid("CA")
	s.calls.add(c.SID, c.To, c.Source, &c)
	return http.StatusCreated, c.wire(s.cfg.AccountSID, true)
}

// checkCall is the error code for a call, or 0. The lock is held.
func (s *Sim) checkCall(c Call) int {
	switch {
	case c.To == "":
		return 21201
	case c.From == "":
		return 21213
	case c.Source == "":
		return 21205
	}
	if code := magicCallFrom[c.From]; code != 0 {
		return code
	}
	if code := magicCallTo[c.To]; code != 0 {
		return code
	}
	if !strings.Contains(c.To, ":") && !e164.MatchString(c.To) { // with a colon it is sip:, client: or sim:
		return 21211
	}
	if !s.owns(c.From) {
		return 21210
	}
	return s.refused[c.To]
}

func (s *Sim) getCall(r *http.Request, sid string) (int, any) {
	s.mu.RLock()
	c := s.calls.sids[sid]
	s.mu.RUnlock()
	if c == nil {
		return notFound(r)
	}
	return http.StatusOK, c.wire(s.cfg.AccountSID, false)
}

func (s *Sim) listCalls(r *http.Request) (int, any) {
	q := r.URL.Query()
	started, err := dateFilter(q, "StartTime")
	if err != nil {
		return refuse(20001)
	}
	from, status := q.Get("From"), q.Get("Status")
	s.mu.RLock()
	found := s.calls.newest(q.Get("To"), func(c *Call) bool {
		return (from == "" || c.From == from) && (status == "" || status == "completed") && started(c.At.Add(c.Queued))
	})
	s.mu.RUnlock()
	items, e := page(r.URL.Path, q, found, func(c *Call) string { return c.SID })
	list := struct {
		envelope
		Calls []callJSON `json:"calls"`
	}{e, make([]callJSON, 0, len(items))}
	for _, c := range items {
		list.Calls = append(list.Calls, c.wire(s.cfg.AccountSID, false))
	}
	return http.StatusOK, list
}

func source(form url.Values) string {
	return cmp.Or(form.Get("Url"), form.Get("Twiml"), form.Get("ApplicationSid"))
}

// formatted is a North American number as (415) 555-2671, and any other unchanged.
func formatted(number string) string {
	if n, ok := strings.CutPrefix(number, "+1"); ok && len(n) == 10 {
		return "(" + n[:3] + ") " + n[3:6] + "-" + n[6:]
	}
	return number
}
