# The set-up is one file stamp: every target makes .venv if it is missing or older than its requirements.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

.PHONY: install quickstart test test-slow lint bench docs clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,classic-control,box2d,notebooks,wandb-report,tune,postgres,play,ray,slurm,s3]'
	touch $(STAMP)

quickstart: $(STAMP)
	$(BIN)/python -m rlbench.run experiment=quickstart

# What builds the site is installed where somebody asks for it.
DOCS := $(VENV)/docs-installed

$(DOCS): $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[docs]'
	touch $(DOCS)

docs: $(DOCS)
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet -b html docs build/site
	@echo "build/site/index.html"

# The server that the W&B tests talk to lives in an environment of its own: it is no dependency.
OPENWANDB := .cache/openwandb/bin/openwandb

$(OPENWANDB):
	$(PYTHON) -m venv .cache/openwandb
	.cache/openwandb/bin/pip install --quiet --disable-pip-version-check openwandb==0.5.25

test: $(STAMP) $(OPENWANDB)
	$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder

test-slow: $(STAMP) $(DOCS) $(OPENWANDB)
	$(BIN)/python -m pytest -m slow

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP)
	$(BIN)/python -m tests.benchmarks

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
