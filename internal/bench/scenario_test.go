package bench_test

import (
	"runtime/debug"
	"strings"
	"testing"

	"github.com/prusik-go/prusik/internal/bench"
)

// TestScenarios calls every contestant in every scenario a few times: statuses and attempts must be those that the
// scenario wants, or its times mean nothing.
func TestScenarios(t *testing.T) {
	for _, s := range bench.Scenarios() {
		t.Run(s.String(), func(t *testing.T) {
			subjects, err := s.Subjects()
			if err != nil {
				t.Fatal(err)
			}
			for _, subject := range subjects {
				if underRace() && s.Over == "loopback" && strings.HasPrefix(subject.Name, "heimdall") {
					_ = subject.Close()
					continue // it rewinds a body that net/http may still be writing: a race of its own
				}
				for worker := range s.Workers() {
					if err := subject.Op(worker, 3); err != nil {
						t.Errorf("%s: %v", subject.Name, err)
					}
				}
				if err := subject.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func underRace() bool {
	info, _ := debug.ReadBuildInfo()
	for _, s := range info.Settings {
		if s.Key == "-race" && s.Value == "true" {
			return true
		}
	}
	return false
}
