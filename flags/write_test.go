package flags_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/flags"
)

func TestATableFoldsThoseWhoOnlyFollow(t *testing.T) {
	t.Parallel()
	set := flags.New("app", flags.Config{})
	all := set.Int("LIMIT", flags.Default(3), flags.Range(1, 9), flags.Doc("Limits all."))
	set.Int("MAIL_LIMIT", flags.Follows(all), flags.Range(1, 9), flags.Doc("Limits mail."))
	mid := set.Int("CALL_LIMIT", flags.Follows(all), flags.Range(1, 9), flags.Doc("Limits calls."))
	set.Int("CALL_EU_LIMIT", flags.Follows(mid), flags.Range(1, 9), flags.Doc("Limits calls in Europe."))
	set.Int("TEXT_LIMIT", flags.Follows(all), flags.Range(1, 5), flags.Doc("Limits texts|more."))
	set.Int("PHONE_LIMIT", flags.Follows(all), flags.Range(1, 9), flags.Doc("Limits phones."))
	var b bytes.Buffer
	require.NoError(t, set.WriteMarkdown(&b))
	require.Equal(t, "| variable | default | what it does |\n|---|---|---|\n"+
		"| `APP_ENV` | `production` | Where the program runs: development, test, staging, production. Any other name counts as production. |\n"+
		"| `LIMIT` | `3` | Limits all. (int; 1 to 9) It is followed, where they are unset, by `MAIL_LIMIT`, `PHONE_LIMIT`. |\n"+
		"| `CALL_LIMIT` | `LIMIT` | Limits calls. (int; 1 to 9; unset: as LIMIT) It is followed, where they are unset, by `CALL_EU_LIMIT`. |\n"+
		"| `TEXT_LIMIT` | `LIMIT` | Limits texts\\|more. (int; 1 to 5; unset: as LIMIT) |\n", b.String())
}
