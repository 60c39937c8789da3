package openfeature

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	of "github.com/open-feature/go-sdk/openfeature"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/flags"
	"github.com/prusik-go/prusik/internal/check"
)

// Source keeps flags of a set at what an OpenFeature provider says, by overrides. Make it with [Follow]. Its methods may be called
// from several goroutines.
type Source struct {
	set    *flags.Set
	client of.IClient
	cfg    Config // effective

	followed []*followed // the goroutine's
	provider string      // its name at the last evaluation; the goroutine's

	ask     chan struct{} // has room for one: evaluate
	changed chan struct{} // has room for one: the set is another one than before

	close func()
	done  chan struct{}
}

// followed is a flag, and what is known of it.
type followed struct {
	name, key string
	at        int // in the listing

	base    string // the value without an override, at the last evaluation
	seconds bool   // of a duration: the provider has it as a number

	said   *said // the last good answer; nil: none yet
	fault  *fault
	author string // of our last override
	told   Condition
	code   string // told with it
}

// said is an answer that the set accepts.
type said struct {
	value  string // as the set lists it, and empty where it is what holds without an override
	over   bool   // an override is needed
	reason string
}

// fault is why there was no good answer.
type fault struct {
	condition Condition
	code      string
	err       error
}

// Follow has flags of set take their values from the provider of client, until [Source.Close]. It evaluates them before it
// returns, and then at every PROVIDER_READY and PROVIDER_CONFIGURATION_CHANGED, every [Config.Interval], and where the set changes.
// A provider that is down is no error: the flags keep the values that they have.
//
// A flag is evaluated with the value that holds without an override as the default. An answer that is another value becomes an
// override by "openfeature/" and the provider's name, with the provider's reason and variant as its reason. One that is the same, and
// FLAG_NOT_FOUND, end that override: a provider with nothing to say hands the default back, and its reason need not be looked at.
//
// An override by somebody else stands: the provider's word counts again when it is cleared or has expired. To clear the
// override of a Source is no such word; it comes back.
//
// The error names everything that is wrong with cfg, and a set that is not loaded. Two Sources may follow different flags of one set.
func Follow(set *flags.Set, client of.IClient, cfg Config) (*Source, error) {
	if set == nil || client == nil {
		f := check.New("openfeature", "")
		if set == nil {
			f.Add("set", "nil", "a set")
		}
		if client == nil {
			f.Add("client", "nil", "a client of OpenFeature")
		}
		return nil, f.Err()
	}
	l := set.List()
	f := check.New("openfeature", set.Name())
	cfg = cfg.effective(&l, f)
	if err := errors.Join(f.Err(), set.Err()); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Source{
		set: set, client: client, cfg: cfg,
		ask: make(chan struct{}, 1), changed: make(chan struct{}, 1), done: make(chan struct{}),
	}
	for _, name := range cfg.Flags {
		s.followed = append(s.followed, &followed{name: name, key: cfg.Key(name), at: place(&l, name), told: Following})
	}
	// OpenFeature calls it at once where the provider is ready, under its lock.
	heard := func(of.EventDetails) { signal(s.ask) }
	client.AddHandler(of.ProviderReady, &heard)
	client.AddHandler(of.ProviderConfigChange, &heard)
	stop := set.Watch(func() { signal(s.changed) })
	s.close = sync.OnceFunc(func() {
		client.RemoveHandler(of.ProviderReady, &heard)
		client.RemoveHandler(of.ProviderConfigChange, &heard)
		stop()
		cancel()
	})

	first := make(chan struct{})
	go s.run(ctx, first)
	wait := time.NewTimer(cfg.Timeout)
	defer wait.Stop()
	select {
	case <-first:
	case <-wait.C:
	}
	return s, nil
}

// Close ends the following and waits until nothing of it runs: at most as long as the evaluation that is under way, whose context
// it ends. The overrides stay, as last good values: a program that is on its way down does not change once more. Clear takes them
// back, and a later Source of the same provider takes them over. Close may be called twice.
func (s *Source) Close() {
	s.close()
	<-s.done
}

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (s *Source) run(ctx context.Context, first chan<- struct{}) {
	defer close(s.done)
	select {
	case <-s.ask: // it was ready when we came
	default:
	}
	s.pass(ctx, true)
	close(first)
	var next <-chan time.Time
	for {
		if next == nil && s.cfg.Interval > 0 {
			next = time.After(jitter(s.cfg.Interval))
		}
		all := true
		select {
		case <-ctx.Done():
			return
		case <-s.changed:
			all = false
		case <-s.ask:
		case <-next:
			next = nil
		}
		s.pass(ctx, all)
	}
}

