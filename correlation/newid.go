package correlation

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"sync"
	"time"
)

const (
	idLen    = 36            // the text of a UUID
	idRandom = 10            // random bytes an id takes: 74 of their 80 bits
	arenaLen = 28 * idLen    // 1,008 bytes, which Go allocates as 1,024
	poolLen  = 64 * idRandom // random bytes read at once
)

// generators is the only package-level variable. A pool holds nothing that can be observed from outside: a
// generator is a buffer of random bytes and a piece of memory, any is as good as any other, and all may be lost at
// any time. A [Correlator] cannot own it, for NewID has none.
var generators = sync.Pool{New: func() any { return new(generator) }} //nolint:gochecknoglobals // as above

// generator makes ids. Reading random bytes in bulk and cutting the texts from one piece of memory makes an id
// cost 1/28 of an allocation; the price is that an id that is kept keeps 1 KiB alive.
type generator struct {
	random [poolLen]byte
	left   int // unused bytes, at the end of random
	text   strings.Builder
}

// NewID returns a new id: a UUID version 7 (RFC 9562), 48 bits of Unix milliseconds and 74 random bits of crypto/rand.
// Ids sort by the millisecond they were made in, as the wall clock says. An id that is kept (in a map, say) keeps
// up to 1 KiB of memory that it shares with its neighbours; strings.Clone lets go of that.
func NewID() string {
	g := generators.Get().(*generator) //nolint:errcheck,forcetypeassert // the pool holds nothing else
	id := g.next(time.Now())
	generators.Put(g)
	return id
}

func (g *generator) next(now time.Time) string {
	if g.left < idRandom {
		_, _ = rand.Read(g.random[:]) // never fails: it ends the program instead
		g.left = poolLen
	}
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:], uint64(now.UnixMilli())<<16)
	copy(raw[6:], g.random[poolLen-g.left:])
	g.left -= idRandom
	raw[6] = raw[6]&0x0f | 0x70 // version 7
	raw[8] = raw[8]&0x3f | 0x80 // variant of RFC 9562

	var text [idLen]byte
	hex.Encode(text[0:8], raw[0:4])
	hex.Encode(text[9:13], raw[4:6])
	hex.Encode(text[14:18], raw[6:8])
	hex.Encode(text[19:23], raw[8:10])
	hex.Encode(text[24:36], raw[10:16])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'

	if g.text.Cap()-g.text.Len() < idLen {
		g.text.Reset()
		g.text.Grow(arenaLen)
	}
	start := g.text.Len()
	g.text.Write(text[:])
	return g.text.String()[start : start+idLen]
}
