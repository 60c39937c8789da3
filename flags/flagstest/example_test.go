package flagstest_test

import (
	"testing"

	"github.com/prusik-go/prusik/flags"
	"github.com/prusik-go/prusik/flags/flagstest"
)

func ExampleGolden() {
	set := flags.New("voice", flags.Config{})
	set.Bool("INTEGRATIONS_STUB_MODE", flags.Doc("Serves canned e-mail and calendar data."))

	_ = func(t *testing.T) { // a test of yours; FLAGSTEST_UPDATE=1 go test writes the files
		flagstest.Golden(t, ".env.example", set.WriteEnv)
		flagstest.GoldenSection(t, "README.md", "flags", set.WriteMarkdown)
		flagstest.RequireCurrent(t, set)
	}
}
