package openfeature_test

import (
	"context"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	of "github.com/open-feature/go-sdk/openfeature"
	"github.com/open-feature/go-sdk/openfeature/memprovider"
	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/flags"
	"github.com/prusik-go/prusik/flags/openfeature"
)

// program is a set with a flag of each type, and its audit.
type program struct {
	set                   *flags.Set
	stub, on              *flags.Bool
	count                 *flags.Flag[int]
	ratio                 *flags.Flag[float64]
	wait, pause           *flags.Flag[time.Duration]
	greeting, color, lock *flags.Flag[string]

	changes  atomic.Int64
	refusals atomic.Int64
}

func newProgram(t testing.TB, environ ...string) *program {
	t.Helper()
	p := &program{}
	p.set = flags.New("voice", flags.Config{Hooks: flags.Hooks{
		OnChange:  func(flags.ChangeEvent) { p.changes.Add(1) },
		OnRefusal: func(flags.RefusalEvent) { p.refusals.Add(1) },
	}})
	p.stub = p.set.Bool("STUB", flags.NeverIn(flags.Production), flags.Doc("Serves stubs."))
	p.on = p.set.Bool("ON", flags.Doc("Is on."))
	p.count = p.set.Int("COUNT", flags.Default(3), flags.Range(1, 10), flags.Doc("Counts."))
	p.ratio = p.set.Float("RATIO", flags.Default(0.5), flags.Doc("Is a part."))
	p.wait = p.set.Duration("WAIT", flags.Default(time.Second), flags.Unit(time.Second), flags.Doc("Waits."))
	p.pause = p.set.Duration("PAUSE", flags.Default(90*time.Second), flags.Doc("Pauses."))
	p.greeting = p.set.String("GREETING", flags.Default("hello"), flags.Doc("Greets."))
	p.color = p.set.Enum("COLOR", []string{"red", "blue"}, flags.Doc("Paints."))
	p.lock = p.set.String("LOCKED", flags.Locked(), flags.Doc("Stays."))
	p.set.String("NOTE", flags.Doc("Is empty, as no override can be."))
	p.set.String("TOKEN", flags.Secret(), flags.Doc("Is nobody's business."))
	require.NoError(t, p.set.Load(environ))
	return p
}

// values are those of all flags that may follow.
func (p *program) values() []any {
	return []any{p.on.Get(), p.count.Get(), p.ratio.Get(), p.wait.Get(), p.pause.Get(), p.greeting.Get(), p.color.Get()}
}

var (
	declaredValues = []any{false, 3, 0.5, time.Second, 90 * time.Second, "hello", "red"}
	remoteValues   = map[string]any{
		"ON": true, "COUNT": 5, "RATIO": 0.25, "WAIT": "90s", "PAUSE": 2.5, "GREETING": "hi", "COLOR": "blue",
		"LOCKED": "open", "TOKEN": "swordfish",
	}
	followedValues = []any{true, 5, 0.25, 90 * time.Second, 2500 * time.Millisecond, "hi", "blue"}
)

func TestFlagsOfAllTypesFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, mem, hook := newProgram(t), memory(remoteValues), &counting{}
		client, _ := register(t, mem)
		client.AddHooks(hook)
		var told conditions
		follow(t, p.set, client, openfeature.Config{Interval: -1, Hooks: told.hooks()})
		require.Equal(t, followedValues, p.values(), "before Follow returns")
		require.Empty(t, p.lock.Get())
		// Of nine flags that are neither locked nor secret, PAUSE is asked for twice, as it is no string; STUB and NOTE are unknown there.
		require.Equal(t, [4]int64{10, 7, 3, 10}, hook.counts())
		e := entry(t, p.set, "COUNT")
		require.Equal(t, flags.FromOverride, e.Source)
		require.Equal(t, "openfeature/InMemoryProvider", e.Author)
		require.Equal(t, "STATIC, variant on", e.Reason)
		require.Zero(t, e.Until)

		next := maps.Clone(remoteValues)
		next["COUNT"], next["WAIT"], next["COLOR"] = 7, "1s", "red" // the last two are the values without an override
		delete(next, "GREETING")
		all := variants(next)
		off := all["ON"]
		off.State = memprovider.Disabled
		all["ON"] = off
		changes := p.changes.Load()
		mem.UpdateFlags(all)
		synctest.Wait()
		require.Equal(t, []any{false, 7, 0.25, time.Second, 2500 * time.Millisecond, "hello", "red"}, p.values())
		for _, name := range []string{"ON", "WAIT", "GREETING", "COLOR"} {
			require.Equal(t, flags.FromDefault, entry(t, p.set, name).Source, name)
		}
		require.Equal(t, changes+5, p.changes.Load(), "what stays is not told")
		require.Equal(t, [4]int64{10 + 9, 7 + 6, 3 + 3, 10 + 9}, hook.counts(), "PAUSE is asked for as what it is")
		require.Empty(t, told.take())
		require.Zero(t, p.refusals.Load())
	})
}

