# `make demo` and `make test` do all the set-up; they need Python 3.11 or newer, make and PyPI.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
SPECS := $(wildcard specs/*.yaml specs/zoo/*.yaml)

.PHONY: demo test lint types contracts unit environments lowest generate clean

demo: $(VENV)/demo
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash specs/samples/demo.sh

test: lint types contracts unit environments

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/dev
	$(BIN)/mypy

contracts: $(VENV)/dev
	$(BIN)/lint-imports --no-cache

unit: $(VENV)/dev
	$(BIN)/python -m pytest

# What a user of the core alone has, and what one who only runs models has: no torch in either.
environments: $(VENV)-core/ready
	$(VENV)-core/bin/python tests/environments/core.py $(SPECS)
	$(VENV)-core/bin/python -m pip install --quiet -c constraints.txt '.[runtime]'
	$(VENV)-core/bin/python tests/environments/runtime.py exported/example.onnx specs/samples/digits
	@rm -rf $(VENV)-core

# The tests with each dependency at pyproject.toml's lower bound: some minutes and 6 GB more.
lowest: $(VENV)-lowest/ready
	$(VENV)-lowest/bin/python -m pytest

# The committed files that follow from the catalogue; a test proves them current.
generate: $(VENV)/dev
	$(BIN)/netspec schema
	$(BIN)/python -m netspec.catalogue.reference docs/catalogue.md

$(VENV)/demo: pyproject.toml constraints.txt | $(VENV)/python
	@echo "Installing netspec with torch and onnxruntime, once: some minutes and 6 GB"
	$(PIP) install -c constraints.txt -e '.[all]'
	@touch $@

$(VENV)/dev: pyproject.toml constraints.txt | $(VENV)/python
	$(PIP) install -c constraints.txt -e '.[all,dev]'
	@touch $@

$(VENV)-core/ready: pyproject.toml constraints.txt
	rm -rf $(VENV)-core
	$(PYTHON) -m venv $(VENV)-core
	$(VENV)-core/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt .
	@touch $@

$(VENV)-lowest/ready: pyproject.toml lowest.txt
	rm -rf $(VENV)-lowest
	$(PYTHON) -m venv $(VENV)-lowest
	$(VENV)-lowest/bin/python -m pip install --quiet --disable-pip-version-check -c lowest.txt \
		-e '.[export,runtime,shards,tables,dev]'
	@touch $@

$(VENV)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "netspec needs Python 3.11 or newer: make PYTHON=python3.12 …"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

clean:
	rm -rf $(VENV) $(VENV)-core $(VENV)-lowest build *.egg-info runs .mypy_cache .pytest_cache .ruff_cache
