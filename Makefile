# Two set-up commands: `make book` and `make test`. `make help` lists the rest.

PYTHON ?= python3
# Processes for the unit tests.
JOBS ?= 2
# Where torch comes from, if not from your package index: on Linux without a GPU, PyTorch's CPU index saves gigabytes.
TORCH_INDEX ?=

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/installed.stamp
UNFINISHED := $(VENV)/unfinished.stamp
NOTEBOOKS = $(wildcard notebooks/*.ipynb)

# One thread a process: two on a busy two-core machine can be several times slower.
export OMP_NUM_THREADS := 1

.PHONY: help install book slides offline test test-all test-deep test-notebooks test-install test-gpu mutants bench bench-gpu notebooks artefacts lint clean

help: ## list these commands (the default)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' Makefile

install: $(READY) ## make .venv with the package, the book's tools and the test tools, at the pinned versions

# The stamp appears only when everything is installed; an interrupted install is thrown away by the next one.
# Torch is its own step, so that pip takes a CPU wheel where one is at hand, or TORCH_INDEX.
$(READY): pyproject.toml constraints.txt
	@command -v "$(PYTHON)" >/dev/null 2>&1 \
		|| { echo "error: no '$(PYTHON)' on this machine: install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "error: $$("$(PYTHON)" --version) is too old: tsynd needs Python 3.11 or newer, e.g. make PYTHON=python3.11" >&2; exit 1; }
	@"$(PYTHON)" -c 'import venv, ensurepip' 2>/dev/null \
		|| { echo "error: $(PYTHON) has no venv module: install it (Debian and Ubuntu: the package python3-venv)" >&2; exit 1; }
	@echo "Installing tsynd and its tools in $(VENV) (once: a minute or two)"
	@if [ -e $(UNFINISHED) ]; then echo "The last install was interrupted: starting afresh"; rm -rf $(VENV); fi
	@rm -f $(READY)
	"$(PYTHON)" -m venv $(VENV)
	@touch $(UNFINISHED)
	$(BIN)/python -m pip install --quiet $(if $(TORCH_INDEX),--index-url "$(TORCH_INDEX)") "$$(grep '^torch==' constraints.txt)"
	$(BIN)/python -m pip install --quiet --editable '.[book,dev,pretrained]' --constraint constraints.txt
	@mv $(UNFINISHED) $(READY)

# From nothing each time: Sphinx repeats no warning for a page that it has already read.
book: $(READY) ## build the book in _build/html, from the committed notebooks; every warning is an error
	@rm -rf _build
	$(BIN)/jupyter-book build . -W -n --keep-going
	$(BIN)/python tools/slides.py
	@echo "The book is built. Open file://$(CURDIR)/_build/html/index.html"

slides: $(READY) ## the slides of every lesson in _build/html/slides, from the notebooks; PDFs too where there is a Chromium
	$(BIN)/python tools/slides.py

offline: book ## fill dist/offline for a USB stick: wheels, book, notebooks, data; then prove that it works without a network
	$(BIN)/python tools/offline.py
	$(BIN)/python tools/offline.py --check dist/offline

test: $(READY) ## the unit tests and the examples in docstrings; up to 5 minutes on two idle cores
	$(BIN)/pytest -n $(JOBS) --dist loadfile -rs

test-all: test test-notebooks test-deep ## all that `test` does, every notebook, and what is deeper: fuzzing, kills, peers

test-deep: $(READY) ## fuzzing, kills, every wrong argument, peers (marker deep)
	$(BIN)/pytest -n $(JOBS) --dist loadfile -m 'deep and not gpu and not install' -rs

test-notebooks: $(READY) ## run every notebook and compare with its committed outputs
	@[ -n "$(NOTEBOOKS)" ] || { echo "error: no notebook in notebooks/" >&2; exit 1; }
	$(BIN)/pytest -n $(JOBS) --dist loadfile -p no:cacheprovider --nbval --nbval-current-env --nbval-cell-timeout=3600 \
		--nbval-sanitize-with tools/nbval_sanitize.cfg -rs $(NOTEBOOKS)

test-install: $(READY) ## a simulated Colab, and the built wheel where nothing else is; some minutes
	$(BIN)/pytest -m install -rs

test-gpu: $(READY) ## the tests that need a GPU (marker gpu)
	$(BIN)/pytest -m gpu -rs

bench: $(READY) ## speed and memory against floors and peers, into results/, on a machine that does nothing else
	for script in $(filter-out benchmarks/bench_gpu.py benchmarks/bench_run.py,$(wildcard benchmarks/bench_*.py)); do $(BIN)/python $$script || exit 1; done

bench-gpu: $(READY) ## the same on an accelerator, against the CPU and peers, into results/bench-gpu; refused without one
	$(BIN)/python benchmarks/bench_gpu.py

mutants: $(READY) ## break formulas one at a time: do the unit tests notice? Some minutes; verdicts in results/mutants
	$(BIN)/python tools/check_mutants.py --out results/mutants

notebooks: $(READY) ## re-execute every notebook, write it in canonical form, and the pages that follow from them
	$(BIN)/python tools/run_notebooks.py
	$(BIN)/python tools/make_pages.py

artefacts: $(READY) ## train the networks that come with the package (tsynd/examples) anew: some minutes
	$(BIN)/python tools/make_artefacts.py

lint: $(READY) ## style, formatting, types, the form of the notebooks, and what the book says
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python tools/run_notebooks.py --check
	$(BIN)/python tools/check_book.py

clean: ## remove the venv, the built book and all caches
	rm -rf $(VENV) _build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
