package drill

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quick is the standard drill with its times cut once more. Twilio's 429 asks for a second: it cannot be shorter.
func quick() plan {
	p := standard()
	p.normal, p.flaky, p.down, p.recovered = 200*time.Millisecond, 600*time.Millisecond, 200*time.Millisecond, 100*time.Millisecond
	p.openFor, p.backoff, p.latency, p.pace = 200*time.Millisecond, 10*time.Millisecond, 5*time.Millisecond, 20*time.Millisecond
	p.settle = 10 * time.Second // the machine may be busy
	return p
}

func TestTheDrillPasses(t *testing.T) {
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), Options{JSON: true, Seed: 7}, &stdout, &stderr, quick())
	timeline := stderr.String()
	require.Equal(t, exitOK, code, "%s\n%s", timeline, stdout.String())

	inOrder(t, timeline, "NORMAL", "FLAKY", "DOWN", "OPEN", "failing fast", "PROBE", "it failed too", "UP", "CLOSED", "NORMAL", "END")
	require.Contains(t, timeline, "retrying, attempt 2 of 3: a ")
	require.Contains(t, timeline, `not repeated, but "unknown"`)
	require.Contains(t, timeline, "drawn from seed 7")
	require.NotContains(t, timeline, "\x1b", "no colour where nobody looks")

	var r report
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &r))
	require.True(t, r.OK)
	require.EqualValues(t, 7, r.Seed)
	require.Len(t, r.Musts, 9)
	for _, v := range r.Vendors {
		require.Equal(t, v.Requests, v.Succeeded+v.Refused+v.Unknown+v.Failed, "%s: each request is counted once", v.Name)
		require.Equal(t, v.Attempts, v.Requests-v.Refused+retries(v.tally), "%s: an attempt is a first one or a retry", v.Name)
		require.Zero(t, v.Twice)
		require.NotZero(t, v.Calls)
	}
	twilio, vapi := r.Vendors[0], r.Vendors[1]
	require.NotZero(t, twilio.Refused)
	require.NotZero(t, twilio.Unknown)
	require.NotZero(t, twilio.Saved)
	require.NotZero(t, twilio.Retries["429"])
	require.NotZero(t, twilio.Retries["503"])
	require.NotZero(t, r.Truth.UnknownReceived, "some of the unknown had gone out: it was right not to repeat them")
	require.Equal(t, twilio.Texts+twilio.Calls+vapi.Calls, r.Truth.SentReceived+r.Truth.UnknownReceived)
	require.EqualValues(t, vapi.Attempts, vapi.Saw)
	require.Equal(t, vapi.Requests, vapi.Succeeded)
	require.Greater(t, r.Load["flaky"], 1.0)
	require.Less(t, r.Load["down"], 1.0)

	var table bytes.Buffer
	r.print(newPen(&table))
	require.Contains(t, table.String(), "The drill passed")
	require.NotContains(t, table.String(), "FAIL")
	for line := range strings.Lines(timeline + table.String()) {
		require.LessOrEqual(t, len(strings.TrimSuffix(line, "\n")), 100, line)
	}
}

func retries(t tally) int {
	n := 0
	for _, v := range t.Retries {
		n += v
	}
	return n
}

func inOrder(t *testing.T, text string, words ...string) {
	t.Helper()
	rest := text
	for _, w := range words {
		_, after, found := strings.Cut(rest, w)
		require.True(t, found, "%q is not there, or not in its place:\n%s", w, text)
		rest = after
	}
}

// What is claimed would not be worth much if it could not fail: without Prusik it does.
func TestTheSabotagedDrillFails(t *testing.T) {
	p := quick()
	p.settle = 300 * time.Millisecond // there is something to wait for in vain
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), Options{Naked: true, Seed: 1}, &stdout, &stderr, p)
	out := stdout.String()
	require.Equal(t, exitFailed, code, out)
	require.Empty(t, stderr.String())
	for _, claim := range []string{
		"nobody was texted or called twice", "the breaker opened", "requests failed at once", "the outage was not multiplied",
		"no connection was left open", "no goroutine was left over",
	} {
		require.Contains(t, out, "FAIL  ", claim)
		require.Regexp(t, "FAIL +[^\n]*"+claim, out)
	}
	require.Regexp(t, "ok +Vapi answered every request", out, "that one has Prusik still")
	require.Contains(t, out, "The drill FAILED")
	for line := range strings.Lines(out) {
		require.LessOrEqual(t, len(strings.TrimSuffix(line, "\n")), 100, line)
	}
}

func TestAnInterruptedDrillIsNoResult(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	out := writerFunc(func(b []byte) (int, error) {
		if bytes.Contains(b, []byte("NORMAL")) {
			cancel()
		}
		return len(b), nil
	})
	var stderr bytes.Buffer
	require.Equal(t, exitInterrupted, run(ctx, Options{Seed: 1}, out, &stderr, standard()))
	require.Contains(t, stderr.String(), "context canceled")
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
