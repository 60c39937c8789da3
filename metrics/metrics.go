package metrics

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/prusik-go/prusik/breaker"
	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/flags"
	"github.com/prusik-go/prusik/ratelimit"
)

// Metrics are the metrics of this library on one registry. Make them with [New]. They may be used from several goroutines.
type Metrics struct {
	c     *core
	trace func(context.Context) (string, bool)
}

// New registers the metrics with reg, which is required; there is no default registry. Where they are registered there
// already, the ones that are there are used: any number of parts of a program may call New with one registry, as long as
// they agree on cfg, but for Trace, which is each one's own. Everything that is wrong with cfg is reported at once. The
// error may also be one of reg's, where it has another metric of one of our names.
func New(reg prometheus.Registerer, cfg Config) (*Metrics, error) {
	cfg, err := cfg.effective()
	if none(reg) {
		err = errors.Join(errors.New("metrics: the registry (reg) is nil: want one, such as prometheus.DefaultRegisterer"), err)
	}
	if err != nil {
		return nil, err
	}
	c := newCore(cfg)
	err = reg.Register(c)
	if known, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		existing, ours := known.ExistingCollector.(*core)
		if !ours {
			return nil, fmt.Errorf("metrics: another collector with the same metrics is registered: %w", err)
		}
		c, err = existing, existing.cfg.conflict(&cfg)
		if err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return &Metrics{c: c, trace: cfg.Trace}, nil
}

// none knows a nil registry also where it is in an interface that is not.
func none(reg prometheus.Registerer) bool {
	v := reflect.ValueOf(reg)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}

// core is what all Metrics of one registry share, and the collector that is registered: one for all, so that they are
// there together or not at all.
type core struct {
	cfg         Config
	born        time.Time
	definitions []Definition
	vectors     []prometheus.Collector
	gauges      []*prometheus.Desc

	services *table[string, service]
	clients  crowd[Client, struct{}]
	breakers crowd[breaker.Breaker, struct{}]
	groups   crowd[breaker.Group, struct{}]

	breakerState, breakerReady, breakerShadow, breakerWait                         *prometheus.Desc
	breakerFailures, breakerOpens, breakerTransitions, breakerRejects, wouldReject *prometheus.CounterVec

	outcomes                                []string
	stopReasons                             []errors.Stop
	internal                                int // the place of errors.Internal in outcomes
	calls, attempts, retries, stops         *prometheus.CounterVec
	callSeconds, attemptSeconds             *prometheus.HistogramVec
	inFlight, inFlightLimit, budget, policy *prometheus.Desc

	limiters                                                               *table[string, limiter]
	limiterMemories                                                        crowd[ratelimit.Limiter, uint64] // with the evictions that are in the counter, under scrape
	scrape                                                                 sync.Mutex
	decisions, limitRejects, storeErrors, requestErrors, pauses, evictions *prometheus.CounterVec
	limiterKeys                                                            *prometheus.Desc

	flags                                     *table[string, flagSeries]
	flagSets                                  crowd[flags.Set, struct{}]
	flagEnabled, flagValue, flagOverridden    *prometheus.Desc
	flagChanges, flagRefusals, flagRejections *prometheus.CounterVec

	routes           *table[string, route]
	unmatched        func() *route
	serving          atomic.Int64
	requests, panics *prometheus.CounterVec
	requestSeconds   *prometheus.HistogramVec
	inFlightRequests *prometheus.Desc
}

func newCore(cfg Config) *core {
	c := &core{cfg: cfg, born: time.Now(), outcomes: outcomes(), stopReasons: errors.Stops()}
	c.internal = slices.Index(c.outcomes, string(errors.Internal))
	c.defineBreakers()
	c.defineClients()
	c.defineLimiters()
	c.defineServers()
	c.defineFlags()
	c.services = newTable(cfg.MaxServices, other, c.newService)
	c.limiters = newTable(cfg.MaxServices, other, c.newLimiter)
	c.flags = newTable(maxFlags, other, c.newFlag)
	c.routes = newTable(cfg.MaxRoutes, other, c.newRoute)
	c.unmatched = sync.OnceValue(func() *route { return c.newRoute(unmatched) })
	return c
}

// Describe implements [prometheus.Collector].
func (c *core) Describe(ch chan<- *prometheus.Desc) {
	for _, v := range c.vectors {
		v.Describe(ch)
	}
	for _, d := range c.gauges {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *core) Collect(ch chan<- prometheus.Metric) {
	c.collectBreakers(ch)
	c.collectClients(ch)
	c.collectFlags(ch)
	c.collectLimiters(ch) // before the vectors: it adds to one of them
	read(ch, c.inFlightRequests, float64(c.serving.Load()))
	for _, v := range c.vectors {
		v.Collect(ch)
	}
}

// read sends what a gauge has been found to be.
func read(ch chan<- prometheus.Metric, d *prometheus.Desc, value float64, labels ...string) {
	m, err := prometheus.NewConstMetric(d, prometheus.GaugeValue, value, labels...)
	if err != nil {
		m = prometheus.NewInvalidMetric(d, err) // the scrape says so
	}
	ch <- m
}

func toFloat(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// service is what is counted for one name: as a client, and of its breakers.
type service struct {
	label    string
	client   clientSeries
	breakers *table[string, breakerSeries]
}

func (c *core) newService(name string) *service {
	s := &service{label: name}
	keys, rest := maxKeys, other
	if name == other { // what is beyond the bound has no keys either
		keys, rest = 0, ""
	}
	s.breakers = newTable(keys, rest, func(key string) *breakerSeries { return c.newBreakerSeries(s.label, key) })
	c.initClient(s)
	return s
}

// methods are the values of the method label; the last one stands for all others.
func methods() []string {
	return []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", other}
}

const numMethods = 10

// method is the place of a method in methods. Names of methods have case (RFC 9110, section 9.1).
func method(name string) uint8 {
	switch name {
	case "GET", "":
		return 0
	case "HEAD":
		return 1
	case "POST":
		return 2
	case "PUT":
		return 3
	case "PATCH":
		return 4
	case "DELETE":
		return 5
	case "OPTIONS":
		return 6
	case "CONNECT":
		return 7
	case "TRACE":
		return 8
	default:
		return numMethods - 1
	}
}

const (
	success     = "success"
	maxOutcomes = 16 // at least as many as there are
)

// outcomes are the values of the outcome label: a success, and the kinds of errors.
func outcomes() []string {
	all := []string{success}
	for _, k := range errors.Kinds() {
		all = append(all, string(k))
	}
	return all
}

// outcome is the place of a kind in outcomes; the empty kind is a success, one that is unknown is internal.
func (c *core) outcome(k errors.Kind) int {
	if k == "" {
		return 0
	}
	for i, known := range c.outcomes {
		if known == string(k) {
			return i
		}
	}
	return c.internal
}

// stop is the place of a reason in stopReasons; one that is unknown comes after them. The look-up in a map takes longer.
func (c *core) stop(s errors.Stop) int {
	for i, known := range c.stopReasons {
		if known == s {
			return i
		}
	}
	return len(c.stopReasons)
}
