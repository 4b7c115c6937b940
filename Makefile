# Every target builds .venv by itself. Needs Python >= 3.11, git and make (GNU make 3.81, as on macOS, will do).
# Another Python:             make course PYTHON=python3.12
# pip reads its own settings, e.g. a smaller torch on a Linux machine without a GPU:
#                             PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make course

PYTHON ?= python3
BIN := .venv/bin
ENVIRONMENT := .venv
FLOORS := checkpoints course distillation models pcfg plots recipes tasks text  # tests that call what others wrote
WORKERS ?= 2  # processes that run the tests, each on one thread: threads of several would wait for each other

.DEFAULT_GOAL := help
.PHONY: help course test test-gpu test-faults check lab notebooks bench floors stamp clean

help:       ## this list
	@grep -E '^[a-z-]+: .*##' Makefile | sed -E 's/:[^#]*## */|/' | awk -F'|' '{ printf "  make %-11s %s\n", $$1, $$2 }'

course: .venv/.installed-course  ## run every lesson; HTML in build/course, claims in build/claims.csv
	$(BIN)/python -m pdtutor.course build

test: check  ## what `check` does, unit tests, stored outputs reproduced
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS)
	TQDM_DISABLE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest --nbval --nbval-current-env -n $(WORKERS) --dist loadfile notebooks

test-gpu: .venv/.installed-test  ## the tests that need a CUDA GPU
	$(BIN)/python -m pytest -m gpu tests/test_gpu.py

test-faults: .venv/.installed-test  ## kills, full disks, flipped bits and edits, all of them; minutes
	FAULTS=full OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) -rA tests/faults

check: .venv/.installed-test  ## lint, format, imports between wings, types, notebooks in step with their sources
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/basedpyright
	$(BIN)/python -m pdtutor.course pair

lab: .venv/.installed-course  ## open JupyterLab on the lessons
	$(BIN)/jupyter lab --LabApp.default_url=/lab/tree/notebooks

notebooks: .venv/.installed-course  ## re-execute lessons and solutions and store their outputs
	$(BIN)/python -m pdtutor.course notebooks $(LESSON)

bench: .venv/.installed-test  ## measure the speeds this project claims; build/bench.csv
	$(BIN)/python -m benchmarks

floors:     ## most unit tests under the oldest versions that pyproject.toml allows; in build/floors
	@$(MAKE) --no-print-directory environment ENVIRONMENT=build/floors
	$(PYTHON) -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	  wanted = sum(p["optional-dependencies"].values(), p["dependencies"]); \
	  print(*(w.replace(">=", "==") for w in wanted if ">=" in w), sep="\n")' > build/floors/versions.txt
	build/floors/bin/python -m pip install -c build/floors/versions.txt -e '.[test]'
	OMP_NUM_THREADS=1 build/floors/bin/python -m pytest -n $(WORKERS) tests/test_*.py $(FLOORS:%=tests/%)

stamp: .venv/.installed-course  ## write the address of the clone's origin into badges and set-up cells
	$(BIN)/python -m pdtutor.course stamp

clean:      ## remove build/ and caches (.venv stays)
	rm -rf build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

# One stamp for each extra; installing again is quick when only a constraint changed.
.venv/.installed-%: pyproject.toml constraints.txt
	@test -x $(BIN)/pip || $(MAKE) --no-print-directory environment
	$(BIN)/python -m pip install -c constraints.txt -e '.[$*]'
	@touch $@

.PHONY: environment
environment:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "pdtutor needs Python 3.11 or newer, and '$(PYTHON)' is `$(PYTHON) --version 2>&1`."; \
	  echo "Name another one: make course PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "'$(PYTHON)' cannot make virtual environments: its venv module is not installed."; \
	  echo "On Debian or Ubuntu: sudo apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(ENVIRONMENT)
