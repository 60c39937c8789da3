package breaker_test

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/prusik-go/prusik/breaker"
)

func drawConfig(t *rapid.T) breaker.Config {
	durations := func(label string, d ...time.Duration) time.Duration { return rapid.SampledFrom(d).Draw(t, label) }
	cfg := breaker.Config{
		SlowCall:       durations("slow", 0, 0, 0, 2*time.Second),
		OpenFor:        durations("open for", time.Second, 3*time.Second),
		MaxOpenFor:     durations("max open for", 0, -1, 5*time.Second),
		Jitter:         -1,
		Probes:         rapid.IntRange(1, 3).Draw(t, "probes"),
		ProbeSuccesses: rapid.IntRange(1, 4).Draw(t, "probe successes"),
		ProbeLease:     durations("lease", 700*time.Millisecond, 4*time.Second),
		Mode:           rapid.SampledFrom([]breaker.Mode{breaker.Enabled, breaker.Enabled, breaker.Enabled, breaker.Shadow, breaker.Disabled}).Draw(t, "mode"),
	}
	if rapid.Bool().Draw(t, "timed") {
		cfg.FailureRatio = rapid.SampledFrom([]float64{0.01, 0.3, 0.5, 1}).Draw(t, "ratio")
		cfg.MinCalls = rapid.IntRange(1, 6).Draw(t, "min calls")
		cfg.Period = durations("period", time.Second, 10*time.Second)
	} else {
		cfg.Failures = rapid.IntRange(1, 4).Draw(t, "failures")
		cfg.Window = rapid.IntRange(cfg.Failures, cfg.Failures+4).Draw(t, "window")
	}
	return cfg
}

// plain is c without its functions, which cannot be compared.
func plain(c breaker.Config) breaker.Config {
	c.Hooks, c.Classify = breaker.Hooks{}, nil
	return c
}

// call drives Do through one of the ways a function may end, and returns the outcome that way has.
func callThrough(t *rapid.T, ctx context.Context, b *breaker.Breaker, takes time.Duration) (o breaker.Outcome, ran bool) {
	ways := map[string]breaker.Outcome{
		"success": ok, "failure": bad, "panic": bad, "Goexit": bad, "canceled": ign, "deadline": bad,
	}
	way := rapid.SampledFrom([]string{"success", "success", "failure", "failure", "panic", "Goexit", "canceled", "deadline"}).Draw(t, "way")
	var wg sync.WaitGroup
	wg.Go(func() {
		defer func() { _ = recover() }()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		_, _ = breaker.Do(ctx, b, func(context.Context) (int, error) {
			ran = true
			time.Sleep(takes)
			switch way {
			case "failure":
				return 0, errVendor
			case "panic":
				panic(way)
			case "Goexit":
				runtime.Goexit()
			case "canceled":
				cancel()
				return 0, ctx.Err()
			case "deadline":
				return 0, context.DeadlineExceeded
			}
			return 1, nil
		})
	})
	wg.Wait()
	return ways[way], ran
}

// bubbleT keeps rapid from asking testing.T for its deadline, which a bubble forbids.
type bubbleT struct{ *testing.T }

func TestModel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { rapid.Check(bubbleT{t}, modelRun(t.Context())) })
}

