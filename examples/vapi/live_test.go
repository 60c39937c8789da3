package main_test

import (
	"net/http"
	"os"
	"testing"

	vapi "github.com/VapiAI/server-sdk-go"
	vapiclient "github.com/VapiAI/server-sdk-go/client"
	"github.com/VapiAI/server-sdk-go/option"
	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/examples/internal/sim/vapisim"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/profile"
)

// readsOnly is the same against the real Vapi and against the simulator. It changes nothing and calls nobody.
func readsOnly(t *testing.T, token, url string, base http.RoundTripper) {
	client, err := httpx.NewClient("vapi", httpx.Config{Profile: profile.Vapi(), Base: base})
	require.NoError(t, err)
	t.Cleanup(client.CloseIdleConnections)
	api := vapiclient.NewClient(option.WithToken(token), option.WithBaseURL(url), option.WithHTTPClient(client),
		option.WithMaxAttempts(1))

	var last httpx.Event
	ctx := httpx.WithObserver(t.Context(), func(e httpx.Event) { last = e })
	limit := 5.0
	for _, route := range []struct {
		name string
		read func() (int, error)
	}{
		{"assistants", func() (int, error) {
			list, err := api.Assistants.List(ctx, &vapi.AssistantsListRequest{Limit: &limit})
			return len(list), err
		}},
		{"phone numbers", func() (int, error) {
			list, err := api.PhoneNumbers.List(ctx, &vapi.PhoneNumbersListRequest{Limit: &limit})
			return len(list), err
		}},
	} {
		t.Run(route.name, func(t *testing.T) {
			last = httpx.Event{}
			n, err := route.read()
			require.NoError(t, err)
			require.LessOrEqual(t, n, int(limit))
			require.Equal(t, httpx.StatusSucceeded, last.Status, "the SDK's request went through the pipeline")
			require.Equal(t, http.StatusOK, last.HTTPStatus)
			t.Logf("%d %s, attempt %d", n, route.name, last.Attempt)
		})
	}
}

func TestReadsLive(t *testing.T) {
	key := os.Getenv("VAPI_API_KEY")
	if key == "" {
		t.Skip("to run this against Vapi, reading only, set VAPI_API_KEY to a private key of the Vapi dashboard (Organization, " +
			"API keys), and: go -C examples test -run Live -v ./vapi")
	}
	readsOnly(t, key, "https://api.vapi.ai", nil)
}

func TestReadsOfTheSimulator(t *testing.T) {
	sim, err := vapisim.New(vapisim.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sim.Close()) })
	readsOnly(t, vapisim.Token, sim.URL(), sim.Transport())
	require.Len(t, sim.Entries(), 2)
	require.Zero(t, sim.Placed())
}
