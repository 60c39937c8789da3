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
	"github.com/prusik-go/prusik/examples/internal/sim/vapisim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const person = "+15558675310"

func simulator(t *testing.T, faults ...fault.Fault) (*vapisim.Sim, order) {
	t.Helper()
	sim, err := vapisim.New(vapisim.Config{Server: fault.Config{Script: fault.Sequence(faults...)}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sim.Close()) })
	return sim, order{vapisim.Token, vapisim.AssistantID, vapisim.PhoneNumberID, person, sim.URL(), sim.Transport()}
}

func TestACallIsPlacedAndAssistantsAreListed(t *testing.T) {
	sim, o := simulator(t)
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), log.New(&out, "", 0), o))
	require.Len(t, sim.Calls(person), 1)
	require.Contains(t, out.String(), "HTTP 201, delivered, attempt 1 of 3, correlation id "+sim.Calls(person)[0].CorrelationID)
	require.Contains(t, out.String(), "  call "+sim.Calls(person)[0].ID)
	require.Contains(t, out.String(), "assistant "+vapisim.AssistantID+" Front desk")
	require.Contains(t, out.String(), "10 calls at a time", "Explain is printed")
}

func TestWithoutACallNothingIsWritten(t *testing.T) {
	sim, o := simulator(t)
	o.call = ""
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), log.New(&out, "", 0), o))
	require.Zero(t, sim.Placed())
	for _, e := range sim.Entries() {
		require.Equal(t, "GET", e.Method)
	}
	require.Len(t, sim.Entries(), 1)
}

// Vapi's SDK by itself would have called a second time.
func TestAnUnknownCallIsNotRepeated(t *testing.T) {
	sim, o := simulator(t, fault.ProcessedStatus(500))
	var out bytes.Buffer
	require.ErrorContains(t, run(t.Context(), log.New(&out, "", 0), o), "500")
	require.Contains(t, out.String(), "failed: HTTP 500, unknown, attempt 1 of 3")
	require.Len(t, sim.Calls(person), 1)
	require.Len(t, sim.Entries(), 1)
}

func TestALostAnswerIsUnknown(t *testing.T) {
	sim, o := simulator(t, fault.ResetAfterRead(true))
	var out bytes.Buffer
	err := run(t.Context(), log.New(&out, "", 0), o)
	require.Equal(t, errors.Unknown, errors.DeliveryOf(err), "Vapi's SDK hands a transport's error through")
	require.Len(t, sim.Calls(person), 1)
}

func TestWithoutAKeyThereIsASimulator(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, start(log.New(&out, "", 0), func(string) string { return "" }, nil))
	require.True(t, strings.HasPrefix(out.String(), "No VAPI_API_KEY is set: this is a simulator"))
	require.Contains(t, out.String(), "Calling "+person)
}

func TestAnUnknownFlagIsAnError(t *testing.T) {
	require.Error(t, start(log.New(&bytes.Buffer{}, "", 0), func(string) string { return "" }, []string{"-x"}))
}
