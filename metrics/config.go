package metrics

import (
	"context"
	"fmt"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/prusik-go/prusik/correlation"
	"github.com/prusik-go/prusik/internal/check"
)

// Config is the configuration of [Metrics]. The zero value works.
type Config struct {
	// Buckets are the upper bounds of the classic histograms, in seconds, ascending: 1 to 50 of them. Nil means those of
	// [prometheus.DefBuckets], 5 ms to 10 s, and 30 and 60: the attempt timeout of an httpx client is 10 s by default, its
	// total timeout 35 s.
	Buckets []float64
	// NativeFactor is the growth from one bucket of the native histograms to the next: above 1, up to 10. 0 means 1.1,
	// the value Prometheus recommends for latencies. Negative turns them off. They are kept beside the classic ones; a
	// server that does not scrape them sees nothing of them.
	NativeFactor float64
	// MaxServices is the most services, and the most limiters, that have time series of their own; the later ones share
	// those of "other". 0 means 100. 1 to 100,000.
	MaxServices int
	// MaxRoutes is the most routes of [Metrics.Handler] that have time series of their own; the later ones share those of
	// "other". 0 means 200. 1 to 100,000.
	MaxRoutes int
	// Trace returns the trace of ctx and whether it is sampled: then it may become an exemplar. An id that is not one of
	// W3C Trace Context, 32 lower-case hex digits, is left out. It is called for every call and every request and has to be cheap.
	// Nil means [correlation.TraceOf].
	Trace func(ctx context.Context) (traceID string, sampled bool)
}

const (
	defaultServices = 100
	defaultRoutes   = 200
	defaultFactor   = 1.1

	// Caps that nobody has had to choose yet.
	maxReasons = 50  // of one client: a vendor uses a few statuses
	maxKeys    = 64  // of one breaker group: the hosts an httpx client keeps breakers for
	maxFlags   = 500 // a program with more has other troubles
	maxAnswers = 50  // method and status, of one route
	// maxPolicies is for names of one service beyond those that httpx has, which are fewer.
	maxPolicies = 32
	maxBuckets  = 50 // classic
	// maxNative bounds the buckets of a native histogram; beyond it, it halves its resolution. 160 is what OpenTelemetry's
	// exponential histogram has.
	maxNative = 160

	// other is the label of what has none of its own.
	other = "other"
)

// effective returns c with its defaults filled in, and every fault.
func (c Config) effective() (Config, error) {
	f := check.New("metrics", "config")
	if len(c.Buckets) == 0 {
		c.Buckets = append(slices.Clone(prometheus.DefBuckets), 30, 60)
	}
	c.Buckets = slices.Clone(c.Buckets)
	check.Range(f, "number of Buckets", len(c.Buckets), 1, maxBuckets)
	for i, b := range c.Buckets {
		if !(b > 0) || i > 0 && b <= c.Buckets[i-1] { // written so that NaN is a fault
			f.Add(fmt.Sprintf("Buckets[%d]", i), b, "seconds, each above the one before")
		}
	}
	if c.NativeFactor == 0 {
		c.NativeFactor = defaultFactor
	}
	if c.NativeFactor >= 0 && !(c.NativeFactor > 1 && c.NativeFactor <= 10) || c.NativeFactor != c.NativeFactor {
		f.Add("NativeFactor", c.NativeFactor, "above 1, up to 10, or negative for none")
	}
	if c.MaxServices == 0 {
		c.MaxServices = defaultServices
	}
	check.Range(f, "MaxServices", c.MaxServices, 1, 100_000)
	if c.MaxRoutes == 0 {
		c.MaxRoutes = defaultRoutes
	}
	check.Range(f, "MaxRoutes", c.MaxRoutes, 1, 100_000)
	if c.Trace == nil {
		c.Trace = traceOf
	}
	return c, f.Err()
}

func traceOf(ctx context.Context) (string, bool) {
	t, ok := correlation.TraceOf(ctx)
	return t.TraceID, ok && t.Sampled
}

// conflict says how c, of metrics that are registered already, differs from another. Trace is each one's own.
func (c *Config) conflict(another *Config) error {
	f := check.New("metrics", "config")
	differs := func(field string, have, want any) {
		f.Add(field, want, fmt.Sprintf("%v, as the metrics that are registered here already have it", have))
	}
	if !slices.Equal(c.Buckets, another.Buckets) {
		differs("Buckets", c.Buckets, another.Buckets)
	}
	if c.NativeFactor != another.NativeFactor && (c.NativeFactor >= 0 || another.NativeFactor >= 0) {
		differs("NativeFactor", c.NativeFactor, another.NativeFactor)
	}
	if c.MaxServices != another.MaxServices {
		differs("MaxServices", c.MaxServices, another.MaxServices)
	}
	if c.MaxRoutes != another.MaxRoutes {
		differs("MaxRoutes", c.MaxRoutes, another.MaxRoutes)
	}
	return f.Err()
}
