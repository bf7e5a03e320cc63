PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DAGSTER_HOME := $(CURDIR)
export PIXELNOVA_DATA ?= $(CURDIR)/data
export PIXELNOVA_DAGSTER ?= $(CURDIR)/data/dagster
export VIRTUAL_ENV := $(CURDIR)/.venv

.PHONY: demo test test-spark check dev docs faults soak screenshots spark-up spark-down constraints clean

demo: .venv/core
	pixelnova demo

test: .venv/dev
	pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

# The same models on a Spark cluster of this machine, compared with DuckDB table by table; needs Java 17, and takes long.
test-spark: .venv/spark
	pytest --spark --log-cli-level INFO tests/spark

spark-up spark-down: spark-%: .venv/spark
	python -m tests.spark.cluster $*

# The SQL linter needs a warehouse to connect to; an empty one will do.
check: .venv/dev
	ruff check .
	ruff format --check .
	lint-imports
	python -m tests.portable_sql
	@export PIXELNOVA_DATA=$$(mktemp -d) && trap 'rm -r "$$PIXELNOVA_DATA"' EXIT && set -ex && \
	dbt parse --quiet --project-dir dbt_project --profiles-dir dbt_project && \
	sqlfluff lint --disable-progress-bar --processes 0 dbt_project/models dbt_project/tests && \
	dg check defs

# bench-collector (needs wrk, nginx-light, libnginx-mod-http-echo), -shopify, -warehouse, -recommendations (wrk), -refresh,
# -experiments, -dashboard, -privacy, -soak (ten minutes of everything at once).
bench-%: .venv/dev
	python -m tests.benchmarks.$* --json docs/benchmark-$*.json

soak: bench-soak

# dbt's documentation of the current warehouse, in one file.
docs: .venv/core
	dbt docs generate --static --quiet --project-dir dbt_project --profiles-dir dbt_project
	cp dbt_project/target/static_index.html "$(PIXELNOVA_DATA)/docs.html"

# SEED=n repeats the points of a run.
faults: .venv/dev
	python -m tests.faults.killed_runs --points 200 $(if $(SEED),--seed $(SEED))
	pytest --long tests/faults

# Of the dashboard, over the current data folder; needs Chromium.
screenshots: .venv/dev
	python -m tests.screenshots

dev: .venv/core
	pixelnova dev

# Bytecode is compiled once: where PYTHONDONTWRITEBYTECODE is set, every process would compile Dagster and dbt again.
# Some packages contain templates that do not compile.
define install
	$(MAKE) --no-print-directory .venv/uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '$(1)'
	$(BIN)/python -m compileall -q -j 0 .venv/lib > .venv/compiled.log || true
endef

.venv/core: pyproject.toml constraints.txt
	$(call install,.[dashboard])
	touch $@

.venv/dev: pyproject.toml constraints.txt
	$(call install,.[dev])
	touch .venv/core $@

.venv/spark: .venv/dev
	$(call install,.[dev,spark])
	touch .venv/core .venv/dev $@

.venv/uv:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv
	touch $@

# Versions only, without host names or hashes of a registry.
constraints: .venv/uv
	$(BIN)/uv pip compile --quiet --upgrade --all-extras --no-header --no-annotate --no-emit-index-url \
		--no-emit-find-links --output-file constraints.txt pyproject.toml

clean:
	rm -rf .venv dbt_project/target dbt_project/logs