func TestOnlyTheNamedFlagsFollowByTheirKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProgram(t)
		client, _ := register(t, memory(map[string]any{"on": true, "count": 5, "ON": false, "ratio": 0.1}))
		follow(t, p.set, client, openfeature.Config{Flags: []string{"ON", "COUNT"}, Key: strings.ToLower})
		require.Equal(t, []any{true, 5, 0.5, time.Second, 90 * time.Second, "hello", "red"}, p.values())
	})
}

func TestWithoutEventsAnIntervalPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, r := newProgram(t), newRemote("flagd", map[string]any{"COUNT": 5})
		client, _ := register(t, r)
		follow(t, p.set, client, openfeature.Config{})
		for n := 6; n <= 10; n++ {
			r.mem.UpdateFlags(variants(map[string]any{"COUNT": n}))
			time.Sleep(time.Millisecond)
			synctest.Wait()
			require.Equal(t, n-1, p.count.Get())
			time.Sleep(33 * time.Second)
			synctest.Wait()
			require.Equal(t, n, p.count.Get())
		}
	})
}

func TestTheIntervalIsJitteredAndMayBeOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, hook, began := newProgram(t), &counting{}, time.Now()
		var mu sync.Mutex
		var at []time.Duration
		client, _ := register(t, newRemote("flagd", nil))
		client.AddHooks(hookFunc(func() {
			mu.Lock()
			defer mu.Unlock()
			at = append(at, time.Since(began))
		}))
		follow(t, p.set, client, openfeature.Config{Flags: []string{"ON"}, Interval: 10 * time.Second})
		quiet := newProgram(t)
		other, _ := register(t, newRemote("flagd", nil))
		other.AddHooks(hook)
		follow(t, quiet.set, other, openfeature.Config{Flags: []string{"ON"}, Interval: -1})
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		require.InDelta(t, 60, len(at), 7)
		waits := map[time.Duration]bool{}
		for i := range at[1:] {
			wait := at[i+1] - at[i]
			require.GreaterOrEqual(t, wait, 9*time.Second)
			require.LessOrEqual(t, wait, 11*time.Second)
			waits[wait] = true
		}
		require.Greater(t, len(waits), 10)
		require.EqualValues(t, 1, hook.finally.Load())
	})
}

type hookFunc func()

func (f hookFunc) Before(context.Context, of.HookContext, of.HookHints) (*of.EvaluationContext, error) {
	f()
	return nil, nil // the interface's way to say that nothing is added
}

func (hookFunc) After(context.Context, of.HookContext, of.InterfaceEvaluationDetails, of.HookHints) error {
	return nil
}
func (hookFunc) Error(context.Context, of.HookContext, error, of.HookHints) {}
func (hookFunc) Finally(context.Context, of.HookContext, of.InterfaceEvaluationDetails, of.HookHints) {
}

func TestAProviderThatIsDownLeavesTheLastGoodValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, r := newProgram(t), newRemote("flagd", remoteValues)
		client, _ := register(t, r)
		var told conditions
		follow(t, p.set, client, openfeature.Config{Flags: []string{"ON", "COUNT"}, Hooks: told.hooks()})
		r.down.Store(true)
		time.Sleep(time.Hour)
		synctest.Wait()
		require.True(t, p.on.Get())
		require.Equal(t, 5, p.count.Get())
		require.Equal(t, []string{"ON following failing GENERAL", "COUNT following failing GENERAL"}, told.take(), "once, of some 120 failures each")

		// Who clears an override during an outage gets the last good value back, and the new one after it.
		require.NoError(t, p.set.Clear(flags.Change{Flag: "COUNT", Author: "ann", Reason: "a mistake"}))
		synctest.Wait()
		require.Equal(t, 5, p.count.Get())

		r.mem.UpdateFlags(variants(map[string]any{"ON": "yes", "COUNT": 6}))
		r.down.Store(false)
		time.Sleep(time.Hour)
		synctest.Wait()
		require.True(t, p.on.Get())
		require.Equal(t, 6, p.count.Get())
		require.Equal(t, []string{"ON failing failing TYPE_MISMATCH", "COUNT failing following"}, told.take())
		require.Zero(t, p.refusals.Load())
	})
}

func TestAProviderThatIsDownAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, r := newProgram(t, "COUNT=4"), newRemote("flagd", remoteValues)
		r.down.Store(true)
		client, _ := register(t, r)
		var told conditions
		follow(t, p.set, client, openfeature.Config{Flags: []string{"COUNT"}, Hooks: told.hooks()})
		require.Equal(t, 4, p.count.Get())
		require.Equal(t, []string{"COUNT following failing GENERAL"}, told.take())
		r.down.Store(false)
		time.Sleep(33 * time.Second)
		synctest.Wait()
		require.Equal(t, 5, p.count.Get())
		require.Equal(t, []string{"COUNT failing following"}, told.take())
	})
}

// starting is a provider that takes its time to start.
type starting struct {
	*remote
	gate chan struct{}
}

func (s *starting) Init(of.EvaluationContext) error {
	<-s.gate
	return nil
}
func (s *starting) Shutdown() {}

func TestAProviderThatIsNotReadyYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProgram(t)
		s := &starting{newRemote("flagd", remoteValues), make(chan struct{})}
		client, api := register(t, memory(nil))
		require.NoError(t, api.SetProvider(t.Context(), s, of.WithDomain(domain)))
		var told conditions
		follow(t, p.set, client, openfeature.Config{Flags: []string{"COUNT"}, Interval: -1, Hooks: told.hooks()})
		require.Equal(t, []string{"COUNT following failing PROVIDER_NOT_READY"}, told.take())
		close(s.gate)
		synctest.Wait()
		require.Equal(t, 5, p.count.Get())
		require.Equal(t, []string{"COUNT failing following"}, told.take())
	})
}

func TestWhatTheSetDoesNotAcceptIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, mem := newProgram(t), memory(map[string]any{"STUB": true, "COUNT": 5, "COLOR": "blue", "WAIT": "10", "GREETING": "hi", "RATIO": 0.25})
		client, _ := register(t, mem)
		var told conditions
		follow(t, p.set, client, openfeature.Config{Hooks: told.hooks()})
		require.False(t, p.stub.Get(), "in production")
		require.Equal(t, 10*time.Second, p.wait.Get(), "in the flag's unit")
		require.Equal(t, []string{"STUB following refused forbidden"}, told.take())

		changes := p.changes.Load()
		mem.UpdateFlags(variants(map[string]any{"STUB": true, "COUNT": 11, "COLOR": "green", "WAIT": "soon", "GREETING": "", "RATIO": 0.75}))
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, []any{false, 5, 0.75, 10 * time.Second, 90 * time.Second, "hi", "blue"}, p.values(), "the others follow")
		require.Equal(t, []string{
			"COUNT following refused invalid", "WAIT following refused invalid", "GREETING following refused invalid", "COLOR following refused invalid",
		}, told.take())
		require.Equal(t, changes+1, p.changes.Load())
		require.Zero(t, p.refusals.Load(), "the set's audit is not filled with the same refusal every half minute")

		mem.UpdateFlags(variants(map[string]any{"STUB": false, "COUNT": 10, "COLOR": "red", "WAIT": "20"}))
		synctest.Wait()
		require.Equal(t, []any{false, 10, 0.5, 20 * time.Second, 90 * time.Second, "hello", "red"}, p.values())
		require.Len(t, told.take(), 5)
		mem.UpdateFlags(variants(map[string]any{"WAIT": "1", "PAUSE": "90s"})) // the defaults, written otherwise
		synctest.Wait()
		require.Equal(t, declaredValues, p.values())
		require.Equal(t, flags.FromDefault, entry(t, p.set, "WAIT").Source)
		require.Equal(t, flags.FromDefault, entry(t, p.set, "PAUSE").Source)
	})
}

// What was accepted in staging is not in production.
func TestALastGoodValueThatIsForbiddenNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProgram(t, "APP_ENV=staging")
		client, _ := register(t, memory(map[string]any{"STUB": true}))
		var told conditions
		follow(t, p.set, client, openfeature.Config{Hooks: told.hooks()})
		require.True(t, p.stub.Get())
		override(t, p.set, flags.Change{Flag: "STUB", Value: "false", For: time.Minute})
		require.NoError(t, p.set.Load(nil)) // production
		time.Sleep(time.Hour)
		synctest.Wait()
		require.False(t, p.stub.Get())
		require.Equal(t, []string{"STUB following yielding", "STUB yielding refused forbidden"}, told.take())
		require.Zero(t, p.refusals.Load())
	})
}

