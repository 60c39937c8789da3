// Command chi is a protected service on chi: every package of the library is one r.Use or one r.With, and its switches are
// flags that may be changed while it runs.
//
//	APP_ENV=development INTEGRATIONS_STUB_MODE=true go -C examples run ./chi
//	curl -i localhost:8080/api/events
package main

import (
	"io"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/flags"
	"github.com/prusik-go/prusik/httpx"
	"github.com/prusik-go/prusik/httpx/idempotency"
	"github.com/prusik-go/prusik/httpx/status"
	"github.com/prusik-go/prusik/ratelimit"
)

func main() {
	handler, err := service(os.Environ(), "https://httpbin.org/post")
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Addr: "localhost:8080", Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	log.Printf("http://%s/ops/status", server.Addr)
	log.Fatal(server.ListenAndServe())
}

// service is all of the wiring.
func service(environ []string, mailer string) (http.Handler, error) {
	set := flags.New("chi", flags.Config{})
	cfg := httpx.FromFlags(set, "mail")
	stubs := httpx.DeclareSwitches(set, "").StubMode
	if err := set.Load(environ, ".env"); err != nil {
		return nil, err
	}
	ids, err1 := correlation.New(correlation.Config{})
	keys, err2 := idempotency.New("api", idempotency.Config{})
	page, err3 := status.New(status.Config{})
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	page.WatchFlags(set)
	limiter, err1 := httpx.LimiterFromFlags(set, "api", page.WatchLimiter(ratelimit.Config{}))
	mail, err2 := httpx.NewClient("mail", page.WatchClient(cfg))
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}

	r := chi.NewRouter()
	r.Use(ids.Handler, set.Handler) // one id and one set of flags for each request
	r.Mount("/ops/status", page)
	r.Route("/api", func(r chi.Router) {
		r.Use(limiter.Handler(ratelimit.RemoteAddr))
		r.With(stubs.Handler(flags.Gate{Detail: "Stub mode disabled"})).Get("/events", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `[{"title":"Stand-up"}]`)
		})
		r.With(keys.Handler(ratelimit.RemoteAddr)).Method(http.MethodPost, "/mails", errors.Handler(func(w http.ResponseWriter, r *http.Request) error {
			req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, mailer, http.MaxBytesReader(w, r.Body, 64<<10))
			if err != nil {
				return err
			}
			resp, err := mail.Do(req)
			if err != nil {
				return err
			}
			defer func() { _ = resp.Body.Close() }()
			if err := httpx.ResponseError(resp); err != nil {
				return err // what may have been sent is said to be unknown, and its key answers the same from now on
			}
			w.WriteHeader(http.StatusAccepted)
			return nil
		}))
	})
	return r, nil
}
