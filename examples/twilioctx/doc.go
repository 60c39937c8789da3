// Package twilioctx binds a context to every call of twilio-go, which takes none, and tells what twilio-go loses of a
// failed answer. It is small, and meant to be copied.
//
//	http, err := httpx.NewClient("twilio", httpx.Config{Profile: profile.Twilio()})
//	if err != nil {
//		return err
//	}
//	twilio, err := twilioctx.New(http, accountSID, authToken)
//	if err != nil {
//		return err
//	}
//	outcome, err := twilio.Do(ctx, func(api *openapi.ApiService) error {
//		_, err := api.CreateMessage(params)
//		return err
//	})
//	if errors.DeliveryOf(err) == errors.Unknown {
//		log.Printf("%s may have been sent: look before sending again", outcome.CorrelationID)
//	}
//
// What twilio-go v1.31.0 does, and what is done about it here:
//
//   - It builds its requests with context.Background (client/client.go:187, 197). Here each request gets the caller's
//     context, with its deadline, cancellation and values.
//   - It drops status and headers of an error, and cannot read one that is not JSON. Here every error holds an
//     [*errors.Error] beside twilio-go's own, see [Client.Do].
//   - It sends a request of a v1.0 service (voice/v3 and seven more) a second time when the error is not JSON
//     (client/client.go:104), POST included. Here a request is sent once: whatever may be repeated, the
//     http.Client underneath has repeated already.
//   - It never closes the body of an error. An httpx client has that body in memory and its connection back; and a
//     Timeout of the http.Client, or one set by SetTimeout, is kept here without the goroutine that net/http starts
//     for it, which would wait for that body.
//
// # Failure
//
// An error of a call matches [errors.AsType] for [*errors.Error] and for twilio-go's own *client.TwilioRestError or
// *client.RestErrorV1, where there was one. Its text is that of the first, which holds no URL and no phone number.
//
// # Concurrency
//
// A [Client] is safe for concurrent use, and so is what [Client.API] returns.
//
// # Cost
//
// A call costs some small structs more than one of plain twilio-go; no goroutine is started.
package twilioctx
