# Each target sets up what it needs and can be repeated. `make` alone lists them.
#
#   make test ARGS='-k frames'                         arguments for pytest
#   make test JOBS=4                                   so many tests at a time
#   make test PYTHON=python3.13 VENV=.venv-3.13        another Python, beside the first

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

PYTHON ?=
VENV ?= .venv
ARGS ?=
JOBS ?= 2

BIN := $(VENV)/bin
PYTEST := $(BIN)/pytest --numprocesses=$(JOBS) --dist=worksteal
SINKS := $(patsubst %/pyproject.toml,%,$(wildcard pumpkit_*/pyproject.toml))
EXAMPLES := $(patsubst %/pyproject.toml,%,$(wildcard docs/examples/*/pyproject.toml examples/*/pyproject.toml))

# Elasticsearch is tested twice: its client of version 8 comes before the one of the environment. (pytest's exit code 5:
# ARGS leave no such test.)
WITH_CLIENT_8 := PYTHONPATH=.servers/elasticsearch-py-8 PUMPKIT_TEST_ELASTIC=8

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

.PHONY: demo
demo: $(VENV)/.runtime ## watch records go from a program into CSV files
	$(BIN)/pumpkit demo $(ARGS)

.PHONY: test
test: $(VENV)/.dev servers ## test the whole behaviour on one Python (kill points sampled)
	$(PYTEST) $(ARGS)
	$(WITH_CLIENT_8) $(PYTEST) -m elasticsearch $(ARGS) || test $$? -eq 5

.PHONY: test-full
test-full: $(VENV)/.dev servers ## test every kill point, then again on every other supported Python found
	$(PYTEST) --full $(ARGS)
	$(WITH_CLIENT_8) $(PYTEST) --full -m elasticsearch $(ARGS) || test $$? -eq 5
	tools/test-other-pythons $(BIN)/python

.PHONY: lint
lint: $(VENV)/.dev ## ruff (format and rules) and shellcheck
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/shellcheck .ci/run tools/*

.PHONY: types
types: $(VENV)/.dev ## mypy --strict over every package
	$(BIN)/mypy pumpkit benchmarks $(SINKS:=/src)
	for example in $(EXAMPLES); do (cd $$example && $(abspath $(BIN))/mypy --strict --cache-dir $(CURDIR)/.mypy_cache .); done

.PHONY: bench
bench: $(VENV)/.bench ## measure against the usual ways, as ratios
	$(BIN)/python -m benchmarks $(ARGS)

.PHONY: docs
docs: $(VENV)/.docs ## build the documentation into site/; every warning is an error
	$(BIN)/sphinx-build --fail-on-warning --keep-going --nitpicky --quiet --fresh-env docs site
	@echo "built: site/index.html"

.PHONY: wheel-test
wheel-test: $(VENV)/.dev ## build every wheel and test the core as installed from them
	tools/wheel-test $(BIN)/python $(SINKS)

.PHONY: clean
clean: ## remove everything that these targets made
	rm -rf .venv .venv-* .servers .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build site pumpkit-demo
	find . \( -name __pycache__ -o -name .ruff_cache \) -type d -prune -exec rm -rf {} +

# The environment. A stamp says what is installed in it; a project file that changed since makes the stamp too old.

PROJECTS := pyproject.toml $(SINKS:=/pyproject.toml)
EDITABLE_SINKS := $(SINKS:%=-e ./%)
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 $(BIN)/python -m pip install --quiet

$(VENV)/.runtime: $(VENV)/pyvenv.cfg $(PROJECTS)
	@echo "Installing pumpkit and its sinks ($(or $(SINKS),none)) in $(VENV)"
	@$(PIP) -e . $(EDITABLE_SINKS)
	@touch $@

$(VENV)/.dev: $(VENV)/pyvenv.cfg $(PROJECTS)
	@echo "Installing pumpkit, its sinks ($(or $(SINKS),none)) and the tools for developers in $(VENV)"
	@$(PIP) -e '.[dev]' $(EDITABLE_SINKS)
	@touch $@

$(VENV)/.bench: $(VENV)/pyvenv.cfg $(PROJECTS)
	@echo "Installing pumpkit, its sinks ($(or $(SINKS),none)) and what the benchmarks compare them with in $(VENV)"
	@$(PIP) -e '.[dev,bench]' $(EDITABLE_SINKS)
	@touch $@

$(VENV)/.docs: $(VENV)/pyvenv.cfg $(PROJECTS)
	@echo "Installing pumpkit, its sinks ($(or $(SINKS),none)) and the tools for the documentation in $(VENV)"
	@$(PIP) -e '.[docs]' $(EDITABLE_SINKS)
	@touch $@

# An environment whose interpreter is gone (an upgrade took it away) is made again.
$(VENV)/pyvenv.cfg: $(shell test -x $(BIN)/python || echo make-again)
	@tools/make-venv $(VENV) $(PYTHON)

.PHONY: make-again
make-again:

.PHONY: servers
servers: system-tools $(VENV)/.dev ## install the servers for tests, in .servers/ and from packages of the system
	@$(BIN)/python -m tests.servers.install

.PHONY: system-tools
system-tools:
	@tools/need-command curl=curl openssl=openssl redis-server=redis-server strace=strace systemd-analyze=systemd \
		javac=default-jdk-headless mvn=maven
