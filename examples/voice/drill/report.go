package drill

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// report is what a drill comes to: the figures, and what must be true of them.
type report struct {
	OK       bool    `json:"ok"`
	Seed     uint64  `json:"seed"`
	Sabotage string  `json:"sabotage,omitempty"`
	Seconds  float64 `json:"seconds"`

	Vendors []vendorReport `json:"vendors"`
	// RefusalMS is the median time of a request the breaker turned away, in milliseconds.
	RefusalMS float64 `json:"refusal_median_ms"`
	// Load is the attempts for each request to Twilio, by how it was.
	Load  map[string]float64 `json:"attempts_per_request"`
	Truth truth              `json:"truth"`
	Musts []must             `json:"musts"`
}

// vendorReport is one vendor's column. What is not in its tally is by the simulator's own count.
type vendorReport struct {
	Name string `json:"name"`
	tally
	Saw       int64  `json:"attempts_seen_by_vendor"`
	Texts     int    `json:"texts_received"`
	Calls     int    `json:"phone_calls_received"`
	Twice     int    `json:"received_twice"`
	ConnsMade uint64 `json:"connections_opened"`
	ConnsLeft int    `json:"connections_left_open"`
}

// must is a claim that the figures bear out, or not.
type must struct {
	OK      bool   `json:"ok"`
	Claim   string `json:"claim"`
	Figures string `json:"figures"`
}

const fastEnough = 10 * time.Millisecond // for a refusal; a vendor that hangs costs seconds

func (f *facts) report() *report {
	r := &report{
		OK: true, Seed: f.plan.seed, Seconds: f.took.Seconds(), Truth: f.truth, Musts: f.musts(),
		RefusalMS: float64(median(f.turnedAway)) / float64(time.Millisecond),
		Load: map[string]float64{
			"normal": f.during(stageNormal).load(), "flaky": f.during(stageFlaky).load(),
			"down": f.whileDown().load(), "recovered": f.during(stageRecovered).load(),
		},
		Vendors: []vendorReport{
			{
				Name: twilio, tally: f.twilio, Saw: f.twilioSaw, Texts: f.texts, Calls: f.calls, Twice: f.twilioTwice,
				ConnsMade: f.twilioConns, ConnsLeft: f.twilioIsLeft,
			},
			{
				Name: vapiAI, tally: f.vapi, Saw: f.vapiSaw, Calls: f.vapiCalls, Twice: f.vapiTwice,
				ConnsMade: f.vapiConns, ConnsLeft: f.vapiIsLeft,
			},
		},
	}
	if f.plan.naked {
		r.Sabotage = Sabotage
	}
	for _, m := range r.Musts {
		r.OK = r.OK && m.OK
	}
	return r
}

// during is Twilio's tally of some stages.
func (f *facts) during(ids ...stageID) *tally {
	var all tally
	for _, id := range ids {
		all.Requests += f.stages[id].Requests
		all.Attempts += f.stages[id].Attempts
	}
	return &all
}

func (f *facts) whileDown() *tally { return f.during(stageErrors, stageResets, stageRefused) }

// musts is what the drill claims. A claim of which nothing was seen does not hold.
func (f *facts) musts() []must {
	t, down, away, vapi := &f.truth, f.whileDown(), median(f.turnedAway), &f.vapiWhileDown
	got, twice := f.texts+f.calls+f.vapiCalls, f.twilioTwice+f.vapiTwice
	left := f.twilioIsLeft + f.vapiIsLeft
	return []must{
		{got > 0 && twice == 0, "nobody was texted or called twice", fmt.Sprintf("%d of %d texts and calls", twice, got)},
		{
			t.Sent > 0 && t.SentReceived == t.Sent, "whatever the program was told is sent was received",
			fmt.Sprintf("%d of %d", t.SentReceived, t.Sent),
		},
		{
			t.NotSentReceived+t.Unclaimed == 0, `nothing else was received but what is reported "unknown"`,
			fmt.Sprintf("%d of %d unknown, %d others", t.UnknownReceived, t.Unknown, t.NotSentReceived+t.Unclaimed),
		},
		{f.opened && f.closed, "the breaker opened in the outage and closed after it", f.breakerFigures()},
		{
			len(f.turnedAway) > 0 && away < fastEnough, "while it was open, requests failed at once",
			fmt.Sprintf("%d of them, median %s", len(f.turnedAway), ms(away)),
		},
		{
			down.Requests > 0 && down.load() <= 1, "the outage was not multiplied: 1 attempt a request or less",
			fmt.Sprintf("%.2f, %d for %d", down.load(), down.Attempts, down.Requests),
		},
		{
			vapi.Requests > 0 && vapi.Succeeded == vapi.Requests, "Vapi answered every request while Twilio was down",
			fmt.Sprintf("%d of %d", vapi.Succeeded, vapi.Requests),
		},
		{left == 0, "no connection was left open", fmt.Sprintf("%d of %d", left, f.twilioConns+f.vapiConns)},
		{f.goroutines == 0, "no goroutine was left over", strconv.Itoa(f.goroutines)},
	}
}

