# A fresh machine needs python3 (3.11 or newer) and make; every target makes the environment it needs.
PYTHON ?= python3
# Installed before the rest, so that a build of torch of your own choice stays: TORCH="torch==2.13.0 --index-url ...".
# Empty (TORCH=): the torch, transformers and other packages that $(PYTHON) has already, such as a cluster's, are used.
TORCH ?= torch==2.13.0
BIN := .venv/bin

.PHONY: setup quickstart check test clean

setup: .venv/.ready

.venv/.ready: pyproject.toml
	$(PYTHON) -m venv $(if $(TORCH),,--system-site-packages) .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(if $(TORCH),$(BIN)/python -m pip install --quiet $(TORCH))
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

# Every policy on the first problems of the four mini benchmarks, with the model that ships, and a table of each.
quickstart: setup
	$(BIN)/dlmlen run --config study_mini --limit 4
	@echo "The whole study, 200 problems a benchmark: dlmlen run --config study_mini"

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: setup
	$(BIN)/pytest -n 2

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
