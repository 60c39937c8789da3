// Command anyvendor protects the client of a vendor that Prusik does not know: a profile is what its documentation says.
//
//	go -C examples run ./anyvendor
package main

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/httpx"
)

// carrierPigeon is what is known of a vendor that does not exist. Leave out what you do not know: the zero Profile is an
// unknown vendor, for which the rules of HTTP hold.
func carrierPigeon() httpx.Profile {
	return httpx.Profile{
		Vendor: "carrier pigeon", Source: "https://docs.pigeon.example/errors (read 2026-11-25)",
		// "Send Pigeon-Once to make POST safe to repeat": so a POST whose answer was lost is sent again.
		IdempotencyHeader: "Pigeon-Once",
		// "No more than 20 letters in the air": the client's bulkhead.
		MaxConcurrent: 20,
		// "X-Resting-Ms: the bird needs so many milliseconds": waited for, and every caller waits with the first.
		RetryAfter: []httpx.WaitHeader{{Name: "X-Resting-Ms", Unit: httpx.UnitMilliseconds}},
		// "418: the bird is tired, your letter was not taken": any other 4xx would be for good.
		Classify: func(r httpx.Response) (httpx.Verdict, bool) {
			tired := r.Status == http.StatusTeapot
			return httpx.Verdict{Delivery: errors.Rejected, Retry: httpx.RetryAlways, Limited: true, Reason: "tired"}, tired
		},
		// {"coo":"NO_SUCH_LOFT","said":"..."}
		DecodeError: func(r httpx.Response) httpx.VendorError {
			var body struct{ Coo, Said string }
			_ = json.Unmarshal(r.Body, &body)
			return httpx.VendorError{Code: body.Coo, Message: body.Said, RequestID: r.Header.Get("X-Feather")}
		},
	}
}

func main() {
	if err := run(context.Background(), log.New(os.Stdout, "", 0)); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out *log.Logger) error {
	loft := httptest.NewServer(pigeons())
	defer loft.Close()

	client, err := httpx.NewClient("pigeon", httpx.Config{Profile: carrierPigeon(), BackoffBase: 10 * time.Millisecond})
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()

	for _, to := range []string{"london", "atlantis"} {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, loft.URL+"/letters/"+to, strings.NewReader("Coo."))
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err // never sent, or lost: errors.DeliveryOf says which
		}
		outcome, _ := httpx.OutcomeOf(resp)
		out.Printf("%s: %s after %d attempts", to, outcome.Delivery, outcome.Attempts)
		if e, failed := errors.AsType[*errors.Error](httpx.ResponseError(resp)); failed {
			out.Printf("  the vendor says %s: %s", e.VendorCode, e.VendorMessage)
		}
		if err := resp.Body.Close(); err != nil {
			return err
		}
	}
	return nil
}

// pigeons is the made-up vendor: its bird is tired at first, loses the first answer, and knows no Atlantis.
func pigeons() http.Handler {
	flights := 0
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		flights++
		switch {
		case strings.HasSuffix(r.URL.Path, "/atlantis"):
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"coo":"NO_SUCH_LOFT","said":"the bird came back"}`)
		case flights == 1:
			w.Header().Set("X-Resting-Ms", "20")
			w.WriteHeader(http.StatusTeapot)
		case flights == 2:
			w.WriteHeader(http.StatusBadGateway)
		case r.Header.Get("Pigeon-Once") != "":
			w.WriteHeader(http.StatusCreated)
		}
	})
}
