package ratelimit

import (
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func take(m *memory, r *Request) Result {
	var res Result
	m.take(r, &res)
	return res
}

// The table against a map, with homes so close that searches collide and wrap around.
func TestTableModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tab := &table{limits: rapid.IntRange(1, 3).Draw(t, "limits"), most: 1 << 20}
		type key struct{ a, b int64 }
		model := map[key]int64{}
		now := int64(0)
		draw := func(t *rapid.T) key {
			return key{rapid.SampledFrom([]int64{1, -3, 2, 6, 7, 8, 15, 16, 1 << 60}).Draw(t, "a"), rapid.Int64Range(0, 7).Draw(t, "b")}
		}
		times := make([]int64, tab.limits)
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				k := draw(t)
				at := now + rapid.Int64Range(1, 50).Draw(t, "time")
				slot, found := tab.find(k.a, k.b)
				if !found {
					slot, _ = tab.insert(k.a, k.b, now)
				}
				for i := range times {
					times[i] = at - int64(i)
				}
				tab.set(slot, times)
				model[k] = at
			},
			"remove": func(t *rapid.T) {
				k := draw(t)
				if slot, found := tab.find(k.a, k.b); found {
					tab.remove(slot)
					delete(model, k)
				}
			},
			"sweep":   func(t *rapid.T) { tab.sweep(now, rapid.IntRange(1, 64).Draw(t, "slots")) },
			"rebuild": func(*rapid.T) { tab.rebuild(now) },
			"time":    func(t *rapid.T) { now += rapid.Int64Range(0, 40).Draw(t, "step") },
			"": func(t *rapid.T) {
				used := 0
				for i := range tab.size() {
					if tab.taken(i) {
						used++
						slot, found := tab.find(tab.slots[i*tab.stride()], tab.slots[i*tab.stride()+1])
						require.True(t, found)
						require.Equal(t, i, slot, "twice in the table")
					}
				}
				require.Equal(t, used, tab.used)
				require.LessOrEqual(t, used*4, tab.size()*3)
				for k, at := range model {
					slot, found := tab.find(k.a, k.b)
					if at <= now {
						continue // may be gone
					}
					require.True(t, found, "%v", k)
					require.Equal(t, at, tab.fullAt(slot))
					require.Equal(t, at, tab.times(slot)[0])
				}
			},
		})
	})
}

func limitsOf(t testing.TB, s string) []Limit {
	t.Helper()
	limits, err := ParseLimits(s)
	require.NoError(t, err)
	for i := range limits {
		limits[i].Burst = limits[i].burst()
	}
	return limits
}

func heap() uint64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

func TestMemoryPerKeyAndGivenBack(t *testing.T) {
	n := 1_000_000
	if testing.Short() || raceEnabled {
		n = 50_000
	}
	synctest.Test(t, func(t *testing.T) {
		before := heap()
		m := memoryOf(limitsOf(t, "10/minute"), 2*n, time.Now())
		key := make([]byte, 0, 32)
		fill := func(from, to int) {
			for i := from; i < to; i++ {
				key = strconv.AppendInt(append(key[:0], "client-"...), int64(i), 10)
				take(m, &Request{Key: string(key), Cost: 1})
			}
		}
		fill(0, n)
		require.Equal(t, n, m.keys())
		per := float64(heap()-before) / float64(n)
		t.Logf("%.1f bytes a key", per)
		require.Less(t, per, 72.0)

		time.Sleep(time.Minute)
		for range 2000 { // traffic of a few clients tidies up for all
			fill(0, 200)
		}
		require.Less(t, m.keys(), 1000)
		left := float64(heap()) - float64(before)
		t.Logf("%.3f bytes a key after expiry", left/float64(n))
		require.Less(t, left/float64(n), 1.0)
		runtime.KeepAlive(m)
	})
}

// Not all at once either: where some keys stay in use, those that are full go, and the tables shrink.
func TestFullBucketsGoWhileOthersAreInUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := memoryOf(limitsOf(t, "1/minute burst 10"), 100_000, time.Now())
		for i := range 50_000 {
			take(m, &Request{Key: strconv.Itoa(i), Cost: 1})
		}
		for i := range 100 {
			take(m, &Request{Key: strconv.Itoa(i), Cost: 9})
		}
		slots := func() (n int) {
			for i := range m.shards {
				n += m.shards[i].size()
			}
			return n
		}
		before := slots()
		time.Sleep(time.Minute)
		for range 200_000 {
			take(m, &Request{Key: "busy", Cost: 1})
		}
		require.LessOrEqual(t, m.keys(), 101)
		require.Less(t, slots(), before/8)
		for i := range 100 {
			r := take(m, &Request{Key: strconv.Itoa(i), Cost: 2})
			require.False(t, r.Allowed, "nobody's debt is lost")
		}
	})
}

