package httpx

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// Each call allocates one. Beyond 760 bytes, Go takes 896 for it, which a GET on a stub feels.
func TestACallFitsItsSizeClass(t *testing.T) {
	t.Parallel()
	require.LessOrEqual(t, unsafe.Sizeof(call{}), uintptr(760))
}
