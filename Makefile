# make demo and make test need nothing but a Python 3.12 or newer; see README.md.

export PYTHON
.PHONY: help demo test test-lowest bench bench-calls bench-logs bench-running lint format docker-test fleet clean venv

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: venv ## four services on the shared core, one story; KEEP=1 leaves them running
	@KEEP='$(KEEP)' .venv/bin/python -m tests.services.demo

# Much of the suite waits. Each worker has a database of its own, and a file's tests stay together.
IN_PARALLEL = -n 3 --dist loadfile

test: export SCREENSHOTS ?= build/screenshots
test: venv ## the whole suite, through PgBouncer; ARGS="-k restore" for a part
	@.venv/bin/python -m pytest $(or $(ARGS),$(IN_PARALLEL))

test-lowest: ## the suite, but for the longest parts, on the lowest versions that setup.cfg allows
	@VENV=.venv-lowest CONSTRAINTS=.ci/lowest.txt .ci/venv
	@.venv-lowest/bin/python -m pytest --ignore=tests/test_journeys.py --ignore=tests/test_stack.py --ignore=tests/test_log_hostile.py $(or $(ARGS),$(IN_PARALLEL))

bench: venv ## soft deletes, keys and indexes beside what one would use instead; ARGS="cascade --runs 50"
	@.venv/bin/python -m tests.benchmarks.soft_deletion $(ARGS)

bench-calls: venv ## calls beside requests, httpx, urllib3 and http.client; ARGS="get --runs 50"
	@.venv/bin/python -m tests.benchmarks.calls $(ARGS)

bench-logs: venv ## log records beside the standard library's, structlog and python-json-logger; ARGS="format --runs 80"
	@.venv/bin/python -m tests.benchmarks.logs $(ARGS)

bench-running: venv ## queries through the pooler, /ready/, tokens; ARGS="ready --rounds 40"
	@.venv/bin/python -m tests.benchmarks.running $(ARGS)

lint: venv ## ruff, its formatter, mypy --strict
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@DB_HOST=unused DB_NAME=unused DB_USER=unused DB_PASSWORD=unused .venv/bin/mypy

format: venv ## write what the linters can mend
	@.venv/bin/ruff check --fix-only .
	@.venv/bin/ruff format .

docker-test: ## the whole suite in containers
	@docker compose run --rm tests $(ARGS)

fleet: ## the four services in containers, on 127.0.0.1:8001 to 8004
	@docker compose --profile fleet up --build --wait

clean: ## remove .venv and what tools keep here
	@rm -rf .venv .venv-lowest build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

venv:
	@.ci/venv
