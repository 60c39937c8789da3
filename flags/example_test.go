package flags_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/prusik-go/prusik/flags"
)

func Example() {
	set := flags.New("voice", flags.Config{})
	stubMode := set.Bool("INTEGRATIONS_STUB_MODE", flags.NeverIn(flags.Production),
		flags.Doc("Serves canned e-mail and calendar data."))

	// A program calls set.Load(os.Environ(), ".env").
	err := set.Load([]string{"INTEGRATIONS_STUB_MODE=true"})
	fmt.Println(err)
	fmt.Println(stubMode.Get())

	err = set.Load([]string{"APP_ENV=development", "INTEGRATIONS_STUB_MODE=true"})
	fmt.Println(err)
	fmt.Println(stubMode.Get())
	// Output:
	// flags "voice": INTEGRATIONS_STUB_MODE = true: want false in production, and APP_ENV is not set, which counts as production: set APP_ENV=development where this is no production, or unset INTEGRATIONS_STUB_MODE
	// false
	// <nil>
	// true
}

func ExampleBool_Handler() {
	set := flags.New("voice", flags.Config{})
	stubMode := set.Bool("INTEGRATIONS_STUB_MODE", flags.Doc("Serves canned e-mail and calendar data."))
	events := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "[]") })
	mux := http.NewServeMux()
	mux.Handle("GET /events", stubMode.Handler(flags.Gate{Detail: "Stub mode disabled"})(events))
	if err := set.Load(nil); err != nil {
		fmt.Println(err)
	}

	get := func() {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/events", http.NoBody))
		fmt.Println(w.Code, w.Body)
	}
	get()
	if err := set.Override(flags.Change{Flag: "INTEGRATIONS_STUB_MODE", Value: "true", Author: "ann", Reason: "demo", For: time.Hour}); err != nil {
		fmt.Println(err)
	}
	get()
	// Output:
	// 403 {"detail":"Stub mode disabled","kind":"feature_disabled","status":403,"title":"Forbidden","type":"about:blank"}
	// 200 []
}

func ExampleSet_WriteEnv() {
	set := flags.New("voice", flags.Config{})
	set.Duration("VOICE_TIMEOUT", flags.Default(5*time.Second), flags.Unit(time.Second),
		flags.Range(time.Second, time.Minute), flags.Doc("How long a caller waits for an answer."))
	if err := set.WriteEnv(os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// # Where the program runs: development, test, staging, production. Unset, and any other name, counts as production.
	// # It belongs into the environment itself: in a file it is refused, and only in development is a file read.
	// # APP_ENV=development
	//
	// # How long a caller waits for an answer.
	// # Seconds, or a duration such as 1m30s; 1s to 1m0s.
	// VOICE_TIMEOUT=5s
}
