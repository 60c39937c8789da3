// Package twiliosim is Twilio's Messages and Calls API with a memory: what was texted, who was called, and who got it
// twice.
//
//	sim, err := twiliosim.New(twiliosim.Config{})
//	if err != nil {
//		return err
//	}
//	defer sim.Close()
//
//	base := &client.Client{
//		Credentials: client.NewCredentials(twiliosim.AccountSID, twiliosim.AuthToken),
//		HTTPClient:  &http.Client{Transport: sim.Redirect(nil)}, // any host leads to the simulator
//	}
//	base.SetAccountSid(twiliosim.AccountSID)
//	api := openapi.NewApiServiceWithClient(base)
//
//	sim.Outage(fault.ProcessedStatus(503)) // sends the text and says it did not
//	_, err = api.CreateMessage(params)
//	fmt.Println(len(sim.Received("+15558675310")), sim.Duplicates())
//
// It serves, under /2010-04-01/Accounts/{AccountSid}: POST and GET Messages.json, GET Messages/{Sid}.json, POST and GET
// Calls.json, GET Calls/{Sid}.json. Shapes, codes and magic numbers are those of Twilio's OpenAPI description, error
// dictionary and test-credentials page, read 2026-11-23. A message answers queued when created and delivered when
// read back; a call queued, then completed. There are no webhooks.
//
// # Failure
//
// Errors have Twilio's shape {code, message, more_info, status}. The codes for injected 502 and 504 (20502, 20504) are
// made up: Twilio documents none. [Sim] embeds a [fault.Server], whose methods inject everything else.
//
// # Concurrency
//
// Everything may be called from several goroutines.
//
// # Cost
//
// Each message or call is kept until [Sim.Reset], at some 500 bytes.
package twiliosim
