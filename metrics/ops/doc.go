// Package ops carries what people on call need: a Grafana dashboard, alert rules for Prometheus, and the runbook that the
// alerts link to.
//
//	func main() {
//		http.Handle("GET /ops/", http.StripPrefix("/ops", http.FileServerFS(ops.Files)))
//		log.Fatal(http.ListenAndServe("127.0.0.1:8081", nil)) // GET /ops/alerts.yml
//	}
//
// The files stand in the source as well, and whoever provisions Grafana and Prometheus may take them from there. Embedded,
// they are of the version that the program was built with, and name the metrics that it has: [os.CopyFS] writes them out.
// RUNBOOK.md says how to load them.
//
// # Failure
//
// A metric, a label or a link that the files name and that is not there fails the tests of this package. What a rule does is
// in alerts_test.yml; each alert has been seen to fire and to clear, and each panel to show data, on a real Prometheus, by
// the test in examples/internal/oncall.
//
// # Concurrency
//
// Files is read only.
//
// # Time
//
// The windows of the rules are for scrapes of 30 s or faster.
//
// # Cost
//
// The files add some 60 kB to a program that imports the package; package metrics does not.
package ops
