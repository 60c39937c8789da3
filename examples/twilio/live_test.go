package main_test

import (
	"net/http"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twilio/twilio-go/client"
	openapi "github.com/twilio/twilio-go/rest/api/v2010"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/examples/internal/sim/fault"
	"github.com/prusik-go/prusik/examples/internal/sim/twiliosim"
	"github.com/prusik-go/prusik/examples/twilioctx"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/profile"
)

// The magic numbers of Twilio's test credentials (www.twilio.com/docs/iam/test-credentials, read 2026-11-23). Nothing is
// sent and nothing is charged; 21608, a number that a trial account has not verified, has no magic number.
const (
	magicFrom = "+15005550006"
	magicTo   = "+14155552671" // an ordinary number: accepted, and not texted
)

var magic = []struct {
	name, from, to string
	code           int // 0: accepted
}{
	{"accepted", magicFrom, magicTo, 0},
	{"from is no number", "+15005550001", magicTo, 21212},
	{"from is not ours", "+15005550007", magicTo, 21606},
	{"the queue of from is full", "+15005550008", magicTo, 21611},
	{"to is no number", magicFrom, "+15005550001", 21211},
	{"to cannot be reached", magicFrom, "+15005550002", 21612},
	{"no permission for the country", magicFrom, "+15005550003", 21408},
	{"to has opted out", magicFrom, "+15005550004", 21610},
	{"to takes no texts", magicFrom, "+15005550009", 21614},
}

// sendsToMagicNumbers is the same against the real Twilio and against the simulator, which so cannot drift apart
// without somebody noticing.
func sendsToMagicNumbers(t *testing.T, sid, token string, base http.RoundTripper) {
	http, err := httpx.NewClient("twilio", httpx.Config{Profile: profile.Twilio(), Base: base})
	require.NoError(t, err)
	t.Cleanup(http.CloseIdleConnections)
	twilio, err := twilioctx.New(http, sid, token)
	require.NoError(t, err)

	for _, m := range magic {
		t.Run(m.name, func(t *testing.T) {
			outcome, err := twilio.Do(t.Context(), func(api *openapi.ApiService) error {
				_, err := api.CreateMessage((&openapi.CreateMessageParams{}).SetFrom(m.from).SetTo(m.to).SetBody("Prusik"))
				return err
			})
			require.Equal(t, 1, outcome.Attempts, "a refusal is not repeated")
			if m.code == 0 {
				require.NoError(t, err)
				require.Equal(t, 201, outcome.Status)
				require.Equal(t, errors.Delivered, outcome.Delivery)
				return
			}
			rest, ok := errors.AsType[*client.TwilioRestError](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, m.code, rest.Code)
			e, ok := errors.AsType[*errors.Error](err)
			require.True(t, ok)
			require.Equal(t, strconv.Itoa(m.code), e.VendorCode)
			require.Equal(t, errors.Rejected, outcome.Delivery)
			require.GreaterOrEqual(t, outcome.Status, 400)
			require.Less(t, outcome.Status, 500)
		})
	}
	pipeline, ok := http.Transport.(*httpx.Transport)
	require.True(t, ok)
	require.Zero(t, pipeline.InFlight())
	require.Equal(t, "closed", pipeline.Breaker().State().String(), "a business result is no failure of the vendor's")
}

func TestMagicNumbersLive(t *testing.T) {
	sid, token := os.Getenv("TWILIO_TEST_ACCOUNT_SID"), os.Getenv("TWILIO_TEST_AUTH_TOKEN")
	if sid == "" || token == "" {
		t.Skip("to run this against Twilio, free of charge, set TWILIO_TEST_ACCOUNT_SID and TWILIO_TEST_AUTH_TOKEN to the TEST " +
			"credentials of the Twilio console (Account, API keys & tokens), and: go -C examples test -run Live -v ./twilio")
	}
	sendsToMagicNumbers(t, sid, token, nil)
}

func TestMagicNumbersOfTheSimulator(t *testing.T) {
	sim, err := twiliosim.New(twiliosim.Config{Numbers: []string{}, Server: fault.Config{}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sim.Close()) })
	sendsToMagicNumbers(t, twiliosim.AccountSID, twiliosim.AuthToken, sim.Redirect(sim.Transport()))
	texts, _ := sim.Totals()
	require.Equal(t, 1, texts)
	require.Len(t, sim.Entries(), len(magic))
}
