# What people and CI call; the work is in scripts/.
SHELL := /bin/bash
# A toolchain that rustup has just installed is not on the path of every shell.
CARGO_HOME ?= $(HOME)/.cargo
export PATH := $(PATH):$(CARGO_HOME)/bin

# Where `make run` keeps its data.
DATA ?= .meridian

.DEFAULT_GOAL := help
.PHONY: help setup build run test test-long test-fresh soak check bench freshness

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

setup: ## Install what building and running needs and this machine lacks
	@scripts/setup.sh run

build: setup ## Build everything
	cargo build --workspace --locked

run: build ## Run all of Meridian here, with demo visits; Ctrl-C stops it (DATA=DIR keeps the data elsewhere)
	@exec scripts/run.sh "$(DATA)"

test: ## Run all tests, the embedded engine included
	@scripts/test.sh

test-long: ## Run all tests in their long variants, then test-fresh
	@MERIDIAN_TEST_LONG=1 scripts/test.sh
	@scripts/test-fresh.sh

# One test by its name: it prints the seed, how far it is, and in the end every kill with the work in hand.
soak: build ## Kill every service at work for MINUTES (SEED repeats a run), then compare reports
	@MERIDIAN_SOAK_MINUTES=$(or $(MINUTES),10) $(if $(SEED),MERIDIAN_TEST_SEED=$(SEED)) \
		cargo test --locked -p cli --test it acknowledged_hits_are_reported_once -- --nocapture --test-threads 1

test-fresh: ## Run `make run` and `make test` in a clean Debian (as root, on Debian)
	@scripts/test-fresh.sh

check: ## Check format, lints, documentation, licences and the rules of the tree
	@scripts/check.sh

bench: ## Measure what a hit costs, on release binaries (some 40 minutes; RUNS=1, ONLY=peak,mesh or QUICK=1 is quicker)
	@scripts/bench.sh --runs $(or $(RUNS),5) $(if $(ONLY),--only $(ONLY)) $(if $(QUICK),--quick) \
		$(if $(MESH_SECONDS),--mesh-seconds $(MESH_SECONDS))

freshness: ## Measure how long a hit takes to be in a report
	@scripts/freshness.sh
