# Bare `make` tells what there is to do.

PYTHON ?= python3
WORKERS ?= 2
PY := .venv/bin/python

.PHONY: help run test lint format space results bench loop clean

help:
	@echo "make run              start the demo on http://127.0.0.1:7860 (ARGS='--host 0.0.0.0 --port 8000')"
	@echo "make test             lint, then all tests, two at a time (ARGS='-k photo' chooses some, WORKERS=1 is one at a time)"
	@echo "make lint             ruff and mypy"
	@echo "make format           let ruff format the code"
	@echo "make space            write README.md's front matter from space.yaml"
	@echo "make train-NAME       train bundled weights anew: train-denoise, train-upscale-x3, train-denoise-photo, …"
	@echo "                      (IMAGES='DIR DIR' names the photographs, DEV=DIR the images to measure on)"
	@echo "make results          measure everything anew, and write docs/results.md and its pictures"
	@echo "                      (IMAGES=DIR has the sets: cbsd68, polyu, set5, inpaint; needs an idle machine)"
	@echo "make bench            measure how fast flags are acknowledged, published and found"
	@echo "make loop             the whole loop on a small generated example: flags to better weights, in minutes"
	@echo "make clean            remove what make made"

run: .venv/.runtime
	$(PY) -m deconvdemo serve $(ARGS)

test: .venv/.development lint
	@bash tests/find_browser.sh $(PY)
	@bash tests/find_postgres.sh
	@bash tests/find_nginx.sh
	$(PY) -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

lint: .venv/.development
	@rm -f deconvdemo/ui/*.pyi  # which mypy would read in place of the code
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy

format: .venv/.development
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

space: .venv/.runtime
	$(PY) docs/front_matter.py

# ---- the environment: made once, and again when what it is made from changes ------------------------------

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "deconvdemo needs Python 3.11 or newer: make PYTHON=/path/to/python3.12"; exit 1; }
	$(PYTHON) -m venv .venv || \
	  { rm -rf .venv; echo "no venv module: on Debian and Ubuntu, apt install python3-venv"; exit 1; }

.venv/.runtime: requirements.txt pyproject.toml | .venv/bin/python
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

.venv/.development: .venv/.runtime
	$(PY) -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

# ---- training: one command a network; docs/training.md has the runbook --------------------------------------

IMAGES ?= data/photographs

# the name is a network's, which says what is trained and by which recipe: an unknown one is told which there are
train-%: .venv/.runtime
	$(PY) -m deconvdemo train $* --images $(IMAGES) $(if $(DEV),--dev $(DEV)) --out weights/$*.safetensors $(ARGS)

# ---- results: docs/results.json, and the page and pictures that show it ---------------------------------------

results: .venv/.development
	$(PY) -m deconvdemo evaluate --all --images $(IMAGES) --json --out docs/results.json $(ARGS)
	$(PY) docs/plot_quality.py

bench: .venv/.development
	$(PY) benchmarks/flags.py $(ARGS)
	$(PY) benchmarks/publish.py
	$(PY) benchmarks/review.py

# flags of a planted weakness, review, fine-tuning, the gate and promotion, in a folder of their own: minutes on 2 cores
loop: .venv/.development
	$(PY) benchmarks/loop.py $(ARGS)

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache
