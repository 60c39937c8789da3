package newid

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHexWritesEveryDigit(t *testing.T) {
	for v := range uint32(1 << 16) {
		for _, v := range []uint32{v, v << 16, ^v} {
			got := hex(v)
			require.Equal(t, fmt.Sprintf("%08x", v), string(got[:]))
		}
	}
}
