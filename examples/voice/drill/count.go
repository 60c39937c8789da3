package drill

import (
	"time"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
)

// tally is how requests went. Each is one of succeeded, refused, unknown and failed.
type tally struct {
	Requests  int `json:"requests"`
	Succeeded int `json:"succeeded"`
	// Saved are those of the succeeded that took a retry.
	Saved int `json:"succeeded_after_retry"`
	// Refused were turned away by the breaker before anything was sent.
	Refused int `json:"refused_by_breaker"`
	// Unknown are texts and phone calls that may have gone out, and of which the program was told so.
	Unknown int `json:"unknown_delivery"`
	// Failed are the others: known not to be sent, known not to be processed, or reads.
	Failed   int            `json:"failed"`
	Attempts int            `json:"attempts"`
	Retries  map[string]int `json:"retries"`
}

func (t *tally) add(r *record) {
	t.Requests++
	t.Attempts += r.attempts
	switch {
	case r.err == nil, r.key != "" && r.delivery() == errors.Delivered: // carried out, whatever became of the answer
		t.Succeeded++
		if r.attempts > 1 {
			t.Saved++
		}
	case r.refused():
		t.Refused++
	case r.unknown():
		t.Unknown++
	default:
		t.Failed++
	}
	for _, reason := range r.retries {
		if t.Retries == nil {
			t.Retries = make(map[string]int)
		}
		t.Retries[reason]++
	}
}

// load is the attempts for each request.
func (t *tally) load() float64 {
	if t.Requests == 0 {
		return 0
	}
	return float64(t.Attempts) / float64(t.Requests)
}

// truth compares what the program was told of its texts and phone calls with what people have received.
type truth struct {
	Sent            int `json:"told_sent"`
	SentReceived    int `json:"told_sent_and_received"`
	NotSent         int `json:"told_not_sent"`
	NotSentReceived int `json:"told_not_sent_but_received"`
	Unknown         int `json:"told_unknown"`
	UnknownReceived int `json:"told_unknown_and_received"`
	// Unclaimed was received and never asked for.
	Unclaimed int `json:"received_but_never_asked_for"`
}

// compare takes what was told by key, and the keys of all that was received, one for each time.
func compare(told map[string]errors.Delivery, received []string) truth {
	var t truth
	got := make(map[string]bool, len(received))
	for _, key := range received {
		got[key] = true
	}
	for key, delivery := range told {
		n := 0
		if got[key] {
			n = 1
		}
		switch delivery {
		case errors.Delivered:
			t.Sent++
			t.SentReceived += n
		case errors.Unknown:
			t.Unknown++
			t.UnknownReceived += n
		default:
			t.NotSent++
			t.NotSentReceived += n
		}
	}
	for key := range got {
		if _, asked := told[key]; !asked {
			t.Unclaimed++
		}
	}
	return t
}

// The keys tell one thing a person gets from another.
func textKey(to, body string) string  { return "text|" + to + "|" + body }
func callKey(to, twiml string) string { return "call|" + to + "|" + twiml }
func vapiKey(to, name string) string  { return "vapi|" + to + "|" + name }

// facts is what was counted, before anything is claimed of it.
type facts struct {
	plan plan
	took time.Duration

	twilio, vapi  tally
	stages        [stages]tally // Twilio's
	vapiWhileDown tally
	turnedAway    []time.Duration // what each refusal took
	truth         truth

	// by the simulators' count
	texts, calls, vapiCalls  int // received
	twilioTwice, vapiTwice   int // received once too often
	twilioSaw, vapiSaw       int64
	twilioConns, vapiConns   uint64 // ever
	twilioIsLeft, vapiIsLeft int    // connections

	opens, goroutines  int // goroutines left over
	opened, closed     bool
	openedIn, closedIn time.Duration // since the outage began, since it ended
}

// count reads the book, the hooks' record and the simulators. All requests have ended.
func (d *drill) count() *facts {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := &facts{plan: d.plan}
	told := make(map[string]errors.Delivery)
	for _, r := range d.book {
		if r.key != "" {
			told[r.key] = r.delivery()
		}
		if r.refused() {
			f.turnedAway = append(f.turnedAway, r.took)
		}
		if r.vendor == vapiAI {
			f.vapi.add(r)
			if r.stage.isDown() {
				f.vapiWhileDown.add(r)
			}
			continue
		}
		f.twilio.add(r)
		f.stages[r.stage].add(r)
	}
	d.countTransitions(f)
	f.truth = compare(told, d.received())
	f.texts, f.calls = d.rig.twilioSim.Totals()
	f.vapiCalls = d.rig.vapiSim.Placed()
	for _, twice := range d.rig.twilioSim.Duplicates() {
		f.twilioTwice += len(twice.SIDs) - 1
	}
	for _, twice := range d.rig.vapiSim.Duplicates() {
		f.vapiTwice += len(twice.IDs) - 1
	}
	f.twilioSaw, f.vapiSaw = sum(d.rig.twilioSim.Counts()), sum(d.rig.vapiSim.Counts())
	f.twilioConns, f.vapiConns = d.rig.twilioSim.TotalConns(), d.rig.vapiSim.TotalConns()
	return f
}

func (d *drill) countTransitions(f *facts) {
	down, back := d.began[stageErrors], d.began[stageBack]
	for _, e := range d.transitions {
		switch e.To {
		case breaker.Open:
			f.opens++
			if !f.opened && e.At.After(down) && e.At.Before(back) {
				f.opened, f.openedIn = true, e.At.Sub(down)
			}
			f.closed = false
		case breaker.Closed:
			if e.At.After(back) {
				f.closed, f.closedIn = true, e.At.Sub(back)
			}
		default:
		}
	}
}

// received is the key of everything people got, once for each time they got it.
func (d *drill) received() []string {
	var keys []string
	for _, to := range d.traffic.numbers {
		for _, m := range d.rig.twilioSim.Received(to) {
			keys = append(keys, textKey(m.To, m.Body))
		}
		for _, c := range d.rig.twilioSim.Calls(to) {
			keys = append(keys, callKey(c.To, c.Source))
		}
		for _, c := range d.rig.vapiSim.Calls(to) {
			keys = append(keys, vapiKey(c.Customer, c.Name))
		}
	}
	return keys
}

func sum(counts map[string]int64) int64 {
	var n int64
	for _, v := range counts {
		n += v
	}
	return n
}
