package vapisim_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	vapi "github.com/VapiAI/server-sdk-go"
	"github.com/VapiAI/server-sdk-go/client"
	"github.com/VapiAI/server-sdk-go/core"
	"github.com/VapiAI/server-sdk-go/option"
	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/examples/internal/sim/fault"
	"github.com/prusik-go/prusik/examples/internal/sim/vapisim"
)

func (g *rig) sdk() *client.Client {
	return client.NewClient(option.WithBaseURL(g.URL()), option.WithToken(vapisim.Token), option.WithMaxAttempts(1),
		option.WithHTTPClient(g.client))
}

func sdkOrder(name string) *vapi.CreateCallDto {
	return &vapi.CreateCallDto{
		Name: new(name), AssistantId: vapi.String(vapisim.AssistantID), PhoneNumberId: vapi.String(vapisim.PhoneNumberID),
		Customer:           &vapi.CreateCustomerDto{Number: new(person), ExternalId: new("customer-7")},
		AssistantOverrides: &vapi.AssistantOverrides{Metadata: map[string]any{"cid": "c-1"}},
	}
}

func extras(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }

func TestSDKReadsCallsWithoutLoss(t *testing.T) {
	g := start(t, vapisim.Config{})
	api := g.sdk()
	created, err := api.Calls.Create(t.Context(), sdkOrder("job-1"))
	require.NoError(t, err)
	require.Nil(t, created.CallBatchResponse)
	c := created.Call
	require.NotNil(t, c)
	require.Equal(t, []string{"subscriptionLimits"}, extras(c.GetExtraProperties()), "the SDK knows every other field")
	require.Equal(t, map[string]any{"concurrencyBlocked": false, "concurrencyLimit": 10.0, "remainingConcurrentCalls": 9.0},
		c.GetExtraProperties()["subscriptionLimits"])
	require.Equal(t, vapi.CallStatusQueued, *c.Status)
	require.Equal(t, vapi.CallTypeOutboundPhoneCall, *c.Type)
	require.Equal(t, "job-1", *c.Name)
	require.Equal(t, "customer-7", *c.Customer.ExternalId)
	require.Equal(t, map[string]any{"cid": "c-1"}, c.AssistantOverrides.Metadata)
	require.WithinDuration(t, time.Now(), c.CreatedAt, time.Minute)
	require.Equal(t, g.Calls(person)[0].ID, c.Id)

	got, err := api.Calls.Get(t.Context(), c.Id)
	require.NoError(t, err)
	require.Equal(t, vapi.CallStatusInProgress, *got.Status)
	require.Empty(t, got.GetExtraProperties())

	changed, err := api.Calls.Update(t.Context(), c.Id, &vapi.UpdateCallDto{Name: new("job-1b")})
	require.NoError(t, err)
	require.Equal(t, "job-1b", *changed.Name)

	since := time.Now().Add(-time.Hour)
	limit := 5.0
	list, err := api.Calls.List(t.Context(), &vapi.CallsListRequest{
		PhoneNumberId: vapi.String(vapisim.PhoneNumberID), CreatedAtGe: &since, Limit: &limit,
	})
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, "job-1b", *list[0].Name)

	deleted, err := api.Calls.Delete(t.Context(), c.Id)
	require.NoError(t, err)
	require.Equal(t, vapi.CallStatusEnded, *deleted.Status)
	require.Empty(t, deleted.GetExtraProperties())
}

func TestSDKSeesEveryShapeOfTheConcurrencyLimit(t *testing.T) {
	g := start(t, vapisim.Config{})
	api := g.sdk()
	g.SetLimit(0, vapisim.LimitBlocked)
	created, err := api.Calls.Create(t.Context(), sdkOrder("a"))
	require.NoError(t, err)
	require.Equal(t, true, created.Call.GetExtraProperties()["subscriptionLimits"].(map[string]any)["concurrencyBlocked"])
	require.Equal(t, vapi.CallEndedReason("call.start.error-subscription-concurrency-limit-reached"), *created.Call.EndedReason)

	for shape, status := range map[vapisim.LimitShape]int{vapisim.LimitBadRequest: 400, vapisim.LimitTooManyRequests: 429} {
		g.SetLimit(0, shape)
		_, err = api.Calls.Create(t.Context(), sdkOrder("a"))
		var apiErr *core.APIError
		require.ErrorAs(t, err, &apiErr)
		require.Equal(t, status, apiErr.StatusCode)
	}
	require.Len(t, g.Entries(), 3, "WithMaxAttempts(1) must not retry")
	require.Zero(t, g.Placed())
}

