// Package vapisim is Vapi's call, assistant and phone-number API with a memory: who was called, and who was called
// twice.
//
//	sim, err := vapisim.New(vapisim.Config{})
//	if err != nil {
//		return err
//	}
//	defer sim.Close()
//
//	api := client.NewClient(option.WithBaseURL(sim.URL()), option.WithToken(vapisim.Token), option.WithMaxAttempts(1))
//	sim.Outage(fault.ResetAfterRead(true)) // places the call and loses the answer
//	_, err = api.Calls.Create(ctx, &vapi.CreateCallDto{
//		Name:          vapi.String("job-1"),
//		AssistantId:   vapi.String(vapisim.AssistantID),
//		PhoneNumberId: vapi.String(vapisim.PhoneNumberID),
//		Customer:      &vapi.CreateCustomerDto{Number: vapi.String("+15558675310")},
//	})
//	fmt.Println(len(sim.Calls("+15558675310")), sim.Duplicates())
//
// It serves POST and GET /call, GET, PATCH and DELETE /call/{id}, the same for /assistant, and for /phone-number GET,
// GET and PATCH by id. A resource keeps every field it was given. Shapes are those of Vapi's OpenAPI description of
// 2026-08-20 and its page on call concurrency. There are no webhooks.
//
// # Concurrency limit
//
// A call takes one of [Config.ConcurrencyLimit] slots until it ends: by [Sim.EndCall], by DELETE, or after
// [Config.CallDuration]. A call over the limit is answered in one of the four shapes Vapi is known for
// ([LimitShape]); in none of them does a phone ring, and the ledger does not count it as processed.
//
// # Failure
//
// Errors have the shape {message, error, statusCode}; message is a list of strings where validation failed and a
// string elsewhere. [Sim] embeds a [fault.Server], whose methods inject everything else.
//
// # Concurrency
//
// Everything may be called from several goroutines.
//
// # Cost
//
// Each call is kept until [Sim.Reset], at some 2 kB.
package vapisim
