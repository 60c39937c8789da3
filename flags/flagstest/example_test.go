package flagstest_test

import (
	"fmt"
	"os"

	"github.com/prusik-go/prusik/flags"
	"github.com/prusik-go/prusik/flags/flagstest"
)

// t stands for the *testing.T that a test has.
type t struct{ flagstest.T }

func (t) Helper()                           {}
func (t) Errorf(format string, args ...any) { fmt.Printf(format, args...) }

func ExampleRequireCurrent() {
	set := flags.New("voice", flags.Config{})
	set.Bool("VOICE_NEW_MENU", flags.RemoveBy("2024-12-31"), flags.Doc("Offers the new menu."))

	flagstest.RequireCurrent(t{}, set)
	// Output: VOICE_NEW_MENU should have been gone by 2024-12-31: remove it, or say another day
}

func ExampleGolden() {
	set := flags.New("voice", flags.Config{})
	set.Bool("INTEGRATIONS_STUB_MODE", flags.Doc("Serves canned e-mail and calendar data."))

	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	_ = os.WriteFile(dir+"/.env.example", []byte("INTEGRATIONS_STUB_MODE=false\n"), 0o600)

	// FLAGSTEST_UPDATE=1 go test writes it.
	flagstest.Golden(quiet{}, dir+"/.env.example", set.WriteEnv)
	// Output: drifted
}

type quiet struct{ t }

func (quiet) Errorf(string, ...any) { fmt.Println("drifted") }
