# `make demo` and `make test` work from a fresh clone with nothing but Python 3.11 or newer and make.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed

.PHONY: install demo test lint types contracts pytest campaign format lock clean

install: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@# setuptools warns of every editable installation, that a folder may hide a package
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $(STAMP)

demo: install
	$(BIN)/specmine demo

test: lint types contracts pytest

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

contracts: install
	$(BIN)/lint-imports

# A file's tests are in one process; each computes on one thread, for more would wait for one another. Three processes for two
# processors, because tests with a Prefect server mostly wait; in the order of the folders, so that no long file is the last.
pytest: install
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder -m "not campaign"

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# One of these kills for minutes on an idle machine, and for more than the others may take on a busy one.
campaign: install
	OMP_NUM_THREADS=1 $(BIN)/pytest -m campaign --timeout 1500

lock:
	$(BIN)/pip-compile --quiet --allow-unsafe --extra dev --strip-extras --no-emit-index-url --no-emit-find-links --output-file requirements.lock pyproject.toml
	# The CPU build is what a machine may have on disk; the index knows the plain version.
	sed -i "s/^torch==\([0-9.]*\)+cpu/torch==\1/" requirements.lock

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
