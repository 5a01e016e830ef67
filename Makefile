# Two commands do everything: `make demo` and `make test`. Each sets up what it needs in .venv, once.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
PY     := $(VENV)/bin/python
SETUP  := $(VENV)/.set-up
FASHION := /usr/share/datasets/fashion-mnist

.PHONY: demo test lint check docs doctor data clean

demo: $(SETUP)
	$(PY) -m figures.demo

test: $(SETUP)
	$(PY) -m pytest

lint: $(SETUP)
	$(PY) -m ruff check

check: $(SETUP)
	$(PY) -m derivation check

docs: $(SETUP)
	$(PY) docs/make_index.py

doctor:
	@if [ -x $(PY) ]; then $(PY) -m foundation.doctor; else $(PYTHON) -m foundation.doctor; fi

# The real images of the fashion task; any folder with the four IDX files will do instead (--data DIR).
data:
	@test -e $(FASHION) || { apt-get update && apt-get install -y --no-install-recommends dataset-fashion-mnist; }

$(SETUP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[all]"
	touch $(SETUP)

clean:
	rm -rf $(VENV) build *.egg-info
