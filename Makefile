# make demo and make test need nothing but a Python 3.12 or newer; see README.md.

export PYTHON
.PHONY: help demo test quick test-lowest matrix bump-check release lint format docker-test fleet clean venv venv-bench
.PHONY: chaos soak chaos-publish fuzz
.PHONY: bench bench-publish bench-models bench-calls bench-logs bench-running bench-growth bench-storm

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: venv ## four services on the shared core, one story; KEEP=1 leaves them running
	@KEEP='$(KEEP)' .venv/bin/python -m tests.services.demo

# Much of the suite waits. Each worker has a database of its own, and a file's tests stay together.
IN_PARALLEL = -n 3 --dist loadfile

# Where it is set, each of the suite's many processes would compile anew what pytest rewrites.
test quick test-lowest: export PYTHONDONTWRITEBYTECODE =

test: export SCREENSHOTS ?= build/screenshots
test: venv ## the whole suite, through PgBouncer; ARGS="-k restore" for a part
	@.venv/bin/python -m pytest $(or $(ARGS),$(IN_PARALLEL))

quick: venv ## what is not marked slow, for while you work
	@.venv/bin/python -m pytest -m "not slow" $(or $(ARGS),$(IN_PARALLEL))

# What says little of versions, and takes half the time.
NO_VERSIONS = test_journeys.py test_stack.py test_scaffold.py test_architecture.py test_packaging.py doctor \
              testing/test_databases.py testing/test_pooler.py \
              $(patsubst %,docs/test_%.py,first_service faq testing figures)
LONGEST = $(NO_VERSIONS:%=--ignore=tests/%) --ignore=tests/logs/test_hostile.py --ignore=tests/logs/test_queue.py \
          --ignore=tests/clients/test_storm.py --ignore=tests/upgrades \
          --ignore=tests/chaos --ignore=tests/security/test_regular_expressions.py \
          --ignore=tests/models/test_old_statistics.py --ignore=tests/models/test_typing.py \
          --deselect=tests/security/test_bombs.py::test_a_log_is_read_in_little_memory

test-lowest: ## the suite, but for the longest parts, on the lowest versions that setup.cfg allows
	@VENV=.venv-lowest CONSTRAINTS=.ci/lowest.txt .ci/venv
	@PROPERTY_EXAMPLES=$(or $(PROPERTY_EXAMPLES),30) .venv-lowest/bin/python -m pytest $(LONGEST) $(or $(ARGS),$(IN_PARALLEL))

matrix: ## test-lowest on each Python with each Django, and a table; ONLY="3.12-5.0 3.13-5.2" BOUND=newest
	@PROPERTY_EXAMPLES=$(or $(PROPERTY_EXAMPLES),30) $(or $(PYTHON),python3) .ci/matrix.py --only "$(ONLY)" \
	    $(if $(BOUND),--bound $(BOUND)) -- $(or $(ARGS),$(LONGEST) $(IN_PARALLEL))

bump-check: ## what a pull request that moves a service's pin needs; SERVICE=path, BASE=origin/main
	@$(or $(PYTHON),python3) .ci/bump_check.py "$$SERVICE" $${BASE:+--base "$$BASE"} \
	    $${SERVICE_PYTHON:+--python "$$SERVICE_PYTHON"} $${TESTS:+--tests "$$TESTS"}

release: ## tag a version, where all is ready for it; VERSION=0.2.0
	@$(or $(PYTHON),python3) .ci/release.py "$$VERSION" $${BRANCH:+--branch "$$BRANCH"}

BENCH = .venv-bench/bin/python -m tests.benchmarks

bench: venv-bench ## all benchmarks below, an hour: figures and charts in build/bench; ARGS=--quick for minutes
	@$(BENCH) $(ARGS)

bench-publish: venv-bench ## write docs/figures.md and the table in the README from build/bench
	@$(BENCH).publish

bench-models: venv-bench ## soft deletes, keys and indexes beside what one would use instead; ARGS="cascade --runs 50"
	@$(BENCH).soft_deletion --others $(ARGS)

bench-calls: venv-bench ## calls beside requests, httpx, urllib3 and http.client; ARGS="get --runs 50"
	@$(BENCH).calls $(ARGS)

bench-logs: venv-bench ## log records beside the standard library's, structlog and others; ARGS="format --runs 80"
	@$(BENCH).logs $(ARGS)

bench-running: venv-bench ## queries through the pooler, /ready/, tokens; ARGS="ready --rounds 40"
	@$(BENCH).running $(ARGS)

bench-growth: venv-bench ## what grows: trees, purges, clients, fields, outages; ARGS="cascade --most 100000"
	@$(BENCH).growth $(ARGS)

bench-storm: venv-bench ## 10,000 processes and 100 servers in an outage, simulated; ARGS="--processes 500 --servers 5"
	@$(BENCH).storm $(ARGS)

chaos: venv ## 200 faults while four services work, 40 minutes; ARGS="--faults 20 --only freeze"
	@.venv/bin/python -m tests.chaos $(ARGS)

soak: venv ## ten minutes of the highest load that this machine carries; ARGS="--minutes 2"
	@.venv/bin/python -m tests.chaos.soak $(ARGS)

chaos-publish: venv ## write docs/faults.md from build/chaos
	@.venv/bin/python -m tests.chaos.publish

FUZZED = line log_line message url origin headers token jwt key database_url secret record_keys masking

fuzz: ## parsers, by texts that grow into them, a minute each; ARGS="url --seconds 600" for one
	@VENV=.venv-fuzz EXTRAS=dev,fuzz .ci/venv
	@set -e; if [ -n "$(ARGS)" ]; then .venv-fuzz/bin/python -m tests.security.fuzz $(ARGS); \
	    else for parser in $(FUZZED); do .venv-fuzz/bin/python -m tests.security.fuzz $$parser; done; fi

lint: venv ## ruff, its formatter, mypy --strict, zizmor on the workflows
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/zizmor --offline --quiet .github shared_core/scaffold/service_template/.github
	@DB_HOST=unused DB_NAME=unused DB_USER=unused DB_PASSWORD=unused .venv/bin/mypy

format: venv ## write what the linters can mend
	@.venv/bin/ruff check --fix-only .
	@.venv/bin/ruff format .

docker-test: ## the whole suite in containers
	@docker compose run --rm tests $(ARGS)

fleet: ## the four services in containers, on 127.0.0.1:8001 to 8004
	@docker compose --profile fleet up --build --wait

clean: ## remove .venv and what tools keep here
	@rm -rf .venv .venv-lowest .venv-bench .venv-fuzz build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

venv:
	@.ci/venv

# What the core is measured beside, and has no need of.
venv-bench:
	@VENV=.venv-bench EXTRAS=dev,bench .ci/venv
