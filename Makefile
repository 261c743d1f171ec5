# `make help` lists the targets. Settings can be given on the command line: make install PREFIX=/usr/local

PREFIX      ?= /usr
DESTDIR     ?=
FUZZTIME    ?= 10s
FAULT_ROUNDS ?= 50
GO          ?= go
# The version stands in the file VERSION and nowhere else; git adds which commit it is, as semver's build metadata.
COMMIT      := $(shell git describe --always --dirty=.dirty --exclude '*' 2>/dev/null)
VERSION     ?= $(shell cat VERSION)$(COMMIT:%=+g%)
# Release 2026.2.2 by its module version: its other tag is not one that Go can always resolve.
STATICCHECK := $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2
# Without this tag the option parser brings a Markdown renderer, and a millisecond more at every start.
TAGS        := urfave_cli_no_docs
TEST_TAGS   := e2e,bench
LDFLAGS     := -s -w -X massive-passive/internal/app.version=$(VERSION)
LINKS       := massive-passive-client massive-passive-server massive-passive-send massive-passive-status massive-passive-pki

.DEFAULT_GOAL := help
.PHONY: help build packages demo test race lint docs fuzz e2e soak bench bench-sched bench-sinks install clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## ./massive-passive, one static binary
	CGO_ENABLED=0 $(GO) build -trimpath -tags $(TAGS) -ldflags "$(LDFLAGS)" -o massive-passive .

demo: ## server, client and sample checks on this machine for 30 seconds; needs only Go
	@echo "Building the demo: the first time takes a minute."
	@$(GO) run ./packaging/demo

test: ## the tests that need only Go
	CGO_ENABLED=0 $(GO) test -parallel 16 ./...
	cd test && CGO_ENABLED=0 $(GO) test -parallel 16 -count 1 ./... # the cache does not look at files outside of the module

race: ## the same with the race detector; needs a C compiler
	CGO_ENABLED=1 $(GO) test -race ./...
	cd test && CGO_ENABLED=1 $(GO) test -race -count 1 ./...

# The rig's small structs stand in tables, unkeyed: -composites=false lets them.
lint: ## formatting, go vet, staticcheck
	@test -z "$$(gofmt -l .)" || { echo "not formatted (gofmt -w them):"; gofmt -l .; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags $(TEST_TAGS) ./...
	$(STATICCHECK) ./...
	$(STATICCHECK) -tags $(TEST_TAGS) ./...
	cd test && $(GO) vet -composites=false ./... && $(GO) vet -composites=false -tags $(TEST_TAGS) ./...
	cd test && $(STATICCHECK) ./... && $(STATICCHECK) -tags $(TEST_TAGS) ./...

docs: ## docs/reference, from the options that there are
	$(GO) test ./internal/app -run '^TestReference$$' -count 1 -args -update

fuzz: ## each fuzz target for FUZZTIME: a time, or a count as 2000x (default 10s)
	@grep -rl --include='*_test.go' '^func Fuzz' . | sort | while read -r file; do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$$file"); do \
			echo "$$target in $${file%/*}"; \
			$(GO) test -C "$${file%/*}" -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x . </dev/null || exit 1; \
		done; \
	done

e2e: ## through the real main, against real Nagios and Icinga; needs root and .ci/setup
	CGO_ENABLED=1 $(GO) test -race -tags e2e -run E2E -count 1 -timeout 20m ./wire
	cd test && CGO_ENABLED=1 $(GO) test -race -tags e2e -run E2E -skip E2EFault -count 1 -p 1 -timeout 20m ./...
	cd test && CGO_ENABLED=0 $(GO) test -tags e2e -run E2EFault -count 1 -timeout 20m ./faults

soak: ## 20,000 hosts for ten minutes, then FAULT_ROUNDS times (50) the faults of `make e2e`: two hours or three; FAULT_SEED repeats an order
	cd test && CGO_ENABLED=0 $(GO) test -tags e2e,bench -run '^TestSoak' -count 1 -v -timeout 30m ./bench
	cd test && CGO_ENABLED=0 FAULT_ROUNDS=$(FAULT_ROUNDS) $(GO) test -tags e2e -run E2EFault -count 1 -v -timeout 24h ./faults

bench: ## writes BENCHMARKS.md in ten minutes; needs root, .ci/setup, and nothing else running
	cd test && CGO_ENABLED=0 BENCHMARKS=BENCHMARKS.md $(GO) test -tags e2e,bench -run '^TestBenchTable$$' -count 1 -v -timeout 30m ./bench

bench-sched: ## the scheduler's lateness and cost, and real plugins beside a loop in C; needs a C compiler
	$(GO) test -run '^$$' -bench . -benchtime 1x ./sched
	$(GO) test -run '^$$' -bench SpawnLoop -benchtime 9x -timeout 30m ./client/plugin ./client

bench-sinks: ## results a second into Nagios and Icinga by each door, beside a plain writer; needs root and .ci/setup
	cd test && $(GO) test -tags e2e,bench -run '^TestBenchSinks' -count 1 -timeout 30m -v ./bench

install: build ## into $(DESTDIR)$(PREFIX)/sbin, with a link for each command
	install -d "$(DESTDIR)$(PREFIX)/sbin"
	install -m 755 massive-passive "$(DESTDIR)$(PREFIX)/sbin/massive-passive"
	for link in $(LINKS); do ln -sf massive-passive "$(DESTDIR)$(PREFIX)/sbin/$$link" || exit 1; done

packages: ## .deb and .rpm for amd64, arm64 and armhf in dist/; ARCHES=amd64 for one
	VERSION="$(VERSION)" TAGS="$(TAGS)" LDFLAGS="$(LDFLAGS)" packaging/build $(ARCHES)

clean: ## remove what was built
	rm -rf massive-passive dist
