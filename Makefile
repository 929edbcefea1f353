# What people and CI call; the work is in scripts/.
SHELL := /bin/bash
# A toolchain that rustup has just installed is not on the path of every shell.
CARGO_HOME ?= $(HOME)/.cargo
export PATH := $(PATH):$(CARGO_HOME)/bin

# Where `make run` keeps its data.
DATA ?= .meridian

.DEFAULT_GOAL := help
.PHONY: help setup build run test test-long test-midnight test-fresh soak fuzz check bench freshness

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

setup: ## Install what building and running needs and this machine lacks
	@scripts/setup.sh run

build: setup ## Build everything
	cargo build --workspace --locked

run: build ## Run all of Meridian here, with demo visits; Ctrl-C stops it (DATA=DIR keeps the data elsewhere)
	@exec scripts/run.sh "$(DATA)"

test: ## Run all tests, the embedded engine included
	@scripts/test.sh

test-long: ## Run all tests in their long variants, then test-midnight and test-fresh
	@MERIDIAN_TEST_LONG=1 scripts/test.sh
	@scripts/test-midnight.sh
	@scripts/test-fresh.sh

# One test by its name: it prints the seed, how far it is, and in the end every kill with the work in hand. HITS and KILLS
# (of each process) ask for a size instead of a time: `make soak HITS=2000000 KILLS=20` takes about 40 minutes.
soak: build ## Kill every process at work for MINUTES (SEED repeats a run), then compare reports
	@MERIDIAN_SOAK_MINUTES=$(or $(MINUTES),$(if $(HITS)$(KILLS),0,10)) \
		$(if $(HITS),MERIDIAN_SOAK_HITS=$(HITS)) $(if $(KILLS),MERIDIAN_SOAK_KILLS=$(KILLS)) \
		$(if $(SEED),MERIDIAN_TEST_SEED=$(SEED)) \
		cargo test --locked -p cli --test it acknowledged_hits_are_reported_once -- --nocapture --test-threads 1

test-midnight: ## Run the end-to-end suites with clocks that pass midnight, in UTC and elsewhere
	@scripts/test-midnight.sh

test-fresh: ## Run `make run` and `make test` in a clean Debian (as root, on Debian)
	@scripts/test-fresh.sh

fuzz: ## Look for bytes that break a parser, 60 seconds for each (SECONDS=n)
	@scripts/fuzz.sh $(or $(SECONDS),60)

check: ## Check format, lints, documentation, licences and the rules of the tree
	@scripts/check.sh

bench: ## Measure what a hit costs, on release binaries (some 40 minutes; RUNS=1, ONLY=peak,mesh or QUICK=1 is quicker)
	@scripts/bench.sh --runs $(or $(RUNS),5) $(if $(ONLY),--only $(ONLY)) $(if $(QUICK),--quick) \
		$(if $(MESH_SECONDS),--mesh-seconds $(MESH_SECONDS))

freshness: ## Measure how long a hit takes to be in a report
	@scripts/freshness.sh
