package redisstore_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/prusik-go/prusik/httpx/idempotency"
	"github.com/prusik-go/prusik/httpx/idempotency/redisstore"
)

// A request that a proxy sends to a second process, because the first was slow to answer. The example runs on a simulator, to run
// everywhere.
func ExampleNew() {
	server, err := miniredis.Run()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	user := func(*http.Request) (string, error) { return "ann", nil }
	for _, process := range []string{"one", "two"} {
		client := redis.NewClient(&redis.Options{Addr: server.Addr()})
		store, err := redisstore.New("keys", redisstore.Config{Client: client})
		if err != nil {
			fmt.Println(err) // every wrong field, at once
			return
		}
		keys, err := idempotency.New("api", idempotency.Config{Store: store, OnOutage: idempotency.FailClosed})
		if err != nil {
			fmt.Println(err)
			return
		}
		send := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "sent by ", process) }
		r := httptest.NewRequest(http.MethodPost, "/messages", nil)
		r.Header.Set(idempotency.Header, `"8e03978e"`)
		w := httptest.NewRecorder()
		keys.Handler(user)(http.HandlerFunc(send)).ServeHTTP(w, r)
		fmt.Println(process, "answers:", w.Code, w.Body)
		if err := client.Close(); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// one answers: 200 sent by one
	// two answers: 200 sent by one
}
