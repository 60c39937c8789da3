package drill

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx"
)

func lastReason(err error) string {
	if e, ok := errors.AsType[*errors.Error](err); ok && len(e.Attempts) > 0 {
		return e.Attempts[len(e.Attempts)-1].Reason
	}
	return "an error"
}

// tellRetry says of the first retry of its kind in a stage why it is made.
func (d *drill) tellRetry(r *record, e httpx.Event) {
	waited := ""
	if e.NextRetryIn >= time.Second/2 {
		waited = fmt.Sprintf(", waited %.1f s", e.NextRetryIn.Seconds())
	}
	d.timeline.once(e.Reason, r.vendor, "retrying, attempt %d of %d: a %s met %s (%s)%s", e.Attempt, e.MaxAttempts, r.what,
		words(e.Reason), why(e.Reason, d.plan.naked), waited)
}

// words is a reason as a person says it.
func words(reason string) string {
	switch reason {
	case "reset", "eof":
		return "a broken connection"
	case "dial":
		return "a closed port"
	case "timeout":
		return "silence"
	default:
		return reason
	}
}

// why a retry is safe.
func why(reason string, naked bool) string {
	switch {
	case naked:
		return "it asks no more"
	case reason == "429":
		return "not processed"
	case reason == "dial":
		return "nothing was sent"
	default:
		return "a read is safe"
	}
}

// onTransition is the breaker's hook.
func (d *drill) onTransition(e breaker.TransitionEvent) {
	d.mu.Lock()
	d.transitions = append(d.transitions, e)
	away, back := d.turnedAway, d.began[stageBack]
	if e.To != breaker.Open {
		d.turnedAway = nil
	}
	d.mu.Unlock()
	t := d.timeline
	switch e.Reason {
	case breaker.ReasonThreshold:
		t.say(twilio, red, "OPEN", "the breaker opens: 10 of the last 20 attempts failed. It waits %.1f s", e.OpenFor.Seconds())
	case breaker.ReasonReady:
		t.say(twilio, plain, "", "failing fast: %d requests turned away in %s each (median)", len(away), ms(median(away)))
		t.say(twilio, yellow, "PROBE", "one request is let through, to see")
	case breaker.ReasonProbeFailed:
		t.say(twilio, red, "OPEN", "it failed too. The breaker waits %.1f s", e.OpenFor.Seconds())
	case breaker.ReasonRecovered:
		t.say(twilio, green, "CLOSED", "it succeeded: the breaker closes, %.1f s after Twilio was back", e.At.Sub(back).Seconds())
	default:
	}
}

// sum says how the requests of a stage went, as far as they have ended.
func (d *drill) sum(id stageID) {
	d.mu.Lock()
	mine, other := tally{}, tally{}
	for _, r := range d.book {
		if r.stage != id {
			continue
		}
		if r.vendor == twilio {
			mine.add(r)
		} else {
			other.add(r)
		}
	}
	d.mu.Unlock()
	parts := []string{fmt.Sprintf("%d requests: %d succeeded", mine.Requests, mine.Succeeded)}
	for _, p := range []struct {
		n    int
		what string
	}{{mine.Saved, "of them after a retry"}, {mine.Refused, "turned away"}, {mine.Unknown, "unknown"}, {mine.Failed, "failed"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	d.timeline.say(twilio, dim, "", "%s", strings.Join(parts, ", "))
	d.timeline.say(vapiAI, dim, "", "%d requests: %d succeeded", other.Requests, other.Succeeded)
}

// median of no durations is 0.
func median(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(d))[len(d)/2]
}

func ms(d time.Duration) string {
	f := float64(d) / float64(time.Millisecond)
	if f < 1 {
		return fmt.Sprintf("%.3f ms", f)
	}
	return fmt.Sprintf("%.1f ms", f)
}
