package openfeature

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	of "github.com/open-feature/go-sdk/openfeature"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/flags"
)

// Provider serves the flags of a set to clients of OpenFeature, under the names that they have in the set. Make it with
// [NewProvider]. It may be used from several goroutines and must not be copied.
//
// The evaluation context is not looked at: a flag has one value for everybody. What is looked at is the [context.Context]: where
// it is pinned by [flags.Set.Pin] or [flags.Set.Handler], the value is the pinned one.
type Provider struct {
	set  *flags.Set
	name string
	id   any // the set's name: in an any once, and not at each evaluation

	// events has room for one, and is sent to with mu held and after what waits there was taken out: nobody blocks.
	events chan of.Event

	mu    sync.Mutex
	stop  func()            // nil: between Shutdown and Init
	ready bool              // the set has been seen loaded
	seen  map[string]string // value by flag
}

var (
	_ of.FeatureProvider = (*Provider)(nil)
	_ of.StateHandler    = (*Provider)(nil)
	_ of.EventHandler    = (*Provider)(nil)
)

// NewProvider returns the provider of set, which is not nil. Register it with OpenFeature's SetNamedProviderAndWait or one of
// its siblings.
func NewProvider(set *flags.Set) *Provider {
	return &Provider{set: set, name: "prusik/" + set.Name(), id: set.Name(), events: make(chan of.Event, 1)}
}

// Metadata names the provider "prusik/" and the set's name.
func (p *Provider) Metadata() of.Metadata { return of.Metadata{Name: p.name} }

// Hooks returns none.
func (p *Provider) Hooks() []of.Hook { return nil }

// BooleanEvaluation serves bools. That of another type is a TYPE_MISMATCH, and def.
func (p *Provider) BooleanEvaluation(ctx context.Context, flag string, def bool, _ of.FlattenedContext) of.BoolResolutionDetail {
	return resolve(ctx, p, flag, def, "a bool", func(v any) (bool, bool) {
		b, ok := v.(bool)
		return b, ok
	})
}

// StringEvaluation serves strings, enums, and durations as "1m30s".
func (p *Provider) StringEvaluation(ctx context.Context, flag, def string, _ of.FlattenedContext) of.StringResolutionDetail {
	return resolve(ctx, p, flag, def, "a string", func(v any) (string, bool) {
		switch v := v.(type) {
		case string:
			return v, true
		case time.Duration:
			return v.String(), true
		default:
			return "", false
		}
	})
}

// FloatEvaluation serves floats, ints that a float64 holds exactly, and durations as seconds.
func (p *Provider) FloatEvaluation(ctx context.Context, flag string, def float64, _ of.FlattenedContext) of.FloatResolutionDetail {
	return resolve(ctx, p, flag, def, "a float", func(v any) (float64, bool) {
		switch v := v.(type) {
		case float64:
			return v, true
		case int:
			const most = 1 << 53
			return float64(v), -most <= v && v <= most
		case time.Duration:
			return v.Seconds(), true
		default:
			return 0, false
		}
	})
}

// IntEvaluation serves ints. A duration is none: whether it is a whole number of seconds depends on its value, and what was
// served in the morning would be a TYPE_MISMATCH at night.
func (p *Provider) IntEvaluation(ctx context.Context, flag string, def int64, _ of.FlattenedContext) of.IntResolutionDetail {
	return resolve(ctx, p, flag, def, "an int", func(v any) (int64, bool) {
		n, ok := v.(int)
		return int64(n), ok
	})
}

// ObjectEvaluation serves every flag: as bool, int64, float64 or string, a duration as "1m30s".
func (p *Provider) ObjectEvaluation(ctx context.Context, flag string, def any, _ of.FlattenedContext) of.InterfaceResolutionDetail {
	return resolve(ctx, p, flag, def, "an object", func(v any) (any, bool) {
		switch v := v.(type) {
		case int:
			return int64(v), true
		case time.Duration:
			return v.String(), true
		default:
			return v, true
		}
	})
}

func resolve[T any](ctx context.Context, p *Provider, name string, def T, want string, as func(any) (T, bool)) of.GenericResolutionDetail[T] {
	r, err := p.set.Read(ctx, name)
	if err != nil {
		return failed(def, unread(name, err))
	}
	value, ok := as(r.Value)
	if !ok {
		return failed(def, of.NewTypeMismatchResolutionError(name+" is of type "+r.Type+", and "+want+" was asked for"))
	}
	return of.GenericResolutionDetail[T]{Value: value, ProviderResolutionDetail: of.ProviderResolutionDetail{
		Reason: p.reason(ctx, &r), Variant: variant(&r), FlagMetadata: p.metadata(&r),
	}}
}

