# A fresh machine needs python3 (3.11 or newer) and make; every target makes the environment it needs.
PYTHON ?= python3
# Installed before the rest, so that a build of torch of your own choice stays: TORCH="torch==2.13.0 --index-url ..."
TORCH ?= torch==2.13.0
BIN := .venv/bin

.PHONY: setup quickstart check test clean

setup: .venv/.ready

.venv/.ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

# Two runs on the first 20 HumanEval problems with the tiny model that ships with the package, and their table.
quickstart: setup
	$(BIN)/dlmlen run --config tiny_humaneval_fixed --limit 20 benchmark.execute_code=true
	$(BIN)/dlmlen run --config tiny_humaneval_smartcrop --limit 20 benchmark.execute_code=true --baseline results/tiny_humaneval_fixed

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: setup
	$(BIN)/pytest -n 2

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
