# Two commands matter: `make demo` and `make test`. Both create their environment by themselves.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PYTEST := $(BIN)/python -X faulthandler -m pytest --durations=10
LIVED := $(wildcard tests/crash tests/wire)
WAITED := $(wildcard tests/conformance)
SWARM := tests/simulation tests/life/test_faults.py
SUITES := $(filter-out tests/conftest.py tests/data tests/example_plugin,$(wildcard tests/*))
# All that the tests of a whole run leave and say is kept, and searched for keys at its end.
LEFT = $(if $(MADE),--basetemp=$(MADE)/$@ --junitxml=$(MADE)/$@.xml -o junit_logging=all)
SOURCES := core plugins tests bench docs
SEEDS ?= 10000
LIVES ?= 300
# How many of the places of twenty stories a process dies at; 0: at every one.
DEATHS ?= 0
SUITE ?= sim
FROM ?= 1
N ?= 1
MINUTES ?= 60

.PHONY: demo test check lint types contracts reckoned lived swarm bench soak seed docs clean

demo: $(VENV)/.installed
	$(BIN)/hedge demo

test: $(VENV)/.tested
	@made=$$(mktemp -d -t hedge-test-XXXXXX) && \
	$(MAKE) --no-print-directory --jobs=4 --output-sync=target MADE=$$made lived reckoned check swarm && \
	$(BIN)/python tests/crash/markers.py $$made && rm -rf $$made

check: lint types contracts

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "hedge needs Python >= 3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) install -c constraints.txt -e .
	@touch $@

$(VENV)/.tested: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) install -c constraints.txt -e '.[test]'
	@touch $(VENV)/.installed $@

lint: $(VENV)/.tested
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)

types: $(VENV)/.tested
	$(BIN)/mypy --strict core plugins

contracts: $(VENV)/.tested
	$(BIN)/lint-imports --no-logo

# What computes and then mostly waits, and what starts processes and waits for them: side by side.
reckoned: $(VENV)/.tested
	$(PYTEST) $(LEFT) $(filter-out $(LIVED) $(WAITED) tests/simulation,$(SUITES)) $(WAITED) \
		--deselect tests/life/test_faults.py

lived: $(VENV)/.tested
	$(PYTEST) $(LEFT) $(LIVED)

# Thousands of worlds on virtual time: nothing in them waits, so they take what the others leave.
swarm: $(VENV)/.tested
	SEEDS=$(SEEDS) DEATHS=$(DEATHS) HEDGE_LIVES=$(LIVES) nice -n 15 $(PYTEST) $(LEFT) $(SWARM)

bench: $(VENV)/.tested
	$(BIN)/python bench/run.py

soak: $(VENV)/.tested
	@case "$(SUITE)" in \
	sim) $(BIN)/python tests/simulation/run.py --seeds $(SEEDS) --from $(FROM) --save ;; \
	deaths) $(BIN)/python tests/simulation/run.py --crashes $(SEEDS) --from $(FROM) --save && \
		$(BIN)/python tests/simulation/run.py --crashes $(SEEDS) --from $(FROM) --save --again && \
		HEDGE_CRASH_MOST=0 $(PYTEST) tests/life/test_crash_points.py ;; \
	life) HEDGE_LIVES=$(SEEDS) HEDGE_LIVES_FROM=$(FROM) $(BIN)/python -m pytest tests/life/test_faults.py ;; \
	crash) $(BIN)/python tests/crash/many_kills.py --kills $(SEEDS) --from $(FROM) --save ;; \
	canaries) $(BIN)/python tests/canaries/search.py --seeds $(SEEDS) ;; \
	fuzz) $(BIN)/python tests/fuzz/guided.py --minutes $(MINUTES) ;; \
	wire) $(BIN)/python tests/wire/soak.py --minutes $(MINUTES) ;; \
	*) echo "SUITE is sim, deaths, life, crash, canaries, fuzz or wire" >&2; exit 2 ;; \
	esac

seed: $(VENV)/.tested
	$(BIN)/python tests/simulation/run.py --seed $(N)

docs: $(VENV)/.tested
	$(BIN)/python docs/generate.py

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
