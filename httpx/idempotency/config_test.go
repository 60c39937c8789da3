package idempotency_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/httpx/idempotency"
)

func TestDefaults(t *testing.T) {
	t.Parallel()
	k := newKeys(t, idempotency.Config{})
	cfg := k.Config()
	require.Equal(t, idempotency.Config{
		Methods: []string{"POST", "PATCH"}, TTL: 24 * time.Hour, Lease: time.Minute,
		MaxBody: 1 << 20, MaxResponse: 64 << 10, MaxKeys: 1_000_000, MaxBytes: 64 << 20,
	}, cfg)
	cfg.Methods[0] = "x"
	require.Equal(t, "POST", k.Config().Methods[0], "a copy")
	require.Equal(t, "api", k.Name())
	shared := newKeys(t, idempotency.Config{Store: idempotency.NewMemory(1, 1), OnOutage: idempotency.FailOpen})
	require.Zero(t, shared.Config().MaxKeys)
	require.Zero(t, shared.Snapshot())
}

func TestEveryFaultIsNamed(t *testing.T) {
	t.Parallel()
	store := idempotency.NewMemory(1, 1)
	var none *memoryPointer
	for want, cfg := range map[string]idempotency.Config{
		`Methods = none`:                                         {Methods: []string{}},
		`Methods[1] = "GET"`:                                     {Methods: []string{"POST", "GET"}},
		`TTL = 1ms: want 1s to 8760h0m`:                          {TTL: time.Millisecond},
		`TTL = -1ns`:                                             {TTL: -1},
		`Lease = 25h0m0s: want 1s to 24h0m0s`:                    {Lease: 25 * time.Hour},
		`MaxBody = -1: want 1 to 1073741824`:                     {MaxBody: -1},
		`MaxResponse = 255: want 256 to 67108864`:                {MaxResponse: 255},
		`MaxKeys = -1: want 1 to 100000000`:                      {MaxKeys: -1},
		`MaxBytes = 1023: want 1024 to`:                          {MaxBytes: 1023},
		`OnOutage = closed: want none`:                           {OnOutage: idempotency.FailClosed},
		`OnOutage = 0: want FailClosed or FailOpen`:              {Store: store},
		`OnOutage = 3`:                                           {Store: store, OnOutage: 3},
		`MaxKeys = 1: want 0 with a Store`:                       {Store: store, OnOutage: idempotency.FailOpen, MaxKeys: 1},
		`MaxBytes = 5000: want 0 with a Store`:                   {Store: store, OnOutage: idempotency.FailOpen, MaxBytes: 5000},
		`Store = nil of *idempotency_test.memoryPointer: want a`: {Store: none, OnOutage: idempotency.FailOpen},
	} {
		_, err := idempotency.New("api", cfg)
		require.ErrorContains(t, err, `idempotency "api": `+want)
	}
	_, err := idempotency.New("no name", idempotency.Config{TTL: 1, MaxBody: -1, OnOutage: 9})
	for _, want := range []string{"name", "TTL", "MaxBody", "OnOutage"} {
		require.ErrorContains(t, err, want, "all at once")
	}
}

type memoryPointer struct{ idempotency.Store }
