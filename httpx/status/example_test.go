package status_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/status"
)

// One line lists a client, and one URL shows it.
func ExampleNew() {
	s, err := status.New(status.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := httpx.NewClient("vendor", s.WatchClient(httpx.Config{
		Base: down(), BackoffBase: -1,
		Breaker: breaker.Config{Failures: 2},
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := client.Get("http://vendor.test/"); err != nil {
		srv := httptest.NewServer(s)
		defer srv.Close()
		resp, err := http.Get(srv.URL) // a browser gets the page here
		if err != nil {
			fmt.Println(err)
			return
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		http.DefaultClient.CloseIdleConnections()
		fmt.Println(resp.Header.Get("Content-Type"), strings.Contains(string(body), `"state":"open"`))
	}
	for _, c := range s.State().Clients {
		fmt.Println(c.Name, c.Level, c.Breakers[0].State, "after", c.Retries, "retry")
	}
	// Output:
	// application/json true
	// vendor down open after 1 retry
}

// Who may give commands is the program's to say.
func ExampleConfig_guard() {
	s, err := status.New(status.Config{
		Guard: func(r *http.Request) (string, error) {
			name, password, _ := r.BasicAuth()
			if password != "of the session, say" {
				return "", fmt.Errorf("%s is not on call", name)
			}
			return name, nil
		},
		Hooks: status.Hooks{OnCommand: func(e status.CommandEvent) {
			fmt.Println("audit:", e.Who, e.Command, e.Breaker, e.From, "->", e.To, e.Err)
		}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := httpx.NewClient("vendor", s.WatchClient(httpx.Config{})); err != nil {
		fmt.Println(err)
		return
	}
	for _, password := range []string{"guessed", "of the session, say"} {
		r := httptest.NewRequest(http.MethodPost, "/status", strings.NewReader(`{"client":"vendor","breaker":"vendor","command":"force_open"}`))
		r.Header.Set("Content-Type", "application/json")
		r.SetBasicAuth("anna", password)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	// Output:
	// audit:    closed -> closed command: forbidden: anna is not on call
	// 403
	// audit: anna force_open vendor closed -> forced-open <nil>
	// 200
}
