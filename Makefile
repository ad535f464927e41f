# Arcore SyncBridge on this machine. `make` alone lists what there is.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory

PY := .venv/bin/python
PYTEST := $(PY) -m pytest
# One order of sets in all test processes, or pytest-xdist sees different parameters in each.
export PYTHONHASHSEED := 0
# Compiled modules are kept, whatever the shell says: each of the many processes of a run would compile them anew.
export PYTHONDONTWRITEBYTECODE :=
# `tests/conftest.py` knows these words.
FAST := not slow and not server
# Test processes: one more than the smallest build machines have cores, for many tests wait.
JOBS ?= 3
# HOST=func runs the app under Azure Functions Core Tools instead of the local stand-in.
HOST ?= local

INSTALLED := .venv/.installed infra/local/node_modules/.installed .local/worker/.installed

help: ## list these targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-22s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(INSTALLED) ## install everything below this directory (.venv, node_modules, .local); instant when nothing changed

demo: setup ## bring everything up, push 20,000 rows into a simulated SharePoint list twice, prove it, stop
	@$(PY) -m infra.local.demo

up: setup ## bring everything up and keep it up until Ctrl-C (HOST=func: under Core Tools)
	@$(PY) -m infra.local.up --host $(HOST)

test: setup lint ## everything that a build checks: lint, the fast tests, the slow tests
	@$(PYTEST) -q -n $(JOBS) -m "$(FAST)"
	@$(PYTEST) -q -n $(JOBS) --dist worksteal -m "slow or server"

fast: setup ## the fast tests only (under 30 s)
	@$(PYTEST) -q -n $(JOBS) -m "$(FAST)"

lint: setup ## ruff, mypy --strict, the import rules
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-cache

test-postgres-matrix: setup ## the tests that talk to PostgreSQL, against versions 14 to 18
	@$(PY) -m infra.local.matrix

bench: setup ## measure; the last line is one JSON object
	@$(PY) -m tests.bench

soak: setup ## the seeded simulation, for as long as you let it (SEEDS=…)
	@$(PY) -m tests.simulation.soak

mutants: setup ## break the production code on purpose and require a red test for each break
	@$(PY) -m tests.mutants

probe-tenant: setup ## ask a real tenant the simulator's questions (see infra/simulator/RULES.md)
	@$(PY) -m infra.simulator.probe $(ARGS)

clean-local: ## delete the data of `make up`
	@python3 -m infra.local.clean

.venv/.installed: requirements.txt infra/local/requirements.txt
	@infra/local/setup.sh python

infra/local/node_modules/.installed: infra/local/package.json infra/local/package-lock.json
	@infra/local/setup.sh node

.local/worker/.installed: .venv/.installed
	@infra/local/setup.sh worker

.PHONY: help setup demo up test fast lint test-postgres-matrix bench soak mutants probe-tenant clean-local
