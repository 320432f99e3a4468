# Bare `make` tells what there is to do.

PYTHON ?= python3
VENV ?= .venv
CONSTRAINTS ?= constraints.txt
WORKERS ?= 3
PY := $(VENV)/bin/python
PIP = $(PY) -m pip install --quiet --disable-pip-version-check --no-warn-conflicts $(COMPILE) -c $(CONSTRAINTS)

# the tests start hundreds of processes, each of which would compile all that it imports anew
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run test test-isa test-oldest test-with-oldest lint style format lock docs space results bench hostile loop \
  release-check clean train-articles

help:
	@echo "make run              start the demo on http://127.0.0.1:7860 (ARGS='--host 0.0.0.0 --port 8000')"
	@echo "make test             ruff, then all tests, three at a time, and mypy (ARGS='-k photo' chooses some, WORKERS=1: one at a time)"
	@echo "make test-isa         the restoring tests as on other processors, by ONEDNN_MAX_CPU_ISA, on 1 and 2 threads"
	@echo "make test-oldest      the tests that need no browser, with the oldest versions that requirements.txt allows"
	@echo "                      (of torch only with TORCH=2.8.0, several GB on x86)"
	@echo "make lint             ruff and mypy, over the product, the tests and the scripts"
	@echo "make format           let ruff format the code"
	@echo "make lock             write constraints.txt anew, the exact versions that make installs (needs Python 3.11)"
	@echo "make docs             write docs/api.md and the drawing in docs/architecture.md anew, from the code"
	@echo "make space            write README.md's front matter from space.yaml"
	@echo "make train-NAME       train bundled weights anew: train-denoise, train-upscale-x3, train-denoise-photo, …"
	@echo "                      (IMAGES='DIR DIR' names the photographs, DEV=DIR the images to measure on)"
	@echo "make train-articles   train the networks of five articles on deconvolution, and show them beside ours, in"
	@echo "                      build/articles: two minutes, without photographs (ARGS='--images DIR --measure DIR')"
	@echo "make results          measure everything anew, and write docs/results.md and its pictures"
	@echo "                      (IMAGES=DIR has the sets: cbsd68, polyu, set5, inpaint, wild; needs an idle machine)"
	@echo "make bench            measure how fast flags are acknowledged, published and found, and photos opened"
	@echo "make hostile          open mutated pictures for an hour (ARGS='--count N', '--minutes M'): each a photo or a sentence"
	@echo "make loop             the whole loop on a small generated example: flags to better weights, in minutes"
	@echo "make release-check    build the packages, and use the wheel in an environment that has nothing of this folder"
	@echo "                      (ONLINE=1 installs all that it needs there, as who downloads it does)"
	@echo "make clean            remove what make made"
	@echo "PYTHON=python3.13 VENV=.venv-3.13 runs any of them on another Python, in an environment of its own"

# more of them than cores, since browsers and other processes are waited for; in the order of the folders: the long
# files of browser/, faults/ and hub/ first, the quick ones fill up the end
XDIST = -n $(WORKERS) --dist loadfile --no-loadscope-reorder

run: $(VENV)/.runtime
	$(PY) -m deconvdemo serve $(ARGS)

# an environment for tests is ready sooner where what they never import is not compiled: most of it
test lint: COMPILE = --no-compile

# in a new environment one process compiles what all import: else each of the workers would, at the same time
COMPILED = [ -e $(VENV)/.compiled ] || { $(PY) -m pytest --collect-only > build/collected.log 2>&1; touch $(VENV)/.compiled; }

# mypy, on one core, takes as long as many tests: it has what they leave free, and tells at the end
test: $(VENV)/.development style
	@bash tests/find_browser.sh $(PY)
	@bash tests/find_postgres.sh
	@bash tests/find_nginx.sh
	@mkdir -p build
	@$(PY) -m mypy > build/mypy.log 2>&1 & types=$$!; \
	$(COMPILED); \
	echo "$(PY) -m pytest $(XDIST)"; sh tests/in_memory.sh $(PY) -m pytest $(XDIST) $(ARGS); tests=$$?; \
	wait $$types; types=$$?; echo "$(PY) -m mypy"; cat build/mypy.log; \
	[ $$tests -eq 0 ] && [ $$types -eq 0 ] || { echo "failed: pytest with status $$tests, mypy with $$types"; exit 1; }

# a processor's kernels round as they do: what restores must hold its laws with those of older and smaller ones, too
ISAS = AVX2 AVX512_CORE AVX512_CORE_BF16 DEFAULT
RESTORING = restorer tiles networks deep_holes coarse_fill checkpoints device expert swap take_away tasks evaluate fit quality

