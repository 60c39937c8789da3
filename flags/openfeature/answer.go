package openfeature

import (
	"context"
	"fmt"
	"strconv"
	"time"

	of "github.com/open-feature/go-sdk/openfeature"

	"github.com/prusik-go/prusik/flags"
)

// answer is what the provider says of a flag: text as in the environment, or an error and its code.
type answer struct {
	text   string
	reason string
	code   of.ErrorCode
	err    error
}

// answer asks for the flag by its type, with base as the default. A provider that panics has failed.
func (s *Source) answer(ctx context.Context, fl *followed, e *flags.Entry, base string) (a answer) {
	defer func() {
		if r := recover(); r != nil {
			a = answer{code: of.GeneralCode, err: fmt.Errorf("openfeature: the provider panicked: %v", r)}
		}
	}()
	q := question{client: s.client, key: fl.key, base: base, named: of.WithHooks(&named{provider: &s.provider})}
	switch e.Type {
	case "bool":
		return q.bool(ctx)
	case "int":
		return q.int(ctx)
	case "float":
		return q.float(ctx)
	case "duration":
		kinds := []func(context.Context) answer{q.string, q.seconds}
		if fl.seconds {
			kinds[0], kinds[1] = kinds[1], kinds[0]
		}
		first := kinds[0](ctx)
		if first.code != of.TypeMismatchCode {
			return first
		}
		second := kinds[1](ctx)
		if second.err != nil {
			return first
		}
		fl.seconds = !fl.seconds // what works is asked first from now on: the other one is an error to all who count
		return second
	default:
		return q.string(ctx)
	}
}

// named is a hook that hears the provider's name: a client does not tell it.
type named struct {
	of.UnimplementedHook

	provider *string
}

// Finally is called on the goroutine that evaluates, for failures too.
func (n *named) Finally(_ context.Context, h of.HookContext, _ of.InterfaceEvaluationDetails, _ of.HookHints) {
	*n.provider = h.ProviderMetadata().Name
}

// question is an evaluation.
type question struct {
	client of.IClient
	key    string
	base   string
	named  of.Option
}

func (q *question) bool(ctx context.Context) answer {
	def, _ := strconv.ParseBool(q.base) // a set's listing has no other text
	d, err := q.client.BooleanValueDetails(ctx, q.key, def, of.EvaluationContext{}, q.named)
	return answered(strconv.FormatBool(d.Value), &d.EvaluationDetails, err)
}

func (q *question) int(ctx context.Context) answer {
	def, _ := strconv.ParseInt(q.base, 10, 64)
	d, err := q.client.IntValueDetails(ctx, q.key, def, of.EvaluationContext{}, q.named)
	return answered(strconv.FormatInt(d.Value, 10), &d.EvaluationDetails, err)
}

func (q *question) float(ctx context.Context) answer {
	def, _ := strconv.ParseFloat(q.base, 64)
	d, err := q.client.FloatValueDetails(ctx, q.key, def, of.EvaluationContext{}, q.named)
	return answered(strconv.FormatFloat(d.Value, 'g', -1, 64), &d.EvaluationDetails, err)
}

func (q *question) string(ctx context.Context) answer {
	d, err := q.client.StringValueDetails(ctx, q.key, q.base, of.EvaluationContext{}, q.named)
	return answered(d.Value, &d.EvaluationDetails, err)
}

// seconds is a duration as a number.
func (q *question) seconds(ctx context.Context) answer {
	base, _ := time.ParseDuration(q.base)
	d, err := q.client.FloatValueDetails(ctx, q.key, base.Seconds(), of.EvaluationContext{}, q.named)
	text := strconv.FormatFloat(d.Value, 'f', -1, 64) + "s"
	if d.Value == base.Seconds() {
		text = q.base
	}
	return answered(text, &d.EvaluationDetails, err)
}

func answered(text string, d *of.EvaluationDetails, err error) answer {
	a := answer{text: text, code: d.ErrorCode, err: err}
	if err != nil && a.code == "" {
		a.code = of.GeneralCode // of a hook
	}
	a.reason = string(d.Reason)
	if a.reason == "" {
		a.reason = string(of.UnknownReason)
	}
	if d.Variant != "" {
		a.reason += ", variant " + d.Variant
	}
	a.reason = cut(a.reason)
	return a
}
