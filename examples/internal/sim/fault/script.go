package fault

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
)

// Script decides what happens to each request. Next is called once per request, from many goroutines at a time, with
// the request's head parsed and its body unread; [Body] reads it where the decision needs it.
type Script interface {
	Next(r *http.Request) Fault
}

// ScriptFunc is a function as a [Script].
type ScriptFunc func(r *http.Request) Fault

// Next calls f.
func (f ScriptFunc) Next(r *http.Request) Fault { return f(r) }

// Always gives every request the same fault.
func Always(f Fault) Script {
	return ScriptFunc(func(*http.Request) Fault { return f })
}

// Steps is the script [Sequence] makes.
type Steps struct {
	faults []Fault
	next   atomic.Int64
	then   Script
}

// Sequence gives the first request the first fault, the second the second, and lets the requests after the last one
// through, or hands them to the script set with [Steps.Then].
func Sequence(faults ...Fault) *Steps {
	return &Steps{faults: faults}
}

// Then sets what decides when the sequence is over, and returns s. Call it before the script is in use.
func (s *Steps) Then(then Script) *Steps {
	s.then = then
	return s
}

// Next implements [Script].
func (s *Steps) Next(r *http.Request) Fault {
	if n := s.next.Add(1); n <= int64(len(s.faults)) {
		return s.faults[n-1]
	}
	return next(s.then, r)
}

// When asks then for requests that match and otherwise for the rest. A nil script lets through.
func When(match func(r *http.Request) bool, then, otherwise Script) Script {
	return ScriptFunc(func(r *http.Request) Fault {
		if match(r) {
			return next(then, r)
		}
		return next(otherwise, r)
	})
}

func next(s Script, r *http.Request) Fault {
	if s == nil {
		return None()
	}
	return s.Next(r)
}

// Share is one fault of a mix and its probability.
type Share struct {
	// P is the probability, in (0, 1].
	P float64
	// Fault is what happens with that probability.
	Fault Fault
}

// Mix gives each request one of the shares by chance, and lets through what is left of 1. The n-th request to ask
// gets the same fault in every run with the same seed; which request is the n-th depends on who comes first, so
// with concurrent callers use [MixBy]. It is an error when a P is outside (0, 1] or their sum exceeds 1.
func Mix(seed uint64, shares ...Share) (Script, error) {
	if err := checkShares(shares); err != nil {
		return nil, err
	}
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(seed, 0))
	return ScriptFunc(func(*http.Request) Fault {
		mu.Lock()
		p := rng.Float64()
		mu.Unlock()
		return draw(p, shares)
	}), nil
}

// MixBy is [Mix] with the draw made from the seed, the request's key and how often that key has come: a call meets
// the same faults on its first, second and third attempt in every run, whatever the other callers do. A nil key
// is [CallID]. The script remembers each key it has seen.
func MixBy(seed uint64, key func(r *http.Request) string, shares ...Share) (Script, error) {
	if err := checkShares(shares); err != nil {
		return nil, err
	}
	if key == nil {
		key = CallID
	}
	var mu sync.Mutex
	seen := make(map[string]uint64)
	return ScriptFunc(func(r *http.Request) Fault {
		k := key(r)
		mu.Lock()
		n := seen[k]
		seen[k] = n + 1
		mu.Unlock()
		rng := rand.New(rand.NewPCG(seed, mix64(hashString(k)+mix64(n))))
		return draw(rng.Float64(), shares)
	}), nil
}

func checkShares(shares []Share) error {
	var errs []error
	sum := 0.0
	for i, s := range shares {
		if !(s.P > 0 && s.P <= 1) {
			errs = append(errs, fmt.Errorf("fault: share %d (%s): P is %v, want (0, 1]", i, s.Fault.Name(), s.P))
			continue
		}
		sum += s.P
	}
	if sum > 1+1e-9 {
		errs = append(errs, fmt.Errorf("fault: the shares sum to %v, want at most 1", sum))
	}
	return errors.Join(errs...)
}

func draw(p float64, shares []Share) Fault {
	for _, s := range shares {
		if p < s.P {
			return s.Fault
		}
		p -= s.P
	}
	return None()
}

// hashString is FNV-1a: the same in every run, unlike hash/maphash.
func hashString(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// mix64 is the finaliser of SplitMix64.
func mix64(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb
	return x ^ (x >> 31)
}
