# Every target does its own set-up in .venv. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SEEDS ?= 1000
SHELL := /bin/bash

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fleet test-fast check format proto bench bench-fleet soak simulate lock docs clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*?## ' $(MAKEFILE_LIST) | awk -F ':.*?## ' '{printf "  make %-11s %s\n", $$1, $$2}'

setup: $(READY) ## make .venv with the locked packages and loadr itself

$(READY): pyproject.toml requirements/dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "loadr needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0] + "; name another with: make PYTHON=/path/to/python3.11")'
	@echo "setting up $(VENV) (once; about a minute) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes -r requirements/dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q src
	@touch $(READY)

demo: $(READY) ## a target, a controller, three agents, one merged result (about 30 s)
	@$(BIN)/python examples/demo/run.py

test: $(READY) ## the tests (Python is enough; what needs a Debian package skips, with a reason)
	$(BIN)/python -m pytest -q -n 2 tests/unit tests/coordination tests/interop
	$(BIN)/python -m pytest -q -n 2 --dist worksteal tests/e2e tests/docs

test-fleet: $(READY) ## whole fleets: files, access, values, and what is killed, frozen, cut off (about 5 minutes)
	$(BIN)/python -m pytest -q -n 2 --dist worksteal tests/fleet tests/faults

test-fast: $(READY) ## only the tests without real fleets
	$(BIN)/python -m pytest -q -n 2 tests/unit tests/coordination tests/interop

check: $(READY) ## format, lint, types, rooms, generated code and docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python tools/generate_proto.py --check
	$(BIN)/python tools/generate_docs.py --check

format: $(READY) ## let ruff format and mend what it can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

proto: $(READY) ## make the generated code from the .proto again
	$(BIN)/python tools/generate_proto.py

bench: $(READY) ## CPU per request beside wrk, send accuracy, uplink bytes (needs wrk and nginx; about 3 minutes)
	$(BIN)/python benchmarks/run.py

bench-fleet: $(READY) ## 1,000 simulated agents against one controller (about 2 minutes; MINUTES=10 for its memory)
	$(BIN)/python benchmarks/coordination/fleet.py $(if $(MINUTES),--minutes $(MINUTES))

soak: $(READY) ## three agents under random faults for MINUTES=30: flat memory, totals as the target has them
	$(BIN)/python benchmarks/coordination/soak.py --minutes $(or $(MINUTES),30) $(if $(SEED),--seed $(SEED))

simulate: $(READY) ## the coordination simulator over SEEDS seeds
	$(BIN)/python tests/coordination/simulate.py --seeds $(SEEDS)

lock: $(READY) ## resolve the dependencies again (needs uv on the PATH)
	uv pip compile --universal --python-version 3.11 --generate-hashes --group dev pyproject.toml --no-emit-index-url -o requirements/dev.lock

docs: $(READY) ## make the generated regions of the docs again
	$(BIN)/python tools/generate_docs.py

clean: ## remove what the targets made
	rm -rf $(VENV) build dist demo-out .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache src/*.egg-info
