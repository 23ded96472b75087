# A fresh machine needs python3 (3.11 or newer) and make; every target makes the environment it needs.
PYTHON ?= python3
# Installed before the rest, so that a build of torch of your own choice stays: TORCH="torch==2.13.0 --index-url ...".
# Empty (TORCH=): the torch, transformers and other packages that $(PYTHON) has already, such as a cluster's, are used.
TORCH ?= torch==2.13.0
BIN := .venv/bin

.PHONY: help setup quickstart format check test coverage docs clean

help: ## Say what each target does.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.ready ## Build .venv: torch, the package (editable) and the tools. Every other target does so first.

.venv/.ready: pyproject.toml
	$(PYTHON) -m venv $(if $(TORCH),,--system-site-packages) .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(if $(TORCH),$(BIN)/python -m pip install --quiet $(TORCH))
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

quickstart: setup ## Every policy on the first problems of the mini benchmarks, with the model that ships.
	$(BIN)/dlmlen run study_mini --limit 4
	@echo "The whole study, 200 problems a benchmark: dlmlen run study_mini"

format: setup ## Sort imports and format, as `make check` wants it.
	$(BIN)/ruff check --select I --fix .
	$(BIN)/ruff format .

check: setup ## ruff, mypy --strict, import-linter.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# worksteal: tests of a file stay together, so that what they share is made once. Three processes keep two cores busy,
# as many tests wait for processes of their own.
test: setup ## The whole suite, offline, without a GPU.
	$(BIN)/pytest -n 3 --dist worksteal

# Apart from `test`, as tracing took a quarter more time there (measured on Python 3.11).
coverage: setup ## The suite once more, with the lines of the package that no test runs.
	$(BIN)/pytest -n 2 --cov --cov-report=term-missing:skip-covered

docs: setup ## The documentation as a site, in site/; a warning is an error.
	$(BIN)/mkdocs build --strict --quiet

clean: ## Remove .venv, build outputs and caches.
	rm -rf .venv build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
