# Two commands are all that a newcomer needs: `make demo` and `make test`. Both set up what they use.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test lint bench bench-check fuzz faults soak matrix audit lock clean
.DEFAULT_GOAL := test

$(STAMP): pyproject.toml setup.py constraints.txt proxy/core/_scanner.c
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e . --group dev
	touch $@

demo: $(STAMP)
	$(BIN)/kube-restream demo $(ARGS)

test: $(STAMP)
	$(BIN)/python -m pytest -n auto --dist loadgroup $(ARGS)

matrix: $(STAMP)
	$(BIN)/python -m tests.matrix $(ARGS)

fuzz: $(STAMP)
	$(BIN)/python -m tests.fuzz $(ARGS)

# With the Python client, which nothing else needs.
faults: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --group clients
	$(BIN)/python -m tests.faults $(ARGS)

soak: $(STAMP)
	$(BIN)/python -m tests.soak $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)
	$(BIN)/kube-restream bench $(ARGS)

bench-check: $(STAMP)
	$(BIN)/kube-restream bench --check $(ARGS)

# Whether a version that we install has a known hole: it asks for advisories. An environment of its own, as the tool has
# dependencies that must not be ours.
audit:
	$(PYTHON) -m venv $(VENV)-audit
	$(VENV)-audit/bin/python -m pip install --quiet --disable-pip-version-check "pip-audit>=2.9,<3"
	$(VENV)-audit/bin/pip-audit --strict --disable-pip --no-deps -r constraints.txt $(ARGS)
	rm -rf $(VENV)-audit

# The versions that the image and CI install: the newest that the bounds in pyproject.toml allow.
lock:
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet "pip>=25.1"
	$(VENV)-lock/bin/python -m pip install --quiet -e . --group dev --group clients
	{ echo "# Made by 'make lock'."; $(VENV)-lock/bin/python -m pip freeze --exclude-editable; } > constraints.txt
	rm -rf $(VENV)-lock

clean:
	rm -rf $(VENV) $(VENV)-audit .matrix build proxy/core/*.so *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
