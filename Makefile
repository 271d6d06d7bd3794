# What a person and the gate call alike; `make help` lists it.
PYTHON ?= python3
# For the targets that work in one environment.
ENVIRONMENT ?= .venv
# Interpreters to build for, such as `make build PYTHONS=/usr/bin/python3`; all that are found by default.
PYTHONS ?=
# More for pytest, such as `make python PYTEST="tests/unit -k queue"`.
PYTEST ?=
# More for the benches, such as `make bench BENCH="--only queues --rounds 9"`.
BENCH ?=
# How long `make soak` runs: seconds under random ends of connections, then so many connections, then so many loops.
SOAK_SECONDS ?= 600
SOAK_CONNECTIONS ?= 1000000
SOAK_LOOPS ?= 10000
NEWER_PYTHON ?= ../shared/tools/newer-python

GATE = $(PYTHON) scripts/gate.py $(if $(PYTEST),--pytest '$(PYTEST)')

.DEFAULT_GOAL := help
.PHONY: help demo build quick test check python rust loom seeded-bugs tsan conformance cluster programs crawl stress soak lint fmt docs bench results package test-newer clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## build into .venv, run the examples on the engine, compare with the standard library
	@$(PYTHON) scripts/develop.py --venv $(ENVIRONMENT) --group build --group test $(PYTHON)
	@$(ENVIRONMENT)/bin/python scripts/demo.py

build: ## build the engine into .venvs/X.Y for each Python of 3.11, 3.12, 3.13 found
	@$(PYTHON) scripts/develop.py $(PYTHONS)

quick: ## the same for one Python, in less time, for edit cycles
	@$(PYTHON) scripts/develop.py --quick $(or $(PYTHONS),$(PYTHON))

test: ## everything: Rust, lints, types, conformance and tests on every Python found
	@$(GATE) --quick

check: ## before a commit: lints, Rust tests and this Python's tests
	@$(GATE) --this-python --quick lint-rust rust build lint-python stubs python

python: ## the Python tests on every Python found
	@$(GATE) --quick build python

rust: ## the tests of the crates that know nothing of Python
	@$(GATE) rust

loom: ## the models of the wait protocol and of a pool's links, all interleavings
	@$(GATE) loom

seeded-bugs: ## plant known bugs, which the models must find
	@$(GATE) seeded-bugs

tsan: ## the stress tests of the crates under ThreadSanitizer, where there is a nightly toolchain
	@$(PYTHON) scripts/thread_sanitizer.py

conformance: ## CPython's own suites against ours, on every Python found
	@$(GATE) --quick build conformance

cluster: ## pools on Ray and Dask, on clusters that the tests start, on the oldest Python found
	@$(GATE) --quick build cluster

programs: ## uvicorn, aiohttp, asyncpg, grpc and others on our event loop, on the middle one of the Pythons found
	@$(GATE) --quick build programs

crawl: ## crawls of real and hostile sites, kills, several workers; requests' and Scrapy's own tests, on the newest Python found
	@$(GATE) --quick build crawl

stress: ## the stress tests in their full length
	@$(PYTHON) scripts/gate.py --this-python --quick --pytest 'tests/stress --full-stress' build python

soak: ## the event loop under random ends for ten minutes, a million connections, 10,000 loops; SOAK_SECONDS=60 and so on
	@$(PYTHON) scripts/develop.py --venv $(ENVIRONMENT) --group build $(PYTHON)
	@$(ENVIRONMENT)/bin/python tests/stress/loops/soak.py --seconds $(SOAK_SECONDS)
	@$(ENVIRONMENT)/bin/python tests/stress/loops/leaks.py connections --count $(SOAK_CONNECTIONS)
	@$(ENVIRONMENT)/bin/python tests/stress/loops/leaks.py loops --count $(SOAK_LOOPS)
	@$(ENVIRONMENT)/bin/python tests/stress/loops/idle.py

lint: ## rustfmt, clippy, rustdoc, licences, ruff, mypy, stubtest
	@$(GATE) --quick build lint-rust lint-python stubs

fmt: ## format Rust and Python
	@cargo fmt --all
	@$(PYTHON) scripts/develop.py --venv $(ENVIRONMENT) --group lint --tools-only $(PYTHON)
	@$(ENVIRONMENT)/bin/python -m ruff check --quiet --select I --fix . && $(ENVIRONMENT)/bin/python -m ruff format --quiet .

docs: ## run every example in the documentation, check its links
	@$(PYTHON) scripts/gate.py --this-python --quick --pytest 'tests/unit/test_docs.py tests/architecture/test_links.py' build python

bench: ## measure us, the standard library and the other packages side by side; keep the figures
	@$(PYTHON) scripts/develop.py --venv $(ENVIRONMENT) --group build --group bench $(PYTHON)
	@$(ENVIRONMENT)/bin/python benches/run.py $(BENCH)

results: ## put the kept figures of the benches into the README and the performance page
	@$(PYTHON) scripts/results.py

package: ## build the sdist, and from it a wheel, into dist/
	@$(PYTHON) scripts/develop.py --venv $(ENVIRONMENT) --group package --tools-only $(PYTHON)
	@$(ENVIRONMENT)/bin/python -m build --outdir dist

test-newer: ## the tests and conformance on Debian's 3.14 and 3.15, as root (NEWER_PYTHON makes them)
	@$(NEWER_PYTHON) setup
	@for version in 3.14 3.15; do \
	  CARGO_TARGET_DIR=target/forky $(NEWER_PYTHON) run -- python$$version scripts/gate.py --this-python --quick build conformance python || exit 1; \
	done

clean: ## remove what was built
	rm -rf target dist .venv .venvs .mypy_cache .ruff_cache .pytest_cache python/threefold/*.so