// jitter is within a tenth of d.
func jitter(d time.Duration) time.Duration { return d - d/10 + rand.N(d/5+1) } //nolint:gosec // spreads load, guards nothing

// pass brings all flags to what the provider says: as it says now, or, where only the set has changed, as it said.
func (s *Source) pass(ctx context.Context, all bool) {
	limited, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	l := s.set.List()
	for _, fl := range s.followed {
		e := &l.Flags[fl.at]
		if base := beneath(e); all || base != fl.base {
			s.evaluate(limited, fl, e, base)
		}
		if ctx.Err() != nil {
			return // closed: what has failed is not the provider's fault
		}
		s.apply(fl, e)
	}
}

// beneath is the value without an override.
func beneath(e *flags.Entry) string {
	if e.Source == flags.FromOverride {
		return e.Beneath
	}
	return e.Value
}

// evaluate asks the provider. An answer that is no good leaves the last good one.
func (s *Source) evaluate(ctx context.Context, fl *followed, e *flags.Entry, base string) {
	fl.base, fl.fault = base, nil
	a := s.answer(ctx, fl, e, base)
	switch {
	case a.code == of.FlagNotFoundCode || a.err == nil && a.text == base:
		fl.said = &said{}
	case a.err != nil:
		fl.fault = &fault{Failing, string(a.code), a.err}
	default:
		next := &said{over: true, reason: a.reason}
		c := s.change(fl, a.text, a.reason, e)
		c.Replaces = "" // what somebody else has overridden is followed all the same, for when that ends
		var err error
		if next.value, err = s.set.Try(c); err != nil {
			fl.fault = &fault{Refused, string(errors.KindOf(err)), err}
			return
		}
		if next.value == base {
			next = &said{}
		}
		fl.said = next
	}
}

// apply brings the flag, which is as e says, to the last good answer, and tells how it stands.
func (s *Source) apply(fl *followed, e *flags.Entry) {
	overridden := e.Source == flags.FromOverride
	theirs := overridden && e.Author != s.author() && e.Author != fl.author
	now := fault{condition: Following}
	switch {
	case fl.said == nil: // nothing is known yet
	case theirs:
		if fl.said.over {
			now.condition = Yielding
		}
	case fl.said.over && !(overridden && e.Value == fl.said.value):
		now = s.override(fl, e)
	case !fl.said.over && overridden:
		now = stood(s.set.Clear(flags.Change{Flag: fl.name, Author: s.author(), Reason: "the provider says nothing else", Replaces: e.Author}))
	}
	if fl.fault != nil {
		now = *fl.fault
	}
	s.tell(fl, now)
}

// override tries before it does, so that what is refused again and again is not in the set's audit each time.
func (s *Source) override(fl *followed, e *flags.Entry) fault {
	c := s.change(fl, fl.said.value, fl.said.reason, e)
	if _, err := s.set.Try(c); err != nil {
		return stood(err)
	}
	err := s.set.Override(c)
	if err == nil {
		fl.author = c.Author
	}
	return stood(err)
}

// stood is the condition after a change that the set has made or refused.
func stood(err error) fault {
	switch kind := errors.KindOf(err); kind {
	case "":
		return fault{condition: Following}
	case errors.Conflict: // somebody was quicker
		return fault{condition: Yielding}
	default:
		return fault{Refused, string(kind), err}
	}
}

// change replaces nothing but the override that stands in e, which is ours.
func (s *Source) change(fl *followed, value, reason string, e *flags.Entry) flags.Change {
	c := flags.Change{Flag: fl.name, Value: value, Author: s.author(), Reason: reason, Replaces: s.author()}
	if fl.author != "" && e.Author == fl.author {
		c.Replaces = fl.author // the provider has another name now
	}
	return c
}

func (s *Source) author() string { return cut("openfeature/" + s.provider) }

// cut is text at the length that a set accepts.
func cut(text string) string {
	const most = 200
	return strings.ToValidUTF8(text[:min(len(text), most)], "")
}

func (s *Source) tell(fl *followed, now fault) {
	if fl.told == now.condition && fl.code == now.code {
		return
	}
	e := ConditionEvent{
		Flag: fl.name, Provider: s.provider, From: fl.told, To: now.condition, Code: now.code, Err: now.err, At: time.Now(),
	}
	fl.told, fl.code = now.condition, now.code
	if h := s.cfg.Hooks.OnCondition; h != nil {
		h(e)
	}
}
