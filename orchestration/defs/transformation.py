"""The dbt models as assets, and their tests as asset checks."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from ingestion.quarantine import put_aside_shops
from orchestration.build_state import FINGERPRINT_VARIABLE, fingerprint, mark_for_rebuild, needs_rebuild
from orchestration.dagster_dbt_alone import (
    DagsterDbtTranslator,
    DbtCliInvocation,
    DbtCliResource,
    DbtProject,
    dbt_assets,
)
from orchestration.dbt_manifest import PARTIAL_PARSE, UNCHANGED, prepare_dbt
from orchestration.defs.resources import Warehouse
from orchestration.defs.stages import TRANSFORMATION
from orchestration.fence import RESULTS, Failure, failures_of, put_aside_what_fails
from orchestration.settings import DBT_PROJECT, SPARK, engine
from orchestration.spark_exchange import Spark

BUILD = ["build", "--log-level-file", "none", "--exclude-resource-type", "unit_test", "--exclude", "tag:thorough"]
FULL = [*BUILD, "--full-refresh"]
# Tests of the views that are left out still run: they read tables.
INCREMENTAL = [*BUILD[:-1], f"tag:thorough {UNCHANGED}", "--indirect-selection", "empty"]
PERSONAL = dg.AssetKey(["recommendations", "personal"])

project = DbtProject(project_dir=DBT_PROJECT, profiles_dir=DBT_PROJECT, target_path=prepare_dbt())


class Models(DagsterDbtTranslator):
    """Groups models by folder, and adapts the graph so that dbt runs only once."""

    def __init__(self) -> None:
        super().__init__()
        self._specs: dict[str, dg.AssetSpec] = {}

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """The folder under models/intermediate or models/marts; `staging`; `seeds`."""
        _, *folders, _ = dbt_resource_props["fqn"]
        if dbt_resource_props["resource_type"] == "seed":
            return "seeds"
        return folders[0] if folders[0] == "staging" else folders[1]

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        """dbt's lineage, except that views of personal lists do not depend on the recommenders, which run after dbt."""
        if unique_id not in self._specs:  # dagster-dbt asks for each about six times
            spec = super().get_asset_spec(manifest, unique_id, project)
            deps = [dep for dep in spec.deps if dep.asset_key != PERSONAL]
            self._specs[unique_id] = TRANSFORMATION.of(spec).replace_attributes(deps=deps)
        return self._specs[unique_id]


@dbt_assets(manifest=project.manifest_path, project=project, name="models", dagster_dbt_translator=Models())
def models(context: dg.AssetExecutionContext, dbt: DbtCliResource, warehouse: Warehouse) -> Iterator[Any]:
    """Staging, intermediate and marts: an incremental build, or a full one if the rules have changed.

    Unit tests check the SQL, not the data, and thorough tests read every payload: `make test` runs both.
    """
    if engine() == SPARK:
        Spark.of_environment().execute()  # fails now, with a clear message, if nothing answers
    rules = fingerprint(warehouse.file)
    full = needs_rebuild(warehouse.file, rules)
    if warehouse.nothing_to_build() and not full and not context.is_subset:
        context.log.info("Nothing is built: the raw tables are unchanged since the last complete refresh.")
        warehouse.is_current()
        return
    if full:
        if context.is_subset:
            raise dg.Failure("The rules have changed, so everything must be rebuilt: materialize all models.")
        mark_for_rebuild(warehouse.file)  # if this build dies, the next is a full one too
        put_aside_shops(warehouse.file, {})  # the new rules may be able to build them
    os.environ[FINGERPRINT_VARIABLE] = rules
    yield from _build(context, dbt, warehouse, full)


def _build(context: dg.AssetExecutionContext, dbt: DbtCliResource, warehouse: Warehouse, full: bool) -> Iterator[Any]:
    """Build; if that fails, put aside the events or shops at fault and build everything else.

    Failed checks are reported at the end, when the result is final: Dagster accepts one result per check.
    """
    target = warehouse.builds / context.run_id
    target.mkdir(parents=True)
    (target / PARTIAL_PARSE).touch()  # otherwise dagster-dbt copies one, which pixelnova-dbt would not read

    def run(arguments: list[str]) -> DbtCliInvocation:
        (target / RESULTS).unlink(missing_ok=True)  # so that results of an earlier build are not read as this one's
        with warehouse.held_by_children():
            return dbt.cli(arguments, context=context, raise_on_error=False, target_path=target)

    invocation = run(FULL if full else BUILD if context.is_subset else INCREMENTAL)
    events, failed_checks = _Events(context), []
    for event in invocation.stream():
        if isinstance(event, dg.AssetCheckResult) and not event.passed:
            failed_checks.append(event)
        else:
            yield from events.with_unchanged_dependencies(event)
    if invocation.is_successful():
        yield from failed_checks  # warnings
        yield from events.rest()
        return
    last: list[Any] = []

    def build_again() -> list[Failure]:
        again = run(FULL)
        last[:] = again.stream()
        return [] if again.is_successful() else failures_of(target / RESULTS)

    failed = failures_of(target / RESULTS)
    if not context.is_subset and failed[0].compiled_code:
        mark_for_rebuild(warehouse.file)  # however this run ends, the next one is full
        if not put_aside_what_fails(warehouse.file, failed, build_again):
            yield from (event for event in last if _name(event) not in events.yielded)
            return
    yield from failed_checks
    raise invocation.get_error() or dg.Failure("dbt failed: see the log of this run.")


class _Events:
    """dbt's events for Dagster, plus outputs for the views and seeds that an incremental build does not touch.

    Dagster skips assets whose dependencies have no output, and requires outputs in topological order.
    """

    def __init__(self, context: dg.AssetExecutionContext) -> None:
        self.yielded: set[tuple[str, ...]] = set()
        self._dependencies = context.assets_def.asset_deps
        names = context.assets_def.keys_by_output_name
        self._names = {key: name for name, key in names.items() if key in context.selected_asset_keys}

    def with_unchanged_dependencies(self, event: Any) -> Iterator[Any]:
        """The outputs of dependencies that dbt did not build, then the event."""
        if isinstance(event, dg.Output):
            [key] = [key for key, name in self._names.items() if name == event.output_name]
            yield from self._dependencies_of(key)
        self.yielded.add(_name(event))
        yield event

    def rest(self) -> Iterator[dg.Output]:
        """The outputs of all other assets that dbt did not build."""
        for key in self._names:
            yield from self._unchanged(key)

    def _dependencies_of(self, key: dg.AssetKey) -> Iterator[dg.Output]:
        for dependency in sorted(self._dependencies[key]):
            if dependency in self._names:
                yield from self._unchanged(dependency)

    def _unchanged(self, key: dg.AssetKey) -> Iterator[dg.Output]:
        if (self._names[key],) not in self.yielded:
            yield from self._dependencies_of(key)
            self.yielded.add((self._names[key],))
            yield dg.Output(None, self._names[key], metadata={"built": "nothing: unchanged"})


def _name(event: Any) -> tuple[str, ...]:
    if isinstance(event, dg.AssetCheckResult):
        return (*event.asset_key.path, event.check_name)
    return (getattr(event, "output_name", repr(event)),)
