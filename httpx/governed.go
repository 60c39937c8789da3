package httpx

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync/atomic"
	"time"
	"weak"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/flags"
	"github.com/prusik-go/prusik/internal/check"
	"github.com/prusik-go/prusik/ratelimit"
)

// FromFlags returns a Config that the switches of the service called name govern ([Switches]); it declares them in set, where they
// are not yet, so call it before set.Load, and make the client after:
//
//	cfg := httpx.FromFlags(set, "twilio")
//	if err := set.Load(os.Environ(), ".env"); err != nil {
//		log.Fatal(err)
//	}
//	cfg.Profile = profile.Twilio()
//	client, err := httpx.NewClient("twilio", cfg)
//
// Set what other fields you like. What the switches govern is theirs: Breaker.Failures and OpenFor have to be zero, and with
// them the fields that would contradict them later: FailureRatio, Period, MinCalls, Window, MaxOpenFor above zero, and Mode
// Disabled. A KillSwitch of yours holds as well.
//
// A change at run time (see [flags.Set.Override]) takes effect at once, on clients that are in use, and nothing that the breaker
// has counted is lost: see [breaker.Breaker.Reconfigure]. But a breaker that was disabled or forced open begins anew, closed and with
// nothing counted. Where the set is not loaded, [NewClient] fails.
func FromFlags(set *flags.Set, name string) Config {
	if set == nil {
		return Config{governed: &governed{}}
	}
	return Config{governed: &governed{set: set, unnamed: name == "", switches: DeclareSwitches(set, name)}}
}

// governed is what makes a Config follow switches.
type governed struct {
	set      *flags.Set // nil: a fault
	unnamed  bool       // a fault: the program's limit is for those who call it
	switches Switches
}

// settle puts the present values into c, and reports what stands against it.
func (g *governed) settle(c *Config, name string) error {
	f := check.New("httpx", name)
	if g.set == nil {
		f.Add("FromFlags", "nil", "a set of flags")
		return f.Err()
	}
	if g.unnamed {
		f.Add("FromFlags", `""`, "the name of a service")
		return f.Err()
	}
	if err := g.set.Err(); err != nil {
		return fmt.Errorf("httpx %q: its flags: %w", name, err)
	}
	b := &c.Breaker
	zero := func(field string, isZero bool, value any, variable string) {
		if !isZero {
			f.Add("Breaker."+field, value, "0: "+variable+" governs it")
		}
	}
	threshold, recovery := g.switches.BreakerThreshold.Name(), g.switches.BreakerRecoveryTimeout.Name()
	zero("Failures", b.Failures == 0, b.Failures, threshold)
	zero("Window", b.Window == 0, b.Window, threshold)
	zero("FailureRatio", b.FailureRatio == 0, b.FailureRatio, threshold)
	zero("Period", b.Period == 0, b.Period, threshold)
	zero("MinCalls", b.MinCalls == 0, b.MinCalls, threshold)
	zero("OpenFor", b.OpenFor == 0, b.OpenFor, recovery)
	zero("MaxOpenFor", b.MaxOpenFor <= 0, b.MaxOpenFor, recovery)
	if b.Mode == breaker.Disabled {
		f.Add("Breaker.Mode", b.Mode, "Enabled or Shadow: "+g.switches.BreakerEnabled.Name()+" governs it")
	}
	if err := f.Err(); err != nil {
		return err
	}
	g.switches.fill(b, b.Mode)
	kill, own := g.switches.KillSwitch, c.KillSwitch
	c.KillSwitch = func() bool { return kill.Get() || own != nil && own() }
	return nil
}

// fill puts the present values into a breaker's configuration; mode is that of an enabled one.
func (s *Switches) fill(b *breaker.Config, mode breaker.Mode) {
	b.Failures, b.OpenFor = s.BreakerThreshold.Get(), s.BreakerRecoveryTimeout.Get()
	if b.Mode = mode; !s.BreakerEnabled.Get() {
		b.Mode = breaker.Disabled
	}
}

// variables are the names of the flags that govern.
func (s *Switches) variables() []string {
	return []string{
		s.KillSwitch.Name(), s.BreakerEnabled.Name(), s.BreakerForceOpen.Name(), s.BreakerThreshold.Name(),
		s.BreakerRecoveryTimeout.Name(), s.RateLimitPerMinute.Name(),
	}
}

// follower applies changes of the switches to a transport. It does not keep the transport from being dropped.
type follower struct {
	switches *Switches
	mode     breaker.Mode // while enabled
	turn     turn
	forced   bool // by the switch; the turn's
}

// follow applies the switches to t from now on.
func (g *governed) follow(t *Transport, mode breaker.Mode) {
	f := &follower{switches: &g.switches, mode: mode}
	w := weak.Make(t)
	stop := g.set.Watch(func() {
		if t := w.Value(); t != nil {
			f.apply(t)
		}
	})
	runtime.AddCleanup(t, func(stop func()) { stop() }, stop)
	f.apply(t) // what has changed since the Config was read
}

// apply brings t to what the switches say. Hooks run because of it, so nothing is called under a lock.
func (f *follower) apply(t *Transport) { f.turn.take(func() { f.once(t) }) }

