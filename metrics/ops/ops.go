package ops

import "embed"

// Files holds dashboard.json, alerts.yml and RUNBOOK.md.
//
//go:embed dashboard.json alerts.yml RUNBOOK.md
var Files embed.FS