func modelRun(ctx context.Context) func(*rapid.T) {
	return func(t *rapid.T) {
		type outstanding struct {
			permit breaker.Permit
			call   *modelCall
		}
		var (
			calls       []outstanding
			transitions []breaker.TransitionEvent
			rejects     []breaker.RejectEvent
			outcomes    []breaker.OutcomeEvent
			changes     []breaker.ReconfigureEvent
		)
		cfg := drawConfig(t)
		// With OnOutcome every result takes the lock; without it, most do not.
		everyOutcome := rapid.Bool().Draw(t, "OnOutcome")
		cfg.Hooks = breaker.Hooks{
			OnTransition: func(e breaker.TransitionEvent) { transitions = append(transitions, e) },
			OnReject:     func(e breaker.RejectEvent) { rejects = append(rejects, e) },
			OnReconfigure: func(e breaker.ReconfigureEvent) {
				e.Old, e.New = plain(e.Old), plain(e.New)
				changes = append(changes, e)
			},
		}
		if everyOutcome {
			cfg.Hooks.OnOutcome = func(e breaker.OutcomeEvent) { outcomes = append(outcomes, e) }
		}
		b, err := breaker.New("vendor", cfg)
		require.NoError(t, err)
		m := newModel(plain(b.Config()))
		m.everyOutcome = everyOutcome

		var pauses []time.Duration
		for _, d := range []time.Duration{cfg.OpenFor, 2 * cfg.OpenFor, 5 * time.Second, 10 * cfg.OpenFor, cfg.ProbeLease, cfg.SlowCall, cfg.Period / 10, cfg.Period} {
			pauses = append(pauses, d, max(0, d-1), d/3)
		}
		pause := rapid.SampledFrom(append(pauses, 0, 0, 0, 1))
		acquire := func(t *rapid.T) {
			p, wait, let := b.TryAcquire()
			call, wantWait, wantLet := m.acquire()
			require.Equal(t, wantLet, let)
			require.Equal(t, wantWait, wait)
			if let {
				calls = append(calls, outstanding{p, call})
			}
		}
		finish := func(t *rapid.T) {
			if len(calls) == 0 {
				t.Skip("no call under way")
			}
			i := rapid.IntRange(0, len(calls)-1).Draw(t, "which")
			o := rapid.SampledFrom([]breaker.Outcome{ok, ok, ok, bad, bad, ign}).Draw(t, "outcome")
			calls[i].permit.Done(o)
			m.done(calls[i].call, o)
			calls = slices.Delete(calls, i, i+1)
		}
		do := func(t *rapid.T) {
			takes := rapid.SampledFrom([]time.Duration{0, 0, 0, cfg.SlowCall, cfg.ProbeLease}).Draw(t, "takes")
			call, _, wantRun := m.acquire()
			o, ran := callThrough(t, ctx, b, takes)
			require.Equal(t, wantRun, ran)
			if ran {
				m.done(call, o)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"acquire":  acquire,
			"acquire2": acquire,
			"finish":   finish,
			"finish2":  finish,
			"do":       do,
			"do2":      do,
			"do3":      do,
			"pause":    func(t *rapid.T) { time.Sleep(pause.Draw(t, "pause")) },
			"until":    func(*rapid.T) { time.Sleep(b.Snapshot().RetryAfter) },
			"command": func(t *rapid.T) {
				switch rapid.IntRange(0, 9).Draw(t, "command") {
				case 0:
					b.ForceOpen()
					m.force()
				case 1:
					b.Disable()
					m.disable()
				case 2, 3, 4:
					b.Reset()
					m.reset()
				}
			},
			"reconfigure": func(t *rapid.T) {
				next := b.Given()
				if rapid.Bool().Draw(t, "from the effective") {
					next = b.Config()
				}
				drawn := drawConfig(t)
				switch rapid.IntRange(0, 9).Draw(t, "part") {
				case 0:
					next.SlowCall, next.Mode = drawn.SlowCall, drawn.Mode
				case 1, 2:
					next.OpenFor, next.MaxOpenFor = drawn.OpenFor, drawn.MaxOpenFor // the latter is set, or follows
				case 3:
					next.Probes, next.ProbeSuccesses, next.ProbeLease = drawn.Probes, drawn.ProbeSuccesses, drawn.ProbeLease
				case 4, 5:
					next.Failures, next.Window = drawn.Failures, drawn.Window
					next.FailureRatio, next.Period, next.MinCalls = drawn.FailureRatio, drawn.Period, drawn.MinCalls
				case 6:
					next = drawn
				default:
					t.Skip("mostly not")
				}
				require.NoError(t, b.Reconfigure(next))
				m.reconfigure(plain(b.Config()))
			},
			"": func(t *rapid.T) {
				require.Equal(t, m.reconfigured, changes)
				want, got := m.snapshot(), b.Snapshot()
				require.True(t, want.OpenedAt.Equal(got.OpenedAt), "opened at %v, want %v", got.OpenedAt, want.OpenedAt)
				got.OpenedAt = want.OpenedAt
				require.Equal(t, want, got)
				require.Equal(t, want.State, b.State())
				require.Len(t, transitions, len(m.transitions))
				for i := range transitions {
					require.True(t, m.transitions[i].At.Equal(transitions[i].At))
					transitions[i].At = m.transitions[i].At
				}
				require.Equal(t, m.transitions, transitions)
				require.Equal(t, m.rejects, rejects)
				if everyOutcome {
					require.Equal(t, m.outcomes, outcomes)
				}
			},
		})
	}
}
