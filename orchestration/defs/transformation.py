"""The dbt models as assets, their tests as asset checks."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliResource, DbtProject, dbt_assets

from orchestration.defs.resources import Warehouse
from orchestration.settings import DBT_PROJECT

project = DbtProject(project_dir=DBT_PROJECT, profiles_dir=DBT_PROJECT)
project.prepare_if_dev()


@dbt_assets(manifest=project.manifest_path, project=project, name="models")
def models(context: dg.AssetExecutionContext, dbt: DbtCliResource, warehouse: Warehouse) -> Iterator[Any]:
    """Staging, intermediate and marts. Unit tests try the SQL, not the data: they are part of `make test`."""
    yield from dbt.cli(["build", "--exclude-resource-type", "unit_test"], context=context).stream()
