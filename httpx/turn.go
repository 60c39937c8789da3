package httpx

import "sync/atomic"

// turn has something done by one goroutine at a time, without a lock: who asks meanwhile, from another goroutine or from within,
// does not wait, and it is done once more after, also where it panics.
type turn struct{ asked atomic.Int64 }

func (t *turn) take(do func()) {
	if t.asked.Add(1) == 1 {
		t.run(do)
	}
}

func (t *turn) run(do func()) {
	n := t.asked.Load()
	defer func() {
		if !t.asked.CompareAndSwap(n, 0) { // somebody has asked since
			t.run(do)
		}
	}()
	do()
}
