package twiliosim

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
)

var e164 = regexp.MustCompile(`^\+[1-9][0-9]{1,14}$`)

// messageJSON is the Message resource, every documented field of it.
type messageJSON struct {
	AccountSID          string            `json:"account_sid"`
	APIVersion          string            `json:"api_version"`
	Body                string            `json:"body"`
	DateCreated         *string           `json:"date_created"`
	DateSent            *string           `json:"date_sent"`
	DateUpdated         *string           `json:"date_updated"`
	Direction           string            `json:"direction"`
	ErrorCode           *int              `json:"error_code"`
	ErrorMessage        *string           `json:"error_message"`
	From                *string           `json:"from"`
	MessagingServiceSID *string           `json:"messaging_service_sid"`
	NumMedia            string            `json:"num_media"`
	NumSegments         string            `json:"num_segments"`
	Price               *string           `json:"price"`
	PriceUnit           *string           `json:"price_unit"`
	SID                 string            `json:"sid"`
	Status              string            `json:"status"`
	SubresourceURIs     map[string]string `json:"subresource_uris"`
	To                  string            `json:"to"`
	URI                 string            `json:"uri"`
}

// wire is the resource as it is when just created, or as it is read back: delivered.
func (m *Message) wire(account string, created bool) messageJSON {
	path := "/2010-04-01/Accounts/" + account + "/Messages/" + m.SID
	j := messageJSON{
		AccountSID: account, APIVersion: "2010-04-01", Body: m.Body, DateCreated: stamp(m.At), DateUpdated: stamp(m.At),
		Direction: "outbound-api", From: orNil(m.From), MessagingServiceSID: orNil(m.MessagingServiceSID),
		NumMedia: strconv.Itoa(m.Media), NumSegments: strconv.Itoa(segments(m.Body)), SID: m.SID, Status: "queued",
		SubresourceURIs: map[string]string{"media": path + "/Media.json"}, To: m.To, URI: path + ".json",
	}
	switch {
	case !created:
		j.Status, j.DateSent, j.PriceUnit = "delivered", stamp(m.At), orNil("USD")
	case m.From == "": // a Messaging Service has not chosen its sender yet
		j.Status, j.NumSegments = "accepted", "0"
	}
	return j
}

func (s *Sim) createMessage(r *http.Request) (int, any) {
	form := postForm(r)
	m := Message{
		To: form.Get("To"), From: form.Get("From"), MessagingServiceSID: form.Get("MessagingServiceSid"),
		Body: form.Get("Body"), Media: len(form["MediaUrl"]), At: time.Now(),
		CorrelationID: r.Header.Get("X-Correlation-ID"), TestCall: r.Header.Get("X-Test-Call"),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if code := s.checkMessage(m, form); code != 0 {
		return refuse(code)
	}
	m.SID = s.sid("SM")
	s.messages.add(m.SID, m.To, s.cfg.Marker(m.Body), &m)
	return http.StatusCreated, m.wire(s.cfg.AccountSID, true)
}

// checkMessage is the error code for a message, or 0. The lock is held.
func (s *Sim) checkMessage(m Message, form url.Values) int {
	switch {
	case m.To == "":
		return 21604
	case m.From == "" && m.MessagingServiceSID == "":
		return 21603
	case m.Body == "" && m.Media == 0 && form.Get("ContentSid") == "":
		return 21619
	case len(utf16.Encode([]rune(m.Body))) > 1600:
		return 21617
	}
	if code := magicMessageFrom[m.From]; code != 0 {
		return code
	}
	if code := magicMessageTo[m.To]; code != 0 {
		return code
	}
	if !strings.Contains(m.To, ":") && !e164.MatchString(m.To) { // with a colon it is a channel address
		return 21211
	}
	if m.From != "" && !s.owns(m.From) {
		return 21606
	}
	return s.refused[m.To]
}

func (s *Sim) owns(number string) bool {
	return s.cfg.Numbers == nil || number == magicFrom || slices.Contains(s.cfg.Numbers, number)
}

func (s *Sim) getMessage(r *http.Request, sid string) (int, any) {
	s.mu.RLock()
	m := s.messages.sids[sid]
	s.mu.RUnlock()
	if m == nil {
		return notFound(r)
	}
	return http.StatusOK, m.wire(s.cfg.AccountSID, false)
}

func (s *Sim) listMessages(r *http.Request) (int, any) {
	q := r.URL.Query()
	sent, err := dateFilter(q, "DateSent")
	if err != nil {
		return refuse(20001)
	}
	from := q.Get("From")
	s.mu.RLock()
	found := s.messages.newest(q.Get("To"), func(m *Message) bool {
		return (from == "" || m.From == from) && sent(m.At)
	})
	s.mu.RUnlock()
	items, e := page(r.URL.Path, q, found, func(m *Message) string { return m.SID })
	list := struct {
		envelope
		Messages []messageJSON `json:"messages"`
	}{e, make([]messageJSON, 0, len(items))}
	for _, m := range items {
		list.Messages = append(list.Messages, m.wire(s.cfg.AccountSID, false))
	}
	return http.StatusOK, list
}

// postForm is the form in the body; what cannot be parsed is an empty form, and then To is missing.
func postForm(r *http.Request) url.Values {
	if err := r.ParseForm(); err != nil || r.PostForm == nil {
		return url.Values{}
	}
	return r.PostForm
}

// segments is how many parts a text is sent in, by GSM-7 or UCS-2. GSM-7 is taken to be ASCII.
func segments(body string) int {
	single, part := 160, 153
	for _, c := range body {
		if c > 127 {
			single, part = 70, 67
			break
		}
	}
	n := len(utf16.Encode([]rune(body)))
	if n <= single {
		return 1
	}
	return (n + part - 1) / part
}
