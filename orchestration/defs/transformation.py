"""The dbt models as assets, their tests as asset checks."""

import os
from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliResource, DbtProject, dbt_assets

from orchestration.build_state import FINGERPRINT_VARIABLE, build_anew, fingerprint, must_build_anew
from orchestration.dbt_manifest import copy_partial_parse, prepare_dbt
from orchestration.defs.resources import Warehouse
from orchestration.settings import DBT_PROJECT

project = DbtProject(project_dir=DBT_PROJECT, profiles_dir=DBT_PROJECT, target_path=prepare_dbt())


@dbt_assets(manifest=project.manifest_path, project=project, name="models")
def models(context: dg.AssetExecutionContext, dbt: DbtCliResource, warehouse: Warehouse) -> Iterator[Any]:
    """Staging, intermediate and marts: what is new, or everything where the rules have changed since.

    Unit tests try the SQL, not the data, and thorough tests read every payload: both are part of `make test`.
    """
    rules = fingerprint(warehouse.file)
    arguments = ["build", "--exclude-resource-type", "unit_test", "--exclude", "tag:thorough"]
    if must_build_anew(warehouse.file, rules):
        if context.is_subset:
            raise dg.Failure("Everything must be built again, for the rules have changed: materialize all models.")
        build_anew(warehouse.file)  # if this one dies, the next is a full one too, by whatever rules
        arguments.append("--full-refresh")
    os.environ[FINGERPRINT_VARIABLE] = rules
    target = warehouse.builds / context.run_id
    copy_partial_parse(target)
    with warehouse.held_by_children():
        build = dbt.cli(arguments, context=context, target_path=target)
    yield from build.stream()
