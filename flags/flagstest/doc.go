// Package flagstest keeps what is written about flags in step with their declarations, and sets flags in tests.
//
//	func TestDocuments(t *testing.T) {
//		flagstest.Golden(t, ".env.example", set.WriteEnv)
//		flagstest.GoldenSection(t, "README.md", "flags", set.WriteMarkdown)
//		flagstest.RequireCurrent(t, set)
//	}
//
// FLAGSTEST_UPDATE=1 go test ./... writes the files anew.
package flagstest