func (f *facts) breakerFigures() string {
	switch {
	case !f.opened:
		return "it did not open"
	case !f.closed:
		return fmt.Sprintf("in %.1f s, and never", f.openedIn.Seconds())
	}
	return fmt.Sprintf("in %.1f s, and in %.1f s", f.openedIn.Seconds(), f.closedIn.Seconds())
}

// print renders the report for a person, within 100 columns.
func (r *report) print(p pen) {
	p.line("")
	p.line("%s", p.in(bold, fmt.Sprintf("%-58s %10s %10s", "What was counted", r.Vendors[0].Name, r.Vendors[1].Name)))
	row := func(label string, value func(v *vendorReport) any) {
		p.line("  %-56s %10v %10v", label, value(&r.Vendors[0]), value(&r.Vendors[1]))
	}
	row("requests the program made", func(v *vendorReport) any { return v.Requests })
	row("  succeeded", func(v *vendorReport) any { return v.Succeeded })
	row("    of them after a retry", func(v *vendorReport) any { return v.Saved })
	row("  turned away by the open breaker", func(v *vendorReport) any { return v.Refused })
	row(`  may have gone out, and were reported as "unknown"`, func(v *vendorReport) any { return v.Unknown })
	row("  failed: a read, or reported as not gone out", func(v *vendorReport) any { return v.Failed })
	row("attempts sent for them", func(v *vendorReport) any { return v.Attempts })
	for _, reason := range r.reasons() {
		row("  of them retries, after "+words(reason), func(v *vendorReport) any { return v.Retries[reason] })
	}
	row("attempts the vendor saw, by its own count", func(v *vendorReport) any { return v.Saw })
	row("texts people received", func(v *vendorReport) any { return v.Texts })
	row("calls people received", func(v *vendorReport) any { return v.Calls })
	row("  of both, received once too often", func(v *vendorReport) any { return v.Twice })
	row("connections opened", func(v *vendorReport) any { return v.ConnsMade })
	row("  of them left open", func(v *vendorReport) any { return v.ConnsLeft })
	p.line("  attempts for each request to Twilio: %.2f normal, %.2f flaky, %.2f down, %.2f recovered",
		r.Load["normal"], r.Load["flaky"], r.Load["down"], r.Load["recovered"])
	if v := &r.Vendors[0]; v.Saw > int64(v.Attempts) {
		p.line("  (Twilio saw more than was sent: net/http itself repeats a read on its next idle connection")
		p.line("  when one breaks, unseen by any client above it.)")
	}
	p.line("")
	p.line("%s", p.in(bold, "What must be true"))
	for _, m := range r.Musts {
		mark := p.in(green, "ok  ")
		if !m.OK {
			mark = p.in(red, "FAIL")
		}
		p.line("  %s  %-58s %s", mark, m.Claim, m.Figures)
	}
	p.line("")
	verdict, colour := "The drill passed", green
	if !r.OK {
		verdict, colour = "The drill FAILED", red
	}
	p.line("%s in %.1f s (seed %d).", p.in(colour, verdict), r.Seconds, r.Seed)
}

// reasons are those of the retries, the frequent ones first.
func (r *report) reasons() []string {
	all := make(map[string]int)
	for _, v := range r.Vendors {
		for reason, n := range v.Retries {
			all[reason] += n
		}
	}
	return slices.SortedFunc(maps.Keys(all), func(a, b string) int { return cmp.Or(all[b]-all[a], cmp.Compare(a, b)) })
}
