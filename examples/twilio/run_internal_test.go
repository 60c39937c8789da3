package main

import (
	"bytes"
	"log"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/examples/internal/sim/fault"
	"github.com/prusik-go/prusik/examples/internal/sim/twiliosim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const person = "+15558675310"

func simulator(t *testing.T, faults ...fault.Fault) (*twiliosim.Sim, account) {
	t.Helper()
	sim, err := twiliosim.New(twiliosim.Config{Server: fault.Config{Script: fault.Sequence(faults...)}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sim.Close()) })
	return sim, account{twiliosim.AccountSID, twiliosim.AuthToken, "+15005550006", person, sim.Redirect(sim.Transport())}
}

func TestATextIsSentAndListed(t *testing.T) {
	sim, a := simulator(t)
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), log.New(&out, "", 0), a))
	require.Len(t, sim.Received(person), 1)
	sent := sim.Received(person)[0]
	require.Contains(t, out.String(), "HTTP 201, delivered, attempt 1 of 3, correlation id "+sent.CorrelationID)
	require.Contains(t, out.String(), sent.SID+"  delivered")
	require.Contains(t, out.String(), "opens at 3 failures in a row", "Explain is printed")
}

func TestA429IsRetriedAndSaidSo(t *testing.T) {
	sim, a := simulator(t, fault.TooManyRequests())
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), log.New(&out, "", 0), a))
	require.Contains(t, out.String(), "attempt 2 of 3")
	require.Len(t, sim.Received(person), 1)
}

func TestAnUnknownDeliveryIsSaidSo(t *testing.T) {
	sim, a := simulator(t, fault.ProcessedStatus(503))
	var out bytes.Buffer
	err := run(t.Context(), log.New(&out, "", 0), a)
	require.Equal(t, errors.Unknown, errors.DeliveryOf(err))
	require.Contains(t, out.String(), "HTTP 503, unknown, attempt 1 of 3")
	require.Len(t, sim.Received(person), 1, "sent, once")
}

func TestWithoutCredentialsThereIsASimulator(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, start(log.New(&out, "", 0), func(string) string { return "" }))
	require.True(t, strings.HasPrefix(out.String(), "No TWILIO_ACCOUNT_SID is set: this is a simulator"))
	require.Contains(t, out.String(), "delivered")
}

func TestHalfAnAccountIsAnError(t *testing.T) {
	var out bytes.Buffer
	err := start(log.New(&out, "", 0), func(name string) string { return map[string]string{"TWILIO_ACCOUNT_SID": "AC1"}[name] })
	require.ErrorContains(t, err, "TWILIO_AUTH_TOKEN")
	require.Empty(t, out.String(), "no simulator where somebody meant the real one")
}
