// Package newid makes UUIDs of version 7 (RFC 9562): 48 bits of Unix milliseconds and 74 random bits.
package newid

import (
	"crypto/rand"
	"encoding/binary"
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
// any time. Nobody can own it, for an id is made where there is no object of ours.
var generators = sync.Pool{New: func() any { return new(generator) }} //nolint:gochecknoglobals // as above

// generator makes ids. Reading random bytes in bulk and cutting the texts from one piece of memory makes an id
// cost 1/28 of an allocation; the price is that an id that is kept keeps 1 KiB alive.
type generator struct {
	random [poolLen]byte
	left   int // unused bytes, at the end of random
	text   strings.Builder
}

// At returns an id of the moment now.
func At(now time.Time) string {
	g := generators.Get().(*generator) //nolint:errcheck,forcetypeassert // the pool holds nothing else
	id := g.next(uint64(now.UnixMilli()))
	generators.Put(g)
	return id
}

func (g *generator) next(ms uint64) string {
	if g.left < idRandom {
		_, _ = rand.Read(g.random[:]) // never fails: it ends the program instead
		g.left = poolLen
	}
	random := g.random[poolLen-g.left:]
	g.left -= idRandom
	const version, variant = 7, 2
	high := ms<<16 | version<<12 | uint64(binary.BigEndian.Uint16(random)&0x0fff)
	low := variant<<62 | binary.BigEndian.Uint64(random[2:])>>2

	var text [idLen]byte
	a, b, c, d := hex(uint32(high>>32)), hex(uint32(high)), hex(uint32(low>>32)), hex(uint32(low)) //nolint:gosec // halves
	copy(text[0:8], a[:])
	copy(text[9:13], b[:4])
	copy(text[14:18], b[4:])
	copy(text[19:23], c[:4])
	copy(text[24:28], c[4:])
	copy(text[28:36], d[:])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'

	if g.text.Cap()-g.text.Len() < idLen {
		g.text.Reset()
		g.text.Grow(arenaLen)
	}
	start := g.text.Len()
	g.text.Write(text[:])
	return g.text.String()[start:]
}

// hex writes v in lower case, all eight digits at once: each nibble gets a byte of a word, and those above nine are moved
// on to the letters. A loop over the digits would be half the cost of an id.
func hex(v uint32) (digits [8]byte) {
	const each = 0x0101010101010101
	x := uint64(v)
	x = (x | x<<16) & 0x0000ffff0000ffff
	x = (x | x<<8) & 0x00ff00ff00ff00ff
	x = (x | x<<4) & 0x0f0f0f0f0f0f0f0f
	letters := (x + 6*each) >> 4 & each
	binary.BigEndian.PutUint64(digits[:], x+'0'*each+letters*('a'-'9'-1))
	return digits
}
