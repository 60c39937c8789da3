# Every module has a go.mod of its own: what a user of the library never needs stays out of the root's.
MODULES := . examples internal/bench httpx/tracing ratelimit/redisstore ratelimit/ratelimittest/chiroutes httpx/idempotency/redisstore flags/openfeature
TOOLS   := $(CURDIR)/bin
LINT    := $(TOOLS)/golangci-lint
FUZZ    ?= 20000x

.PHONY: check build lint test cost fuzz drill bench dashboard page

# All tests: what decides whether a change lands.
check: build lint test cost fuzz drill

build:
	@set -e; for m in $(MODULES); do echo "== build $$m"; go -C $$m build ./...; go -C $$m mod tidy -diff; done

$(LINT): internal/tools/go.mod
	go -C internal/tools build -o $(LINT) github.com/golangci/golangci-lint/v2/cmd/golangci-lint

lint: $(LINT)
	@set -e; for m in $(MODULES); do echo "== lint $$m"; (cd $$m && $(LINT) run --allow-parallel-runners -c $(CURDIR)/.golangci.yml ./...); done

test:
	@set -e; for m in $(MODULES); do echo "== test $$m"; go -C $$m test -race ./...; done

# What is allocated is counted without the race detector, which allocates itself.
cost:
	go test ./breaker ./correlation ./errors ./flags ./metrics ./ratelimit/... ./httpx/internal/... ./httpx/status ./httpx/idempotency
	go -C httpx/tracing test -run Cost .
	go -C internal/bench test -run Budget .

# Every fuzzer for a bounded number of inputs; `make fuzz FUZZ=10m` for a long run.
fuzz:
	@mkdir -p bin; set -e; for f in $$(grep -rl '^func Fuzz' --include='*_test.go' --exclude-dir=examples --exclude-dir=bench .); do \
	  for n in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9]*\).*/\1/p' $$f); do \
	    echo "== fuzz $$n"; go test ./$$(dirname $$f) -run '^$$' -fuzz "^$$n\$$" -fuzztime $(FUZZ) >bin/fuzz.log 2>&1 || { cat bin/fuzz.log; exit 1; }; \
	  done; done

drill:
	go -C examples run ./voice -drill

bench:
	go -C internal/bench run ./cmd/ratios

# The picture of the dashboard; needs prometheus and chromium.
dashboard:
	go -C examples test -count=1 -run OnCall ./internal/oncall -oncall.draw=$(CURDIR)/metrics/ops/dashboard.png

# The picture of the reference service's page; needs chromium.
page:
	go -C examples test -count=1 -run Draw ./voice/page -page.draw=$(CURDIR)/examples/voice/page.png
