package flags_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/errors"
	"github.com/prusik-go/prusik/flags"
)

func TestReadByName(t *testing.T) {
	set := flags.New("app", flags.Config{})
	wait := set.Duration("WAIT", flags.Default(time.Second), flags.Doc("Waits."))
	set.Duration("OTHER_WAIT", flags.Follows(wait), flags.Doc("Waits too."))
	set.String("TOKEN", flags.Secret(), flags.Doc("Is nobody's business."))
	early := set.Pin(t.Context())
	_, err := set.Read(t.Context(), "WAIT")
	require.Equal(t, errors.Unavailable, errors.KindOf(err))
	require.NoError(t, set.Load([]string{"TOKEN=hunter2"}))

	_, err = set.Read(early, "WAIT")
	require.Equal(t, errors.Unavailable, errors.KindOf(err), "it was pinned before the set was loaded")
	_, err = set.Read(t.Context(), "WAIR")
	require.Equal(t, errors.NotFound, errors.KindOf(err))
	require.ErrorContains(t, err, "did you mean WAIT?")
	_, err = set.Read(t.Context(), "TOKEN")
	require.Equal(t, errors.Forbidden, errors.KindOf(err))
	require.NotContains(t, err.Error(), "hunter2")

	r, err := set.Read(t.Context(), "OTHER_WAIT")
	require.NoError(t, err)
	require.Equal(t, flags.Reading{Value: time.Second, Type: "duration", Source: flags.FromFlag, Origin: "WAIT"}, r)

	pinned := set.Pin(t.Context())
	require.NoError(t, set.Override(flags.Change{Flag: "WAIT", Value: "2s", Author: "ann", Reason: "why", For: time.Hour}))
	r, err = set.Read(pinned, "WAIT")
	require.NoError(t, err)
	require.Equal(t, flags.Reading{Value: time.Second, Type: "duration", Source: flags.FromDefault}, r)
	r, err = set.Read(t.Context(), "WAIT")
	require.NoError(t, err)
	require.Equal(t, time.Hour, r.Until.Sub(r.Since))
	r.Since, r.Until = time.Time{}, time.Time{}
	require.Equal(t, flags.Reading{Value: 2 * time.Second, Type: "duration", Source: flags.FromOverride, Author: "ann", Reason: "why"}, r)

	late := set.Bool("LATE", flags.Doc("Was declared late."))
	_, err = set.Read(t.Context(), late.Name())
	require.Equal(t, errors.Unavailable, errors.KindOf(err), "it was never read")
}

func TestWhatFollowsASecretIsASecret(t *testing.T) {
	set := flags.New("app", flags.Config{})
	token := set.String("TOKEN", flags.Secret(), flags.Doc("Is a secret."))
	set.String("OTHER_TOKEN", flags.Follows(token), flags.Doc("Is another."))
	require.NoError(t, set.Load([]string{"TOKEN=hunter2"}))
	require.Equal(t, "(secret)", set.List().Flags[1].Value)
	_, err := set.Read(t.Context(), "OTHER_TOKEN")
	require.Equal(t, errors.Forbidden, errors.KindOf(err))
}

func TestTryChangesAndTellsNothing(t *testing.T) {
	told := 0
	set := flags.New("app", flags.Config{Hooks: flags.Hooks{
		OnChange:  func(flags.ChangeEvent) { told++ },
		OnRefusal: func(flags.RefusalEvent) { told++ },
	}})
	wait := set.Duration("WAIT", flags.Unit(time.Second), flags.Range(0, time.Minute), flags.Doc("Waits."))
	stub := set.Bool("STUB", flags.NeverIn(flags.Production), flags.Doc("Serves stubs."))
	require.NoError(t, set.Load(nil))
	try := func(flag, value string) (string, error) {
		return set.Try(flags.Change{Flag: flag, Value: value, Author: "ann", Reason: "why"})
	}
	value, err := try("WAIT", "30")
	require.NoError(t, err)
	require.Equal(t, "30s", value)
	_, err = try("WAIT", "2m")
	require.Equal(t, errors.Invalid, errors.KindOf(err))
	_, err = try("STUB", "true")
	require.Equal(t, errors.Forbidden, errors.KindOf(err))
	_, err = try("NONE", "true")
	require.Equal(t, errors.NotFound, errors.KindOf(err))
	require.Zero(t, told)
	require.Zero(t, wait.Get())
	require.False(t, stub.Get())
}

func TestReplacesLeavesTheOverrideOfAnotherAuthor(t *testing.T) {
	set := flags.New("app", flags.Config{})
	n := set.Int("N", flags.Default(1), flags.Doc("Counts."))
	require.NoError(t, set.Load(nil))
	robot := flags.Change{Flag: "N", Value: "2", Author: "robot", Reason: "why", Replaces: "robot"}
	robotEnds := flags.Change{Flag: "N", Author: "robot", Reason: "why", Replaces: "robot"}
	require.NoError(t, set.Override(robot))
	robot.Value = "3"
	require.NoError(t, set.Override(robot), "its own")
	require.Equal(t, 3, n.Get())

	require.NoError(t, set.Override(flags.Change{Flag: "N", Value: "4", Author: "ann", Reason: "why"}), "anybody's")
	for _, err := range []error{set.Override(robot), set.Clear(robotEnds)} {
		require.Equal(t, errors.Conflict, errors.KindOf(err))
		require.ErrorContains(t, err, "N is overridden by ann")
	}
	require.Equal(t, 4, n.Get())
	require.Equal(t, "1", set.List().Flags[0].Beneath)

	require.NoError(t, set.Clear(flags.Change{Flag: "N", Author: "ann", Reason: "why"}))
	require.Empty(t, set.List().Flags[0].Beneath)
	require.NoError(t, set.Clear(robotEnds), "nothing to clear")
	require.NoError(t, set.Override(robot))
	require.Equal(t, 3, n.Get())
	renamed := flags.Change{Flag: "N", Value: "5", Author: "robot/2", Reason: "why", Replaces: "robot"}
	require.NoError(t, set.Override(renamed), "whose it replaces is not who does")
	require.Equal(t, 5, n.Get())
}

func BenchmarkRead(b *testing.B) {
	set := flags.New("app", flags.Config{})
	set.Bool("STUB", flags.Doc("Serves stubs."))
	require.NoError(b, set.Load(nil))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := set.Read(b.Context(), "STUB"); err != nil {
			b.Fatal(err)
		}
	}
}
