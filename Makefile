# Two commands do everything: `make demo` and `make test`. Each sets up what it needs in .venv, once.
# While you work: `make quick`, half of the tests in some three minutes, of every floor.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
PY     := $(VENV)/bin/python
SETUP  := $(VENV)/.set-up
FASHION := /usr/share/datasets/fashion-mnist
AXE     := $(VENV)/axe/axe.min.js
AXE_IS  := axe-core@4.14.1

.PHONY: demo report browser screenshots test quick faults lint check trace-check docs docs-index doctor data clean

demo: $(SETUP)
	$(PY) -m figures.demo

# One page of the last demo and of the studies in results/; where there is neither, of the record.
DEMO := $(lastword $(sort $(wildcard runs/demo-*/recall/manifest.json)))
report: $(SETUP)
	$(PY) -m figures report $(DEMO:/recall/manifest.json=) $(wildcard results/lra/*.json) --out runs/report.html

# On two cores, a file at a time on each. `python -m pytest` runs all of it in one process.
TESTS := OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder
test: $(SETUP)
	$(TESTS)

# What is marked `slow` took more than half a second of one core, or three in all its cases.
quick: $(SETUP)
	$(TESTS) -m "not slow"

# What goes on for as long as it is given: kills, flipped bits, fuzzing (docs/reliability.md).
FAULTS_MINUTES ?= 10
faults: $(SETUP)
	FAULTS_MINUTES=$(FAULTS_MINUTES) OMP_NUM_THREADS=1 $(PY) -m pytest tests/faults -m minutes

lint: $(SETUP)
	$(PY) -m ruff check

check: $(SETUP)
	$(PY) -m derivation check

# From parameter to tensor: the matrix by the stored derivatives, then every derivative against a reduction done anew.
trace-check: $(SETUP)
	$(PY) -m rmaat trace --check
	$(PY) -m derivation perturb

# The pictures of docs/report.md, of a page of the demo's kind.
screenshots: browser report
	$(PY) docs/make_screenshots.py runs/report.html

# The documentation site, its tutorials executed; it needs no network. EXECUTE=0 leaves the tutorials as they are stored.
docs: $(SETUP)
	NO_MKDOCS_2_WARNING=1 OMP_NUM_THREADS=1 $(PY) -m mkdocs build --strict --quiet
	@echo "open site/index.html"

# The index of docs/equations.md, from the tags in the code; the table of docs/reliability.md, from the tests.
docs-index: $(SETUP)
	$(PY) docs/make_index.py
	$(PY) docs/make_faults.py

doctor:
	@if [ -x $(PY) ]; then $(PY) -m foundation.doctor; else $(PYTHON) -m foundation.doctor; fi

# The real images of the fashion task; any folder with the four IDX files will do instead (--data DIR).
data:
	@test -e $(FASHION) || { apt-get update && apt-get install -y --no-install-recommends dataset-fashion-mnist; }

# What the tests of the report's page need: Debian's Chromium, and axe, which looks for what keeps readers out.
browser: $(AXE)
	@{ command -v chromium && command -v chromedriver; } >/dev/null || { apt-get update && apt-get install -y --no-install-recommends chromium chromium-driver; }
$(AXE): $(SETUP)
	@command -v npm >/dev/null || { apt-get update && apt-get install -y --no-install-recommends npm; }
	mkdir -p $(@D)
	npm pack --silent --pack-destination $(@D) $(AXE_IS) >/dev/null
	tar -xzf $(@D)/axe-core-*.tgz -C $(@D) --strip-components=1 package/axe.min.js package/LICENSE
	rm $(@D)/axe-core-*.tgz
	touch $@

# CI installs files by their hashes; people, what constraints.txt pins.
$(SETUP): pyproject.toml constraints.txt .ci/requirements.txt
	$(PYTHON) -m venv $(VENV)
ifdef CI
	.ci/install $(PY)
else
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[all]"
endif
	touch $(SETUP)

clean:
	rm -rf $(VENV) build site *.egg-info
