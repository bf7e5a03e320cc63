"""The dbt models as assets, their tests as asset checks."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtCliInvocation, DbtCliResource, DbtProject, dbt_assets

from ingestion.quarantine import put_aside_shops
from orchestration.build_state import FINGERPRINT_VARIABLE, build_anew, fingerprint, must_build_anew
from orchestration.dbt_manifest import copy_partial_parse, prepare_dbt
from orchestration.defs.resources import Warehouse
from orchestration.fence import RESULTS, Failure, failures_of, put_aside_what_fails
from orchestration.settings import DBT_PROJECT

BUILD = ["build", "--log-level-file", "none", "--exclude-resource-type", "unit_test", "--exclude", "tag:thorough"]
FULL = [*BUILD, "--full-refresh"]
# By the same rules as before, views and seeds are what they were. Tests of views are run: they read tables.
INCREMENTAL = [*BUILD[:-1], "tag:thorough config.materialized:view,resource_type:model resource_type:seed"]
INCREMENTAL += ["--indirect-selection", "empty"]
PERSONAL = dg.AssetKey(["recommendations", "personal"])

project = DbtProject(project_dir=DBT_PROJECT, profiles_dir=DBT_PROJECT, target_path=prepare_dbt())


class Models(DagsterDbtTranslator):
    """Groups by folder, and a graph in which dbt runs once."""

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """The folder under models/intermediate or models/marts; `staging`; `seeds`."""
        _, *folders, _ = dbt_resource_props["fqn"]
        if dbt_resource_props["resource_type"] == "seed":
            return "seeds"
        return folders[0] if folders[0] == "staging" else folders[1]

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        """As in dbt's lineage, but views of personal lists do not wait for the recommenders, which write them later."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        return spec.replace_attributes(deps=[dep for dep in spec.deps if dep.asset_key != PERSONAL])


@dbt_assets(manifest=project.manifest_path, project=project, name="models", dagster_dbt_translator=Models())
def models(context: dg.AssetExecutionContext, dbt: DbtCliResource, warehouse: Warehouse) -> Iterator[Any]:
    """Staging, intermediate and marts: what is new, or everything where the rules have changed since.

    Unit tests try the SQL, not the data, and thorough tests read every payload: both are part of `make test`.
    """
    if not context.is_subset and warehouse.nothing_to_build():
        context.log.info("Nothing is built: what was loaded is what the last refresh built and published.")
        return
    rules = fingerprint(warehouse.file)
    full = must_build_anew(warehouse.file, rules)
    if full:
        if context.is_subset:
            raise dg.Failure("Everything must be rebuilt, for the rules have changed: materialize all models.")
        build_anew(warehouse.file)  # if this one dies, the next is a full one too, by whatever rules
        put_aside_shops(warehouse.file, {})  # other rules may build what these could not
    os.environ[FINGERPRINT_VARIABLE] = rules
    yield from _build(context, dbt, warehouse, full)


def _build(context: dg.AssetExecutionContext, dbt: DbtCliResource, warehouse: Warehouse, full: bool) -> Iterator[Any]:
    """Build, and where that fails, put aside the events or shops at fault and build everything else.

    Failed checks are held back until it is known whether they stay: Dagster takes one result of each check.
    """
    target = warehouse.builds / context.run_id
    copy_partial_parse(target)

    def run(arguments: list[str]) -> DbtCliInvocation:
        (target / RESULTS).unlink(missing_ok=True)  # what a run that dies has not written is not another's
        with warehouse.held_by_children():
            return dbt.cli(arguments, context=context, raise_on_error=False, target_path=target)

    invocation = run(FULL if full else BUILD if context.is_subset else INCREMENTAL)
    events, failed_checks = _Events(context), []
    for event in invocation.stream():
        if isinstance(event, dg.AssetCheckResult) and not event.passed:
            failed_checks.append(event)
        else:
            yield from events.with_what_is_as_before(event)
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
        build_anew(warehouse.file)  # whatever becomes of this run, the next is a full one
        if not put_aside_what_fails(warehouse.file, failed, build_again):
            yield from (event for event in last if _name(event) not in events.yielded)
            return
    yield from failed_checks
    raise invocation.get_error() or dg.Failure("dbt failed: see the log of the run.")


class _Events:
    """dbt's events for Dagster, and outputs of the views and seeds that an incremental build leaves as they are.

    Dagster skips an asset one of whose dependencies has no output, and wants outputs in the order of the graph.
    """

    def __init__(self, context: dg.AssetExecutionContext) -> None:
        self.yielded: set[tuple[str, ...]] = set()
        self._dependencies = context.assets_def.asset_deps
        names = context.assets_def.keys_by_output_name
        self._names = {key: name for name, key in names.items() if key in context.selected_asset_keys}

    def with_what_is_as_before(self, event: Any) -> Iterator[Any]:
        """The event, after the outputs of what its asset depends on and dbt did not build."""
        if isinstance(event, dg.Output):
            [key] = [key for key, name in self._names.items() if name == event.output_name]
            yield from self._dependencies_of(key)
        self.yielded.add(_name(event))
        yield event

    def rest(self) -> Iterator[dg.Output]:
        """The outputs of everything else that dbt did not build."""
        for key in self._names:
            yield from self._as_before(key)

    def _dependencies_of(self, key: dg.AssetKey) -> Iterator[dg.Output]:
        for dependency in sorted(self._dependencies[key]):
            if dependency in self._names:
                yield from self._as_before(dependency)

    def _as_before(self, key: dg.AssetKey) -> Iterator[dg.Output]:
        if (self._names[key],) not in self.yielded:
            yield from self._dependencies_of(key)
            self.yielded.add((self._names[key],))
            yield dg.Output(None, self._names[key], metadata={"built": "nothing: it is as it was"})


def _name(event: Any) -> tuple[str, ...]:
    if isinstance(event, dg.AssetCheckResult):
        return (*event.asset_key.path, event.check_name)
    return (getattr(event, "output_name", repr(event)),)
