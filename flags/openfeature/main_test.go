package openfeature_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	of "github.com/open-feature/go-sdk/openfeature"
	"github.com/open-feature/go-sdk/openfeature/isolated"
	"github.com/open-feature/go-sdk/openfeature/memprovider"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/prusik-go/prusik/flags"
	"github.com/prusik-go/prusik/flags/openfeature"
)

// The SDK's own goroutines end with its Shutdown: what is left then is ours.
func TestMain(m *testing.M) {
	code := m.Run()
	of.Shutdown()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

const domain = "remote"

// counting is a hook of OpenFeature's.
type counting struct {
	before, after, failed, finally atomic.Int64

	mu   sync.Mutex
	last of.InterfaceEvaluationDetails
}

func (c *counting) Before(context.Context, of.HookContext, of.HookHints) (*of.EvaluationContext, error) {
	c.before.Add(1)
	return nil, nil // the interface's way to say that nothing is added
}

func (c *counting) After(context.Context, of.HookContext, of.InterfaceEvaluationDetails, of.HookHints) error {
	c.after.Add(1)
	return nil
}

func (c *counting) Error(context.Context, of.HookContext, error, of.HookHints) { c.failed.Add(1) }

func (c *counting) Finally(_ context.Context, _ of.HookContext, d of.InterfaceEvaluationDetails, _ of.HookHints) {
	c.finally.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = d
}

func (c *counting) counts() [4]int64 {
	return [4]int64{c.before.Load(), c.after.Load(), c.failed.Load(), c.finally.Load()}
}

// register returns a client of p in an API of its own, whose goroutines end with the test.
func register(t testing.TB, p of.FeatureProvider) (*of.Client, *of.EvaluationAPI) {
	t.Helper()
	api := isolated.NewAPI()
	t.Cleanup(func() { _ = api.Shutdown(context.WithoutCancel(t.Context())) })
	require.NoError(t, api.SetProviderAndWait(t.Context(), p, of.WithDomain(domain)))
	return api.NewClient(of.WithDomain(domain)), api
}

// memory is the SDK's provider with one variant a flag.
func memory(values map[string]any) *memprovider.InMemoryProvider {
	return memprovider.NewInMemoryProvider(variants(values))
}

func variants(values map[string]any) map[string]memprovider.InMemoryFlag {
	all := map[string]memprovider.InMemoryFlag{}
	for key, v := range values {
		all[key] = memprovider.InMemoryFlag{
			Key: key, State: memprovider.Enabled, DefaultVariant: "on", Variants: map[string]any{"on": v},
		}
	}
	return all
}

// remote is a provider that can be down, and has no events.
type remote struct {
	name string
	mem  *memprovider.InMemoryProvider
	down atomic.Bool
}

func newRemote(name string, values map[string]any) *remote {
	return &remote{name: name, mem: memory(values)}
}

func (r *remote) Metadata() of.Metadata { return of.Metadata{Name: r.name} }
func (r *remote) Hooks() []of.Hook      { return nil }

func unless[T any](r *remote, def T, ask func() of.GenericResolutionDetail[T]) of.GenericResolutionDetail[T] {
	if r.down.Load() {
		return of.GenericResolutionDetail[T]{Value: def, ProviderResolutionDetail: of.ProviderResolutionDetail{
			ResolutionError: of.NewGeneralResolutionError("connection refused"), Reason: of.ErrorReason,
		}}
	}
	return ask()
}

func (r *remote) BooleanEvaluation(ctx context.Context, flag string, def bool, f of.FlattenedContext) of.BoolResolutionDetail {
	return unless(r, def, func() of.BoolResolutionDetail { return r.mem.BooleanEvaluation(ctx, flag, def, f) })
}

func (r *remote) StringEvaluation(ctx context.Context, flag, def string, f of.FlattenedContext) of.StringResolutionDetail {
	return unless(r, def, func() of.StringResolutionDetail { return r.mem.StringEvaluation(ctx, flag, def, f) })
}

func (r *remote) FloatEvaluation(ctx context.Context, flag string, def float64, f of.FlattenedContext) of.FloatResolutionDetail {
	return unless(r, def, func() of.FloatResolutionDetail { return r.mem.FloatEvaluation(ctx, flag, def, f) })
}

func (r *remote) IntEvaluation(ctx context.Context, flag string, def int64, f of.FlattenedContext) of.IntResolutionDetail {
	return unless(r, def, func() of.IntResolutionDetail { return r.mem.IntEvaluation(ctx, flag, def, f) })
}

func (r *remote) ObjectEvaluation(ctx context.Context, flag string, def any, f of.FlattenedContext) of.InterfaceResolutionDetail {
	return unless(r, def, func() of.InterfaceResolutionDetail { return r.mem.ObjectEvaluation(ctx, flag, def, f) })
}

// conditions keeps what a Source tells.
type conditions struct {
	mu  sync.Mutex
	all []openfeature.ConditionEvent
}

func (c *conditions) hooks() openfeature.Hooks {
	return openfeature.Hooks{OnCondition: func(e openfeature.ConditionEvent) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.all = append(c.all, e)
	}}
}

// take returns what was told since the last time, as text.
func (c *conditions) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	told := []string{}
	for _, e := range c.all {
		text := fmt.Sprintf("%s %s %s", e.Flag, e.From, e.To)
		if e.Code != "" {
			text += " " + e.Code
		}
		told = append(told, text)
	}
	c.all = nil
	return told
}

// entry is the flag as the set lists it.
func entry(t testing.TB, set *flags.Set, name string) flags.Entry {
	t.Helper()
	for _, e := range set.List().Flags {
		if e.Name == name {
			return e
		}
	}
	t.Fatalf("no flag %s", name)
	return flags.Entry{}
}

func follow(t testing.TB, set *flags.Set, client of.IClient, cfg openfeature.Config) *openfeature.Source {
	t.Helper()
	s, err := openfeature.Follow(set, client, cfg)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

func override(t testing.TB, set *flags.Set, c flags.Change) {
	t.Helper()
	c.Author, c.Reason = "ann", "an incident"
	require.NoError(t, set.Override(c))
}

func unset(t testing.TB, set *flags.Set, flag string) {
	t.Helper()
	require.NoError(t, set.Clear(flags.Change{Flag: flag, Author: "ann", Reason: "it is over"}))
}