// once does all of it, in the order of the last defer to the first, also where a hook panics on the way.
func (f *follower) once(t *Transport) {
	var c reconfigurable = t.hosts
	if t.breaker != nil {
		c = t.breaker
	}
	force := f.switches.BreakerForceOpen.Get()
	defer t.limit()
	defer func() {
		if !force && f.forced {
			f.forced = false
			c.Reset()
		}
	}()
	defer func() {
		have := c.Given()
		want := have
		f.switches.fill(&want, f.mode)
		if have.Failures != want.Failures || have.OpenFor != want.OpenFor || have.Mode != want.Mode {
			t.complain(c.Reconfigure(want))
		}
	}()
	if force && !f.forced {
		f.forced = true
		c.ForceOpen()
	}
}

// limit brings the limiter of the switch to what it says.
func (t *Transport) limit() {
	for i := range t.gates {
		if g := t.gates[i].governed; g != nil {
			t.complain(g.follow())
		}
	}
}

// complain logs what cannot be, as the bounds of the switches are those of what they govern.
func (t *Transport) complain(err error) {
	if err != nil && t.cfg.Logger != nil {
		t.cfg.Logger.LogAttrs(context.Background(), slog.LevelError, "a switch could not be applied",
			slog.String("service", t.name), slog.Any("error", err))
	}
}

// reconfigurable is a breaker or a group of them.
type reconfigurable interface {
	Given() breaker.Config
	Reconfigure(cfg breaker.Config) error
	ForceOpen()
	Reset()
}

// switchedLimiter is the limiter of a service's RateLimitPerMinute: it comes and goes with it.
type switchedLimiter struct {
	perMinute *flags.Flag[int]
	limiter   *ratelimit.Limiter
	out       *ratelimit.Outbound
	on        atomic.Bool
}

func (g *governed) limiter(name string, hooks ratelimit.Hooks) (*switchedLimiter, error) {
	s := &switchedLimiter{perMinute: g.switches.RateLimitPerMinute}
	var err error
	s.limiter, err = ratelimit.New(fmt.Sprintf("%.52s.per_minute", name), ratelimit.Config{
		Limits: perMinute(max(1, s.perMinute.Get())), MaxKeys: 1, Hooks: hooks,
	})
	if err != nil {
		return nil, err
	}
	s.out = s.limiter.Outbound("")
	s.on.Store(s.perMinute.Get() > 0)
	return s, nil
}

func perMinute(n int) ratelimit.Limits {
	return ratelimit.Limits{{Count: int64(n), Period: time.Minute}}
}

func (s *switchedLimiter) follow() (err error) {
	n := s.perMinute.Get()
	defer func() { s.on.Store(n > 0 && err == nil) }() // also where a hook panics
	if n > 0 && s.limiter.Config().Limits[0].Count != int64(n) {
		err = s.limiter.SetLimits(perMinute(n))
	}
	return err
}

// Acquire implements [Limiter].
func (s *switchedLimiter) Acquire(ctx context.Context, most time.Duration) (time.Duration, error) {
	if !s.on.Load() {
		return 0, nil
	}
	return s.out.Acquire(ctx, most)
}

// Refund implements [Limiter].
func (s *switchedLimiter) Refund(ago time.Duration) {
	if s.on.Load() {
		s.out.Refund(ago)
	}
}

// Pause implements [Limiter].
func (s *switchedLimiter) Pause(d time.Duration) {
	if s.on.Load() {
		s.out.Pause(d)
	}
}

// Learn implements [Limiter].
func (s *switchedLimiter) Learn(remaining int64, reset time.Duration) {
	if s.on.Load() {
		s.out.Learn(remaining, reset)
	}
}

// LimiterFromFlags is [ratelimit.New] with the limit of the program's RATE_LIMIT_PER_MINUTE before those of cfg, which may be none; beside
// others, its policy is called name and "/RATE_LIMIT_PER_MINUTE". The limit follows the flag at run time, and buckets are kept: see
// [ratelimit.Limiter.SetLimits]. Declare the flag with [DeclareSwitches] or [FromFlags] before set.Load, and call this after it.
func LimiterFromFlags(set *flags.Set, name string, cfg ratelimit.Config) (*ratelimit.Limiter, error) {
	const variable = "RATE_LIMIT_PER_MINUTE"
	f := check.New("httpx", name)
	if set == nil {
		f.Add("LimiterFromFlags", "nil", "a set of flags")
		return nil, f.Err()
	}
	flag, ok := set.Lookup(variable).(*flags.Flag[int])
	if !ok {
		f.Add(variable, "not declared", "DeclareSwitches or FromFlags before the set is loaded")
		return nil, errors.Join(f.Err(), set.Err())
	}
	if err := set.Err(); err != nil {
		return nil, fmt.Errorf("httpx %q: its flags: %w", name, err)
	}
	more := slices.Clone(cfg.Limits)
	limits := func() ratelimit.Limits {
		all := append(perMinute(flag.Get()), more...)
		if len(more) > 0 { // else it is called as the limiter
			all[0].Name = name + "/" + variable // its own, as it may come to the number of another one
		}
		return all
	}
	cfg.Limits = limits()
	l, err := ratelimit.New(name, cfg)
	if err != nil {
		return nil, err
	}
	w, at := weak.Make(l), new(turn)
	follow := func() {
		at.take(func() {
			if l := w.Value(); l != nil && l.Config().Limits[0].Count != int64(flag.Get()) {
				_ = l.SetLimits(limits()) // the flag's bounds are within the limiter's
			}
		})
	}
	runtime.AddCleanup(l, func(stop func()) { stop() }, set.Watch(follow))
	follow()
	return l, nil
}
