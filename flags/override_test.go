package flags_test

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/flags"
)

// record is what a hook heard.
type record struct {
	mu     sync.Mutex
	events []flags.ChangeEvent
}

func (r *record) hear(e flags.ChangeEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// take returns what was heard since the last time.
func (r *record) take() []flags.ChangeEvent {
	r.mu.Lock()
	defer r.mu.Unlock()
	events := r.events
	r.events = nil
	return events
}

// loaded returns a set of some flags, and what its hooks hear.
func loaded(t *testing.T, environ ...string) (*flags.Set, *record) {
	t.Helper()
	events := &record{}
	set := flags.New("app", flags.Config{Hooks: flags.Hooks{OnChange: events.hear}})
	limit := set.Int("LIMIT", flags.Default(10), flags.Range(1, 100), flags.Doc(doc))
	set.Int("MAIL_LIMIT", flags.Follows(limit), flags.Range(1, 100), flags.Doc(doc))
	set.Bool("STUB", flags.NeverIn(flags.Production), flags.Doc(doc))
	set.Bool("FIXED", flags.Locked(), flags.Doc(doc))
	require.NoError(t, set.Load(environ))
	return set, events
}

func entry(t *testing.T, set *flags.Set, name string) flags.Entry {
	t.Helper()
	for _, e := range set.List().Flags {
		if e.Name == name {
			return e
		}
	}
	t.Fatalf("no flag %s", name)
	return flags.Entry{}
}

func TestAnOverrideEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set, events := loaded(t, "LIMIT=20")
		at := time.Now()
		require.NoError(t, set.Override(flags.Change{
			Flag: "LIMIT", Value: "5", Author: "ann", Reason: "outage", For: time.Minute, CorrelationID: "id-1",
		}))
		require.Equal(t, "5", entry(t, set, "LIMIT").Value)
		require.Equal(t, "5", entry(t, set, "MAIL_LIMIT").Value)
		e := entry(t, set, "LIMIT")
		require.Equal(t, flags.FromOverride, e.Source)
		require.Equal(t, []any{"ann", "outage", at, at.Add(time.Minute)}, []any{e.Author, e.Reason, e.Since, e.Until})
		require.Equal(t, flags.Entry{
			Name: "MAIL_LIMIT", Type: "int", Doc: doc, Value: "5", Default: "10", Number: new(5.0), Source: flags.FromFlag, Origin: "LIMIT",
			Min: "1", Max: "100", Follows: "LIMIT",
		}, entry(t, set, "MAIL_LIMIT"))

		time.Sleep(time.Minute - 1)
		synctest.Wait()
		require.Equal(t, "5", entry(t, set, "LIMIT").Value)
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.Equal(t, "20", entry(t, set, "LIMIT").Value)
		require.Equal(t, flags.FromEnvironment, entry(t, set, "LIMIT").Source)

		end := at.Add(time.Minute)
		require.Equal(t, []flags.ChangeEvent{
			{Flag: "LIMIT", From: "20", To: "5", Source: flags.FromOverride, Cause: flags.Overridden, Author: "ann", Reason: "outage", CorrelationID: "id-1", At: at, Until: end},
			{Flag: "MAIL_LIMIT", From: "20", To: "5", Source: flags.FromFlag, Cause: flags.Followed, At: at},
			{Flag: "LIMIT", From: "5", To: "20", Source: flags.FromEnvironment, Cause: flags.Expired, Author: "ann", Reason: "outage", At: end},
			{Flag: "MAIL_LIMIT", From: "5", To: "20", Source: flags.FromFlag, Cause: flags.Followed, At: end},
		}, events.take())
	})
}

func TestALaterOverrideTakesThePlaceOfTheEarlier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set, events := loaded(t)
		change := flags.Change{Flag: "LIMIT", Value: "5", Author: "ann", Reason: "outage", For: time.Minute}
		require.NoError(t, set.Override(change))
		change.Value, change.For = "6", 0
		require.NoError(t, set.Override(change))
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, "6", entry(t, set, "LIMIT").Value, "the timer of the first does not end the second")

		require.NoError(t, set.Load([]string{"LIMIT=50"}))
		require.Equal(t, "6", entry(t, set, "LIMIT").Value, "overrides stay")
		events.take()
		undo := flags.Change{Flag: "LIMIT", Author: "bob", Reason: "over"}
		require.NoError(t, set.Clear(undo))
		require.Equal(t, "50", entry(t, set, "LIMIT").Value)
		heard := events.take()
		require.Len(t, heard, 2)
		require.Equal(t, flags.Cleared, heard[0].Cause)
		require.NoError(t, set.Clear(undo), "twice")
		require.Empty(t, events.take())

		require.NoError(t, set.Load([]string{"MAIL_LIMIT=3"}))
		heard = events.take()
		require.Len(t, heard, 2)
		require.Equal(t, flags.ChangeEvent{Flag: "LIMIT", From: "50", To: "10", Source: flags.FromDefault, Cause: flags.Loaded, At: time.Now()}, heard[0])
	})
}