func TestSDKReadsAssistantsWithoutLoss(t *testing.T) {
	g := start(t, vapisim.Config{})
	api := g.sdk()
	created, err := api.Assistants.Create(t.Context(), &vapi.CreateAssistantDto{
		Name: new("Night desk"), FirstMessage: new("Good evening."),
		Model: &vapi.CreateAssistantDtoModel{OpenAiModel: &vapi.OpenAiModel{Model: vapi.OpenAiModelModelGpt4O}},
	})
	require.NoError(t, err)
	require.Empty(t, created.GetExtraProperties())
	require.Equal(t, vapi.OpenAiModelModelGpt4O, created.Model.OpenAiModel.Model)
	list, err := api.Assistants.List(t.Context(), &vapi.AssistantsListRequest{})
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, "Night desk", *list[0].Name)
	changed, err := api.Assistants.Update(t.Context(), created.Id, &vapi.UpdateAssistantDto{FirstMessage: new("Hi.")})
	require.NoError(t, err)
	require.Equal(t, "Hi.", *changed.FirstMessage)
	require.Equal(t, "Night desk", *changed.Name)
	got, err := api.Assistants.Get(t.Context(), vapisim.AssistantID)
	require.NoError(t, err)
	require.Equal(t, "Front desk", *got.Name)
	_, err = api.Assistants.Delete(t.Context(), created.Id)
	require.NoError(t, err)
}

func TestSDKReadsPhoneNumbersWithoutLoss(t *testing.T) {
	g := start(t, vapisim.Config{})
	api := g.sdk()
	list, err := api.PhoneNumbers.List(t.Context(), &vapi.PhoneNumbersListRequest{})
	require.NoError(t, err)
	require.Len(t, list, 1)
	n := list[0].TwilioPhoneNumber
	require.NotNil(t, n)
	require.Empty(t, n.GetExtraProperties())
	require.Equal(t, vapisim.PhoneNumber, n.Number)
	changed, err := api.PhoneNumbers.Update(t.Context(), n.Id, &vapi.PhoneNumbersUpdateRequest{
		UpdateTwilioPhoneNumberDto: &vapi.UpdateTwilioPhoneNumberDto{Name: new("Night line")},
	})
	require.NoError(t, err)
	require.Equal(t, "Night line", *changed.TwilioPhoneNumber.Name)
	got, err := api.PhoneNumbers.Get(t.Context(), n.Id)
	require.NoError(t, err)
	require.Equal(t, "Night line", *got.TwilioPhoneNumber.Name)
}

func TestSDKReadsABatch(t *testing.T) {
	g := start(t, vapisim.Config{})
	dto := sdkOrder("batch")
	dto.Customer, dto.Customers = nil, []*vapi.CreateCustomerDto{{Number: new(person)}, {Number: new("bad")}}
	created, err := g.sdk().Calls.Create(t.Context(), dto)
	require.NoError(t, err)
	// v0.9.0 takes any object for a Call, so a batch arrives as a Call without an id and with two extra properties.
	require.Empty(t, created.Call.Id)
	require.Equal(t, []string{"errors", "results", "subscriptionLimits"}, extras(created.Call.GetExtraProperties()))
}

func TestSDKGivesStatusAndHeadersOfAnInjectedError(t *testing.T) {
	g := start(t, vapisim.Config{Server: fault.Config{Script: fault.Sequence(fault.TooManyRequestsAfter(3 * time.Second))}})
	_, err := g.sdk().Calls.Create(t.Context(), sdkOrder("a"))
	var apiErr *core.APIError
	require.ErrorAs(t, err, &apiErr)
	require.Equal(t, 429, apiErr.StatusCode)
	require.Equal(t, "3", apiErr.Header.Get("Retry-After"))
	require.ErrorContains(t, err, "Rate limit exceeded")
}
