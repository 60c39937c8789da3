package correlation_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/correlation"
)

func TestNewIDIsAUUIDv7OfNow(t *testing.T) {
	t.Parallel()
	for range 1000 {
		before := time.Now().UnixMilli()
		id := correlation.NewID()
		after := time.Now().UnixMilli()

		u, err := uuid.Parse(id)
		require.NoError(t, err)
		require.Equal(t, id, u.String(), "in the canonical form")
		require.Equal(t, uuid.Version(7), u.Version())
		require.Equal(t, uuid.RFC4122, u.Variant())
		require.True(t, correlation.Valid(id))
		ms := millis(u)
		require.GreaterOrEqual(t, ms, before)
		require.LessOrEqual(t, ms, after)
	}
}

func TestNewIDsOfOneGoroutineSortByTheirMillisecond(t *testing.T) {
	t.Parallel()
	last := ""
	for range 20_000 {
		id := correlation.NewID()
		// Eight digits, a hyphen and four digits are the milliseconds.
		require.GreaterOrEqual(t, id[:13], last)
		last = id[:13]
	}
}

func TestNewIDsAreUniqueAcrossGoroutines(t *testing.T) {
	t.Parallel()
	const goroutines = 8
	each := 125_000
	if raceEnabled || testing.Short() {
		each = 10_000
	}
	lists := make([][]string, goroutines)
	var wg sync.WaitGroup
	for i := range lists {
		wg.Go(func() {
			lists[i] = make([]string, 0, each)
			for range each {
				lists[i] = append(lists[i], correlation.NewID())
			}
		})
	}
	wg.Wait()
	seen := make(map[string]struct{}, goroutines*each)
	random := make(map[string]struct{}, goroutines*each)
	for _, list := range lists {
		for _, id := range list {
			if _, err := uuid.Parse(id); err != nil || id[14] != '7' || id[19] < '8' || id[19] > 'b' {
				t.Fatalf("%q is no UUIDv7", id)
			}
			seen[id] = struct{}{}
			random[id[14:]] = struct{}{}
		}
	}
	require.Len(t, seen, goroutines*each)
	require.Len(t, random, goroutines*each, "the random part alone is unique too: no bytes are used twice")
}

// Each of the 74 random bits is seen both ways, and the fixed six never.
func TestNewIDRandomBits(t *testing.T) {
	t.Parallel()
	var ones, zeros uuid.UUID
	for range 1000 {
		u := uuid.MustParse(correlation.NewID())
		for i, b := range u {
			ones[i] |= b
			zeros[i] |= ^b
		}
	}
	want := [10]byte{0x0f, 0xff, 0x3f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	for i, mask := range want {
		require.Equal(t, mask, ones[6+i]&zeros[6+i], "byte %d", 6+i)
	}
}

// The random bytes of one id are not used again in the next.
func TestNewIDsShareNoRandomBytes(t *testing.T) {
	t.Parallel()
	last := uuid.MustParse(correlation.NewID())
	for shift := range 10 { // the first bytes of an id against each place in the one before
		alike := 0
		for range 1000 {
			u := uuid.MustParse(correlation.NewID())
			if u[6]&0x0f == last[6+shift]&0x0f && 6+shift+1 < 16 && u[7] == last[6+shift+1] {
				alike++ // by chance, once in 4,096
			}
			last = u
		}
		require.Less(t, alike, 20, "%d bytes later", shift)
	}
}

// What a generator writes later must not show in ids that were handed out before.
func TestNewIDsStayAsTheyWere(t *testing.T) {
	t.Parallel()
	ids, copies := make([]string, 500), make([][]byte, 500)
	for i := range ids {
		ids[i] = correlation.NewID()
		copies[i] = []byte(ids[i])
	}
	for i := range ids {
		require.Equal(t, string(copies[i]), ids[i])
	}
}

func TestNewIDCostsASixteenthOfAnAllocation(t *testing.T) {
	if raceEnabled {
		t.Skip("counts allocations")
	}
	require.LessOrEqual(t, testing.AllocsPerRun(20, func() {
		for range 160 {
			correlation.NewID()
		}
	}), 10.0)
}

func millis(u uuid.UUID) int64 {
	var ms int64
	for _, b := range u[:6] {
		ms = ms<<8 | int64(b)
	}
	return ms
}
