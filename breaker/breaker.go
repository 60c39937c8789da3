package breaker

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"github.com/prusik-go/prusik/internal/check"
)

// Breaker refuses calls to something that has been failing, and lets them through again when it has recovered. Make it
// with [New]. It may be used from several goroutines and must not be copied.
type Breaker struct {
	name  string
	hooks Hooks // of New: they never change
	born  time.Time
	// present is written under mu and read anywhere.
	present atomic.Pointer[settings]

	// epoch is the present epoch. It is written under mu and read anywhere.
	epoch atomic.Uint64
	// calm equals epoch while only a failure can change something: closed, no failure in the count window, and no
	// OnOutcome to call. What is not a failure needs no lock then.
	calm atomic.Uint64
	// readyAt is when the first probe may start, on the clock of now. It is written under mu and read anywhere.
	readyAt atomic.Int64

	mu sync.Mutex
	// window counts the results of the closed state and decides when they are too bad: then it opens, and stays open
	// until we close it. Its own waiting and probing are never asked: it cannot take a probe's place back, and its
	// time open is one fixed number.
	window    circuitbreaker.CircuitBreaker[struct{}]
	opens     int // in succession
	openedAt  time.Time
	luck      float64 // 0 to 1: the share of the jitter that this time open has drawn
	byCommand bool    // it was disabled by Disable, not by its Mode
	round     uint64  // the latest of Group.Reconfigure
	probes    leases
	successes int  // of probes, in this half-open state
	clean     bool // closed, and no failure in the count window: a success would change nothing
	queue     queue
}

// New returns a closed breaker, or a disabled one where cfg.Mode is [Disabled]. Its name goes into errors, events and
// metrics: 1 to 64 letters, digits, ".", "_" or "-". Everything that is wrong with name and cfg is reported at once.
func New(name string, cfg Config) (*Breaker, error) {
	faults := check.New("breaker", name)
	faults.Name(name)
	s := newSettings(cfg, faults)
	if err := faults.Err(); err != nil {
		return nil, err
	}
	return newBreaker(name, s), nil
}

func newBreaker(name string, s *settings) *Breaker {
	b := &Breaker{name: name, hooks: s.Hooks, born: time.Now(), window: newWindow(&s.Config)}
	b.present.Store(s)
	b.publish(makeEpoch(1, b.start()))
	return b
}

// settings are an effective configuration and what follows from it. They are published as a whole and not written again, so
// that who reads them once sees no mixture.
type settings struct {
	Config

	given  Config
	timing bool // calls are timed, for SlowCall or OnOutcome
	quiet  bool // nobody is told of a refusal, and so it needs no lock
}

func newSettings(given Config, faults *check.Faults) *settings {
	s := &settings{Config: given.effective(faults), given: given}
	s.timing = s.SlowCall > 0 || s.Hooks.OnOutcome != nil
	s.quiet = s.Hooks.OnReject == nil && s.Mode != Shadow
	return s
}

func (b *Breaker) cfg() *settings { return b.present.Load() }

func newWindow(c *Config) window {
	w := circuitbreaker.NewBuilder[struct{}]()
	if c.timed() {
		w.WithFailureRateThreshold(c.FailureRatio, uint(c.MinCalls), c.Period)
	} else {
		w.WithFailureThresholdRatio(uint(c.Failures), uint(c.Window))
	}
	return w.Build()
}

// Permit is the right to make one call. Report its result with [Permit.Done], exactly once. It is a value: keep it
// with the call. The zero Permit reports to nobody.
type Permit struct {
	b     *Breaker
	epoch epoch         // it was given in; zero where it was given only because of Shadow
	probe uint64        // its lease, or zero
	start time.Duration // below zero where the call is not timed
}

// TryAcquire asks to make a call now. Where ok, make it and report the result by p.Done; else do not, and retryAfter is
// the time until the next probe: what is left of the time open, a second (or what is left of their leases, if that
// is shorter) while probes are out and may close the breaker at any time, and zero, not known, where the breaker is
// [ForcedOpen]. It never waits and allocates nothing.
//
// Prefer [Do], [Breaker.Allow], [Breaker.Handler] or [Breaker.Transport]: they also report a call that
// panics. A permit of a closed breaker that is never reported costs nothing; a probe's holds its place until
// [Config.ProbeLease] is over.
func (b *Breaker) TryAcquire() (p Permit, retryAfter time.Duration, ok bool) {
	switch e := b.current(); e.state() {
	case Closed:
		return b.permit(e), 0, true
	case DisabledState:
		return Permit{}, 0, true
	case Open:
		if !b.cfg().quiet {
			break
		}
		if wait := time.Duration(b.readyAt.Load()) - b.now(); wait > 0 {
			b.tally(CountRejection)
			return Permit{}, wait, false
		}
	default:
	}
	return b.acquire()
}