func TestARefusedOverrideChangesNothing(t *testing.T) {
	t.Parallel()
	var refused []flags.RefusalEvent
	set := flags.New("app", flags.Config{Hooks: flags.Hooks{OnRefusal: func(e flags.RefusalEvent) { refused = append(refused, e) }}})
	limit := set.Int("LIMIT", flags.Default(10), flags.Range(1, 100), flags.Doc(doc))
	set.Bool("STUB", flags.NeverIn(flags.Production), flags.Doc(doc))
	set.Bool("FIXED", flags.Locked(), flags.Doc(doc))
	good := flags.Change{Flag: "LIMIT", Value: "5", Author: "ann", Reason: "outage"}

	err := set.Override(good)
	require.Equal(t, errors.Unavailable, errors.KindOf(err), "not loaded")
	require.NoError(t, set.Load(nil))
	refused = nil

	long := strings.Repeat("x", 201)
	for _, c := range []struct {
		change func(*flags.Change)
		kind   errors.Kind
		want   string
	}{
		{func(c *flags.Change) { c.Flag = "LIMTI" }, errors.NotFound, "there is no such flag: did you mean LIMIT?"},
		{func(c *flags.Change) { c.Value = "500" }, errors.Invalid, `LIMIT = "500": want 1 to 100`},
		{func(c *flags.Change) { c.Value = "x" }, errors.Invalid, `LIMIT = "x": want a whole number`},
		{func(c *flags.Change) { c.Value = "" }, errors.Invalid, "LIMIT: want a Value; an override is taken back by Clear"},
		{func(c *flags.Change) { c.Author = "" }, errors.Invalid, "LIMIT: want an Author of 1 to 200 bytes"},
		{func(c *flags.Change) { c.Author = long }, errors.Invalid, "LIMIT: want an Author of 1 to 200 bytes"},
		{func(c *flags.Change) { c.Reason = "" }, errors.Invalid, "LIMIT: want a Reason of 1 to 200 bytes"},
		{func(c *flags.Change) { c.Reason = long }, errors.Invalid, "LIMIT: want a Reason of 1 to 200 bytes"},
		{func(c *flags.Change) { c.For = -1 }, errors.Invalid, `LIMIT: want For = "-1ns" to be positive, or zero for as long as it is not taken back`},
		{func(c *flags.Change) { c.Flag, c.Value = "FIXED", "true" }, errors.Forbidden, "FIXED is locked: change it where it is deployed"},
		{func(c *flags.Change) { c.Flag, c.Value = "STUB", "true" }, errors.Forbidden, "STUB = true is not allowed in production"},
	} {
		bad := good
		c.change(&bad)
		refused = nil
		err := set.Override(good, bad)
		if bad.Flag == good.Flag {
			err = set.Override(bad)
		}
		require.Error(t, err, c.want)
		e, ok := errors.AsType[*errors.Error](err)
		require.True(t, ok)
		require.Equal(t, c.kind, e.Kind, c.want)
		require.Equal(t, c.want, e.Public)
		require.Equal(t, 10, limit.Get(), "all or nothing")
		require.NotEmpty(t, refused)
		last := refused[len(refused)-1]
		require.Equal(t, err, last.Err)
		if c.kind == errors.NotFound {
			require.Equal(t, "other", last.Flag)
		} else {
			require.Equal(t, bad.Flag, last.Flag)
		}
	}
	require.ErrorContains(t, set.Override(good, good), "LIMIT is there twice")
	require.ErrorContains(t, set.Clear(good), "LIMIT: want no Value and no For to clear it")
	require.ErrorContains(t, set.Clear(flags.Change{Flag: "FIXED", Author: "a", Reason: "r"}), "FIXED is locked")
	require.NoError(t, set.Override(flags.Change{Flag: "STUB", Value: "false", Author: "a", Reason: "r"}), "what is allowed may be said")
}

func TestHooksMayUseTheSetAndHearOfThingsInOrder(t *testing.T) {
	t.Parallel()
	var set *flags.Set
	var heard []string
	watched := 0
	set = flags.New("app", flags.Config{Hooks: flags.Hooks{OnChange: func(e flags.ChangeEvent) {
		heard = append(heard, e.From+" to "+e.To)
		if e.To == "2" {
			require.NoError(t, set.Override(flags.Change{Flag: "LIMIT", Value: "3", Author: "a", Reason: "r"}))
			heard = append(heard, "asked for 3")
		}
	}}})
	limit := set.Int("LIMIT", flags.Doc(doc))
	var seen []int
	stop := set.Watch(func() { watched++; seen = append(seen, limit.Get()) })
	require.NoError(t, set.Load([]string{"LIMIT=1"}))
	require.Equal(t, []int{1}, seen)
	require.NoError(t, set.Override(flags.Change{Flag: "LIMIT", Value: "2", Author: "a", Reason: "r"}))
	require.Equal(t, []string{"1 to 2", "asked for 3", "2 to 3"}, heard)
	require.Equal(t, []int{1, 3, 3}, seen)
	stop()
	stop()
	require.NoError(t, set.Clear(flags.Change{Flag: "LIMIT", Author: "a", Reason: "r"}))
	require.Equal(t, 3, watched)
}

func TestHooksMayBeAddedLater(t *testing.T) {
	t.Parallel()
	var heard []string
	hook := func(name string) flags.Hooks {
		return flags.Hooks{
			OnChange:  func(flags.ChangeEvent) { heard = append(heard, name+" change") },
			OnRefusal: func(flags.RefusalEvent) { heard = append(heard, name+" refusal") },
		}
	}
	set := flags.New("app", flags.Config{Hooks: hook("first")})
	set.Int("A", flags.Doc(doc))
	set.AddHooks(hook("second"))
	require.NoError(t, set.Load(nil))
	require.NoError(t, set.Override(flags.Change{Flag: "A", Value: "2", Author: "a", Reason: "r"}))
	require.Error(t, set.Override(flags.Change{Flag: "A"}))
	require.Equal(t, []string{"first change", "second change", "first refusal", "second refusal"}, heard)
}

func TestAPanicOfAHookLosesNoEvent(t *testing.T) {
	t.Parallel()
	var heard []string
	set := flags.New("app", flags.Config{Hooks: flags.JoinHooks(
		flags.Hooks{OnChange: func(e flags.ChangeEvent) {
			heard = append(heard, e.Flag)
			if e.Flag == "A" {
				panic("hook")
			}
		}},
		flags.Hooks{OnChange: func(e flags.ChangeEvent) { heard = append(heard, "second of "+e.Flag) }},
	)})
	a := set.Int("A", flags.Doc(doc))
	set.Int("B", flags.Follows(a), flags.Doc(doc))
	require.NoError(t, set.Load(nil))
	change := flags.Change{Flag: "A", Value: "2", Author: "a", Reason: "r"}
	require.PanicsWithValue(t, "hook", func() { _ = set.Override(change) })
	require.Equal(t, []string{"A", "B", "second of B"}, heard)
	require.Equal(t, 2, a.Get(), "what was changed stands")
	require.PanicsWithValue(t, "hook", func() { _ = set.Clear(flags.Change{Flag: "A", Author: "a", Reason: "r"}) })
	require.Zero(t, a.Get())
}

func TestAFurtherLoadIsToldAfterALateDeclarationToo(t *testing.T) {
	t.Parallel()
	var heard []string
	set := flags.New("app", flags.Config{Hooks: flags.Hooks{OnChange: func(e flags.ChangeEvent) {
		heard = append(heard, e.Flag+" from "+e.From+" to "+e.To+", "+string(e.Cause))
	}}})
	set.Int("A", flags.Doc(doc))
	require.NoError(t, set.Load([]string{"A=1"}))
	require.Empty(t, heard, "the start is no change")
	set.Int("LATE", flags.Doc(doc))
	require.NoError(t, set.Load([]string{"A=2"}))
	require.Equal(t, []string{"A from 1 to 2, loaded"}, heard)
}

// What works with values of its own, such as a client's breaker, must not stay behind because another watcher fails.
func TestAPanicOfAWatcherKeepsNoOtherFromHearing(t *testing.T) {
	t.Parallel()
	set := flags.New("app", flags.Config{})
	a := set.Int("A", flags.Doc(doc))
	require.NoError(t, set.Load(nil))
	var seen []int
	set.Watch(func() { seen = append(seen, a.Get()) })
	set.Watch(func() { panic("first") })
	set.Watch(func() { seen = append(seen, 10*a.Get()) })
	set.Watch(func() { panic("second") })
	set.Watch(func() { seen = append(seen, 100*a.Get()) })
	require.Panics(t, func() { _ = set.Override(flags.Change{Flag: "A", Value: "2", Author: "a", Reason: "r"}) })
	require.Equal(t, []int{2, 20, 200}, seen)
	require.Panics(t, func() { _ = set.Clear(flags.Change{Flag: "A", Author: "a", Reason: "r"}) })
	require.Equal(t, []int{2, 20, 200, 0, 0, 0}, seen)
}

// 64 readers, writers and expiries: what a request reads belongs together, however often it looks.
func TestASnapshotNeverMixesValues(t *testing.T) {
	t.Parallel()
	set := flags.New("app", flags.Config{})
	a, b := set.Int("A", flags.Doc(doc)), set.Int("B", flags.Doc(doc))
	c := set.String("C", flags.Default("0"), flags.Doc(doc))
	follows := set.Int("D", flags.Follows(a), flags.Doc(doc))
	require.NoError(t, set.Load(nil))
	var writers, readers sync.WaitGroup
	done := make(chan struct{})
	for w := range 32 {
		writers.Go(func() {
			for i := range 200 {
				v := []string{"0", "1", "2", "3", "4"}[(w+i)%5]
				var hold time.Duration
				if w%2 == 0 {
					hold = time.Duration(1+i%100) * time.Microsecond
				}
				change := func(f string) flags.Change {
					return flags.Change{Flag: f, Value: v, Author: "w", Reason: "race", For: hold}
				}
				if v == "0" {
					undo := func(f string) flags.Change { return flags.Change{Flag: f, Author: "w", Reason: "race"} }
					if err := set.Clear(undo("A"), undo("B"), undo("C")); err != nil {
						t.Error(err)
					}
				} else if err := set.Override(change("A"), change("B"), change("C")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	mixed, reads := 0, 0
	var mu sync.Mutex
	for range 32 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				ctx := set.Pin(t.Context())
				x, y, z, f := a.In(ctx), b.In(ctx), c.In(ctx), follows.In(ctx)
				again := a.In(set.Pin(ctx))
				mu.Lock()
				reads++
				if x != f || x != again || x != y || z != strconv.Itoa(x) {
					mixed++
				}
				mu.Unlock()
				_, _ = set.List(), a.Get()
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
	require.Positive(t, reads)
	require.Zero(t, mixed, "of %d", reads)
}

func TestWhatIsOverriddenTogetherEndsTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set, events := loaded(t)
		change := func(flag, value string) flags.Change {
			return flags.Change{Flag: flag, Value: value, Author: "ann", Reason: "outage", For: time.Minute}
		}
		require.NoError(t, set.Override(change("MAIL_LIMIT", "6"), change("LIMIT", "5")))
		watched := 0
		set.Watch(func() {
			watched++
			require.Equal(t, "10", entry(t, set, "LIMIT").Value)
			require.Equal(t, "10", entry(t, set, "MAIL_LIMIT").Value)
		})
		events.take()
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, 1, watched)
		heard := events.take()
		require.Len(t, heard, 2)
		require.Equal(t, []string{"LIMIT", "5", "10"}, []string{heard[0].Flag, heard[0].From, heard[0].To})
		require.Equal(t, []string{"MAIL_LIMIT", "6", "10"}, []string{heard[1].Flag, heard[1].From, heard[1].To})
	})
}

func TestOneOfTheOverridesMadeTogetherMayGoEarlier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set, _ := loaded(t)
		both := func(value string) []flags.Change {
			c := flags.Change{Flag: "LIMIT", Value: value, Author: "ann", Reason: "outage", For: time.Minute}
			d := c
			d.Flag = "MAIL_LIMIT"
			return []flags.Change{c, d}
		}
		require.NoError(t, set.Override(both("5")...))
		require.NoError(t, set.Clear(flags.Change{Flag: "LIMIT", Author: "ann", Reason: "over"}))
		require.Equal(t, "10", entry(t, set, "LIMIT").Value)
		require.Equal(t, "5", entry(t, set, "MAIL_LIMIT").Value)
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, "10", entry(t, set, "MAIL_LIMIT").Value)
		require.NoError(t, set.Override(both("8")...))
		lasting := flags.Change{Flag: "LIMIT", Value: "9", Author: "bob", Reason: "for good"}
		require.NoError(t, set.Override(lasting))
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, "10", entry(t, set, "LIMIT").Default)
		require.Equal(t, "9", entry(t, set, "LIMIT").Value, "the end of the earlier one is not that of the later")
		require.Equal(t, flags.FromFlag, entry(t, set, "MAIL_LIMIT").Source, "which has ended")
		lasting.Value = ""
		require.NoError(t, set.Clear(lasting))
		for range 3 { // each replaces the one before
			require.NoError(t, set.Override(both("7")...))
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		require.Equal(t, "10", entry(t, set, "MAIL_LIMIT").Value)
	})
}
