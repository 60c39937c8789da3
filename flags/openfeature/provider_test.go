package openfeature_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	of "github.com/open-feature/go-sdk/openfeature"
	"github.com/open-feature/go-sdk/openfeature/memprovider"
	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/flags"
	"github.com/prusik-go/prusik/flags/openfeature"
)

// served has a flag of each type.
func served(t testing.TB, environ ...string) *flags.Set {
	t.Helper()
	set := declared()
	require.NoError(t, set.Load(append(environ, "TOKEN=hunter2")))
	return set
}

func declared() *flags.Set {
	set := flags.New("voice", flags.Config{})
	on := set.Bool("ON", flags.Doc("Is on."))
	set.Bool("ALSO_ON", flags.Follows(on), flags.Doc("Is on as well."))
	set.Int("COUNT", flags.Default(3), flags.Doc("Counts."))
	set.Int("HUGE", flags.Default(1<<53+1), flags.Doc("Is more than a float holds."))
	set.Float("RATIO", flags.Default(0.5), flags.Doc("Is a part."))
	set.Duration("WAIT", flags.Default(90*time.Second), flags.Doc("Waits."))
	set.String("GREETING", flags.Default("hello"), flags.Doc("Greets."))
	set.Enum("COLOR", []string{"red", "blue"}, flags.Doc("Paints."))
	set.String("TOKEN", flags.Secret(), flags.Doc("Is nobody's business."))
	return set
}

// ask evaluates through a client, by the type of def.
func ask(t testing.TB, ctx context.Context, c *of.Client, flag string, def any) (any, of.EvaluationDetails, error) {
	t.Helper()
	none := of.EvaluationContext{}
	switch def := def.(type) {
	case bool:
		d, err := c.BooleanValueDetails(ctx, flag, def, none)
		return d.Value, d.EvaluationDetails, err
	case string:
		d, err := c.StringValueDetails(ctx, flag, def, none)
		return d.Value, d.EvaluationDetails, err
	case float64:
		d, err := c.FloatValueDetails(ctx, flag, def, none)
		return d.Value, d.EvaluationDetails, err
	case int64:
		d, err := c.IntValueDetails(ctx, flag, def, none)
		return d.Value, d.EvaluationDetails, err
	default:
		d, err := c.ObjectValueDetails(ctx, flag, def, none)
		return d.Value, d.EvaluationDetails, err
	}
}

func TestEveryPairOfTypes(t *testing.T) {
	client, _ := register(t, openfeature.NewProvider(served(t, "ON=true")))
	hook := &counting{}
	client.AddHooks(hook)
	object := struct{}{}
	good, bad := int64(0), int64(0)
	for flag, want := range map[string][5]any{ // as bool, string, float, int, object; nil: a mismatch
		"ON":       {true, nil, nil, nil, true},
		"ALSO_ON":  {true, nil, nil, nil, true},
		"COUNT":    {nil, nil, 3.0, int64(3), int64(3)},
		"HUGE":     {nil, nil, nil, int64(1<<53 + 1), int64(1<<53 + 1)},
		"RATIO":    {nil, nil, 0.5, nil, 0.5},
		"WAIT":     {nil, "1m30s", 90.0, nil, "1m30s"},
		"GREETING": {nil, "hello", nil, nil, "hello"},
		"COLOR":    {nil, "red", nil, nil, "red"},
	} {
		for i, def := range []any{false, "default", 7.5, int64(75), object} {
			value, d, err := ask(t, t.Context(), client, flag, def)
			if want[i] == nil {
				bad++
				require.Error(t, err, "%s as %T", flag, def)
				require.Equal(t, of.TypeMismatchCode, d.ErrorCode)
				require.Equal(t, of.ErrorReason, d.Reason)
				require.Equal(t, def, value, "the caller's default")
				continue
			}
			good++
			require.NoError(t, err, "%s as %T", flag, def)
			require.Equal(t, want[i], value, flag)
			require.Empty(t, d.ErrorCode)
		}
	}
	require.Equal(t, [4]int64{good + bad, good, bad, good + bad}, hook.counts())
}