func failed[T any](def T, err of.ResolutionError) of.GenericResolutionDetail[T] {
	return of.GenericResolutionDetail[T]{Value: def, ProviderResolutionDetail: of.ProviderResolutionDetail{
		ResolutionError: err, Reason: of.ErrorReason,
	}}
}

// unread is the error of a flag that cannot be read. A secret is not found: in a chain of providers the next one is asked.
func unread(name string, err error) of.ResolutionError {
	switch errors.KindOf(err) {
	case errors.NotFound:
		return of.NewFlagNotFoundResolutionError("there is no flag " + strconv.Quote(name))
	case errors.Forbidden:
		return of.NewFlagNotFoundResolutionError(name + " is a secret, and not served")
	default:
		return of.NewProviderNotReadyResolutionError("the flags are not loaded")
	}
}

// reason is DEFAULT where nobody has said anything, of the flags that are followed neither. All else is STATIC, overrides too:
// no rule was evaluated, and the value is that of everybody until the next event.
func (p *Provider) reason(ctx context.Context, r *flags.Reading) of.Reason {
	source, origin := r.Source, r.Origin
	for source == flags.FromFlag {
		followed, err := p.set.Read(ctx, origin)
		if err != nil {
			break
		}
		source, origin = followed.Source, followed.Origin
	}
	if source == flags.FromDefault {
		return of.DefaultReason
	}
	return of.StaticReason
}

// variant names the value where there are few of them, so that it can be a label.
func variant(r *flags.Reading) string {
	switch v := r.Value.(type) {
	case bool:
		return strconv.FormatBool(v)
	case string:
		if r.Type == "enum" {
			return v
		}
	}
	return ""
}

// metadata is where the value comes from. flagSetId is what the SDK's telemetry looks for. It is made anew each time: the SDK's
// multi-provider writes into it.
func (p *Provider) metadata(r *flags.Reading) of.FlagMetadata {
	m := of.FlagMetadata{"flagSetId": p.id, "source": string(r.Source)}
	if r.Source == flags.FromOverride {
		m["author"], m["reason"] = r.Author, r.Reason
		if !r.Until.IsZero() {
			m["until"] = r.Until.Format(time.RFC3339)
		}
	}
	return m
}

// Init begins to watch the set. The error is that of [flags.Set.Err], and the provider then in state ERROR: it is ready, and says so
// by an event, once the set is loaded. OpenFeature calls it for each domain.
func (p *Provider) Init(of.EvaluationContext) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	starts := p.stop == nil
	if starts {
		p.stop = p.set.Watch(p.changed)
		p.seen = map[string]string{}
		p.look()
	}
	err := p.set.Err()
	if starts {
		p.ready = err == nil
	}
	if err != nil {
		return &of.ProviderInitError{ErrorCode: of.ProviderNotReadyCode, Message: err.Error()}
	}
	return nil
}

// Shutdown stops watching the set. Evaluations go on.
func (p *Provider) Shutdown() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stop == nil {
		return
	}
	p.stop()
	p.stop = nil
	select {
	case <-p.events:
	default:
	}
}

// EventChannel carries PROVIDER_CONFIGURATION_CHANGED with the flags that have another value than before, and PROVIDER_READY where
// the set is loaded after Init. Where nobody reads it, the events to come are joined to one: none is lost, and no change of a flag
// waits for it.
func (p *Provider) EventChannel() <-chan of.Event { return p.events }

// changed is called by the set.
func (p *Provider) changed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stop == nil {
		return
	}
	e := of.Event{ProviderName: p.name, EventType: of.ProviderConfigChange}
	e.Message = "flags have changed"
	if e.FlagChanges = p.look(); !p.ready {
		p.ready = true // before that, no change is told
		e.EventType, e.Message = of.ProviderReady, "the flags are loaded"
	} else if len(e.FlagChanges) == 0 {
		return // an override by the value that was there, or a secret
	}
	select {
	case waiting := <-p.events:
		e.FlagChanges = slices.Compact(slices.Sorted(slices.Values(append(waiting.FlagChanges, e.FlagChanges...))))
		if waiting.EventType == of.ProviderReady {
			e.EventType, e.Message = waiting.EventType, waiting.Message
		}
	default:
	}
	p.events <- e
}

// look remembers the values, and returns the flags whose value is another one. mu is held.
func (p *Provider) look() (changed []string) {
	l := p.set.List()
	for i := range l.Flags {
		e := &l.Flags[i]
		if e.Secret {
			continue
		}
		if old, known := p.seen[e.Name]; !known || old != e.Value {
			p.seen[e.Name] = e.Value
			changed = append(changed, e.Name)
		}
	}
	return changed
}