// Reject refuses a call where [Breaker.TryAcquire] would, hooks and all, and lets none through: where it is not rejected,
// ask TryAcquire. It is for a caller that has to wait for something else first, and would wait for a refusal. In [Shadow]
// it rejects nothing and tells no hook.
func (b *Breaker) Reject() (retryAfter time.Duration, rejected bool) {
	switch state, cfg := b.current().state(), b.cfg(); {
	case state == Closed, state == DisabledState, cfg.Mode == Shadow:
		return 0, false
	case state == Open && cfg.quiet:
		if wait := time.Duration(b.readyAt.Load()) - b.now(); wait > 0 {
			b.tally(CountRejection)
			return wait, true
		}
	}
	defer func() {
		if rejected {
			b.tally(CountRejection)
		}
	}()
	b.mu.Lock()
	defer b.unlock()
	if b.cfg().Mode == Shadow { // since a moment ago
		return 0, false
	}
	switch state := b.current().state(); state {
	case ForcedOpen:
		rejected = true
	case Open, HalfOpen:
		retryAfter = b.untilProbe(b.now())
		rejected = retryAfter > 0
	case Closed, DisabledState:
	}
	if rejected {
		b.tellRejected(retryAfter)
	}
	return retryAfter, rejected
}

// tellRejected reports a refusal, or in shadow what would have been one. mu is held.
func (b *Breaker) tellRejected(wait time.Duration) {
	if b.hooks.OnReject != nil {
		b.queue.push(event{reject: RejectEvent{
			Name: b.name, State: b.current().state(), RetryAfter: wait, Shadow: b.cfg().Mode == Shadow,
		}})
	}
}

func (b *Breaker) current() epoch { return epoch(b.epoch.Load()) }

// now is the breaker's clock: monotonic, and cheaper than time.Now.
func (b *Breaker) now() time.Duration { return time.Since(b.born) }

func (b *Breaker) permit(e epoch) Permit {
	p := Permit{b: b, epoch: e, start: -1}
	if b.cfg().timing {
		p.start = b.now()
	}
	return p
}

// acquire is TryAcquire for a breaker that was not closed.
func (b *Breaker) acquire() (p Permit, wait time.Duration, ok bool) {
	refused, what := false, CountRejection
	defer func() {
		if refused {
			b.tally(what)
		}
	}()
	b.mu.Lock()
	p, wait, ok = b.admit(b.now())
	if refused = !ok; refused {
		b.tellRejected(wait)
		if b.cfg().Mode == Shadow {
			p, wait, ok, what = b.permit(0), 0, true, CountShadowRejection
		}
	}
	if p.probe == 0 || b.queue.len() == 0 {
		b.unlock()
		return p, wait, ok
	}
	told := false
	defer func() {
		if !told { // a hook panicked, and the caller never learns of its probe
			b.mu.Lock()
			b.probes.giveBack(p.probe, b.now())
			b.mu.Unlock()
		}
	}()
	b.unlock()
	told = true
	return p, wait, ok
}

// probeHint is the wait told to callers while all probes are out. They are expected to answer soon, and a second is the
// shortest wait a Retry-After header can name.
const probeHint = time.Second

// admit decides on one call. mu is held.
func (b *Breaker) admit(now time.Duration) (p Permit, wait time.Duration, ok bool) {
	e := b.current()
	switch e.state() {
	case Closed:
		return b.permit(e), 0, true
	case DisabledState:
		return Permit{}, 0, true
	case ForcedOpen:
		return Permit{}, 0, false
	default:
		return b.probe(now)
	}
}

// probe is admit for the open and the half-open state. mu is held.
func (b *Breaker) probe(now time.Duration) (p Permit, wait time.Duration, ok bool) {
	if wait = b.untilProbe(now); wait > 0 {
		return Permit{}, wait, false
	}
	if b.current().state() == Open {
		b.successes = 0
		b.transition(HalfOpen, ReasonReady, 0)
	}
	p = b.permit(b.current())
	p.probe = b.probes.take(now + b.cfg().ProbeLease)
	return p, 0, true
}

// untilProbe is the time until a probe may start, for the open and the half-open state. mu is held.
func (b *Breaker) untilProbe(now time.Duration) time.Duration {
	if wait := time.Duration(b.readyAt.Load()) - now; b.current().state() == Open && wait > 0 {
		return wait
	}
	if b.probes.expire(now) < b.cfg().Probes {
		return 0
	}
	return min(probeHint, b.probes.held[0].until-now)
}

// Slow reports whether a success that took that long counts as a failure at present: see [Config.SlowCall].
func (p Permit) Slow(took time.Duration) bool {
	if p.b == nil {
		return false
	}
	most := p.b.cfg().SlowCall
	return most > 0 && took >= most
}

// Probe reports whether the call is a probe of a half-open breaker, which holds one of its few places.
func (p Permit) Probe() bool { return p.probe != 0 }

