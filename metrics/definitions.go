package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// Type is the type of a metric, in Prometheus's words.
type Type string

// The types in use.
const (
	TypeCounter   Type = "counter"
	TypeGauge     Type = "gauge"
	TypeHistogram Type = "histogram"
)

// Definition describes one metric.
type Definition struct {
	Name   string
	Type   Type
	Labels []string
	Help   string
}

// Definitions lists every metric of this package, for dashboards, rules and documents to be checked against. The
// collectors are made of the same definitions.
func Definitions() []Definition {
	cfg, _ := Config{}.effective() // the zero value has no fault
	return slices.Clone(newCore(cfg).definitions)
}

// The kinds of collectors a definition becomes.

func (c *core) define(t Type, name, help string, labels []string) {
	c.definitions = append(c.definitions, Definition{Name: name, Type: t, Labels: labels, Help: help})
}

func (c *core) counter(name, help string, labels ...string) *prometheus.CounterVec {
	c.define(TypeCounter, name, help, labels)
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	c.vectors = append(c.vectors, v)
	return v
}

// gauge is one that is read at the scrape.
func (c *core) gauge(name, help string, labels ...string) *prometheus.Desc {
	c.define(TypeGauge, name, help, labels)
	d := prometheus.NewDesc(name, help, labels, nil)
	c.gauges = append(c.gauges, d)
	return d
}

func (c *core) histogram(name, help string, labels ...string) *prometheus.HistogramVec {
	c.define(TypeHistogram, name, help, labels)
	opts := prometheus.HistogramOpts{Name: name, Help: help, Buckets: c.cfg.Buckets}
	if c.cfg.NativeFactor > 0 {
		// Without NativeHistogramMinResetDuration: a full histogram halves its resolution, it does not forget its counts.
		opts.NativeHistogramBucketFactor, opts.NativeHistogramMaxBucketNumber = c.cfg.NativeFactor, maxNative
	}
	v := prometheus.NewHistogramVec(opts, labels)
	c.vectors = append(c.vectors, v)
	return v
}
