package idempotency

// NewMemory is the memory, for its conformance.
func NewMemory(maxKeys, maxBytes int) Store { return newMemory(maxKeys, maxBytes) }

// Held is the number of records that a memory holds, expired ones among them.
func Held(s Store) int { return len(s.(*memory).records) }

// ParseKey is what reads the field.
func ParseKey(s string) (string, bool) { return parseKey(s) }

// CheckAnswer reports whether b is an answer that can be read.
func CheckAnswer(b []byte) bool {
	_, ok := decode(b)
	return ok
}

// RaceEnabled reports whether the race detector is on.
const RaceEnabled = raceEnabled
