"""Raw tables as assets: shops.toml, landing files and the Admin API, loaded by dlt."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster_dlt import DagsterDltResource, DagsterDltTranslator, dlt_assets
from dagster_dlt.translator import DltResourceTranslatorData

from ingestion.landing import sealed_files
from ingestion.sources.pixel import pixel_source
from ingestion.sources.shopify import admin_apis, shopify_source
from ingestion.sources.shops import shops_source
from ingestion.warehouse import archive_loaded, not_loaded
from orchestration.defs.resources import Warehouse


class RawTables(DagsterDltTranslator):
    """Names a raw table as dbt's sources name it, so that both halves of the graph meet."""

    def get_asset_spec(self, data: DltResourceTranslatorData) -> dg.AssetSpec:
        """Key: source name, table name. Nothing is upstream of a raw table."""
        spec = super().get_asset_spec(data)
        return spec.replace_attributes(key=[data.resource.source_name, data.resource.name], deps=[])


# dlt's pipelines are opened in a run, not while definitions load: opening one writes to the data folder.
NO_PIPELINE: Any = None


@dlt_assets(
    name="shops",
    group_name="ingestion",
    dlt_source=shops_source(),
    dlt_pipeline=NO_PIPELINE,
    dagster_dlt_translator=RawTables(),
)
def shops(context: dg.AssetExecutionContext, dlt: DagsterDltResource, warehouse: Warehouse) -> Iterator[Any]:
    """The stores of shops.toml."""
    source = shops_source(warehouse.shops)
    yield from dlt.run(context=context, dlt_source=source, dlt_pipeline=warehouse.pipeline("shops"))


@dlt_assets(
    name="pixel",
    group_name="ingestion",
    dlt_source=pixel_source(),
    dlt_pipeline=NO_PIPELINE,
    dagster_dlt_translator=RawTables(),
)
def pixel(context: dg.AssetExecutionContext, dlt: DagsterDltResource, warehouse: Warehouse) -> Iterator[Any]:
    """Sealed landing files, which move to the archive once the load has committed."""
    pipeline = warehouse.pipeline("pixel")
    sealed = sealed_files(warehouse.landing)
    source = pixel_source(not_loaded(sealed, warehouse.data), warehouse.workspace)
    yield from dlt.run(context=context, dlt_source=source, dlt_pipeline=pipeline)
    archive_loaded(sealed, warehouse.data)


@dlt_assets(
    name="shopify",
    group_name="ingestion",
    dlt_source=shopify_source(),
    dlt_pipeline=NO_PIPELINE,
    dagster_dlt_translator=RawTables(),
)
def shopify(context: dg.AssetExecutionContext, dlt: DagsterDltResource, warehouse: Warehouse) -> Iterator[Any]:
    """The catalogue of each shop that has an Admin API token."""
    source = shopify_source(admin_apis(warehouse.shops))
    yield from dlt.run(context=context, dlt_source=source, dlt_pipeline=warehouse.pipeline("shopify"))
