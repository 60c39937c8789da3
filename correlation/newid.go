package correlation

import (
	"time"

	"github.com/prusik-go/prusik/internal/newid"
)

// NewID returns a new id: a UUID version 7 (RFC 9562), 48 bits of Unix milliseconds and 74 random bits of crypto/rand.
// Ids sort by the millisecond they were made in, as the wall clock says. An id that is kept (in a map, say) keeps
// up to 1 KiB of memory that it shares with its neighbours; strings.Clone lets go of that.
func NewID() string { return newid.At(time.Now()) }
