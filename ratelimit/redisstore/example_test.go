package redisstore_test

import (
	"context"
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/prusik-go/prusik/ratelimit"
	"github.com/prusik-go/prusik/ratelimit/redisstore"
)

// Two processes that share a limit of three. The example runs on a simulator, to run everywhere.
func ExampleNew() {
	server, err := miniredis.Run()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	for _, process := range []string{"one", "two"} {
		store, err := redisstore.New("limits", redisstore.Config{URL: "redis://" + server.Addr()})
		if err != nil {
			fmt.Println(err) // every wrong field, at once
			return
		}
		limiter, err := ratelimit.New("api", ratelimit.Config{
			Limits:   ratelimit.Limits{{Count: 3, Period: time.Hour}, {Count: 100, Period: 24 * time.Hour}},
			Store:    store,
			OnOutage: ratelimit.FailClosed,
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		for range 2 {
			d, err := limiter.Allow(context.Background(), "alice@example.com")
			fmt.Println(process, d.Verdict, d.Policy, err)
		}
		store.Close()
	}
	// Output:
	// one allowed  <nil>
	// one allowed  <nil>
	// two allowed  <nil>
	// two denied api/3/hour <nil>
}
