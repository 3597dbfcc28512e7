# Each target installs what it needs into .venv; ARGS= is passed on, e.g. make demo ARGS="--records 500 --faults off"
.DEFAULT_GOAL := help
PYTHON ?= python3.11
VENV := .venv
READY := $(VENV)/.ready
HOCBA := $(VENV)/bin/hocba
SLOWEST := --durations=15 --durations-min=15
.PHONY: help demo test check bench proof lock format clean

help: ## what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

# pip alone, with hashes: nothing that is not in requirements.lock comes in.  The lock is complete, so nothing is resolved:
# pip would look for an extra (coverage[toml]) among versions that the lock does not name, and fail when a newer one is out.
$(READY): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed (PYTHON=... names another one)"; exit 1; }
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $(READY)

demo: $(READY) ## vendors' events to both targets, on embedded Kafka and PostgreSQL
	$(HOCBA) demo $(ARGS)

# the proofs measure and kill: each has the machine for itself; two files of the others run at a time (most of it is waiting)
test: $(READY) ## all tests; the proofs run short
	$(VENV)/bin/python -m pytest -n 2 --dist loadfile -m "not proof" $(SLOWEST) $(ARGS) $(if $(ARGS),|| test $$? -eq 5)
	$(VENV)/bin/python -m pytest -m proof $(SLOWEST) $(ARGS) $(if $(ARGS),|| test $$? -eq 5)

check: $(READY) ## lint, types, layers, connectors, schema
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/deptry gateway
	$(HOCBA) schema check
	$(HOCBA) connector lint --all
	$(HOCBA) connector test --all

bench: $(READY) ## figures: ARGS="intake" or "e2e", --json
	$(HOCBA) bench $(or $(ARGS),e2e)

proof: $(READY) ## kills, pauses, outages, rebalances and back-loads in full (two hours); ARGS="-k outage" picks one
	HOCBA_PROOF=full $(VENV)/bin/python -m pytest -m proof -p no:randomly -s -v --timeout 7200 $(ARGS)

lock: ## rewrite requirements.lock after a change of pyproject.toml
	$(PYTHON) -m venv $(VENV) && $(VENV)/bin/python -m pip install --quiet uv
	$(VENV)/bin/uv pip compile -q --generate-hashes --no-header --python-version 3.11 --extra dev pyproject.toml -o requirements.lock

format: $(READY) ## format the code
	$(VENV)/bin/ruff check --fix-only -q .
	$(VENV)/bin/ruff format -q .

clean: ## remove what make made
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build *.egg-info
