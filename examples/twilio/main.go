// Command twilio is the first wiring: one text through Twilio's official SDK, on top of Prusik.
//
//	go -C examples run ./twilio
//
// Without credentials it talks to a simulator in its own process. With TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN,
// TWILIO_FROM and TWILIO_TO it sends one real text.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"

	openapi "github.com/twilio/twilio-go/rest/api/v2010"

	"github.com/prusik-go/prusik/examples/internal/sim/twiliosim"
	"github.com/prusik-go/prusik/examples/twilioctx"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/profile"
)

// account is where to send a text, and as whom.
type account struct {
	sid, token, from, to string
	base                 http.RoundTripper // nil: the real Twilio
}

func main() {
	if err := start(log.New(os.Stdout, "", 0), os.Getenv); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func start(out *log.Logger, getenv func(string) string) error {
	a := account{sid: getenv("TWILIO_ACCOUNT_SID"), token: getenv("TWILIO_AUTH_TOKEN"), from: getenv("TWILIO_FROM"), to: getenv("TWILIO_TO")}
	if a == (account{}) {
		sim, err := twiliosim.New(twiliosim.Config{})
		if err != nil {
			return err
		}
		defer func() { _ = sim.Close() }()
		out.Println("No TWILIO_ACCOUNT_SID is set: this is a simulator, and nobody is texted.")
		a = account{twiliosim.AccountSID, twiliosim.AuthToken, "+15005550006", "+15558675310", sim.Redirect(sim.Transport())}
	}
	if a.sid == "" || a.token == "" || a.from == "" || a.to == "" {
		return errors.New("set all of TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_FROM and TWILIO_TO, or none of them")
	}
	return run(context.Background(), out, a)
}

func run(ctx context.Context, out *log.Logger, a account) error {
	// This line is the protection: timeouts, retries that never text twice, a breaker, a correlation id, all of it.
	client, err := httpx.NewClient("twilio", httpx.Config{Profile: profile.Twilio(), Base: a.base})
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()

	// twilio-go takes no context. This small adapter gives it one, and gives back what it loses of an error.
	twilio, err := twilioctx.New(client, a.sid, a.token)
	if err != nil {
		return err
	}

	text := (&openapi.CreateMessageParams{}).SetTo(a.to).SetFrom(a.from).SetBody("Hello from Prusik.")
	outcome, err := twilio.Do(ctx, func(api *openapi.ApiService) error {
		_, err := api.CreateMessage(text)
		return err
	})
	out.Printf("Text to %s: HTTP %d, %s, attempt %d of %d, correlation id %s",
		a.to, outcome.Status, outcome.Delivery, outcome.Attempts, outcome.MaxAttempts, outcome.CorrelationID)
	if err != nil {
		return err // delivery "unknown" means: it may have been sent, look before sending again
	}

	sent, err := twilio.API(ctx).ListMessage((&openapi.ListMessageParams{}).SetTo(a.to).SetLimit(5))
	if err != nil {
		return err
	}
	out.Printf("The newest texts to %s:", a.to)
	for _, m := range sent {
		out.Printf("  %s  %s", *m.Sid, *m.Status)
	}

	if pipeline, ok := client.Transport.(*httpx.Transport); ok {
		out.Printf("\nWhat stood between this program and Twilio:\n%s", pipeline.Explain())
	}
	return nil
}