func TestAnOperatorsOverrideStands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, mem := newProgram(t), memory(map[string]any{"COUNT": 5})
		client, _ := register(t, mem)
		var told conditions
		follow(t, p.set, client, openfeature.Config{Interval: -1, Hooks: told.hooks()})
		override(t, p.set, flags.Change{Flag: "COUNT", Value: "1", For: time.Minute})
		override(t, p.set, flags.Change{Flag: "RATIO", Value: "1", For: time.Hour}) // the provider has nothing to say of it
		synctest.Wait()
		require.Equal(t, []string{"COUNT following yielding"}, told.take())
		for _, values := range []map[string]any{{"COUNT": 6}, {}, {"COUNT": 7}} {
			mem.UpdateFlags(variants(values))
			synctest.Wait()
			require.Equal(t, 1, p.count.Get())
			require.Equal(t, "ann", entry(t, p.set, "COUNT").Author)
			require.InDelta(t, 1, p.ratio.Get(), 0)
		}
		told.take()
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, 7, p.count.Get(), "at once when it is over")
		require.Equal(t, []string{"COUNT yielding following"}, told.take())

		override(t, p.set, flags.Change{Flag: "COUNT", Value: "2"})
		synctest.Wait()
		unset(t, p.set, "COUNT")
		synctest.Wait()
		require.Equal(t, 7, p.count.Get())
		require.Len(t, told.take(), 2)

		unset(t, p.set, "COUNT") // it is no override of hers
		synctest.Wait()
		require.Equal(t, 7, p.count.Get(), "to clear a Source's override says nothing")
		require.Zero(t, p.refusals.Load())
	})
}

// Somebody overrides the flag while the provider is thinking: there is no gap between the look and the change.
func TestAnOverrideDuringTheEvaluationStands(t *testing.T) {
	for name, c := range map[string]struct {
		before, after map[string]any
		end           int
		told          []string
	}{
		"first":   {nil, map[string]any{"COUNT": 6}, 6, []string{"COUNT following yielding", "COUNT yielding following"}},
		"next":    {map[string]any{"COUNT": 5}, map[string]any{"COUNT": 6}, 6, []string{"COUNT following yielding", "COUNT yielding following"}},
		"cleared": {map[string]any{"COUNT": 5}, nil, 3, []string{"COUNT following yielding", "COUNT yielding following"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, mem := newProgram(t), memory(c.before)
				client, _ := register(t, mem)
				var told conditions
				follow(t, p.set, client, openfeature.Config{Flags: []string{"COUNT"}, Interval: -1, Hooks: told.hooks()})
				client.AddHooks(hookFunc(sync.OnceFunc(func() { override(t, p.set, flags.Change{Flag: "COUNT", Value: "1"}) })))
				mem.UpdateFlags(variants(c.after))
				synctest.Wait()
				require.Equal(t, 1, p.count.Get())
				unset(t, p.set, "COUNT")
				synctest.Wait()
				require.Equal(t, c.end, p.count.Get())
				require.Equal(t, c.told, told.take())
			})
		})
	}
}

// Nanoseconds that a number of seconds does not hold are not lost where the number is the default, handed back.
func TestADefaultIsHandedBackToTheNanosecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, mem := newProgram(t, "PAUSE=2400h0m0.000000001s"), memory(map[string]any{"PAUSE": 2.5})
		client, _ := register(t, mem)
		follow(t, p.set, client, openfeature.Config{Interval: -1})
		require.Equal(t, 2500*time.Millisecond, p.pause.Get())
		off := variants(map[string]any{"PAUSE": 2.5})
		pause := off["PAUSE"]
		pause.State = memprovider.Disabled
		off["PAUSE"] = pause
		mem.UpdateFlags(off)
		synctest.Wait()
		require.Equal(t, 2400*time.Hour+1, p.pause.Get())
		require.Equal(t, flags.FromEnvironment, entry(t, p.set, "PAUSE").Source)
	})
}

func TestAHookOfTheClientThatFailsIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProgram(t)
		client, _ := register(t, memory(remoteValues))
		client.AddHooks(refusing{})
		var told conditions
		follow(t, p.set, client, openfeature.Config{Flags: []string{"COUNT"}, Hooks: told.hooks()})
		require.Equal(t, 3, p.count.Get())
		require.Equal(t, []string{"COUNT following failing GENERAL"}, told.take())
	})
}

