# Everything a developer calls. `make` alone lists the targets; the first call makes .venv, later ones find it ready.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready
ARGS ?=
# the suite runs in two processes, file by file; WORKERS=0 runs it in this one (for a debugger)
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help demo test check format lock clean

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: $(READY)  ## a provider and a consumer exchange real data under a contract; ARGS="--keep" leaves them running
	@$(VENV)/bin/kontor demo $(ARGS)

test: $(READY)  ## the whole test suite; KONTOR_OFFICIAL names the folder of the standards' own files, ARGS go to pytest
	@$(RUN) -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(READY)  ## lint, formatting, types
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy

format: $(READY)  ## mend what ruff can mend
	@$(VENV)/bin/ruff check --fix-only -q .
	@$(VENV)/bin/ruff format -q .

# what an image runs with: every extra but the tests', and what builds the package
RUNTIME := catalog nats objects otel parquet postgres shacl sparql vault

lock: $(READY)  ## resolve the dependencies anew into requirements.lock, and what an image needs of them into deploy/
	@$(RUN) -m pip install -q uv
	@$(VENV)/bin/uv pip compile -q --upgrade --universal --python-version 3.11 --all-extras --generate-hashes \
		--no-header --no-emit-index-url --no-emit-find-links --output-file requirements.lock pyproject.toml
	@grep -E '^[a-z0-9._-]+==' requirements.lock | sed 's/ .*//' > $(VENV)/.versions
	@$(VENV)/bin/uv pip compile -q --universal --python-version 3.11 $(RUNTIME:%=--extra %) --generate-hashes --constraint $(VENV)/.versions \
		--no-header --no-emit-index-url --no-emit-find-links --no-annotate --output-file deploy/requirements.lock pyproject.toml deploy/build.in

clean:  ## remove the environment and everything that was built
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis dist build target kontor-demo
	find connector tests -name __pycache__ -type d -prune -exec rm -rf {} +

# the locked libraries by hash, then the package itself without looking for any
$(READY): requirements.lock pyproject.toml
	@test -x $(RUN) || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Kontor needs Python 3.11 or newer; say which with PYTHON=python3.11")'
	@test -x $(RUN) || { echo "making $(VENV)" && $(PYTHON) -m venv $(VENV); }
	@$(RUN) -m pip install -q --disable-pip-version-check --require-hashes --only-binary :all: -r requirements.lock
	@$(RUN) -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
