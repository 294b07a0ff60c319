# Thin names for real commands. `make run` and `make test` need only Python 3.11 or newer, make and git.

VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# The first Python that is new enough; or say which one: make run PYTHON=/path/to/python3.13
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)

.DEFAULT_GOAL := help
.PHONY: help install run test lint format migration bench interop sessions screenshots clean

help:  ## Show this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

install: $(STAMP)  ## Make .venv with everything, as locked in requirements.lock

$(STAMP): requirements.lock pyproject.toml
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or newer is needed. Install it, or name it: make $(MAKECMDGOALS) PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) cannot make environments: install its venv module (Debian: python3-venv)." >&2; exit 1; }
	@echo "Installing into $(VENV) (once; takes a minute or two) ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: install  ## Start the site on this machine; ARGS="--port 8080" and the like are passed on
	@exec $(BIN)/python -m microtasks up $(ARGS)

# A file's tests stay together; each process has servers of its own.
test: install  ## Run all tests; ARGS="-k lease" and the like are passed on
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile $(ARGS)

lint: install  ## Check style, types and layers
	$(BIN)/python -m ruff check
	$(BIN)/python -m ruff format --check
	$(BIN)/python -m mypy
	$(BIN)/lint-imports

format: install  ## Put the code into its form
	$(BIN)/python -m ruff check --fix-only --quiet
	$(BIN)/python -m ruff format

migration: install  ## Write the next migration: make migration MESSAGE="What changes"
	$(BIN)/python -m microtasks.migrations.write $(MESSAGE)

interop: install  ## Let other people's tools read the exports; environments and exports lie in build/interop
	$(BIN)/python -m benchmarks.interop $(ARGS)

bench: install  ## Measure this machine, each line beside its target; SIZE=1000000 for a million tasks
	$(BIN)/python -m benchmarks $(ARGS)

sessions: install  ## Drive a browser through 100 visits of ten minutes, and look for errors and lost answers
	PYTHONPATH=tests $(BIN)/python tests/browser/sessions.py $(ARGS)

screenshots: install  ## Take pictures of every screen into screenshots/
	PYTHONPATH=tests $(BIN)/python tests/browser/screenshots.py $(ARGS)

clean:  ## Remove .venv and caches; the data stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache *.egg-info