// Many keys through a small limiter: memory is bounded, and the attackers, who have used up their buckets before or do so in
// the flood, get no more of them than time gives back: waiting is never dearer. (That the cost of a decision is flat, and ten
// million keys, are in internal/bench.)
func TestKeyChurn(t *testing.T) {
	const maxKeys = 10_000
	n := 2_000_000
	if testing.Short() || raceEnabled {
		n = 100_000
	}
	synctest.Test(t, func(t *testing.T) {
		before := heap()
		m := memoryOf(limitsOf(t, "10/minute"), maxKeys, time.Now())
		exhaust := Request{Key: "attacker", Cost: 10}
		require.True(t, take(m, &exhaust).Allowed)
		const attackers, interval = 20, 6 * time.Second
		var taken, denied [attackers]int
		start := time.Now()
		longest := 0
		for i := range n {
			take(m, &Request{Key: strconv.Itoa(i), Cost: 1})
			if i%1000 != 0 {
				continue
			}
			time.Sleep(20 * time.Second / time.Duration(n/1000))
			longest = max(longest, m.shards[0].size())
			for a := range attackers {
				key := "attacker" + strconv.Itoa(a)
				if a == 0 {
					key = exhaust.Key
				}
				for take(m, &Request{Key: key, Cost: 1}).Allowed {
					taken[a]++
				}
				denied[a]++
			}
		}
		back := int(time.Since(start) / interval)
		require.Equal(t, 3, back)
		for a := range attackers {
			most := 10 + back
			if a == 0 {
				most = back
			}
			require.LessOrEqual(t, taken[a], most, "attacker %d", a)
			require.Positive(t, denied[a])
		}
		require.Equal(t, back, taken[0], "who waits is served, flood or not")
		require.LessOrEqual(t, m.keys(), maxKeys)
		require.Positive(t, m.evictions.Load())
		grown := float64(heap()-before) / maxKeys
		t.Logf("%d keys, %.0f bytes a key of the bound, %d evictions", n, grown, m.evictions.Load())
		require.Less(t, grown, 120.0)
		require.LessOrEqual(t, longest, 32_768)
		runtime.KeepAlive(m)

		// When the attack is over, everybody has a full bucket again in the time a bucket takes to fill.
		time.Sleep(time.Minute)
		require.True(t, take(m, &exhaust).Allowed)
		for range upkeepEvery * len(m.shards) {
			take(m, &exhaust)
		}
		for i := range m.shards {
			require.Nil(t, m.shards[i].debts, "given back")
		}
		require.True(t, take(m, &Request{Key: "newcomer", Cost: 10}).Allowed)
	})
}

// While full buckets can be evicted instead, nobody starts with the debt of others.
func TestFullBucketsAreEvictedFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := memoryOf(limitsOf(t, "10/minute"), 100, time.Now())
		require.True(t, take(m, &Request{Key: "busy", Cost: 10}).Allowed)
		for i := range 10_000 {
			key := strconv.Itoa(i)
			require.True(t, take(m, &Request{Key: key, Cost: 1}).Allowed)
			time.Sleep(100 * time.Millisecond) // 60 in the 6 s that one request takes to come back
			if i < 590 {
				require.False(t, take(m, &Request{Key: "busy", Cost: 10}).Allowed)
			}
		}
		require.Zero(t, m.evictions.Load())
	})
}

// A table that is at its bound and holds full buckets has room: nobody is evicted.
func TestAFullBucketMakesRoomAtTheBound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := memoryOf(limitsOf(t, "10/minute"), 50, time.Now())
		require.True(t, take(m, &Request{Key: "busy", Cost: 10}).Allowed)
		for i := range 49 {
			require.True(t, take(m, &Request{Key: "old" + strconv.Itoa(i), Cost: 1}).Allowed)
		}
		require.Equal(t, 50, m.keys())
		time.Sleep(6 * time.Second)
		for i := range 10 { // before any upkeep
			require.True(t, take(m, &Request{Key: "new" + strconv.Itoa(i), Cost: 10}).Allowed)
		}
		require.Zero(t, m.evictions.Load())
		require.Nil(t, m.shards[0].debts)
		require.False(t, take(m, &Request{Key: "busy", Cost: 2}).Allowed)
	})
}

func TestTheLeastIndebtedIsEvicted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := memoryOf(limitsOf(t, "10/minute"), 20, time.Now())
		for i := range 10 {
			take(m, &Request{Key: "hot" + strconv.Itoa(i), Cost: 10})
		}
		for range 40 {
			take(m, &Request{Key: strconv.Itoa(rand.IntN(1 << 30)), Cost: 1})
		}
		require.Positive(t, m.evictions.Load())
		s := &m.shards[0]
		for i := range 10 {
			_, a, b := m.hash("hot" + strconv.Itoa(i))
			slot, found := s.find(a, b)
			require.True(t, found, "an exhausted bucket had to go for a fresh one")
			require.Equal(t, int64(time.Minute), s.fullAt(slot)-m.now())
		}
	})
}

// A cell keeps the latest time of all that fall on it, so that nobody's debt is lessened by another's.
func TestDebtsAreNeverLessened(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tab := &table{limits: 2, most: 16}
		owed := map[int64][2]int64{}
		for range rapid.IntRange(1, 60).Draw(t, "evictions") {
			a, b := rapid.Int64Range(1, 100).Draw(t, "a"), rapid.Int64().Draw(t, "b")
			x, y := rapid.Int64Range(1, 100).Draw(t, "x"), rapid.Int64Range(1, 100).Draw(t, "y")
			slot, _ := tab.insert(a, b, 0)
			tab.set(slot, []int64{x, y})
			tab.owe(slot)
			tab.remove(slot)
			owed[b] = [2]int64{max(x, owed[b][0]), max(y, owed[b][1])}
		}
		for b, want := range owed {
			var got [2]int64
			tab.owed(b, got[:])
			require.GreaterOrEqual(t, got[0], want[0])
			require.GreaterOrEqual(t, got[1], want[1])
		}
	})
}

func TestShards(t *testing.T) {
	t.Parallel()
	for _, maxKeys := range []int{1, 2, 1023, 2047, 2048, 5000, 1_000_000} {
		m := memoryOf(limitsOf(t, "1/s"), maxKeys, time.Now())
		total := 0
		for i := range m.shards {
			total += m.shards[i].most
			require.Positive(t, m.shards[i].most)
		}
		require.Equal(t, maxKeys, total)
		seen := map[*shard]bool{}
		for i := range 10_000 {
			s, _, _ := m.hash(strings.Repeat("x", i%7) + strconv.Itoa(i))
			seen[s] = true
		}
		require.Len(t, seen, len(m.shards))
	}
}
