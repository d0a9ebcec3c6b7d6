# The virtual environment builds itself on first use: PYTHON=python3.12 make demo
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One stamp for the package, one for the tools of development on top of it.
READY := $(VENV)/.stamp
DEV := $(VENV)/.stamp-dev

.PHONY: demo test slow lint check format docs dist benchmark-quickstart clean

demo: $(READY)
	$(BIN)/python -m gcahng ablate ablations/demo --seeds 1

test: $(DEV)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto -m "not slow" --cov --cov-report=term:skip-covered

# Tests that start processes, browsers or notebooks, build the site or the wheel, or train for long.
slow: $(DEV)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto -m slow --cov --cov-append --cov-report=term:skip-covered

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: lint test slow

format: $(DEV)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(DEV)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

dist: $(DEV)
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*

benchmark-quickstart: $(READY)
	$(BIN)/python -m gcahng ablate ablations/quickstart --seeds 5 --out docs/results

# A stamp goes first and comes back last: an install that fails is tried again next time.
# bin/pip is what a complete venv ends with, so its absence means none or half of one.
$(READY): pyproject.toml
	@rm -f $@
	test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install -e .
	@touch $@

$(DEV): $(READY)
	@rm -f $@
	$(BIN)/python -m pip install -e ".[dev]"
	@touch $@

clean:
	rm -rf $(VENV) build dist site *.egg-info .coverage* .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