// Done reports how the call went. Call it exactly once: a second report of a probe is dropped, one of another call counts
// twice. A result is dropped where the state has changed since the permit was given, or the probe's lease has run
// out. An outcome that is none counts as [Failure]. It allocates nothing.
func (p Permit) Done(o Outcome) {
	if p.b == nil {
		return
	}
	var took time.Duration
	if p.start >= 0 {
		took = p.b.now() - p.start
	}
	p.DoneIn(o, took)
}

// DoneIn is [Permit.Done] for a caller that knows better how long the call took: whether it was slow is judged by took,
// whatever has passed since the permit was given. A client that hands on a response body reports when the body has
// ended, but what was slow, or not, was the answer.
func (p Permit) DoneIn(o Outcome, took time.Duration) {
	b := p.b
	if b == nil {
		return
	}
	slow := o == Success && p.Slow(took)
	if slow || o > Ignored {
		o = Failure
	}
	if o != Failure && p.epoch != 0 && p.epoch == epoch(b.calm.Load()) {
		return
	}
	b.settle(p, OutcomeEvent{Name: b.name, Outcome: o, Slow: slow, Duration: took})
}

func (b *Breaker) settle(p Permit, e OutcomeEvent) {
	if e.Outcome == Failure && b.hooks.OnCount != nil {
		defer b.record(p, e) // whatever the hook does
		b.tally(CountFailure)
		return
	}
	b.record(p, e)
}

func (b *Breaker) record(p Permit, e OutcomeEvent) {
	b.mu.Lock()
	defer b.unlock()
	e.Shadow = p.epoch == 0
	if p.probe != 0 && !b.probes.giveBack(p.probe, b.now()) {
		e.Late = true
	}
	if !e.Shadow && p.epoch != b.current() {
		e.Late = true
	}
	if b.hooks.OnOutcome != nil {
		b.queue.push(event{outcome: e})
	}
	if !e.Late && !e.Shadow && e.Outcome != Ignored {
		b.count(e.Outcome)
	}
}

// count lets a result of the present epoch act on the state. mu is held.
func (b *Breaker) count(o Outcome) {
	if b.current().state() == HalfOpen {
		if o == Failure {
			b.open(ReasonProbeFailed)
			return
		}
		b.successes++
		if b.successes >= b.cfg().ProbeSuccesses {
			b.restart(Closed, ReasonRecovered)
		}
		return
	}
	switch {
	case o == Failure:
		b.window.RecordFailure()
	case b.clean:
		return
	default:
		b.window.RecordSuccess()
	}
	if b.window.IsOpen() { // by a success too: the one that completes MinCalls
		b.open(ReasonThreshold)
		return
	}
	b.assess(o == Failure)
}

// open refuses calls for a time. mu is held.
func (b *Breaker) open(why Reason) {
	b.opens++
	b.openedAt, b.luck = time.Now(), rand.Float64() //nolint:gosec // it spreads load, it guards nothing
	b.transition(Open, why, b.wait())
}

// wait makes the time of the first probe known, and returns the time open: doubled for each time in succession, bounded, then
// lengthened by the jitter. mu is held.
func (b *Breaker) wait() (openFor time.Duration) {
	cfg := b.cfg()
	openFor = cfg.OpenFor
	for i := 1; i < b.opens && openFor < cfg.MaxOpenFor; i++ {
		openFor = min(2*openFor, cfg.MaxOpenFor)
	}
	if cfg.Jitter > 0 {
		openFor += time.Duration(b.luck * cfg.Jitter * float64(openFor))
	}
	b.readyAt.Store(int64(b.openedAt.Sub(b.born) + openFor))
	return openFor
}

// restart goes to a state with nothing counted. mu is held.
func (b *Breaker) restart(to State, why Reason) {
	b.window.Open() // one that is closed already would keep its results
	b.window.Close()
	b.opens, b.openedAt, b.byCommand = 0, time.Time{}, false
	b.readyAt.Store(0)
	b.transition(to, why, 0)
}

// transition begins a new generation, and reports it where the state is another. mu is held.
func (b *Breaker) transition(to State, why Reason, openFor time.Duration) {
	from := b.current()
	b.publish(makeEpoch(from.generation()+1, to))
	if from.state() == to || b.hooks.OnTransition == nil {
		return
	}
	b.queue.push(event{transition: TransitionEvent{
		Name: b.name, From: from.state(), To: to, Reason: why,
		At: time.Now(), OpenFor: openFor, Opens: b.opens, Shadow: b.cfg().Mode == Shadow,
	}})
}

// publish makes e the present epoch. mu is held.
func (b *Breaker) publish(e epoch) {
	b.epoch.Store(uint64(e))
	b.assess(false)
}

// assess says whether the present epoch is clean, and calm. failed spares the look into a window that holds a failure.
// mu is held.
func (b *Breaker) assess(failed bool) {
	e := b.current()
	b.clean = !failed && e.state() == Closed && !b.cfg().timed() && b.window.Metrics().Failures() == 0
	calm := uint64(0)
	if b.clean && b.hooks.OnOutcome == nil {
		calm = uint64(e)
	}
	if b.calm.Load() != calm {
		b.calm.Store(calm)
	}
}
