package ratelimit_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/ratelimit"
)

// Ask before doing something, and say when to come back.
func Example() {
	limits, err := ratelimit.ParseLimits("2/minute; 100 per 2 hours")
	if err != nil {
		fmt.Println(err)
		return
	}
	l, err := ratelimit.New("sms", ratelimit.Config{Limits: limits})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 3 {
		d, err := l.Allow(context.Background(), "user-7")
		switch {
		case err != nil:
			fmt.Println(err)
		case d.Allowed():
			fmt.Println("sent")
		default:
			fmt.Println(d.Policy, "says no; again in", d.RetryAfter.Round(time.Second))
		}
	}
	// Output:
	// sent
	// sent
	// sms/2/minute says no; again in 30s
}

// Everything that is wrong with a configuration is reported at once.
func ExampleNew() {
	_, err := ratelimit.New("api", ratelimit.Config{
		Limits:  ratelimit.Limits{{Name: "daily", Period: 24 * time.Hour}},
		MaxKeys: -1,
	})
	fmt.Println(err)
	// Output:
	// ratelimit "api": Limits[0] = 0/day: want a count from 1 to 999999999999999
	// ratelimit "api": MaxKeys = -1: want 1 to 100000000
}

// An error says what was found, where, and what was expected.
func ExampleParseLimits() {
	limits, err := ratelimit.ParseLimits("10 per minute burst 20; 100/2h")
	fmt.Println(limits, err)
	_, err = ratelimit.ParseLimits("10/minute; 5/fortnight")
	fmt.Println(err)
	// Output:
	// 10/minute burst 20; 100 per 2 hours <nil>
	// ratelimit: limits "10/minute; 5/fortnight": at byte 13: found "fortnight", want second, minute, hour, day, month or year
}

// Limit a route by client. On chi: r.With(l.Handler(ratelimit.RemoteAddr)).Post("/calls", call).
func ExampleLimiter_Handler() {
	l, err := ratelimit.New("calls", ratelimit.Config{Limits: ratelimit.Limits{{Count: 2, Period: time.Minute}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("POST /calls", l.Handler(ratelimit.RemoteAddr)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
	})))
	for range 3 {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/calls", nil))
		fmt.Printf("%d %s %q\n", w.Code, w.Header().Get("RateLimit"), w.Header().Get("Retry-After"))
	}
	// Output:
	// 202 "calls";r=1;t=30 ""
	// 202 "calls";r=0;t=30 ""
	// 429 "calls";r=0;t=30 "30"
}

// Send a vendor no more than it takes. One 429 holds everybody who calls that host.
func ExampleLimiter_Transport() {
	vendor := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "60")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	defer vendor.Close()
	l, err := ratelimit.New("vendor", ratelimit.Config{Limits: ratelimit.Limits{{Count: 100, Period: time.Second}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: l.Transport(nil)}
	defer client.CloseIdleConnections()
	for range 2 {
		resp, err := client.Get(vendor.URL)
		if err != nil {
			wait, _ := errors.RetryAfter(err)
			fmt.Println(errors.KindOf(err), errors.DeliveryOf(err), wait.Round(time.Second))
			return
		}
		fmt.Println(resp.StatusCode)
		_ = resp.Body.Close()
	}
	// Output:
	// 429
	// vendor_rate_limited not_sent 1m0s
}

// The same for an httpx client: httpx.Config{Limiter: l.Outbound("twilio")}.
func ExampleLimiter_Outbound() {
	l, err := ratelimit.New("twilio", ratelimit.Config{Limits: ratelimit.Limits{{Count: 1, Period: time.Minute}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	out := l.Outbound("twilio")
	for range 2 {
		_, err := out.Acquire(context.Background(), 10*time.Second)
		wait, _ := errors.RetryAfter(err)
		fmt.Println(errors.StopOf(err), wait.Round(time.Second))
	}
	// Output:
	//  0s
	// rate_limited 1m0s
}

// Limit any function.
func ExampleDo() {
	l, err := ratelimit.New("export", ratelimit.Config{Limits: ratelimit.Limits{{Count: 1, Period: time.Hour}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	export := func(context.Context) (string, error) { return "done", nil }
	for range 2 {
		v, err := ratelimit.Do(context.Background(), l, "user-7", export)
		fmt.Printf("%q %q\n", v, errors.KindOf(err))
	}
	// Output:
	// "done" ""
	// "" "rate_limited"
}

// Find out whom a limit would hit before it does.
func ExampleConfig_shadow() {
	l, err := ratelimit.New("api", ratelimit.Config{
		Limits: ratelimit.Limits{{Count: 1, Period: time.Hour}},
		Mode:   ratelimit.Shadow,
		Hooks: ratelimit.Hooks{OnDecision: func(e ratelimit.DecisionEvent) {
			fmt.Println(e.Verdict)
		}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 2 {
		d, err := l.Allow(context.Background(), "user-7")
		fmt.Println(d.Allowed(), err)
	}
	// Output:
	// allowed
	// true <nil>
	// would_deny
	// true <nil>
}

// More for everybody, at once: who has used up his ten of a minute has used up his twenty, and gets the next sooner.
func ExampleLimiter_SetLimits() {
	limits, err := ratelimit.ParseLimits("10/minute")
	if err != nil {
		fmt.Println(err)
		return
	}
	l, err := ratelimit.New("api", ratelimit.Config{Limits: limits, Hooks: ratelimit.Hooks{
		OnLimits: func(e ratelimit.LimitsEvent) { fmt.Println(e.Name, "from", e.Old, "to", e.New) },
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	var d ratelimit.Decision
	refused := func() time.Duration {
		for d.Verdict != ratelimit.Denied {
			if d, err = l.Allow(context.Background(), "user-7"); err != nil {
				return 0
			}
		}
		return d.RetryAfter.Round(time.Second)
	}
	fmt.Println("refused for", refused())

	limits[0].Count = 20
	if err := l.SetLimits(limits); err != nil {
		fmt.Println(err)
		return
	}
	d = ratelimit.Decision{}
	fmt.Println("refused for", refused())
	// Output:
	// refused for 6s
	// api from 10/minute to 20/minute
	// refused for 3s
}
