// Package oncall holds the proof of metrics/ops: a program whose vendors go down is scraped by a real Prometheus, every query
// of the dashboard is asked there, and each alert is seen to fire and to clear.
//
//	apt-get install prometheus                                # Debian's, 2.42 or later; nothing has to be running
//	go test ./internal/oncall                                 # about a minute
//	go test ./internal/oncall -run OnCall -oncall.draw=x.png  # and draws the dashboard, with Chromium
//
// Without Prometheus the tests are skipped, and with PRUSIK_REQUIRE_PROMETHEUS set, as in CI, they fail.
//
// The alerts are those of alerts.yml but for their windows, which are minutes there and seconds here: see short. The rules as
// they are, windows included, are tested by promtool in metrics/ops/alerts_test.yml.
package oncall
