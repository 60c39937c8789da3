package fault_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/prusik-go/prusik/examples/internal/sim/fault"
)

// The first text is sent and its answer lost, the second is turned away: the client sees two failures, the ledger
// knows which of them arrived.
func ExampleNew() {
	s, err := fault.New(fault.Config{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "sent") }),
		Script:  fault.Sequence(fault.ResetAfterRead(true), fault.TooManyRequests()),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	client := &http.Client{Transport: s.Transport()}
	defer client.CloseIdleConnections()
	for range 2 {
		resp, err := client.Post(s.URL()+"/messages", "text/plain", strings.NewReader("hi"))
		if err != nil {
			fmt.Println("no answer")
			continue
		}
		fmt.Println(resp.Status)
		_ = resp.Body.Close()
	}
	for _, e := range s.Entries() {
		fmt.Println(e.Seq, e.Path, e.Fault, "processed:", e.Processed)
	}
	// Output:
	// no answer
	// 429 Too Many Requests
	// 1 /messages processed_reset_after_read processed: true
	// 2 /messages status_429 processed: false
}
