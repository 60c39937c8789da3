package openfeature_test

import (
	"context"
	"fmt"

	of "github.com/open-feature/go-sdk/openfeature"
	"github.com/open-feature/go-sdk/openfeature/memprovider"

	"github.com/prusik-go/prusik/flags"
	"github.com/prusik-go/prusik/flags/openfeature"
)

// A library that asks OpenFeature gets the program's flags, and where they come from.
func ExampleNewProvider() {
	set := flags.New("voice", flags.Config{})
	set.Int("MAX_CALLS", flags.Default(10), flags.Range(1, 100), flags.Doc("How many calls there are at a time."))
	if err := set.Load([]string{"MAX_CALLS=20"}); err != nil {
		fmt.Println(err)
		return
	}
	if err := of.SetNamedProviderAndWait("voice", openfeature.NewProvider(set)); err != nil {
		fmt.Println(err)
		return
	}

	client := of.NewClient("voice")
	d, err := client.IntValueDetails(context.Background(), "MAX_CALLS", 5, of.EvaluationContext{})
	fmt.Println(d.Value, d.Reason, d.FlagMetadata["source"], err)
	if err = set.Override(flags.Change{Flag: "MAX_CALLS", Value: "1", Author: "ann", Reason: "the vendor is slow"}); err != nil {
		fmt.Println(err)
		return
	}
	d, err = client.IntValueDetails(context.Background(), "MAX_CALLS", 5, of.EvaluationContext{})
	fmt.Println(d.Value, d.Reason, d.FlagMetadata["source"], d.FlagMetadata["author"], err)
	_, err = client.BooleanValue(context.Background(), "MAX_CALLS", false, of.EvaluationContext{})
	fmt.Println(err)
	// Output:
	// 20 STATIC environment <nil>
	// 1 STATIC override ann <nil>
	// error code: TYPE_MISMATCH: MAX_CALLS is of type int, and a bool was asked for
}

// The program's flags take their values from a provider, within their bounds.
func ExampleFollow() {
	set := flags.New("voice", flags.Config{})
	maxCalls := set.Int("MAX_CALLS", flags.Default(10), flags.Range(1, 100), flags.Doc("How many calls there are at a time."))
	if err := set.Load(nil); err != nil {
		fmt.Println(err)
		return
	}
	calls := func(n int) map[string]memprovider.InMemoryFlag {
		return map[string]memprovider.InMemoryFlag{
			"max-calls": {State: memprovider.Enabled, DefaultVariant: "some", Variants: map[string]any{"some": n}},
		}
	}
	remote := memprovider.NewInMemoryProvider(calls(20))
	if err := of.SetNamedProviderAndWait("remote", remote); err != nil {
		fmt.Println(err)
		return
	}

	told := make(chan openfeature.ConditionEvent, 1)
	source, err := openfeature.Follow(set, of.NewClient("remote"), openfeature.Config{
		Key:   func(string) string { return "max-calls" },
		Hooks: openfeature.Hooks{OnCondition: func(e openfeature.ConditionEvent) { told <- e }},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer source.Close()
	fmt.Println(maxCalls.Get(), set.List().Flags[0].Author)

	remote.UpdateFlags(calls(1000))
	e := <-told
	fmt.Println(maxCalls.Get(), e.To, e.Err)
	// Output:
	// 20 openfeature/InMemoryProvider
	// 20 refused overridden: invalid: flags: MAX_CALLS = "1000": want 1 to 100
}