test-isa: $(VENV)/.development
	@failed=; for isa in $(ISAS); do for threads in 1 2; do \
	  echo "ONEDNN_MAX_CPU_ISA=$$isa OMP_NUM_THREADS=$$threads"; \
	  ONEDNN_MAX_CPU_ISA=$$isa OMP_NUM_THREADS=$$threads sh tests/in_memory.sh $(PY) -m pytest \
	    $(RESTORING:%=tests/test_%.py) $(ARGS) || failed="$$failed $$isa/$$threads"; \
	done; done; \
	[ -z "$$failed" ] || { echo "failed with:$$failed"; exit 1; }

# in an environment of its own; torch as in constraints.txt, for its oldest one is a build of several GB on x86
TORCH ?= $(shell sed -n 's/^torch==//p' constraints.txt)

test-oldest:
	@mkdir -p build
	@"$(PYTHON)" installs/oldest.py $(TORCH) > build/oldest.new
	@cmp -s build/oldest.new build/oldest.txt || mv build/oldest.new build/oldest.txt
	@$(MAKE) VENV=.venv-oldest CONSTRAINTS=build/oldest.txt test-with-oldest

test-with-oldest: $(VENV)/.development
	@bash tests/find_postgres.sh
	sh tests/in_memory.sh $(PY) -m pytest $(XDIST) --ignore tests/browser --ignore tests/test_installs.py $(ARGS)

lint: style
	$(PY) -m mypy

style: $(VENV)/.development
	@find deconvdemo/web -name "*.pyi" -delete  # from before, which mypy would read in place of the code
	$(PY) -m ruff check
	$(PY) -m ruff format --check

format: $(VENV)/.development
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

docs: $(VENV)/.development
	$(PY) docs/floors.py
	$(PY) docs/api.py

space: $(VENV)/.runtime
	$(PY) docs/front_matter.py

# ---- the environment: made once, and again when what it is made from changes ------------------------------

$(VENV)/bin/python:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "deconvdemo needs Python 3.11 or newer as $(PYTHON): make PYTHON=/path/to/python3.12"; exit 1; }
	"$(PYTHON)" -m venv --clear $(VENV) || \
	  { rm -rf $(VENV); echo "no venv module: on Debian and Ubuntu, apt install python3-venv"; exit 1; }

# pip itself first: one of 2023, as Python 3.11 brings it, takes twice as long for all the others. What builds the
# package is installed beside it: pip would fetch the newest one each time, whatever is constrained
$(VENV)/.required: requirements.txt $(CONSTRAINTS) | $(VENV)/bin/python
	$(PIP) --upgrade pip
	$(PIP) -r requirements.txt editables hatchling hatch-requirements-txt
	@touch $@

$(VENV)/.runtime: pyproject.toml $(VENV)/.required
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

# the package itself comes with its tools: it need not be built twice
$(VENV)/.development: pyproject.toml $(VENV)/.required
	$(PIP) --no-build-isolation --editable '.[dev]'
	@touch $@ $(VENV)/.runtime

lock: $(VENV)/bin/python
	$(PIP) packaging
	$(PY) installs/lock.py

# ---- training: one command a network; docs/training.md has the runbook --------------------------------------

IMAGES ?= data/photographs

# the name is a network's, which says what is trained and by which recipe: an unknown one is told which there are
train-%: $(VENV)/.runtime
	$(PY) -m deconvdemo train $* --images $(IMAGES) $(if $(DEV),--dev $(DEV)) --out weights/$*.safetensors $(ARGS)

# the articles' networks, which serve nobody: docs/articles.md
train-articles: $(VENV)/.runtime
	$(PY) -m deconvdemo train-articles --out build/articles $(ARGS)

# ---- results: docs/results.json and wild.json, and the page and pictures that show them -----------------------

results: $(VENV)/.development
	$(PY) -m deconvdemo evaluate --all --images $(IMAGES) --json --out docs/results.json $(ARGS)
	$(PY) -m deconvdemo evaluate --wild --images $(IMAGES) --first 20 --json --out docs/wild.json
	$(PY) docs/plot_quality.py

bench: $(VENV)/.development
	$(PY) benchmarks/flags.py $(ARGS)
	$(PY) benchmarks/publish.py
	$(PY) benchmarks/review.py
	-$(PY) benchmarks/opening.py

hostile: $(VENV)/.development
	$(PY) benchmarks/hostile.py $(ARGS)

# flags of a planted weakness, review, fine-tuning, the gate and promotion, in a folder of their own: minutes on 2 cores
loop: $(VENV)/.development
	$(PY) benchmarks/loop.py $(ARGS)

# docs/releasing.md tells what else there is to a release
release-check: $(VENV)/.development
	$(PY) installs/release.py $(if $(ONLINE),--online)

clean:
	rm -rf .venv .venv-* build dist .pytest_cache .mypy_cache .ruff_cache
