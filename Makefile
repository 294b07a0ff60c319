# Thin names for real commands. `make run` and `make test` need only Python 3.11 or newer, make and git.

VENV    := .venv
BIN     := $(VENV)/bin
RUN     := $(VENV)/.installed-to-run
DEVELOP := $(VENV)/.installed-to-develop
# Without compiling: Python compiles what it imports, which is a small part.
PIP     := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
# The first Python that is new enough; or say which one: make run PYTHON=/path/to/python3.13
PYTHON  ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)

.DEFAULT_GOAL := help
.PHONY: help install develop run test check lint types assets coverage format lock migration bench interop sessions screenshots clean

help:  ## Show this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

install: $(RUN)  ## Make .venv with what running needs, as locked in requirements.lock

develop: $(DEVELOP)  ## Add the tools for tests and checks, as locked in requirements-dev.lock

$(RUN): requirements.lock pyproject.toml
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or newer is needed. Install it, or name it: make $(MAKECMDGOALS) PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) cannot make environments: install its venv module (Debian: python3-venv)." >&2; exit 1; }
	@echo "Installing what running needs into $(VENV) (once; takes a minute or so) ..."
	$(PIP) --require-hashes -r requirements.lock
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(DEVELOP): $(RUN) requirements-dev.lock
	@echo "Adding the tools for tests and checks (once; takes a minute or two) ..."
	$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@

run: install  ## Start the site on this machine; ARGS="--port 8080" and the like are passed on
	@exec $(BIN)/python -m microtasks up $(ARGS)

# A file's tests stay together; each process has servers of its own.
test: develop  ## Run all tests; ARGS="-k lease" and the like are passed on
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile $(ARGS)

check: lint types assets coverage  ## Everything that must hold: style, layers, types, scripts and styles, all tests with coverage

lint: develop  ## Check style, layers and templates
	$(BIN)/python -m ruff check
	$(BIN)/python -m ruff format --check
	$(BIN)/lint-imports
	$(BIN)/djlint --lint --quiet microtasks

types: develop  ## Check types
	$(BIN)/python -m mypy

BIOME := node_modules/.bin/biome
assets:  ## Check scripts and styles, where there is Node
	@command -v node >/dev/null && { [ -x $(BIOME) ] || npm ci --silent --no-audit --no-fund; } || { \
		echo "!! Scripts and styles were NOT checked: no Node here, or no way to its packages."; exit 0; }; \
	[ ! -x $(BIOME) ] || $(BIOME) ci --colors=off

# Lines and branches, in percent, that tests must reach in each of the four inner layers.
FLOOR := 94
coverage: develop  ## Run all tests, and fail where an inner layer is covered less than the floor
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --cov --cov-report= $(ARGS)
	@for layer in core tasktypes store engine; do \
		printf 'covered in %-10s' $$layer; \
		$(BIN)/coverage report --include="microtasks/$$layer/*" --format=total --fail-under=$(FLOOR) || exit 1; done

format: develop  ## Put the code into its form
	$(BIN)/python -m ruff check --fix-only --quiet
	$(BIN)/python -m ruff format
	@[ ! -x $(BIOME) ] || $(BIOME) check --write

# After a change of the dependencies in pyproject.toml. ARGS="--upgrade" takes the newest of all.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-annotate --custom-compile-command "make lock" pyproject.toml
lock: develop  ## Write both lock files anew from pyproject.toml
	$(LOCK) $(ARGS) --extra run -o requirements.lock
	$(LOCK) $(ARGS) --all-extras --constraint requirements.lock -o requirements-dev.lock

migration: develop  ## Write the next migration: make migration MESSAGE="What changes"
	$(BIN)/python -m microtasks.migrations.write $(MESSAGE)

interop: develop  ## Let other people's tools read the exports; environments and exports lie in build/interop
	$(BIN)/python -m benchmarks.interop $(ARGS)

bench: develop  ## Measure this machine, each line beside its target; SIZE=1000000 for a million tasks
	$(BIN)/python -m benchmarks $(ARGS)

sessions: develop  ## Drive a browser through 100 visits of ten minutes, and look for errors and lost answers
	PYTHONPATH=tests $(BIN)/python tests/browser/sessions.py $(ARGS)

screenshots: develop  ## Take pictures of every screen into screenshots/
	PYTHONPATH=tests $(BIN)/python tests/browser/screenshots.py $(ARGS)

clean:  ## Remove .venv and caches; the data stays
	rm -rf $(VENV) node_modules .pytest_cache .mypy_cache .ruff_cache .import_linter_cache *.egg-info
