# Everything that one does with a checkout. `make help` lists it.
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: demo up down status logs migrate dump restore channel client check test bench lint fmt lock help tools-python tools-run tools-test

PYTHON_BIN := .venv/bin/python
LOCAL := $(PYTHON_BIN) -m deploy.local
export PYTHONPATH := shared:.

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: tools-run ## start everything, build the examples, serve them in every way, say what to try next (DEMO_CHANNEL=sample)
	@$(LOCAL) demo $(EXAMPLES)

up: tools-run ## install what is missing and start everything; harmless when it runs (BUILDERS=2 PACKAGERS=2)
	@$(LOCAL) up

down: tools-python ## stop everything, in order; the data stays
	@$(LOCAL) down

status: tools-python ## what runs, and where
	@$(LOCAL) status || [ $$? = 3 ]

logs: tools-python ## the ends of the logs (SERVICE=api LINES=50 FOLLOW=1)
	@$(LOCAL) logs $(SERVICE) --lines $(or $(LINES),20) $(if $(FOLLOW),--follow)

migrate: tools-run ## bring the schema of the database up to this release
	@$(LOCAL) migrate

dump: tools-run ## write the running private database to a file (FILE=/tmp/condarium.sql)
	@$(LOCAL) dump $(or $(FILE),$(error say where to: make dump FILE=/tmp/condarium.sql))

restore: tools-run ## fill an empty private database from such a file (FILE=/tmp/condarium.sql)
	@$(LOCAL) restore $(or $(FILE),$(error say where from: make restore FILE=/tmp/condarium.sql))

channel: tools-run ## make the sample channel, which stands in for conda-forge where that cannot be reached
	@$(LOCAL) channel

client: tools-python ## make the synchronous Python client of the asynchronous one
	@$(PYTHON_BIN) shared/condarium/client/unasync.py

check: tools-python ## format, lint, types and import rules, in a minute or less
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

# One hash seed: what schemathesis makes up goes by the order of sets, and CI should not ask other things each time.
test: export PYTHONHASHSEED := 0
test: tools-test ## every test against the real parts (PYTEST="-k storage -x")
	@.venv/bin/pytest -n 2 --dist loadfile --max-worker-restart 2 $(PYTEST)

bench: tools-run ## measure, print the ratios, write a JSON result
	@$(PYTHON_BIN) -m benchmarks

lint: tools-python ## only the linter, with its fixes applied
	@.venv/bin/ruff check --fix .

fmt: tools-python ## format all code
	@.venv/bin/ruff format .

COMPILE := .venv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	--no-annotate --prerelease if-necessary-or-explicit pyproject.toml --extra services

lock: tools-python ## pin anew what pyproject.toml asks for (docs/adr/0006)
	@$(COMPILE) --extra local --extra dev -o requirements-dev.lock
	@$(COMPILE) -c requirements-dev.lock -o requirements.lock

tools-python:
	@deploy/local/bootstrap.sh python

tools-run:
	@deploy/local/bootstrap.sh run

tools-test:
	@deploy/local/bootstrap.sh test
