package idempotency_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx/idempotency"
)

// post sends a text with a key, as a page does, and again where its user clicks twice.
func post(url, key, body string) {
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		log.Fatal(err)
	}
	req.Header.Set(idempotency.Header, key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		log.Fatal(err)
	}
	answer, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		log.Fatal(err)
	}
	if p, err := errors.DecodeProblem(answer); err == nil && p.Detail != "" {
		answer = []byte(p.Detail)
	}
	fmt.Println(resp.StatusCode, resp.Header.Get(idempotency.HeaderReplayed), string(answer))
}

func ExampleKeys_Handler() {
	keys, err := idempotency.New("api", idempotency.Config{})
	if err != nil {
		log.Fatal(err)
	}
	user := func(*http.Request) (string, error) { return "ann", nil } // whoever has signed in
	sent := 0
	send := func(w http.ResponseWriter, _ *http.Request) {
		sent++
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, "text %d was sent", sent)
	}
	server := httptest.NewServer(keys.Handler(user)(http.HandlerFunc(send)))
	defer server.Close()
	defer http.DefaultClient.CloseIdleConnections()

	post(server.URL, `"8e03978e"`, "hello")
	post(server.URL, `"8e03978e"`, "hello")
	post(server.URL, `"8e03978e"`, "goodbye")
	// Output:
	// 201  text 1 was sent
	// 201 true text 1 was sent
	// 422  This Idempotency-Key was used for another request. Use a new one for each.
}

// A handler that makes two calls says when the first has succeeded.
func ExampleKeep() {
	keys, err := idempotency.New("api", idempotency.Config{})
	if err != nil {
		log.Fatal(err)
	}
	user := func(*http.Request) (string, error) { return "ann", nil }
	text := func() error { return nil }
	call := func() error { return &errors.Error{Kind: errors.CircuitOpen, Delivery: errors.NotSent} }
	h := keys.Handler(user)(errors.Handler(func(_ http.ResponseWriter, r *http.Request) error {
		if err := text(); err != nil {
			return err // nothing was sent: the key is free again
		}
		idempotency.Keep(r.Context()) // from here on it is not
		return call()
	}))
	for range 2 {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header.Set(idempotency.Header, "k")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Header().Get(idempotency.HeaderReplayed) == "true")
	}
	// Output:
	// 503 false
	// 503 true
}
