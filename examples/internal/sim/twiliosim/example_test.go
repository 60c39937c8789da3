package twiliosim_test

import (
	"fmt"
	"net/http"

	"github.com/twilio/twilio-go/client"
	openapi "github.com/twilio/twilio-go/rest/api/v2010"

	"github.com/prusik-go/prusik/examples/internal/sim/fault"
	"github.com/prusik-go/prusik/examples/internal/sim/twiliosim"
)

// A 503 that had sent the text, and a caller who tries again: the person has it twice.
func ExampleNew() {
	sim, err := twiliosim.New(twiliosim.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer sim.Close()
	base := &client.Client{
		Credentials: client.NewCredentials(twiliosim.AccountSID, twiliosim.AuthToken),
		HTTPClient:  &http.Client{Transport: sim.Redirect(sim.Transport())},
	}
	defer base.HTTPClient.CloseIdleConnections()
	base.SetAccountSid(twiliosim.AccountSID)
	api := openapi.NewApiServiceWithClient(base)
	params := (&openapi.CreateMessageParams{}).SetTo("+15558675310").SetFrom("+15005550006").SetBody("Your code is 42")

	sim.Outage(fault.ProcessedStatus(http.StatusServiceUnavailable))
	_, err = api.CreateMessage(params)
	fmt.Println("failed:", err != nil)
	sim.Recover()
	_, err = api.CreateMessage(params)
	fmt.Println("failed:", err != nil)
	fmt.Println("received:", len(sim.Received("+15558675310")), "duplicates:", len(sim.Duplicates()))
	// Output:
	// failed: true
	// failed: false
	// received: 2 duplicates: 1
}
