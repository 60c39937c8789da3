package main

import (
	"bytes"
	"log"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestItDoesWhatItSays(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), log.New(&out, "", 0)))
	require.Equal(t, `london: delivered after 3 attempts
atlantis: rejected after 1 attempts
  the vendor says NO_SUCH_LOFT: the bird came back
`, out.String())
}
