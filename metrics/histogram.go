package metrics

import (
	"context"
	"sort"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// exemplarEvery is how often each bucket of a histogram takes an exemplar at most. One costs as much as ten observations
// and more, and a scrape, every 15 s or so, takes only the last of each bucket.
const exemplarEvery = time.Second

// histogram is one series of a histogram, and when its buckets may have another exemplar.
type histogram struct {
	prometheus.Observer

	due []atomic.Int64 // a bucket each, and one above them; on the clock of core.born
}

func (c *core) newHistogram(v *prometheus.HistogramVec, labels ...string) histogram {
	return histogram{Observer: v.WithLabelValues(labels...), due: make([]atomic.Int64, len(c.cfg.Buckets)+1)}
}

// observe adds a duration. Where it is of a sampled trace, it may become the exemplar of its bucket.
func (h *histogram) observe(c *core, d time.Duration, traceID string) {
	v := d.Seconds()
	if traceID != "" && isTraceID(traceID) && h.takes(c, v) {
		if e, ok := h.Observer.(prometheus.ExemplarObserver); ok {
			e.ObserveWithExemplar(v, prometheus.Labels{"trace_id": traceID})
			return
		}
	}
	h.Observe(v)
}

// sampled is the trace of ctx, or empty where nobody keeps it.
func (m *Metrics) sampled(ctx context.Context) string {
	if id, ok := m.trace(ctx); ok {
		return id
	}
	return ""
}

// takes reports whether the bucket of v may have an exemplar, and counts on it.
func (h *histogram) takes(c *core, v float64) bool {
	due := &h.due[sort.SearchFloat64s(c.cfg.Buckets, v)]
	now, at := int64(time.Since(c.born)), due.Load()
	return now >= at && due.CompareAndSwap(at, now+int64(exemplarEvery))
}

// isTraceID reports whether id is a trace id of W3C Trace Context. Client_golang panics at a label that is too long.
func isTraceID(id string) bool {
	if len(id) != 32 {
		return false
	}
	for i := range len(id) {
		if c := id[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
