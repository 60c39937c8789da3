package ratelimit

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// RaceEnabled reports whether the race detector is on.
const RaceEnabled = raceEnabled

// Hosts is the number of Outbounds that l holds.
func Hosts(l *Limiter) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.outbounds)
}

// MemoryStore is the memory of one limiter as a Store, for its conformance.
type MemoryStore struct {
	mu       sync.Mutex
	byLimits map[string]*memory
}

// NewMemoryStore returns an empty one.
func NewMemoryStore() *MemoryStore { return &MemoryStore{byLimits: map[string]*memory{}} }

func (s *MemoryStore) memory(r Request) *memory {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := r.Limiter + "\x00" + Limits(r.Limits).String()
	if s.byLimits[id] == nil {
		s.byLimits[id] = memoryOf(r.Limits, 1000, time.Now())
	}
	return s.byLimits[id]
}

// Take decides.
func (s *MemoryStore) Take(ctx context.Context, r Request) (Result, error) {
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	var res Result
	s.memory(r).take(&r, &res)
	return res, nil
}

// memoryOf is the memory of a limiter of these limits.
func memoryOf(limits Limits, maxKeys int, born time.Time) *memory {
	var present atomic.Pointer[terms]
	present.Store(newTerms(&Config{Limits: limits}))
	return newMemory(&present, maxKeys, born)
}

// Refund gives back.
func (s *MemoryStore) Refund(_ context.Context, r Request, back [MaxLimits]time.Duration) error {
	var own [MaxLimits]time.Duration
	for i := range own {
		own[i] = math.MaxInt64 / 2 // nobody waits: that was looked at
	}
	m := s.memory(r)
	shard, a, b := m.hash(r.Key)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	shard.giveBack(a, b, m.now(), &back, &own)
	return nil
}
