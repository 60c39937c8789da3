package openfeature_test

import (
	"strconv"
	"testing"

	of "github.com/open-feature/go-sdk/openfeature"
	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/flags"
	"github.com/prusik-go/prusik/flags/openfeature"
)

// What a bool costs: as a flag, as a flag in a pinned request, of a provider alone, and through a client of OpenFeature.
func BenchmarkBool(b *testing.B) {
	set := flags.New("voice", flags.Config{})
	on := set.Bool("ON", flags.Doc("Is on."))
	require.NoError(b, set.Load([]string{"ON=true"}))
	pinned := set.Pin(b.Context())
	run := func(name string, read func() bool) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				if read() {
					n++
				}
			}
			if n == 0 {
				b.Fatal("it was never on")
			}
		})
	}
	run("flag", on.Get)
	run("flag pinned", func() bool { return on.In(pinned) })
	for name, p := range map[string]of.FeatureProvider{
		"set":    openfeature.NewProvider(set),
		"memory": memory(map[string]any{"ON": true}),
	} {
		run(name+" alone", func() bool { return p.BooleanEvaluation(pinned, "ON", false, nil).Value })
		client, _ := register(b, p)
		run(name+" by client", func() bool {
			v, err := client.BooleanValue(pinned, "ON", false, of.EvaluationContext{})
			return v && err == nil
		})
	}
}

// A pass of a Source over a hundred flags that have not changed, from the provider's event to the last evaluation.
func BenchmarkPass(b *testing.B) {
	const many = 100
	set, values := flags.New("voice", flags.Config{}), map[string]any{}
	for i := range many {
		name := "ON_" + strconv.Itoa(i)
		set.Bool(name, flags.Doc("Is on."))
		values[name] = true
	}
	require.NoError(b, set.Load(nil))
	mem := memory(values)
	client, _ := register(b, mem)
	follow(b, set, client, openfeature.Config{Interval: -1})
	passed, n := make(chan struct{}), 0
	client.AddHooks(hookFunc(func() {
		if n++; n == many {
			n = 0
			passed <- struct{}{}
		}
	}))
	all := variants(values)
	b.ReportAllocs()
	for b.Loop() {
		mem.UpdateFlags(all)
		<-passed
	}
}
