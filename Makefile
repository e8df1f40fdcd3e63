# make train   sets up and trains on the built-in data     (RUN="..." adds options)
# make test    sets up and runs the checks that take 8 to 20 minutes on two cores
# make test-slow   runs the others: whole runs and whole networks
# make docs    builds the documentation into site/
# make bench   prints the speed and memory of the losses
# make format  puts the code in order

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
PYTEST := $(BIN)/pytest --numprocesses auto --dist loadfile --no-loadscope-reorder
RUN ?=

.PHONY: train test test-slow docs bench format clean

train: $(READY)
	$(BIN)/python train/main.py demo $(RUN)

test: $(READY)
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(PYTEST) -m "not slow"

test-slow: $(READY)
	$(PYTEST) -m slow

docs: $(READY)
	rm -rf site
	$(BIN)/sphinx-build --fail-on-warning --fresh-env --quiet \
	  --conf-dir docs --doctree-dir build/doctrees . site

bench: $(READY)
	$(BIN)/python benchmarks/loss_speed.py

format: $(READY)
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	  "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + \
	  ". Name another: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt \
	  --editable '.[train,dev,docs,pretrained]'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt \
	  --editable '.[crf]' || echo "The dense CRF's library was not built: its tests \
	  are skipped, and --crf says how to install it (docs/prediction.md)."
	touch $@

clean:
	rm -rf $(VENV) build data runs site
