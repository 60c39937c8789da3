package twilioctx_test

import (
	"context"
	"fmt"
	"time"

	openapi "github.com/twilio/twilio-go/rest/api/v2010"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/examples/internal/sim/fault"
	"github.com/prusik-go/prusik/examples/internal/sim/twiliosim"
	"github.com/prusik-go/prusik/examples/twilioctx"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/profile"
)

func Example() {
	// A simulator stands in for Twilio: it sends the first text, and says it did not. Without it, leave Base out.
	sim, err := twiliosim.New(twiliosim.Config{Server: fault.Config{Script: fault.Sequence(fault.ProcessedStatus(503))}})
	if err != nil {
		panic(err)
	}
	defer func() { _ = sim.Close() }()
	base := sim.Redirect(sim.Transport())

	client, err := httpx.NewClient("twilio", httpx.Config{Profile: profile.Twilio(), Base: base})
	if err != nil {
		panic(err)
	}
	defer client.CloseIdleConnections()
	twilio, err := twilioctx.New(client, twiliosim.AccountSID, twiliosim.AuthToken)
	if err != nil {
		panic(err)
	}

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	params := (&openapi.CreateMessageParams{}).SetTo("+15558675310").SetFrom("+15005550006").SetBody("Your table is ready.")
	outcome, err := twilio.Do(ctx, func(api *openapi.ApiService) error {
		_, err := api.CreateMessage(params)
		return err
	})

	fmt.Println("status:  ", outcome.Status)
	fmt.Println("attempts:", outcome.Attempts)
	fmt.Println("stopped: ", outcome.Stop)
	fmt.Println("delivery:", errors.DeliveryOf(err))
	fmt.Println("received:", len(sim.Received("+15558675310")))
	// Output:
	// status:   503
	// attempts: 1
	// stopped:  unsafe_method
	// delivery: unknown
	// received: 1
}
