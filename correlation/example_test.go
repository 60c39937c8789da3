package correlation_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"

	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/errors"
)

// request makes an inbound request with an id, as a proxy of yours would send it.
func request(target, id string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, target, nil)
	if id != "" {
		r.Header.Set(correlation.Header, id)
	}
	return r
}

// Outsiders may not choose ids here: only the proxies' network is believed.
func ExampleNew() {
	cor, err := correlation.New(correlation.Config{
		TrustedPeers: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		Hooks: correlation.Hooks{OnReplaced: func(e correlation.ReplacedEvent) {
			fmt.Println("replaced:", e.Reason)
		}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	h := cor.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		id, _ := correlation.ID(r.Context())
		fmt.Println("taken:", id == "call-7")
	}))
	for _, peer := range []string{"10.1.2.3:40000", "203.0.113.9:40000"} {
		r := request("/", "call-7")
		r.RemoteAddr = peer
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	// Output:
	// taken: true
	// replaced: untrusted
	// taken: false
}

func ExampleCorrelator_Handler() {
	cor, _ := correlation.New(correlation.Config{})
	h := cor.Handler(errors.Handler(func(http.ResponseWriter, *http.Request) error {
		return errors.NotFound
	}))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, request("/", "call-7"))
	fmt.Println(w.Header().Get(correlation.Header))
	fmt.Println(w.Body)
	// Output:
	// call-7
	// {"correlation_id":"call-7","detail":"There is nothing here.","kind":"not_found","status":404,"title":"Not Found","type":"about:blank"}
}

func ExampleCorrelator_Transport() {
	vendor := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Println("the vendor sees", r.Header.Get(correlation.Header))
	}))
	defer vendor.Close()

	cor, _ := correlation.New(correlation.Config{})
	client := &http.Client{Transport: cor.Transport(nil)}
	ctx := correlation.WithID(context.Background(), "call-7")
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, vendor.URL, nil)
	resp, err := client.Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = resp.Body.Close()
	client.CloseIdleConnections()
	// Output: the vendor sees call-7
}

func ExampleLogHandler() {
	plain := slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: noTime})
	logger := slog.New(correlation.LogHandler(plain))

	ctx := correlation.WithID(context.Background(), "call-7")
	logger.WithGroup("twilio").InfoContext(ctx, "calling", "attempt", 1)
	// Output: {"level":"INFO","msg":"calling","twilio":{"attempt":1},"correlation_id":"call-7"}
}

func ExampleWithID() {
	ctx := correlation.WithID(context.Background(), "job-12")
	ctx = correlation.WithID(ctx, "not\nvalid") // changes nothing
	fmt.Println(correlation.ID(ctx))
	// Output: job-12 true
}

func ExampleNewID() {
	id := correlation.NewID()
	fmt.Println(len(id), string(id[14]), correlation.Valid(id))
	// Output: 36 7 true
}

func ExampleDetach() {
	ctx, cancel := context.WithCancel(correlation.WithID(context.Background(), "call-7"))
	detached := correlation.Detach(ctx)
	cancel() // the request is over
	id, _ := correlation.ID(detached)
	fmt.Println(id, detached.Err())
	// Output: call-7 <nil>
}

func ExampleTraceOf() {
	cor, _ := correlation.New(correlation.Config{})
	r := request("/", "")
	r.Header.Set("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	cor.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		trace, ok := correlation.TraceOf(r.Context())
		fmt.Println(trace.TraceID, trace.Sampled, ok)
	})).ServeHTTP(httptest.NewRecorder(), r)
	// Output: 4bf92f3577b34da6a3ce929d0e0e4736 true true
}

// The first key signs, all verify: to change keys, put the new one in front.
func ExampleNewSigner() {
	signer, err := correlation.NewSigner([]byte("new key, 16 bytes or more"), []byte("old key, 16 bytes or more"))
	if err != nil {
		fmt.Println(err)
		return
	}
	token := signer.Token("0190c7a5-7e4f-7c3d-8a51-0123456789ab", 0)
	fmt.Println(len(token))
	fmt.Println(signer.Verify(token))
	fmt.Println(signer.Verify("x" + token))

	_, err = correlation.NewSigner([]byte("too short"))
	fmt.Println(err)
	// Output:
	// 40
	// 0190c7a5-7e4f-7c3d-8a51-0123456789ab <nil>
	//  correlation: verify token: unauthenticated: malformed token
	// correlation "signer": keys[0] = 9 bytes: want at least 16
}

// The id goes out in the URL that Twilio calls back, and comes in with the callback.
func ExampleSigner_Handler() {
	cor, _ := correlation.New(correlation.Config{})
	signer, _ := correlation.NewSigner([]byte("a key of 16 bytes or more"))

	statusCallback := "/twilio/status?cid=" + signer.Token("call-7", 0)

	restore := signer.Handler("cid")
	status := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Println(correlation.ID(r.Context()))
	})
	cor.Handler(restore(status)).ServeHTTP(httptest.NewRecorder(), request(statusCallback, ""))
	// Output: call-7 true
}
