package chiroutes_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/prusik-go/prusik/ratelimit"
	"github.com/prusik-go/prusik/ratelimit/ratelimittest"
	"github.com/prusik-go/prusik/ratelimit/ratelimittest/chiroutes"
)

// printT stands in for the *testing.T of a test.
type printT struct{ testing.TB }

func (printT) Helper()                   {}
func (printT) Errorf(f string, a ...any) { fmt.Printf(f+"\n", a...) }

// A route that somebody has added beside the group with the limit.
func ExampleList() {
	l, err := ratelimit.New("api", ratelimit.Config{Limits: ratelimit.Limits{{Count: 10, Period: time.Minute}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	handler := func(http.ResponseWriter, *http.Request) {}
	router := chi.NewRouter()
	router.Get("/healthz", handler)
	router.Route("/api/v1", func(r chi.Router) {
		r.Group(func(r chi.Router) {
			r.Use(l.Handler(ratelimit.RemoteAddr))
			r.Post("/calls/{id:[0-9]+}", handler)
			r.Get("/settings", handler)
		})
		r.Post("/sms", handler)
	})

	var t printT
	routes := chiroutes.List(t, router, "GET /healthz")
	fmt.Println(routes)
	ratelimittest.RequireLimited(t, router, routes...)
	// Output:
	// [POST /api/v1/calls/1 GET /api/v1/settings POST /api/v1/sms]
	// ratelimittest: POST /api/v1/sms is not limited: 1000 requests from one client, and none was refused for its rate; the last was answered with 200
}
