# Set-up, demo, tests. Everything lands in .venv and demo/, nothing in the home directory.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: help setup setup-test demo test test-unit lint types docs clean java

help: ## List the targets.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

java:
	@bash scripts/ensure_java.sh

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "Python: expected 3.11 or newer as $(PYTHON). Name it: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BIN)/python pyproject.toml constraints.txt
	@echo "Installing packages into $(VENV) ..."
	@$(PIP) install --quiet --constraint constraints.txt --editable '.[local,report]'
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed pyproject.toml constraints.txt
	@echo "Installing packages for the tests into $(VENV) ..."
	@$(PIP) install --quiet --constraint constraints.txt --editable '.[test]'
	@touch $@

$(VENV)/.jars: $(VENV)/.installed acav_spark/class_archive.py | java
	@echo "Fetching Delta's jars, keeping the JVM's classes ..."
	@$(BIN)/python -c 'from acav_spark.session import prepare_local; prepare_local()' \
	  > $(VENV)/jars.log 2>&1 || { tail -n 20 $(VENV)/jars.log; exit 1; }
	@touch $@

setup: java $(VENV)/.installed $(VENV)/.jars ## Make .venv, install pinned packages, fetch Delta's jars.

setup-test: setup $(VENV)/.installed-test

demo: setup ## Make a small corpus, curate it, write a report.
	@$(BIN)/acav demo

test: setup-test ## Run the whole suite, and name its slowest tests.
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=15 $(PYTEST)

test-unit: setup-test ## Run the tests that need no JVM.
	$(BIN)/python -m pytest -n 2 tests/unit $(PYTEST)

lint: setup-test ## Check layout and style.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup-test ## Check types.
	$(BIN)/mypy

docs: setup-test ## Write docs/tables.md and docs/configuration.md from the code.
	$(BIN)/python -m acav_spark.tables.docs docs

clean: ## Remove the demo and caches; .venv stays.
	rm -rf demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis spark-warehouse \
	  acav_spark/clustering/kernels/__pycache__ acav_spark/selection/kernels/__pycache__
