# make demo   data, search, endpoint and bill on this machine       make test   every test
# make check  format, lint, types     make bench  every benchmark    make clean  forget the environment
# Arguments go through ARGS, like: make demo ARGS="--once"
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export VENV
.PHONY: demo test check docs bench generate constraints clean

demo: $(STAMP)
	@$(BIN)/mlray demo $(ARGS)

test: $(STAMP)
	@.ci/test $(ARGS)

check: $(STAMP)
	@.ci/check

docs: $(STAMP)
	@.ci/docs $(ARGS)

bench: $(STAMP)
	@for script in benchmarks/*.py; do echo "$$script"; $(BIN)/python "$$script" || exit; done

# A second run is quick: the environment is made again only when what it is made from has changed.
$(STAMP): pyproject.toml constraints.txt .ci/venv
	@.ci/venv $(VENV)
	@touch $@

# Everything under docs/ that is drawn from the code.
generate: $(STAMP)
	@$(BIN)/mlray schema write docs/schemas >/dev/null
	@$(BIN)/python .ci/fields >docs/fields.draft && mv docs/fields.draft docs/fields.md
	@$(BIN)/python .ci/map >docs/map.draft && mv docs/map.draft docs/map.md

# Pins exactly what this environment holds, by name and version alone.
constraints:
	@$(BIN)/python -m pip list --format freeze --exclude-editable --exclude pip --exclude setuptools --exclude wheel --exclude uv --exclude mlray \
	  | LC_ALL=C sort --ignore-case >constraints.txt

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
