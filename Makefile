# VENV is created where it is missing; PYTHON is what creates it.
VENV ?= .venv
PYTHON ?= python3
# Two workers; a file's tests stay together, so that what a module sets up is set up once.
PYTEST_ARGS ?= -n 2 --dist loadfile

BIN := $(VENV)/bin
SOURCES := $(wildcard kgraph tests tools benchmarks examples)

# What `make bench` compares with, in an environment of its own. PyTorch's index has builds for CPUs.
BENCH_VENV ?= .venv-bench
BENCH_BIN := $(BENCH_VENV)/bin
BENCH_TORCH := torch==2.13.0+cpu
BENCH_PEERS := torch onnx onnxscript onnxruntime openvino keras jax matplotlib
BENCH_INDEX := https://download.pytorch.org/whl/cpu
BENCH_RUN = $(BENCH_BIN)/python -m benchmarks

.PHONY: help demo check test test-slow bench bench-quick
.DELETE_ON_ERROR:

help:
	@echo "make demo       train a small convnet on the digits that come with kgraph"
	@echo "make test       lint, types and the fast tests"
	@echo "make test-slow  lint, types and all tests"
	@echo "make check      lint and types only"
	@echo "make bench      beside PyTorch, ONNX Runtime, OpenVINO, Keras on JAX (an hour; an idle machine)"
	@echo "make bench-quick  the main rows on one thread (minutes)"

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

bench: $(BENCH_VENV)/.installed
	$(BENCH_RUN) --json build/benchmarks/table.json --plot build/benchmarks/table.svg $(BENCH_ARGS)

bench-quick: $(BENCH_VENV)/.installed
	$(BENCH_RUN) --quick $(BENCH_ARGS)

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

$(BENCH_VENV)/.installed: pyproject.toml benchmarks/constraints.txt
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_BIN)/pip install --quiet --disable-pip-version-check --no-deps \
		--extra-index-url $(BENCH_INDEX) $(BENCH_TORCH)
	$(BENCH_BIN)/pip install --quiet --disable-pip-version-check \
		--constraint benchmarks/constraints.txt --editable . $(BENCH_PEERS)
	@touch $@
