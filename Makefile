PYTHON ?= python3
BIN := .venv/bin
SHELL := bash -o pipefail
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DAGSTER_HOME := $(CURDIR)
export PIXELNOVA_DATA ?= $(CURDIR)/data
export PIXELNOVA_DAGSTER ?= $(CURDIR)/data/dagster
export VIRTUAL_ENV := $(CURDIR)/.venv
PROJECT := --project-dir dbt_project --profiles-dir dbt_project
.PHONY: demo dev docs test test-long test-spark faults soak check screenshots spark-up spark-down constraints clean

demo dev: .venv/core
	pixelnova $@
docs: .venv/core  # dbt's documentation of the current warehouse, as one file
	dbt docs generate --static --quiet $(PROJECT)
	cp dbt_project/target/static_index.html "$(PIXELNOVA_DATA)/docs.html"

test test-long: .venv/dev  # test-long adds the tests that take many minutes
	pytest $(if $(filter test-long,$@),--long) --numprocesses 3 --dist loadfile --no-loadscope-reorder
test-spark: .venv/spark  # builds the models on a local Spark cluster, compares every table with DuckDB's; needs Java 17
	pytest --spark --log-cli-level INFO tests/spark
spark-up spark-down: spark-%: .venv/spark
	python -m tests.spark.cluster $*
faults: .venv/dev  # SEED=n repeats the kill points of an earlier run
	python -m tests.faults.killed_runs --points 200 $(if $(SEED),--seed $(SEED))
	pytest --long tests/faults
# bench-collector (needs wrk, nginx-light, libnginx-mod-http-echo), -shopify, -warehouse, -recommendations (wrk), -refresh,
# -experiments, -dashboard, -privacy, -spark (needs `make .venv/spark`), -soak (ten minutes of everything at once).
bench-%: .venv/dev
	python -m tests.benchmarks.$* --json docs/benchmark-$*.json
soak: bench-soak
# The SQL linter needs a warehouse to connect to; an empty one will do. When it exits, DuckDB's bindings print what they
# have not released.
check: .venv/dev
	ruff check .
	ruff format --check .
	lint-imports
	python -m tests.portable_sql
	@export PIXELNOVA_DATA=$$(mktemp -d) && trap 'rm -r "$$PIXELNOVA_DATA"' EXIT && set -ex && \
	sqruff lint dbt_project/models dbt_project/tests 2>&1 | sed '/^nanobind:/,$$d' && \
	dg check defs
screenshots: .venv/dev  # of the dashboard, from the current data folder; needs Chromium
	python -m tests.screenshots

.venv/core: EXTRAS = dashboard
.venv/dev: EXTRAS = dev
.venv/spark: EXTRAS = dev,spark
# Compile bytecode once: with PYTHONDONTWRITEBYTECODE set, every process would compile Dagster and dbt again.
# Some packages contain templates that do not compile.
.venv/core .venv/dev .venv/spark: pyproject.toml constraints.txt | .venv/uv
	uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[$(EXTRAS)]'
	$(BIN)/python -m compileall -q -j 0 .venv/lib > .venv/compiled.log || true
	touch .venv/core $(if $(findstring dev,$(EXTRAS)),.venv/dev) $@
.venv/uv:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv
	touch $@
# Versions only, without registry host names or hashes.
constraints: .venv/uv
	uv pip compile --quiet --upgrade --all-extras --no-header --no-annotate --no-emit-index-url \
		--no-emit-find-links --output-file constraints.txt pyproject.toml
clean:
	rm -rf .venv dbt_project/target dbt_project/logs
