package fault

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// The ring is held against a plain slice, through evictions, resets and updates of entries long gone.
func TestLedgerAgreesWithAPlainList(t *testing.T) {
	const limit = 7
	rng := rand.New(rand.NewPCG(1, 2))
	l := newLedger(limit)
	var model []Entry
	for range 3000 {
		switch p := rng.IntN(100); {
		case p < 60:
			e := Entry{TestCall: "t" + strconv.Itoa(rng.IntN(5)), CorrelationID: "c" + strconv.Itoa(rng.IntN(5))}
			e.Seq = l.begin(e)
			model = append(model, e)
			model = model[max(len(model)-limit, 0):]
		case p < 99:
			seq := uint64(rng.Int64N(int64(l.last) + 2))
			l.update(seq, func(e *Entry) { e.Status++ })
			for i := range model {
				if model[i].Seq == seq {
					model[i].Status++
				}
			}
		default:
			l.reset()
			model = nil
		}
		require.Equal(t, append([]Entry{}, model...), l.entries())
		indexed := 0
		for id, seqs := range l.calls {
			require.NotEmpty(t, seqs)
			indexed += len(seqs)
			var want []Entry
			for _, e := range model {
				if e.TestCall == id || e.CorrelationID == id {
					want = append(want, e)
				}
			}
			require.Equal(t, want, l.byCall(id))
		}
		require.Equal(t, 2*len(model), indexed, "the index must forget what the ring forgets")
	}
}
