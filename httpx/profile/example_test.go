package profile_test

import (
	"fmt"
	"net/http"

	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/profile"
)

// A full queue is refused before anything is sent, and the wait is longer than a client sleeps: the caller gets
// the answer at once, with the wait as its Retry-After. A text message has no idempotency key at Twilio.
func ExampleTwilio() {
	p := profile.Twilio()
	body := []byte(`{"code":21611,"message":"queue full","more_info":"https://www.twilio.com/docs/errors/21611","status":400}`)
	v, _ := p.Classify(httpx.Response{Status: 400, Body: body})
	fmt.Println(v.Delivery, v.Reason, v.Wait)

	r, _ := http.NewRequest(http.MethodPost, "https://api.twilio.com/2010-04-01/Accounts/AC0/Messages.json", nil)
	r.Header.Set("Idempotency-Key", "mine")
	fmt.Println("key honoured:", p.HonoursKey(r))
	// Output:
	// rejected queue_full 5m0s
	// key honoured: false
}

// A call over the limit of concurrent calls comes back as a 201. It is not sent again, but the limiter hears of it.
func ExampleVapi() {
	body := []byte(`{"id":"4a1c","subscriptionLimits":{"concurrencyBlocked":true,"concurrencyLimit":10,"remainingConcurrentCalls":0}}`)
	v, _ := profile.Vapi().Classify(httpx.Response{Status: 201, Body: body})
	fmt.Println(v.Delivery, v.Retry == httpx.RetryNever, v.Limited)
	// Output: delivered true true
}

// Stripe says itself whether to retry, and takes a key on every POST.
func ExampleStripe() {
	p := profile.Stripe()
	v, _ := p.Classify(httpx.Response{Status: 429, Header: http.Header{"Stripe-Should-Retry": {"true"}}})
	fmt.Println(p.IdempotencyHeader, v.Delivery, v.Retry == httpx.RetryAlways)
	// Output: Idempotency-Key rejected true
}

// An exhausted quota is a 429 that no wait cures.
func ExampleOpenAI() {
	p := profile.OpenAI()
	r := httpx.Response{Status: 429, Body: []byte(`{"error":{"code":"insufficient_quota","message":"You exceeded your current quota"}}`)}
	v, _ := p.Classify(r)
	fmt.Println(v.Reason, v.Retry == httpx.RetryNever, p.DecodeError(r).Message)
	// Output: insufficient_quota true You exceeded your current quota
}

// The wait is until the reset, by the vendor's own clock.
func ExampleSendGrid() {
	v, _ := profile.SendGrid().Classify(httpx.Response{Status: 429, Header: http.Header{
		"Date":              {"Wed, 19 Feb 2014 13:07:13 GMT"},
		"X-Ratelimit-Reset": {"1392815263"},
	}})
	fmt.Println(v.Limited, v.Wait)
	// Output: true 30s
}

// An HTTP 200 can be a failure.
func ExampleSlack() {
	p := profile.Slack()
	r := httpx.Response{Status: 200, Body: []byte(`{"ok":false,"error":"ratelimited"}`)}
	v, _ := p.Classify(r)
	fmt.Println(v.Delivery, v.Limited, p.DecodeError(r).Code)
	// Output: rejected true ratelimited
}

// A 403 is a limit or a refusal: the headers tell.
func ExampleGitHub() {
	p := profile.GitHub()
	v, known := p.Classify(httpx.Response{Status: 403, Header: http.Header{"Retry-After": {"60"}}})
	fmt.Println(known, v.Limited)
	_, known = p.Classify(httpx.Response{Status: 403, Body: []byte(`{"message":"Resource not accessible by integration"}`)})
	fmt.Println(known)
	// Output:
	// true true
	// false
}

// The limit is one of requests at the same time.
func ExampleDeepgram() {
	v, _ := profile.Deepgram().Classify(httpx.Response{Status: 429})
	fmt.Println(v.Limited, v.Reason)
	// Output: true concurrency
}

// Both kinds of 429 are a limit; the reason tells them apart.
func ExampleElevenLabs() {
	p := profile.ElevenLabs()
	for _, status := range []string{"too_many_concurrent_requests", "system_busy"} {
		v, _ := p.Classify(httpx.Response{Status: 429, Body: []byte(`{"detail":{"status":"` + status + `"}}`)})
		fmt.Println(v.Limited, v.Reason)
	}
	// Output:
	// true concurrency
	// true system_busy
}

func ExampleAll() {
	for _, p := range profile.All() {
		fmt.Print(p.Vendor, " ")
	}
	// Output: twilio vapi stripe openai sendgrid slack github deepgram elevenlabs
}
