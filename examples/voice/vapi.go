package main

import (
	"context"
	"encoding/json"
	"net/http"

	vapi "github.com/VapiAI/server-sdk-go"
	vapiclient "github.com/VapiAI/server-sdk-go/client"
	"github.com/go-chi/chi/v5"

	"github.com/prusik-go/prusik/httpx"
)

// voices is the settings of Vapi.
type voices struct{ vapi *vapiclient.Client }

type assistant struct {
	ID           string `json:"id"`
	Name         string `json:"name"`
	FirstMessage string `json:"first_message"`
}

type phoneNumber struct {
	ID     string `json:"id"`
	Number string `json:"number"`
	Name   string `json:"name"`
}

func (v *voices) settings(w http.ResponseWriter, r *http.Request) error {
	ctx, attempts := counted(r.Context())
	assistants, err := v.vapi.Assistants.List(ctx, &vapi.AssistantsListRequest{})
	if err != nil {
		return err
	}
	numbers, err := v.vapi.PhoneNumbers.List(ctx, &vapi.PhoneNumbersListRequest{})
	if err != nil {
		return err
	}
	found := struct {
		Assistants   []assistant   `json:"assistants"`
		PhoneNumbers []phoneNumber `json:"phone_numbers"`
		guidance
		done
	}{Assistants: []assistant{}, PhoneNumbers: []phoneNumber{}, done: doneBy(*attempts, r)}
	for _, a := range assistants {
		found.Assistants = append(found.Assistants, assistantOf(a))
	}
	for _, n := range numbers { // one of five types, by who provides the number
		var of phoneNumber
		raw, err := json.Marshal(n)
		if err == nil {
			err = json.Unmarshal(raw, &of)
		}
		if err != nil {
			return err
		}
		found.PhoneNumbers = append(found.PhoneNumbers, of)
	}
	switch {
	case len(found.Assistants) == 0:
		found.guidance = guide(0, "There is no assistant yet. Create one in Vapi's dashboard, and change its name and greeting here.")
	case len(found.PhoneNumbers) == 0:
		found.guidance = guide(0, "There is no phone number yet. Add one in Vapi's dashboard, so that the assistant can be called.")
	}
	return answer(w, http.StatusOK, found)
}

func (v *voices) change(w http.ResponseWriter, r *http.Request) error {
	var want struct {
		Name         *string `json:"name"`
		FirstMessage *string `json:"first_message"`
	}
	if err := read(w, r, &want); err != nil {
		return err
	}
	switch {
	case want.Name == nil && want.FirstMessage == nil:
		return invalid("name", "Enter a name or a first message.")
	case want.Name != nil && (*want.Name == "" || len(*want.Name) > 40): // Vapi's own bound
		return invalid("name", "Enter a name of 1 to 40 characters.")
	case want.FirstMessage != nil && len(*want.FirstMessage) > 1000:
		return invalid("first_message", "Enter a first message of at most 1000 characters.")
	}
	ctx, attempts := counted(r.Context())
	changed, err := v.vapi.Assistants.Update(ctx, chi.URLParam(r, "id"), &vapi.UpdateAssistantDto{Name: want.Name, FirstMessage: want.FirstMessage})
	if err != nil {
		return explain(err, "It may have been changed: look before changing it again.")
	}
	return answer(w, http.StatusOK, struct {
		Assistant assistant `json:"assistant"`
		done
	}{assistantOf(changed), doneBy(*attempts, r)})
}

func assistantOf(a *vapi.Assistant) assistant {
	return assistant{ID: a.Id, Name: text(a.Name), FirstMessage: text(a.FirstMessage)}
}

// counted returns a context whose calls are counted: the most attempts that one of them took.
func counted(ctx context.Context) (context.Context, *int) {
	most := new(int)
	return httpx.WithObserver(ctx, func(e httpx.Event) { *most = max(*most, e.Attempt) }), most
}

// withOutcome is a client for Vapi's SDK: of a status that means a failure it makes the error that knows what became of the
// request. The SDK would make one of its own, without that, and rest for half a second before.
type withOutcome struct{ *http.Client }

// Do sends r.
func (c withOutcome) Do(r *http.Request) (*http.Response, error) {
	resp, err := c.Client.Do(r)
	if err != nil {
		return nil, err
	}
	if err := httpx.ResponseError(resp); err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	return resp, nil
}