type refusing struct{ of.UnimplementedHook }

func (refusing) Before(context.Context, of.HookContext, of.HookHints) (*of.EvaluationContext, error) {
	return nil, context.DeadlineExceeded
}

func TestTheEnvironmentUnderneathChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, r := newProgram(t), newRemote("flagd", map[string]any{"COUNT": 3, "ON": true})
		client, _ := register(t, r)
		follow(t, p.set, client, openfeature.Config{Interval: -1})
		require.Equal(t, flags.FromDefault, entry(t, p.set, "COUNT").Source, "it says what the default says")
		require.NoError(t, p.set.Load([]string{"COUNT=4", "RATIO=0.1", "ON=true"}))
		synctest.Wait()
		require.Equal(t, 3, p.count.Get(), "it says 3 still")
		require.Equal(t, flags.FromEnvironment, entry(t, p.set, "ON").Source, "no override is needed")
		require.InDelta(t, 0.1, p.ratio.Get(), 0)
	})
}

func TestAnotherProviderTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProgram(t)
		client, api := register(t, newRemote("one", map[string]any{"COUNT": 5, "ON": true}))
		var told conditions
		follow(t, p.set, client, openfeature.Config{Interval: -1, Hooks: told.hooks()})
		require.Equal(t, "openfeature/one", entry(t, p.set, "COUNT").Author)
		long := strings.Repeat("é", 200)
		require.NoError(t, api.SetProviderAndWait(t.Context(), newRemote(long, map[string]any{"COUNT": 6}), of.WithDomain(domain)))
		synctest.Wait()
		require.Equal(t, 6, p.count.Get())
		require.True(t, strings.HasPrefix(entry(t, p.set, "COUNT").Author, "openfeature/éé"))
		require.False(t, p.on.Get())
		// Noop, which is what a client without a provider has, hands all defaults back.
		require.NoError(t, api.SetProviderAndWait(t.Context(), of.NoopProvider{}, of.WithDomain(domain)))
		synctest.Wait()
		require.Equal(t, declaredValues, p.values())
		require.Empty(t, told.take())
	})
}

func TestCloseLeavesTheOverridesToTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, mem := newProgram(t), memory(map[string]any{"COUNT": 5})
		client, _ := register(t, mem)
		s := follow(t, p.set, client, openfeature.Config{})
		s.Close()
		s.Close()
		mem.UpdateFlags(variants(map[string]any{"COUNT": 6}))
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, 5, p.count.Get(), "nothing runs")
		follow(t, p.set, client, openfeature.Config{})
		require.Equal(t, 6, p.count.Get())
		mem.UpdateFlags(nil)
		synctest.Wait()
		require.Equal(t, 3, p.count.Get())
	})
}

// A second Source whose provider does not answer keeps what the first one has left.
func TestALastGoodValueOutlivesItsSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, r := newProgram(t), newRemote("flagd", map[string]any{"COUNT": 5})
		client, _ := register(t, r)
		follow(t, p.set, client, openfeature.Config{}).Close()
		r.down.Store(true)
		follow(t, p.set, client, openfeature.Config{})
		time.Sleep(time.Hour)
		require.Equal(t, 5, p.count.Get())
	})
}

// deaf does not obey its context, and panics when it is told to.
type deaf struct {
	*remote
	wait  chan struct{}
	panic atomic.Bool
}

func (d *deaf) IntEvaluation(ctx context.Context, flag string, def int64, f of.FlattenedContext) of.IntResolutionDetail {
	if d.panic.Load() {
		panic("nil map")
	}
	<-d.wait
	return d.remote.IntEvaluation(ctx, flag, def, f)
}

func TestAProviderThatHangsHoldsTheStartForTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, d := newProgram(t), &deaf{remote: newRemote("flagd", remoteValues), wait: make(chan struct{})}
		client, _ := register(t, d)
		began := time.Now()
		s := follow(t, p.set, client, openfeature.Config{Timeout: 2 * time.Second})
		require.Equal(t, 2*time.Second, time.Since(began))
		require.True(t, p.on.Get(), "what was evaluated before it")
		require.Equal(t, 3, p.count.Get())
		close(d.wait)
		synctest.Wait()
		require.Equal(t, followedValues, p.values())
		s.Close()

		// The same at Close: it waits, and what comes then changes nothing and is told nobody.
		fresh := newProgram(t)
		d.wait = make(chan struct{})
		var told conditions
		s = follow(t, fresh.set, client, openfeature.Config{Timeout: 2 * time.Second, Hooks: told.hooks()})
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			s.Close()
		}()
		time.Sleep(time.Hour)
		require.Empty(t, closed)
		select {
		case <-closed:
			t.Fatal("Close has not waited")
		default:
		}
		close(d.wait)
		<-closed
		require.Equal(t, 3, fresh.count.Get())
		require.Empty(t, told.take())
	})
}

func TestAProviderThatPanicsHasFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, d := newProgram(t), &deaf{remote: newRemote("flagd", remoteValues), wait: make(chan struct{})}
		close(d.wait)
		client, _ := register(t, d)
		var told conditions
		follow(t, p.set, client, openfeature.Config{Flags: []string{"COUNT", "RATIO"}, Hooks: told.hooks()})
		d.panic.Store(true)
		next := maps.Clone(remoteValues)
		next["RATIO"] = 0.1
		d.mem.UpdateFlags(variants(next))
		time.Sleep(33 * time.Second)
		synctest.Wait()
		require.Equal(t, 5, p.count.Get())
		require.InDelta(t, 0.1, p.ratio.Get(), 0)
		told.mu.Lock()
		require.ErrorContains(t, told.all[0].Err, "the provider panicked: nil map")
		require.Equal(t, "flagd", told.all[0].Provider)
		told.mu.Unlock()
		d.panic.Store(false)
		time.Sleep(33 * time.Second)
		synctest.Wait()
		require.Equal(t, []string{"COUNT following failing GENERAL", "COUNT failing following"}, told.take())
	})
}

// The provider of one set is the source of another: what an operator overrides there, and takes back, is so here.
func TestOneSetFollowsAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		there, here := newProgram(t), newProgram(t, "COUNT=4", "RATIO=0.9")
		client, _ := register(t, openfeature.NewProvider(there.set))
		follow(t, here.set, client, openfeature.Config{Interval: -1})
		require.Equal(t, declaredValues, here.values())
		override(t, there.set, flags.Change{Flag: "PAUSE", Value: "1m1s", For: time.Minute})
		synctest.Wait()
		require.Equal(t, time.Minute+time.Second, here.pause.Get())
		require.Equal(t, "openfeature/prusik/voice", entry(t, here.set, "PAUSE").Author)
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, declaredValues, here.values())
	})
}

func TestOperatorsAndProviderAtTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, mem := newProgram(t), memory(map[string]any{"COUNT": 5})
		client, _ := register(t, mem)
		follow(t, p.set, client, openfeature.Config{Interval: time.Second})
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for i := range 200 {
					override(t, p.set, flags.Change{Flag: "COUNT", Value: "1", For: time.Millisecond * time.Duration(i%3)})
					mem.UpdateFlags(variants(map[string]any{"COUNT": 2 + i%5}))
					if i%7 == 0 {
						_ = p.set.Clear(flags.Change{Flag: "COUNT", Author: "ann", Reason: "over"})
					}
				}
			})
		}
		all.Wait()
		unset(t, p.set, "COUNT")
		mem.UpdateFlags(variants(map[string]any{"COUNT": 9}))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Equal(t, 9, p.count.Get())
	})
}

func TestEveryFaultAtOnce(t *testing.T) {
	p := newProgram(t)
	client := of.NewClient("nobody")
	_, err := openfeature.Follow(p.set, client, openfeature.Config{
		Flags: []string{"ON", "NONE", "LOCKED", "TOKEN", "ON"}, Interval: time.Millisecond, Timeout: time.Hour,
	})
	require.EqualError(t, err, `openfeature "voice": Interval = 1ms: want 1s to 24h0m0s
openfeature "voice": Timeout = 1h0m0s: want 1ms to 10m0s
openfeature "voice": Flags[1] = "NONE": want a flag of the set
openfeature "voice": Flags[2] = "LOCKED": want one that is not locked
openfeature "voice": Flags[3] = "TOKEN": want one that is not secret: a provider's hooks see its values
openfeature "voice": Flags[4] = "ON": want each once`)

	_, err = openfeature.Follow(flags.New("voice", flags.Config{}), client, openfeature.Config{Timeout: -1})
	require.ErrorContains(t, err, "Timeout = -1ns")
	require.ErrorContains(t, err, "not loaded")

	_, err = openfeature.Follow(nil, nil, openfeature.Config{})
	require.ErrorContains(t, err, "set = nil")
	require.ErrorContains(t, err, "client = nil")
}
