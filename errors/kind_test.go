package errors_test

import (
	"net/http"
	"os"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/prusik-go/prusik/errors"
)

// table reads what kind.go says of itself: a constant, its text and its comment.
func table(t *testing.T, typ string) [][]string {
	t.Helper()
	src, err := os.ReadFile("kind.go")
	require.NoError(t, err)
	return regexp.MustCompile(`(?m)^\t(\w+)\s+`+typ+` = "(\w+)"\s+// (.+)$`).FindAllStringSubmatch(string(src), -1)
}

func TestEveryKindIsAsItsCommentSays(t *testing.T) {
	t.Parallel()
	rows := table(t, "Kind")
	require.Len(t, rows, len(errors.Kinds()))
	faults := map[string]errors.Fault{
		"the caller's": errors.FaultCaller, "ours": errors.FaultUs, "the vendor's": errors.FaultVendor,
	}
	comment := regexp.MustCompile(`^(\d{3}), (the caller's|ours|the vendor's)(: .+)?$`)
	for i, row := range rows {
		k := errors.Kinds()[i]
		require.Equal(t, row[2], string(k), "Kinds is in the order of the declarations")
		m := comment.FindStringSubmatch(row[3])
		require.NotNil(t, m, "%s", row[3])
		require.Equal(t, m[1], strconv.Itoa(k.Status()), "%s", k)
		require.Equal(t, faults[m[2]], k.Fault(), "%s", k)
	}
}

func TestEveryKindHasItsOwnSentence(t *testing.T) {
	t.Parallel()
	seen := map[string]errors.Kind{}
	for _, k := range errors.Kinds() {
		require.Regexp(t, `^[A-Z].+\.$`, k.Public(), "%s", k)
		require.NotContains(t, k.Public(), "_", "a sentence, not a name")
		require.NotContains(t, seen, k.Public(), "%s and %s", k, seen[k.Public()])
		seen[k.Public()] = k
		require.GreaterOrEqual(t, k.Status(), 400)
		require.Less(t, k.Status(), 600)
		require.Equal(t, string(k), k.Error())
		require.True(t, k == errors.Canceled || http.StatusText(k.Status()) != "", "%s", k)
	}
}

func TestUnknownKindIsInternal(t *testing.T) {
	t.Parallel()
	k := errors.Kind("no such kind")
	require.Equal(t, errors.Internal.Status(), k.Status())
	require.Equal(t, errors.Internal.Fault(), k.Fault())
	require.Equal(t, errors.Internal.Public(), k.Public())
}

func TestListsAreTheCallersOwn(t *testing.T) {
	t.Parallel()
	errors.Kinds()[0] = "changed"
	errors.Stops()[0] = "changed"
	require.Equal(t, errors.Invalid, errors.Kinds()[0])
	require.Equal(t, errors.StopExhausted, errors.Stops()[0])
}

func TestStops(t *testing.T) {
	t.Parallel()
	rows := table(t, "Stop")
	require.Len(t, rows, len(errors.Stops()))
	for i, row := range rows {
		require.Equal(t, row[2], string(errors.Stops()[i]))
	}
}

func TestDelivery(t *testing.T) {
	t.Parallel()
	var zero errors.Delivery
	require.Equal(t, errors.Unknown, zero, "what is not said is not known")
	for d, text := range map[errors.Delivery]string{
		errors.Unknown: "unknown", errors.NotSent: "not_sent", errors.Rejected: "rejected", errors.Delivered: "delivered",
		errors.Delivery(99): "unknown",
	} {
		require.Equal(t, text, d.String())
		b, err := d.MarshalText()
		require.NoError(t, err)
		require.Equal(t, text, string(b))
		back := errors.Delivery(99)
		require.NoError(t, back.UnmarshalText(b))
		require.Equal(t, text, back.String())
	}
	back := errors.Delivered
	require.NoError(t, back.UnmarshalText([]byte("nonsense")))
	require.Equal(t, errors.Unknown, back)
}
