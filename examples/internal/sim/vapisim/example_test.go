package vapisim_test

import (
	"context"
	"fmt"
	"net/http"

	vapi "github.com/VapiAI/server-sdk-go"
	"github.com/VapiAI/server-sdk-go/client"
	"github.com/VapiAI/server-sdk-go/option"

	"github.com/prusik-go/prusik/examples/internal/sim/fault"
	"github.com/prusik-go/prusik/examples/internal/sim/vapisim"
)

// A reset that had placed the call, and a caller who tries again: the phone rings twice.
func ExampleNew() {
	sim, err := vapisim.New(vapisim.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer sim.Close()
	hc := &http.Client{Transport: sim.Transport()}
	defer hc.CloseIdleConnections()
	api := client.NewClient(option.WithBaseURL(sim.URL()), option.WithToken(vapisim.Token),
		option.WithMaxAttempts(1), option.WithHTTPClient(hc))
	call := &vapi.CreateCallDto{
		Name: new("job-1"), AssistantId: vapi.String(vapisim.AssistantID), PhoneNumberId: vapi.String(vapisim.PhoneNumberID),
		Customer: &vapi.CreateCustomerDto{Number: new("+15558675310")},
	}

	sim.Outage(fault.ResetAfterRead(true))
	_, err = api.Calls.Create(context.Background(), call)
	fmt.Println("failed:", err != nil)
	sim.Recover()
	_, err = api.Calls.Create(context.Background(), call)
	fmt.Println("failed:", err != nil)
	fmt.Println("calls:", len(sim.Calls("+15558675310")), "duplicates:", len(sim.Duplicates()))
	// Output:
	// failed: true
	// failed: false
	// calls: 2 duplicates: 1
}