func TestErrorCodes(t *testing.T) {
	client, _ := register(t, openfeature.NewProvider(served(t)))
	for name, c := range map[string]struct {
		flag string
		code of.ErrorCode
		text string
	}{
		"unknown":  {"NONE", of.FlagNotFoundCode, `there is no flag "NONE"`},
		"secret":   {"TOKEN", of.FlagNotFoundCode, "TOKEN is a secret, and not served"},
		"mismatch": {"COUNT", of.TypeMismatchCode, "COUNT is of type int, and a bool was asked for"},
	} {
		value, d, err := ask(t, t.Context(), client, c.flag, true)
		require.Error(t, err, name)
		require.Equal(t, true, value, name)
		require.Equal(t, c.code, d.ErrorCode, name)
		require.Equal(t, c.text, d.ErrorMessage, name)
		require.NotContains(t, err.Error(), "hunter2")
	}
	_, d, err := ask(t, t.Context(), client, "TOKEN", struct{}{})
	require.Error(t, err)
	require.Equal(t, of.FlagNotFoundCode, d.ErrorCode)
}

func TestReasonVariantAndMetadata(t *testing.T) {
	set := served(t, "COLOR=blue")
	client, _ := register(t, openfeature.NewProvider(set))
	details := func(flag string, def any) of.ResolutionDetail {
		_, d, err := ask(t, t.Context(), client, flag, def)
		require.NoError(t, err)
		return d.ResolutionDetail
	}
	meta := func(source string) of.FlagMetadata { return of.FlagMetadata{"flagSetId": "voice", "source": source} }
	require.Equal(t, of.ResolutionDetail{Reason: of.DefaultReason, Variant: "false", FlagMetadata: meta("default")}, details("ON", true))
	require.Equal(t, of.ResolutionDetail{Reason: of.DefaultReason, Variant: "false", FlagMetadata: meta("flag")}, details("ALSO_ON", true))
	require.Equal(t, of.ResolutionDetail{Reason: of.StaticReason, Variant: "blue", FlagMetadata: meta("environment")}, details("COLOR", ""))
	require.Empty(t, details("GREETING", "").Variant, "any text is no variant")

	override(t, set, flags.Change{Flag: "ON", Value: "true", For: time.Hour})
	want := meta("override")
	want["author"], want["reason"], want["until"] = "ann", "an incident", entry(t, set, "ON").Until.Format(time.RFC3339)
	require.Equal(t, of.ResolutionDetail{Reason: of.StaticReason, Variant: "true", FlagMetadata: want}, details("ON", false))
	require.Equal(t, of.ResolutionDetail{Reason: of.StaticReason, Variant: "true", FlagMetadata: meta("flag")}, details("ALSO_ON", false))
}

func TestAPinnedRequestIsHonoured(t *testing.T) {
	set := served(t)
	client, _ := register(t, openfeature.NewProvider(set))
	pinned := set.Pin(t.Context())
	override(t, set, flags.Change{Flag: "ON", Value: "true"})
	value, d, err := ask(t, pinned, client, "ON", true)
	require.NoError(t, err)
	require.Equal(t, false, value)
	require.Equal(t, of.DefaultReason, d.Reason, "the provenance is the pinned one too")
	value, _, err = ask(t, t.Context(), client, "ON", false)
	require.NoError(t, err)
	require.Equal(t, true, value)
}

func TestASetThatIsNotLoadedIsNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := declared()
		provider := openfeature.NewProvider(set)
		client, api := register(t, memory(nil))
		var heard []of.EventDetails
		hear := func(d of.EventDetails) { heard = append(heard, d) }
		require.ErrorContains(t, api.SetProviderAndWait(t.Context(), provider, of.WithDomain(domain)), "not loaded")
		client.AddHandler(of.ProviderReady, &hear)
		require.Equal(t, of.ErrorState, client.State())
		value, d, err := ask(t, t.Context(), client, "ON", true)
		require.Error(t, err)
		require.Equal(t, true, value)
		require.Equal(t, of.ProviderNotReadyCode, d.ErrorCode)

		require.NoError(t, set.Load([]string{"TOKEN=hunter2", "COUNT=5"}))
		synctest.Wait()
		require.Equal(t, of.ReadyState, client.State())
		require.Len(t, heard, 1)
		require.Equal(t, "prusik/voice", heard[0].ProviderName)
		require.NoError(t, api.SetProviderAndWait(t.Context(), provider, of.WithDomain("another")), "one provider may serve several domains")
		value, _, err = ask(t, t.Context(), client, "COUNT", int64(1))
		require.NoError(t, err)
		require.Equal(t, int64(5), value)
	})
}

// The SDK's own default path: the global API, a domain of its own.
func TestAChangeIsAnEvent(t *testing.T) {
	set := served(t)
	require.NoError(t, of.SetNamedProviderAndWait("voice-events", openfeature.NewProvider(set)))
	client := of.NewClient("voice-events")
	events := make(chan of.EventDetails, 10)
	hear := func(d of.EventDetails) { events <- d }
	client.AddHandler(of.ProviderConfigChange, &hear)
	defer client.RemoveHandler(of.ProviderConfigChange, &hear)

	override(t, set, flags.Change{Flag: "ON", Value: "true"})
	d := <-events
	require.Equal(t, "prusik/voice", d.ProviderName)
	require.Equal(t, []string{"ON", "ALSO_ON"}, d.FlagChanges)
	require.Equal(t, of.ReadyState, client.State())

	override(t, set, flags.Change{Flag: "ON", Value: "true"}) // the same value
	override(t, set, flags.Change{Flag: "TOKEN", Value: "swordfish"})
	unset(t, set, "ON")
	d = <-events
	require.Equal(t, []string{"ON", "ALSO_ON"}, d.FlagChanges)
	require.Empty(t, events, "neither an override by the same value nor a secret is a change")
	require.NoError(t, of.SetNamedProviderAndWait("voice-events", memprovider.NewInMemoryProvider(nil)))
}

// Nobody reads the channel: a change waits for nobody, and what changed is not forgotten.
func TestEventsThatNobodyReadsBecomeOne(t *testing.T) {
	set := declared()
	p := openfeature.NewProvider(set)
	require.Error(t, p.Init(of.EvaluationContext{}))
	require.NoError(t, set.Load([]string{"TOKEN=hunter2"}))
	for _, c := range []flags.Change{
		{Flag: "ON", Value: "true"}, {Flag: "COUNT", Value: "9"}, {Flag: "ON", Value: "false"}, {Flag: "WAIT", Value: "1s"},
	} {
		override(t, set, c)
	}
	e := <-p.EventChannel()
	require.Equal(t, of.ProviderReady, e.EventType, "it is what clients wait for")
	require.Equal(t, []string{"ALSO_ON", "COUNT", "ON", "WAIT"}, e.FlagChanges)

	override(t, set, flags.Change{Flag: "COUNT", Value: "10"})
	override(t, set, flags.Change{Flag: "COLOR", Value: "blue"})
	e = <-p.EventChannel()
	require.Equal(t, of.ProviderConfigChange, e.EventType)
	require.Equal(t, []string{"COLOR", "COUNT"}, e.FlagChanges)
	require.Empty(t, p.EventChannel())

	override(t, set, flags.Change{Flag: "COUNT", Value: "11"})
	p.Shutdown()
	p.Shutdown()
	override(t, set, flags.Change{Flag: "COUNT", Value: "12"})
	require.Empty(t, p.EventChannel(), "nobody watches")
	require.NoError(t, p.Init(of.EvaluationContext{}))
	require.NoError(t, p.Init(of.EvaluationContext{}))
	override(t, set, flags.Change{Flag: "COUNT", Value: "13"})
	require.Equal(t, []string{"COUNT"}, (<-p.EventChannel()).FlagChanges, "once")
	require.Empty(t, p.EventChannel())
	p.Shutdown()
}
