package twiliosim_test

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twilio/twilio-go"
	"github.com/twilio/twilio-go/client"
	openapi "github.com/twilio/twilio-go/rest/api/v2010"

	"github.com/prusik-go/prusik/examples/internal/sim/fault"
	"github.com/prusik-go/prusik/examples/internal/sim/twiliosim"
)

// sdk is the official client, its requests redirected to the simulator.
func (g *rig) sdk() *client.Client {
	base := &client.Client{
		Credentials: client.NewCredentials(twiliosim.AccountSID, twiliosim.AuthToken),
		HTTPClient:  &http.Client{Transport: g.Redirect(g.client.Transport)},
	}
	base.SetAccountSid(twiliosim.AccountSID)
	return base
}

func (g *rig) api() *openapi.ApiService { return openapi.NewApiServiceWithClient(g.sdk()) }

func message(body string) *openapi.CreateMessageParams {
	return (&openapi.CreateMessageParams{}).SetTo(person).SetFrom(from).SetBody(body)
}

func TestSDKCreatesFetchesAndListsMessages(t *testing.T) {
	g := start(t, twiliosim.Config{})
	api := g.api()
	created, err := api.CreateMessageWithMetadata(message("hi"))
	require.NoError(t, err)
	require.Equal(t, 201, created.GetStatusCode())
	require.NotEmpty(t, created.GetHeader("Twilio-Request-Id"))
	m := created.GetResource()
	require.Equal(t, "queued", *m.Status)
	require.Equal(t, person, *m.To)
	require.Equal(t, from, *m.From)
	require.Equal(t, "hi", *m.Body)
	require.Equal(t, twiliosim.AccountSID, *m.AccountSid)
	require.Equal(t, g.Received(person)[0].SID, *m.Sid)

	fetched, err := api.FetchMessage(*m.Sid, nil)
	require.NoError(t, err)
	require.Equal(t, "delivered", *fetched.Status)
	require.NotNil(t, fetched.DateSent)

	for i := range 4 {
		_, err := api.CreateMessage(message(strconv.Itoa(i)))
		require.NoError(t, err)
	}
	list, err := api.ListMessage((&openapi.ListMessageParams{}).SetTo(person).SetFrom(from).SetPageSize(2).
		SetDateSentAfter(time.Now().Add(-time.Hour)))
	require.NoError(t, err)
	require.Len(t, list, 5)
	require.Equal(t, "hi", *list[4].Body)
}

func TestSDKCreatesFetchesAndListsCalls(t *testing.T) {
	g := start(t, twiliosim.Config{})
	rest := twilio.NewRestClientWithParams(twilio.ClientParams{Client: g.sdk()})
	c, err := rest.Api.CreateCall((&openapi.CreateCallParams{}).SetTo(person).SetFrom(from).SetUrl("http://x?cid=1"))
	require.NoError(t, err)
	require.Equal(t, "queued", *c.Status)
	require.Equal(t, "0", *c.QueueTime)
	require.Equal(t, "http://x?cid=1", g.Calls(person)[0].Source)
	fetched, err := rest.Api.FetchCall(*c.Sid, nil)
	require.NoError(t, err)
	require.Equal(t, "completed", *fetched.Status)
	list, err := rest.Api.ListCall((&openapi.ListCallParams{}).SetTo(person).SetStatus("completed").
		SetStartTimeAfter(time.Now().Add(-time.Hour)))
	require.NoError(t, err)
	require.Len(t, list, 1)
}

func TestSDKReadsTheErrors(t *testing.T) {
	g := start(t, twiliosim.Config{})
	api := g.api()
	_, err := api.CreateMessage(message("hi").SetTo("+15005550004"))
	var rest *client.TwilioRestError
	require.ErrorAs(t, err, &rest)
	require.Equal(t, 21610, rest.Code)
	require.Equal(t, 400, rest.Status)
	require.Equal(t, "https://www.twilio.com/docs/errors/21610", rest.MoreInfo)

	g.Outage(fault.TooManyRequestsAfter(time.Second))
	_, err = api.CreateMessage(message("hi"))
	require.ErrorAs(t, err, &rest)
	require.Equal(t, 20429, rest.Code)

	g.Outage(fault.HTMLError(503))
	_, err = api.CreateMessage(message("hi"))
	require.ErrorContains(t, err, "503")
	require.NotErrorAs(t, err, &rest, "twilio-go cannot read a page as an error")
	require.Empty(t, g.Received(person))
}
