package drill

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
)

// plan is the shape of a drill.
type plan struct {
	seed  uint64
	naked bool // sabotage: no Prusik under Twilio

	// normal to recovered are how long the stages last at least. A stage goes on until what it is to show has happened,
	// for at most patience.
	normal, flaky, down, recovered, patience time.Duration
	// settle is how long connections and goroutines may take to end.
	settle time.Duration

	openFor, backoff, latency, pace time.Duration
	texters, callers, readers       int
}

// workers is how many of them use Twilio.
func (p plan) workers() int { return p.texters + p.callers + p.readers }

func standard() plan {
	return plan{
		normal: 3 * time.Second, flaky: 4 * time.Second, down: 1500 * time.Millisecond, recovered: 2 * time.Second,
		patience: 15 * time.Second, settle: 3 * time.Second,
		openFor: 1500 * time.Millisecond, backoff: 100 * time.Millisecond, latency: 20 * time.Millisecond,
		pace: 80 * time.Millisecond, texters: 6, callers: 2, readers: 3,
	}
}

// drill is one run. Everything that is printed at its end comes from book, transitions and the simulators.
type drill struct {
	plan     plan
	timeline *timeline
	rig      *rig
	traffic  traffic
	stage    atomic.Int32 // a stageID

	leaked int // Twilio's connections that were left open before it closed its port, and them with it

	mu          sync.Mutex
	began       [stages]time.Time // the stages
	book        []*record
	transitions []breaker.TransitionEvent
	turnedAway  []time.Duration // what the refusals took, since the breaker has opened
}

// runDrill plays the drill and returns what was counted. The error says why it could not be played to its end.
func runDrill(ctx context.Context, p plan, t *timeline) (*report, error) {
	before, began := runtime.NumGoroutine(), time.Now()
	d := &drill{plan: p, timeline: t}
	var err error
	if d.rig, err = wire(p, d.onTransition); err != nil {
		return nil, err
	}
	d.introduce()

	calls, cancel := context.WithCancel(ctx)
	defer cancel() // after the counting, which must see what a call has left behind
	d.startTraffic(calls)
	err = d.play(ctx)
	d.traffic.end()
	if err == nil {
		err = d.rig.quiesce(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, d.rig.close())
	}
	d.timeline.say("", bold, "END", "the program stops; everything is counted")

	f := d.count()
	f.twilioIsLeft = d.leaked + letGo(ctx, d.rig.twilioHTTP, d.rig.twilioSim.Server, p.settle)
	f.vapiIsLeft = letGo(ctx, d.rig.vapiHTTP, d.rig.vapiSim.Server, p.settle)
	if err := d.rig.close(); err != nil {
		return nil, err
	}
	f.goroutines = goroutinesOver(ctx, before, p.settle)
	f.took = time.Since(began)
	return f.report(), ctx.Err()
}

func (d *drill) introduce() {
	p := d.timeline.pen
	p.line("%s", p.in(bold, "A program texts and calls people through Twilio and Vapi. Twilio goes down, and comes back."))
	p.line("Nobody may be texted or called twice, and Vapi must not notice. Both vendors are simulators on")
	p.line("this machine: nobody is really texted or called. Faults are drawn from seed %d.", d.plan.seed)
	if d.plan.naked {
		p.line("%s", p.in(red, "Sabotage: instead of Prusik, Twilio has a client that repeats whatever failed. This has to fail."))
	}
	p.line("")
}

// play goes through the stages. A stage that does not show what it should in time is passed all the same: the report
// has the say.
func (d *drill) play(ctx context.Context) error {
	for id, s := range d.stages() {
		until := s.until
		if d.plan.naked || until == nil {
			until = func() bool { return true }
			s.least = max(s.least, d.plan.down)
		}
		d.enterStage(stageID(id))
		d.timeline.forget()
		d.timeline.say(twilio, s.ink, s.mark, "%s", s.say)
		if stageID(id) == stageNormal {
			d.timeline.say(vapiAI, s.ink, s.mark, "2 workers call people and read lists; Vapi stays well until the end")
		}
		if err := s.begin(ctx); err != nil {
			return err
		}
		least := time.Now().Add(s.least)
		eventually(ctx, max(d.plan.patience, s.least), func() bool { return time.Now().After(least) && until() })
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		d.sum(stageID(id))
	}
	return nil
}

func (d *drill) enterStage(id stageID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stage.Store(int32(id))
	d.began[id] = time.Now()
}

// enter puts a request into the book.
func (d *drill) enter(r *record) {
	d.mu.Lock()
	d.book = append(d.book, r)
	if r.refused() {
		d.turnedAway = append(d.turnedAway, r.took)
	}
	d.mu.Unlock()
	if r.unknown() && !d.plan.naked {
		d.timeline.once("unknown", r.vendor, `a %s met %s and may be out: not repeated, but "unknown"`,
			r.what, words(lastReason(r.err)))
	}
}
