// Command vapi is the first wiring: one call through Vapi's official SDK, on top of Prusik.
//
//	go -C examples run ./vapi
//
// Without credentials it talks to a simulator in its own process. With VAPI_API_KEY it only lists the assistants. The
// flag -call NUMBER, with VAPI_ASSISTANT_ID and VAPI_PHONE_NUMBER_ID, places one real call.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"

	vapi "github.com/VapiAI/server-sdk-go"
	vapiclient "github.com/VapiAI/server-sdk-go/client"
	"github.com/VapiAI/server-sdk-go/option"

	"github.com/prusik-go/prusik/examples/internal/sim/vapisim"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/profile"
)

// order is what to do, and as whom.
type order struct {
	token, assistant, from, call, url string // call "": read only
	base                              http.RoundTripper
}

func main() {
	if err := start(log.New(os.Stdout, "", 0), os.Getenv, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func start(out *log.Logger, getenv func(string) string, args []string) error {
	flags := flag.NewFlagSet("vapi", flag.ContinueOnError)
	call := flags.String("call", "", "ring this `number`, for real")
	if err := flags.Parse(args); err != nil {
		return err
	}
	o := order{getenv("VAPI_API_KEY"), getenv("VAPI_ASSISTANT_ID"), getenv("VAPI_PHONE_NUMBER_ID"), *call, "https://api.vapi.ai", nil}
	if o.token == "" {
		sim, err := vapisim.New(vapisim.Config{})
		if err != nil {
			return err
		}
		defer func() { _ = sim.Close() }()
		out.Println("No VAPI_API_KEY is set: this is a simulator, and nobody is called.")
		o = order{vapisim.Token, vapisim.AssistantID, vapisim.PhoneNumberID, "+15558675310", sim.URL(), sim.Transport()}
	}
	return run(context.Background(), out, o)
}

func run(ctx context.Context, out *log.Logger, o order) error {
	// This line is the protection: timeouts, retries that never call twice, a breaker, a correlation id, all of it.
	client, err := httpx.NewClient("vapi", httpx.Config{Profile: profile.Vapi(), Base: o.base})
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()

	// Vapi's SDK repeats every 408, 429 and 5xx by itself, POST /call too, and so may call a person twice. One attempt
	// leaves that decision to the client underneath. (0 would mean its default, which is two.)
	api := vapiclient.NewClient(option.WithToken(o.token), option.WithBaseURL(o.url),
		option.WithHTTPClient(client), option.WithMaxAttempts(1))

	ctx = httpx.WithObserver(ctx, func(e httpx.Event) {
		if e.Status != httpx.StatusAttempt {
			out.Printf("  %s: HTTP %d, %s, attempt %d of %d, correlation id %s",
				e.Status, e.HTTPStatus, e.Delivery, e.Attempt, e.MaxAttempts, e.CorrelationID)
		}
	})
	if o.call != "" {
		out.Println("Calling", o.call)
		created, err := api.Calls.Create(ctx, &vapi.CreateCallDto{
			AssistantId: &o.assistant, PhoneNumberId: &o.from, Customer: &vapi.CreateCustomerDto{Number: &o.call},
		})
		if err != nil {
			return err // delivery "unknown" means: it may ring, look before calling again
		}
		out.Println("  call", created.GetCall().GetId()) // GetCall is nil for an answer the SDK did not understand
	}
	assistants, err := api.Assistants.List(ctx, &vapi.AssistantsListRequest{})
	if err != nil {
		return err
	}
	for _, a := range assistants {
		out.Println("  assistant", a.Id, *cmp.Or(a.Name, new("(no name)")))
	}
	if pipeline, ok := client.Transport.(*httpx.Transport); ok {
		out.Printf("\nWhat stood between this program and Vapi:\n%s", pipeline.Explain())
	}
	return nil
}
