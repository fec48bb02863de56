# make demo: a fresh machine runs one campaign.   make test: a fresh machine runs the tests.
PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
BIN := $(VENV)/bin
export PREFECT_SERVER_ANALYTICS_ENABLED = false
export DO_NOT_TRACK = 1

.PHONY: demo test soak lint format lock pictures validation clean

demo: $(VENV)/.installed
	$(BIN)/sabatier run examples/demo.yaml

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadgroup -m "not soak"

soak: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadgroup -m soak

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The exact versions known to work together: what a fresh environment resolves to within the bounds of pyproject.toml.
lock:
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install -q -e ".[dev,dask,postgres]"
	build/lock/bin/python -m pip freeze --exclude-editable | sed -E 's/\+cpu$$//; /^sabatier/d' > constraints.txt
	rm -rf build/lock

# The pictures of the documentation, from a real run of the demonstration.
pictures: $(VENV)/.installed
	$(BIN)/python docs/make_pictures.py

# The page that compares the virtual laboratory with published measurements, and its pictures.
validation: $(VENV)/.installed-dev
	$(BIN)/python docs/validation/make.py

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install -q -c constraints.txt -e .
	touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[dev]"
	touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) build dist *.egg-info sabatier-data
