package bench

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/prusik-go/prusik/ratelimit"
)

// ChurnName is the name of [Churn], as [Scenario.String] is of a scenario.
const ChurnName = "limiter/churn"

// ChurnStep is a part of the keys of a [Churn].
type ChurnStep struct {
	// Keys is how many keys there have been by the end of the step.
	Keys int
	// CPU is for one decision.
	CPU time.Duration
	// Admitted is the part of the step's keys that were let through. A new key starts with what keys owe that had to go.
	Admitted float64
	// Heap is the limiter's part of the heap at the end of the step, in bytes, and Held the number of keys in it.
	Heap float64
	Held int
}

// Churn asks a limiter that has room for maxKeys for ever new keys, in steps of so many. Somebody who has used up his own
// bucket before asks again a hundred times in each step: Churn fails if he is ever let through, because the flood was to
// push his bucket out. The limit gives nothing back in the time it takes.
func Churn(maxKeys, step, steps int) ([]ChurnStep, error) {
	before := heap()
	l, err := ratelimit.New("bench", ratelimit.Config{
		Limits: ratelimit.Limits{{Count: 10, Period: 24 * time.Hour}}, MaxKeys: maxKeys,
	})
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	const attacker = "attacker"
	if d, err := l.AllowN(ctx, attacker, 10); err != nil || !d.Allowed() {
		return nil, errors.Join(err, errors.New("bench: the attacker's bucket was not full"))
	}
	var all []ChurnStep
	text := make([]byte, 0, 32)
	for s := range steps {
		admitted, start := 0, cpuTime()
		for i := s * step; i < (s+1)*step; i++ {
			text = strconv.AppendInt(append(text[:0], "client-"...), int64(i), 10)
			d, err := l.Allow(ctx, string(text))
			if err != nil {
				return nil, err
			}
			if d.Allowed() {
				admitted++
			}
			if i%max(step/100, 1) == 0 {
				d, err := l.Allow(ctx, attacker)
				if err != nil || d.Allowed() {
					return nil, errors.Join(err, errors.New("bench: the attacker was let through after "+strconv.Itoa(i)+" keys"))
				}
			}
		}
		used := cpuTime() - start
		all = append(all, ChurnStep{
			Keys: (s + 1) * step, CPU: used / time.Duration(step), Admitted: float64(admitted) / float64(step), Heap: heap() - before, Held: l.Snapshot().Keys,
		})
	}
	return all, nil
}
