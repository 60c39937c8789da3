package idempotencytest_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/prusik-go/prusik/httpx/idempotency"
	"github.com/prusik-go/prusik/httpx/idempotency/idempotencytest"
)

// forgetful tells everybody to run.
type forgetful struct{}

func (forgetful) Begin(_ context.Context, c idempotency.Claim) (idempotency.Record, error) {
	return idempotency.Record{State: idempotency.Claimed, Fingerprint: c.Fingerprint}, nil
}
func (forgetful) Finish(context.Context, idempotency.Claim, []byte) error { return nil }
func (forgetful) Release(context.Context, idempotency.Claim) error        { return nil }

func ExampleTestStore() {
	err := idempotencytest.TestStore(forgetful{})
	first, _, _ := strings.Cut(err.Error(), "\n")
	fmt.Println(first)
	// Output: idempotencytest: a key is claimed once: step 2: the state is 1, want 2
}
