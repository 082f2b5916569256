# VENV is created where it is missing; PYTHON is what creates it.
VENV ?= .venv
PYTHON ?= python3
# Two workers; a file's tests stay together, so that what a module sets up is set up once.
PYTEST_ARGS ?= -n 2 --dist loadfile

BIN := $(VENV)/bin
SOURCES := $(wildcard kgraph tests tools benchmarks examples)

.PHONY: help demo check test test-slow bench
.DELETE_ON_ERROR:

help:
	@echo "make demo       train a small convnet on the digits that come with kgraph"
	@echo "make test       lint, types and the fast tests"
	@echo "make test-slow  lint, types and all tests"
	@echo "make check      lint and types only"
	@echo "make bench      training steps beside Keras on JAX, start-up times (minutes; an idle machine)"

demo: $(VENV)/.installed
	$(BIN)/kgraph demo

check: $(VENV)/.installed-dev
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy -p kgraph.ir -p kgraph.passes -p kgraph.codegen -p kgraph.runtime

test: check
	$(BIN)/pytest -m "not slow" $(PYTEST_ARGS)

test-slow: check
	$(BIN)/pytest $(PYTEST_ARGS)

bench: $(VENV)/.installed-dev
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/train_step.py $(BENCH_ARGS)

# The stamps keep a second call from installing again. Editable: an edit needs no new install.
$(VENV)/.created:
	@$(PYTHON) -c 'import sys; v = sys.version.split()[0]; sys.version_info >= (3, 11) or sys.exit("kgraph needs Python 3.11 or newer; $(PYTHON) is " + v + ": make PYTHON=/path/to/a/newer/python")'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: pyproject.toml $(VENV)/.created
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt $(VENV)/.created
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@ $(VENV)/.installed
