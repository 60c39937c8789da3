package main

import (
	"bytes"
	"context"
	"encoding/xml"
	"net/http"
	"regexp"
	"unicode/utf8"

	openapi "github.com/twilio/twilio-go/rest/api/v2010"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/examples/twilioctx"
)

// phone is texts and calls through Twilio.
type phone struct {
	twilio *twilioctx.Client
	from   string
	// callback is where Twilio reports what became of what ctx's request has asked for; "" where it cannot reach us.
	callback func(ctx context.Context) string
}

type message struct {
	SID    string `json:"sid"`
	To     string `json:"to"`
	Body   string `json:"body"`
	Status string `json:"status"`
}

type call struct {
	SID    string `json:"sid"`
	To     string `json:"to"`
	Status string `json:"status"`
}

var number = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)

func (p *phone) sendMessage(w http.ResponseWriter, r *http.Request) error {
	var want struct{ To, Body string }
	if err := read(w, r, &want); err != nil {
		return err
	}
	switch n := utf8.RuneCountInString(want.Body); {
	case !number.MatchString(want.To):
		return invalid("to", "Enter a number with its country, such as +15558675310.")
	case n == 0 || n > 1600:
		return invalid("body", "Enter a text of 1 to 1600 characters.")
	}
	params := (&openapi.CreateMessageParams{}).SetTo(want.To).SetFrom(p.from).SetBody(want.Body)
	if url := p.callback(r.Context()); url != "" {
		params.SetStatusCallback(url)
	}
	var sent *openapi.ApiV2010Message
	outcome, err := p.twilio.Do(r.Context(), func(api *openapi.ApiService) (err error) {
		sent, err = api.CreateMessage(params)
		return err
	})
	if err != nil {
		return explain(err, "It may have been sent: check before sending again.")
	}
	return answer(w, http.StatusCreated, struct {
		Message message `json:"message"`
		done
	}{messageOf(sent), doneBy(outcome.Attempts, r)})
}

func (p *phone) messages(w http.ResponseWriter, r *http.Request) error {
	list := []message{} // an empty list is a list
	outcome, err := p.twilio.Do(r.Context(), func(api *openapi.ApiService) error {
		found, err := api.ListMessage((&openapi.ListMessageParams{}).SetLimit(20))
		for i := range found {
			list = append(list, messageOf(&found[i]))
		}
		return err
	})
	if err != nil {
		return explain(err, "")
	}
	return answer(w, http.StatusOK, struct {
		Messages []message `json:"messages"`
		guidance
		done
	}{list, guide(len(list), "No text has been sent yet. Send the first one, and it is listed here."), doneBy(outcome.Attempts, r)})
}

func (p *phone) placeCall(w http.ResponseWriter, r *http.Request) error {
	var want struct{ To, Say string }
	if err := read(w, r, &want); err != nil {
		return err
	}
	switch n := utf8.RuneCountInString(want.Say); {
	case !number.MatchString(want.To):
		return invalid("to", "Enter a number with its country, such as +15558675310.")
	case n == 0 || n > 500:
		return invalid("say", "Enter what to say, in 1 to 500 characters.")
	}
	var said bytes.Buffer
	if err := xml.EscapeText(&said, []byte(want.Say)); err != nil {
		return err
	}
	params := (&openapi.CreateCallParams{}).SetTo(want.To).SetFrom(p.from).SetTwiml("<Response><Say>" + said.String() + "</Say></Response>")
	if url := p.callback(r.Context()); url != "" {
		params.SetStatusCallback(url).SetStatusCallbackEvent([]string{"initiated", "ringing", "answered", "completed"})
	}
	var placed *openapi.ApiV2010Call
	outcome, err := p.twilio.Do(r.Context(), func(api *openapi.ApiService) (err error) {
		placed, err = api.CreateCall(params)
		return err
	})
	if err != nil {
		return explain(err, "It may be ringing: check before calling again.")
	}
	return answer(w, http.StatusCreated, struct {
		Call call `json:"call"`
		done
	}{callOf(placed), doneBy(outcome.Attempts, r)})
}

func (p *phone) calls(w http.ResponseWriter, r *http.Request) error {
	list := []call{}
	outcome, err := p.twilio.Do(r.Context(), func(api *openapi.ApiService) error {
		found, err := api.ListCall((&openapi.ListCallParams{}).SetLimit(20))
		for i := range found {
			list = append(list, callOf(&found[i]))
		}
		return err
	})
	if err != nil {
		return explain(err, "")
	}
	return answer(w, http.StatusOK, struct {
		Calls []call `json:"calls"`
		guidance
		done
	}{list, guide(len(list), "Nobody has been called yet. Place the first call, and it is listed here."), doneBy(outcome.Attempts, r)})
}

// explain makes of a vendor's failure one that a person can act on: unknown is the sentence for what may have been done.
func explain(err error, unknown string) error {
	e, ok := errors.AsType[*errors.Error](err)
	if !ok {
		return err
	}
	told := *e // an error is read-only
	if unknown != "" && (e.Delivery == errors.Unknown || e.Delivery == errors.Delivered) {
		told.Public = unknown
	}
	if sentence := refusals(e.VendorCode); sentence != "" {
		told.Public, told.Details = sentence, map[string]any{"fields": map[string]string{"to": sentence}}
	}
	return &told
}

// refusals are Twilio's codes for what the person who asked can change (www.twilio.com/docs/api/errors).
func refusals(code string) string {
	switch code {
	case "21211", "21217":
		return "This is no number that can be reached."
	case "21214", "21612", "21614":
		return "This number cannot be reached."
	case "21408", "21215", "21216":
		return "We may not reach numbers there."
	case "21608":
		return "This number is not verified with our trial account."
	case "21610":
		return "This person has opted out of our texts."
	default:
		return ""
	}
}

func messageOf(m *openapi.ApiV2010Message) message {
	return message{SID: text(m.Sid), To: text(m.To), Body: text(m.Body), Status: text(m.Status)}
}

func callOf(c *openapi.ApiV2010Call) call {
	return call{SID: text(c.Sid), To: text(c.To), Status: text(c.Status)}
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
