package httpx_test

import (
	"fmt"

	"github.com/prusik-go/prusik/flags"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/ratelimit"
)

func ExampleFromFlags() {
	set := flags.New("voice", flags.Config{})
	cfg := httpx.FromFlags(set, "twilio")                                     // declares CIRCUIT_BREAKER_THRESHOLD, TWILIO_CIRCUIT_BREAKER_THRESHOLD and so on
	if err := set.Load([]string{"CIRCUIT_BREAKER_THRESHOLD=5"}); err != nil { // a program loads os.Environ()
		fmt.Println(err)
		return
	}
	twilio, err := httpx.NewTransport("twilio", cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(twilio.Breaker().Config().Failures)

	err = set.Override(flags.Change{Flag: "TWILIO_CIRCUIT_BREAKER_THRESHOLD", Value: "2", Author: "ann", Reason: "it limps"})
	fmt.Println(twilio.Breaker().Config().Failures, err)
	// Output:
	// 5
	// 2 <nil>
}

func ExampleLimiterFromFlags() {
	set := flags.New("voice", flags.Config{})
	httpx.DeclareSwitches(set, "")
	if err := set.Load([]string{"RATE_LIMIT_PER_MINUTE=20"}); err != nil {
		fmt.Println(err)
		return
	}
	limiter, err := httpx.LimiterFromFlags(set, "api", ratelimit.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(limiter.Config().Limits)
	// Output: 20/minute
}
