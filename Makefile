# Each target does all of its own set-up: it makes .venv where there is none, installs when pyproject.toml
# changed, and is quick the second time.

PYTHON ?= python3
EXTRAS ?=
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --quiet --disable-pip-version-check
CORE   := $(VENV)/.core$(if $(EXTRAS),-$(EXTRAS))

.PHONY: up test check bench clean

up: $(CORE)
	@$(BIN)/greenroom up

# What fails beside all the others is asked once more, alone: a machine that is full fails nobody, a fault does.
test: $(VENV)/.core-dev
	$(BIN)/python -m pytest -n auto --dist worksteal || { \
		[ $$? -eq 1 ] && \
		echo "Failed beside the others; once more, alone. What passes now is not steady, and wants mending:" && \
		$(BIN)/python -m pytest -n 0 -v --maxfail 1 --last-failed --last-failed-no-failures none; }

check: $(VENV)/.core-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.core-dev
	$(BIN)/python -m tests.bench

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache *.egg-info

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("Greenroom needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	@echo "Making $(VENV) …"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.core%: pyproject.toml | $(VENV)/bin/python
	@echo "Installing Greenroom$(if $*, with$(subst -, ,$*)) …"
	@$(if $(filter language all dev,$(subst -, ,$*)),echo "(llama.cpp is built where it was not yet: once some minutes)",:)
	@$(PIP) install --editable ".$(if $*,[$(patsubst -%,%,$*)])"
	@touch $@

$(VENV)/.core: pyproject.toml | $(VENV)/bin/python
	@echo "Installing Greenroom …"
	@$(PIP) install --editable .
	@touch $@
