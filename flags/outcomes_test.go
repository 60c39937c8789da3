package flags_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/flags"
)

func TestNeverInHoldsWhereAnOverrideHidTheEnvironmentAtLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := flags.New("app", flags.Config{})
		stub := set.Bool("STUB", flags.NeverIn(flags.Production), flags.Doc("Serves stubs."))
		require.NoError(t, set.Load(nil))
		require.NoError(t, set.Override(flags.Change{Flag: "STUB", Value: "false", Author: "ann", Reason: "why", For: time.Minute}))
		require.ErrorContains(t, set.Load([]string{"STUB=true"}), "STUB = true: want false in production, and APP_ENV is not set")
		time.Sleep(time.Hour)
		require.False(t, stub.Get(), "in production")
	})
}

func TestAFollowerKeepsItsOwnBounds(t *testing.T) {
	set := flags.New("app", flags.Config{})
	all := set.Int("ALL", flags.Range(1, 100), flags.Default(1), flags.Doc("Of all."))
	one := set.Int("ONE", flags.Range(1, 10), flags.Follows(all), flags.Doc("Of one."))
	require.EqualError(t, set.Load([]string{"ALL=50"}), `flags "app": ONE = 50: want 1 to 10, also where it follows ALL`)
	require.NoError(t, set.Load([]string{"ALL=50", "ONE=5"}))
	require.NoError(t, set.Load(nil))
	err := set.Override(flags.Change{Flag: "ALL", Value: "50", Author: "ann", Reason: "why"})
	require.ErrorContains(t, err, "ONE = 50, as it follows ALL: want 1 to 10")
	require.Equal(t, 1, one.Get())
}

func TestLoadAgainReadsWhatWasDeclaredLate(t *testing.T) {
	set := flags.New("app", flags.Config{})
	require.NoError(t, set.Load(nil))
	late := set.Bool("LATE", flags.Doc("Was declared late."))
	require.Error(t, set.Err())
	require.NoError(t, set.Load([]string{"LATE=true"}), "the fault says: or Load called again")
	require.NoError(t, set.Err())
	require.True(t, late.Get())
}

// The override of the follower hides what it follows for a time, and must not let it become what it may never be.
func TestNeverInHoldsWhereAFollowersOverrideEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := flags.New("app", flags.Config{})
		all := set.Bool("STUB", flags.Doc(doc))
		mid := set.Bool("MAIL_STUB", flags.Follows(all), flags.Doc(doc))
		one := set.Bool("MAIL_EU_STUB", flags.Follows(mid), flags.NeverIn(flags.Production), flags.Doc(doc))
		require.NoError(t, set.Load(nil))
		off := flags.Change{Flag: "MAIL_STUB", Value: "false", Author: "ann", Reason: "why", For: time.Minute}
		require.NoError(t, set.Override(off))
		require.ErrorContains(t, set.Override(flags.Change{Flag: "STUB", Value: "true", Author: "ann", Reason: "why"}), "MAIL_EU_STUB = true is not allowed in production")
		time.Sleep(time.Hour)
		synctest.Wait()
		require.False(t, one.Get())
		require.False(t, all.Get())
	})
}

func TestLoadSaysWhichOverrideStandsAgainstIt(t *testing.T) {
	t.Parallel()
	set := flags.New("app", flags.Config{})
	set.Bool("STUB", flags.NeverIn(flags.Production), flags.Doc(doc))
	require.NoError(t, set.Load([]string{"APP_ENV=test"}))
	require.NoError(t, set.Override(flags.Change{Flag: "STUB", Value: "true", Author: "ann", Reason: "why"}))
	require.EqualError(t, set.Load(nil), `flags "app": STUB = true: want false in production: clear the override of STUB`)
}
