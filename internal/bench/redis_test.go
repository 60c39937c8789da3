package bench_test

import (
	"context"
	"flag"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"github.com/prusik-go/prusik/internal/redistest"
	"github.com/prusik-go/prusik/ratelimit"
	"github.com/prusik-go/prusik/ratelimit/redisstore"
)

var checkRedis = flag.Bool("redis.check", false, "BenchmarkRedis fails where a limit is broken")

const (
	redisCallers  = 64
	redisKeys     = 1000
	redisMostCPU  = 20 // microseconds of the server for a decision
	redisPerRound = 4096
)

// decide makes one decision on a key.
type decide func(ctx context.Context, key string) error

// BenchmarkRedis compares decisions by a real Redis: ours, by either client, and redis_rate's, with 64 callers and 1000
// keys, everything admitted. One iteration is one round of all of them in turn; ratios are medians of ratios within a
// round, server CPU is INFO's used_cpu_user and used_cpu_sys. For each decision by three limits redis_rate takes three calls.
//
//	go -C internal/bench test -run '^$' -bench Redis -benchtime 15x -redis.check
func BenchmarkRedis(b *testing.B) {
	for _, c := range []struct {
		limits string
		least  float64 // times redis_rate's decisions a second
	}{
		{"1000000/second", 2.0},
		{"1000000/second; 50000000/minute; 1000000000/hour", 1.5},
	} {
		limits, err := ratelimit.ParseLimits(c.limits)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(strconv.Itoa(len(limits))+"limits", func(b *testing.B) {
			srv := redistest.Start(b)
			goRedis := redis.NewClient(&redis.Options{Addr: srv.Addr, PoolSize: redisCallers, ContextTimeoutEnabled: true})
			defer goRedis.Close()
			names := []string{"redis_rate", "prusik", "prusik-goredis"}
			decisions := []decide{
				viaRedisRate(goRedis, limits),
				viaStore(b, redisstore.Config{URL: srv.URL()}, limits),
				viaStore(b, redisstore.Config{GoRedis: goRedis, Prefix: "second"}, limits),
			}
			for _, d := range decisions { // connections and scripts
				redisRound(b, d, redisPerRound/4)
			}
			seconds := make([][]float64, len(names))
			cpu := make([][]float64, len(names))
			for b.Loop() {
				for i, d := range decisions {
					runtime.GC()
					used, start := redisCPU(b, goRedis), time.Now()
					redisRound(b, d, redisPerRound)
					seconds[i] = append(seconds[i], time.Since(start).Seconds())
					cpu[i] = append(cpu[i], (redisCPU(b, goRedis)-used)/redisPerRound*1e6)
				}
			}
			for i, name := range names {
				var times []float64
				for round, s := range seconds[i] {
					times = append(times, seconds[0][round]/s)
				}
				ratio, micros := median(times), median(cpu[i])
				b.ReportMetric(redisPerRound/median(seconds[i]), name+"/s")
				b.ReportMetric(ratio, name+"-x")
				b.ReportMetric(micros, name+"-cpu-us")
				if *checkRedis && i == 1 && (ratio < c.least || micros > redisMostCPU) {
					b.Errorf("%s: %.2f times redis_rate, want %.2f; %.1f µs of server CPU a decision, want %d at most",
						name, ratio, c.least, micros, redisMostCPU)
				}
			}
		})
	}
}

func viaStore(b *testing.B, cfg redisstore.Config, limits ratelimit.Limits) decide {
	b.Helper()
	cfg.Timeout = 10 * time.Second // a busy machine is no outage
	store, err := redisstore.New("redis", cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(store.Close)
	limiter, err := ratelimit.New("api", ratelimit.Config{Limits: limits, Store: store, OnOutage: ratelimit.FailClosed})
	if err != nil {
		b.Fatal(err)
	}
	return func(ctx context.Context, key string) error {
		d, err := limiter.Allow(ctx, key)
		if err != nil {
			return err
		}
		return d.Err()
	}
}

func viaRedisRate(c *redis.Client, limits ratelimit.Limits) decide {
	limiter := redis_rate.NewLimiter(c)
	var theirs []redis_rate.Limit
	for _, l := range limits {
		theirs = append(theirs, redis_rate.Limit{Rate: int(l.Count), Burst: int(l.Count), Period: l.Period})
	}
	return func(ctx context.Context, key string) error {
		for i, l := range theirs {
			if len(theirs) > 1 {
				key += strconv.Itoa(i)
			}
			res, err := limiter.Allow(ctx, key, l)
			if err != nil {
				return err
			}
			if res.Allowed == 0 {
				return fmt.Errorf("%s is refused", key)
			}
		}
		return nil
	}
}

// redisRound makes n decisions by 64 callers.
func redisRound(b *testing.B, d decide, n int64) {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range redisCallers {
		wg.Go(func() {
			for i := next.Add(1); i <= n; i = next.Add(1) {
				if err := d(ctx, "client-"+strconv.FormatInt(i%redisKeys, 10)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// redisCPU is the CPU the server has used, in seconds.
func redisCPU(b *testing.B, c *redis.Client) (sum float64) {
	b.Helper()
	info, err := c.Info(context.Background(), "cpu").Result()
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name == "used_cpu_user" || name == "used_cpu_sys" {
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				b.Fatal(err)
			}
			sum += v
		}
	}
	return sum
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}
