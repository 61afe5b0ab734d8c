# Every target prepares .venv by itself. It needs python3 (3.11 to 3.13), make and git, nothing else.
PYTHON ?= python3
UV := uv==0.13.9
BIN := .venv/bin

# Kernelspecs and dvc.yaml name a bare `python`: it must be the environment's own.
export PATH := $(CURDIR)/$(BIN):$(PATH)

# uv does not read pip's settings: folders of wheels that pip knows are passed on, commas between them.
comma := ,
space := $(subst ,, )
ifneq ($(strip $(PIP_FIND_LINKS)),)
export UV_FIND_LINKS ?= $(subst $(space),$(comma),$(strip $(PIP_FIND_LINKS)))
endif

.PHONY: help repro verify check test tests style types browser lab report pictures bench models lint lock kinds

help:
	@echo "make repro   run the pipeline: every notebook, in order, two at once where they may; JOBS=1: one at a time"
	@echo "make verify  run it again in a clone of HEAD, compare every hash; on THREADS=1 the numbers"
	@echo "make check   check style and types, run the fast tests: minutes"
	@echo "make test    check style and types, run all tests: half an hour on two slow cores"
	@echo "make browser run every notebook in JupyterLab, in a real browser"
	@echo "make kinds   run the pipeline on somebody else's data of every kind, in clones of HEAD"
	@echo "make lab     open the notebooks in JupyterLab"
	@echo "make report  write the executed notebooks as pages: out/report/index.html"
	@echo "make pictures  draw README's pictures from out/; wants Chromium"
	@echo "make bench   run the benchmarks"
	@echo "make models  try every model type of the installed transformers, write docs/models.md"
	@echo "make lint    mend the style of code and strip the notebooks' outputs"
	@echo "make lock    pin the dependencies of pyproject.toml anew"

# A dvc that is killed as it writes leaves its lock empty, or dvc.lock cut short, and no other would start. DVC reports
# merge conflicts itself; both sides are left.
repro: .venv/.ready
	@if [ -d .dvc/tmp ]; then find .dvc/tmp -name rwlock -size 0 -delete; fi
	@if $(BIN)/dvc stage list 2>&1 | grep "dvc\.lock" | grep -qv "merge conflict"; then \
	    echo "dvc.lock was cut short: the last one in git is taken, or none."; \
	    git checkout -q -- dvc.lock 2> /dev/null || rm dvc.lock; fi
	$(BIN)/python -m hiddenstates.pipeline.repro $(if $(JOBS),--jobs $(JOBS))
	@$(BIN)/jupyter nbconvert --log-level ERROR --to markdown --no-input --stdout out/compare/notebook.ipynb \
	    | sed -n '/^## Verdict/,$$p'
	@echo "From out/compare/notebook.ipynb; its numbers are in out/compare/metrics.json, the rest in details.json."

verify: .venv/.ready
	$(BIN)/python -m hiddenstates.verify $(if $(THREADS),--threads $(THREADS))

check: style types
	$(BIN)/pytest -m "not slow"

# Beside the tests: mypy keeps one core busy for a minute, when it runs for the first time.
test: style
	@$(MAKE) --jobs=2 --no-print-directory types tests

tests: .venv/.ready
	$(BIN)/pytest

style: .venv/.ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/nbstripout --verify --keep-id notebooks/*.ipynb

types: .venv/.ready
	$(BIN)/mypy

browser: .venv/.ready
	HIDDENSTATES_EVERY_NOTEBOOK=1 $(BIN)/pytest tests/whole/test_lab_browser.py

kinds: .venv/.ready
	$(BIN)/python tests/kinds.py $(KINDS)

lab: .venv/.ready
	JUPYTER_CONFIG_PATH="$(CURDIR)/.jupyter" $(BIN)/jupyter lab

# These want folders of the user's, or minutes; backends, neighbours, private, rounds and rules are parts of others.
BY_HAND := $(addprefix benchmarks/,backends.py by_mteb.py choosing.py eye.py gpu.py models.py neighbours.py pipeline.py private.py published.py \
    repro.py rounds.py rules.py)

report: .venv/.ready
	$(BIN)/hiddenstates report

pictures: .venv/.ready
	$(BIN)/python tests/pictures.py

bench: .venv/.ready
	@$(BIN)/uv pip install --quiet --python $(BIN)/python 'hnswlib>=0.8' || \
	    echo "hnswlib, which needs a C++ compiler, is not there: benchmarks/search.py does without."
	@for file in $(filter-out $(BY_HAND),$(wildcard benchmarks/*.py)); do echo "== $$file"; $(BIN)/python "$$file" || exit 1; done

models: .venv/.ready
	$(BIN)/python benchmarks/models.py

lint: .venv/.ready
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/nbstripout --keep-id notebooks/*.ipynb

# The lock must install from the public registry alone, and beside a CPU wheel just as well. So torch loses its local
# version (+cpu), and the CUDA packages are left to torch, which pins them itself where its wheel wants them;
# `--universal` would write them all down, for every machine.
lock: $(BIN)/uv
	$(BIN)/uv pip compile pyproject.toml --extra test --extra ray --python-version 3.11 --upgrade --quiet \
	    --annotation-style line --custom-compile-command "make lock" --output-file requirements.lock
	sed -i.bak -e 's/+cpu//' -e '/^nvidia-/d' -e '/^cuda-/d' -e '/^triton=/d' requirements.lock
	rm requirements.lock.bak

# Compiled once, so that each of a dozen kernels need not: it halves the start of every notebook and of dvc.
.venv/.ready: requirements.lock pyproject.toml | $(BIN)/uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --requirement requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	    { echo "$(PYTHON) is $$($(PYTHON) --version 2>&1), the lab needs Python 3.11, 3.12 or 3.13:" \
	           "name one, as in 'make PYTHON=python3.11 $(firstword $(MAKECMDGOALS))'." >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(UV)
