package drill

import (
	"bytes"
	"context"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx"
)

// good is what a drill that passes has counted.
func good() *facts {
	f := &facts{
		plan:  standard(),
		truth: truth{Sent: 10, SentReceived: 10, NotSent: 5, Unknown: 4, UnknownReceived: 2},
		texts: 8, calls: 2, vapiCalls: 2, twilioConns: 3, opened: true, closed: true, opens: 3,
		turnedAway: []time.Duration{time.Microsecond}, vapiWhileDown: tally{Requests: 2, Succeeded: 2},
	}
	f.stages[stageErrors] = tally{Requests: 100, Attempts: 10}
	return f
}

func TestEveryMustCanFail(t *testing.T) {
	require.True(t, good().report().OK)
	for name, c := range map[string]struct {
		must  int
		spoil func(*facts)
	}{
		"a text twice":               {0, func(f *facts) { f.twilioTwice = 1 }},
		"a call twice, by Vapi":      {0, func(f *facts) { f.vapiTwice = 1 }},
		"nothing was received":       {0, func(f *facts) { f.texts, f.calls, f.vapiCalls = 0, 0, 0 }},
		"sent, and lost":             {1, func(f *facts) { f.truth.SentReceived-- }},
		"nothing was sent":           {1, func(f *facts) { f.truth.Sent, f.truth.SentReceived = 0, 0 }},
		"not sent, and received":     {2, func(f *facts) { f.truth.NotSentReceived = 1 }},
		"never asked for":            {2, func(f *facts) { f.truth.Unclaimed = 1 }},
		"it did not open":            {3, func(f *facts) { f.opened = false }},
		"it did not close":           {3, func(f *facts) { f.closed = false }},
		"nothing failed fast":        {4, func(f *facts) { f.turnedAway = nil }},
		"slowly turned away":         {4, func(f *facts) { f.turnedAway = []time.Duration{time.Second} }},
		"three attempts a request":   {5, func(f *facts) { f.stages[stageResets] = tally{Requests: 100, Attempts: 300} }},
		"no request while down":      {5, func(f *facts) { f.stages[stageErrors] = tally{} }},
		"Vapi failed":                {6, func(f *facts) { f.vapiWhileDown.Succeeded = 1 }},
		"Vapi was not asked":         {6, func(f *facts) { f.vapiWhileDown = tally{} }},
		"a connection left, Twilio":  {7, func(f *facts) { f.twilioIsLeft = 1 }},
		"a connection left, Vapi":    {7, func(f *facts) { f.vapiIsLeft = 1 }},
		"a goroutine is still there": {8, func(f *facts) { f.goroutines = 1 }},
	} {
		t.Run(name, func(t *testing.T) {
			f := good()
			c.spoil(f)
			r := f.report()
			require.False(t, r.OK)
			for i, m := range r.Musts {
				require.Equal(t, i != c.must, m.OK, m.Claim)
			}
			var out bytes.Buffer
			r.print(newPen(&out))
			require.Contains(t, out.String(), "FAIL  "+r.Musts[c.must].Claim)
		})
	}
}

func TestWhatWasToldIsComparedWithWhatWasReceived(t *testing.T) {
	told := map[string]errors.Delivery{
		"a": errors.Delivered, "b": errors.Delivered, "c": errors.Unknown, "d": errors.Unknown, "e": errors.NotSent, "f": errors.Rejected,
	}
	require.Equal(t, truth{Sent: 2, SentReceived: 1, Unknown: 2, UnknownReceived: 1, NotSent: 2, NotSentReceived: 1, Unclaimed: 1},
		compare(told, []string{"a", "a", "c", "f", "z"}))
}

func TestARequestIsCountedOnce(t *testing.T) {
	fail := func(d errors.Delivery, s errors.Stop) error { return &errors.Error{Delivery: d, Stop: s} }
	for name, c := range map[string]struct {
		rec  record
		want tally
	}{
		"succeeded":        {record{attempts: 1}, tally{Requests: 1, Attempts: 1, Succeeded: 1}},
		"after a retry":    {record{attempts: 2, retries: []string{"429"}}, tally{Requests: 1, Attempts: 2, Succeeded: 1, Saved: 1, Retries: map[string]int{"429": 1}}},
		"turned away":      {record{key: "k", err: fail(errors.NotSent, errors.StopBreakerOpen)}, tally{Requests: 1, Refused: 1}},
		"in between":       {record{key: "k", attempts: 1, err: fail(errors.NotSent, errors.StopBreakerOpen)}, tally{Requests: 1, Attempts: 1, Failed: 1}},
		"unknown":          {record{key: "k", attempts: 1, err: fail(errors.Unknown, errors.StopUnsafeMethod)}, tally{Requests: 1, Attempts: 1, Unknown: 1}},
		"a read":           {record{attempts: 3, err: fail(errors.Unknown, errors.StopExhausted)}, tally{Requests: 1, Attempts: 3, Failed: 1}},
		"no answer's loss": {record{key: "k", attempts: 1, err: fail(errors.Delivered, errors.StopPermanent)}, tally{Requests: 1, Attempts: 1, Succeeded: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			var got tally
			got.add(&c.rec)
			require.Equal(t, c.want, got)
		})
	}
}

// A retry that is announced and then refused by the breaker was not sent, and does not count.
func TestOnlyASentRetryCounts(t *testing.T) {
	d := &drill{timeline: newTimeline(&bytes.Buffer{})}
	r := &record{drill: d, vendor: twilio, what: "text"}
	r.observe(httpx.Event{Status: httpx.StatusAttempt, Attempt: 1})
	r.observe(httpx.Event{Status: httpx.StatusRetrying, Attempt: 2, Reason: "429"})
	require.Empty(t, r.retries)
	r.observe(httpx.Event{Status: httpx.StatusAttempt, Attempt: 2})
	require.Equal(t, []string{"429"}, r.retries)
	require.Equal(t, 2, r.attempts)
}

func TestALineThatRepeatsIsSaidOnceAStage(t *testing.T) {
	var out bytes.Buffer
	line := newTimeline(&out)
	line.once("k", twilio, "again")
	line.once("k", twilio, "again")
	require.Equal(t, 1, bytes.Count(out.Bytes(), []byte("again")))
	line.forget()
	line.once("k", twilio, "again")
	require.Equal(t, 2, bytes.Count(out.Bytes(), []byte("again")))
}

func TestColourIsForATerminal(t *testing.T) {
	require.Equal(t, "\x1b[1;31mOPEN\x1b[0m", pen{colour: true}.in(red, "OPEN"))
	require.Equal(t, "OPEN", pen{}.in(red, "OPEN"))
	require.False(t, newPen(&bytes.Buffer{}).colour)
	file, err := os.Create(t.TempDir() + "/out")
	require.NoError(t, err)
	defer file.Close()
	require.False(t, newPen(file).colour)
	device, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	require.NoError(t, err)
	defer device.Close()
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	require.True(t, newPen(device).colour, "a character device stands in for a terminal")
	t.Setenv("NO_COLOR", "1")
	require.False(t, newPen(device).colour)
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "dumb")
	require.False(t, newPen(device).colour)
}

func TestGoroutinesAreCounted(t *testing.T) {
	end := make(chan struct{})
	before := runtime.NumGoroutine() // may hold a few of an earlier test that are about to end
	for range 100 {
		go func() { <-end }()
	}
	require.Greater(t, goroutinesOver(t.Context(), before, time.Millisecond), 50)
	close(end)
	require.Zero(t, goroutinesOver(t.Context(), before, 10*time.Second))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.False(t, eventually(ctx, time.Minute, func() bool { return false }))
}
