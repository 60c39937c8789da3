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
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:], ms<<16)
	copy(raw[6:], g.random[poolLen-g.left:])
	g.left -= idRandom
	raw[6] = raw[6]&0x0f | 0x70 // version 7
	raw[8] = raw[8]&0x3f | 0x80 // variant of RFC 9562

	if g.text.Cap()-g.text.Len() < idLen {
		g.text.Reset()
		g.text.Grow(arenaLen)
	}
	const digits = "0123456789abcdef"
	start := g.text.Len()
	var text [idLen]byte
	at := 0
	for i, b := range raw {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			text[at] = '-'
			at++
		}
		text[at], text[at+1] = digits[b>>4], digits[b&0x0f]
		at += 2
	}
	g.text.Write(text[:])
	return g.text.String()[start:]
}
