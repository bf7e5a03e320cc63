"""Raw tables as assets: shops.toml, landing files and the Admin API, loaded by dlt."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster_dlt import DagsterDltResource, DagsterDltTranslator, dlt_assets
from dagster_dlt.translator import DltResourceTranslatorData

from ingestion.landing import sealed_files
from ingestion.sources.catalogue import catalogue_source
from ingestion.sources.pixel import pixel_source
from ingestion.sources.shopify import Settings, shopify_source
from ingestion.sources.shops import shops_source
from ingestion.warehouse import archive_loaded, known_products, not_loaded, outdated_user_agents
from orchestration.defs.resources import Warehouse
from orchestration.failed_fetches import failed_fetches
from orchestration.news import CATALOGUES, LANDING, SHOPS


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
    if warehouse.unchanged(SHOPS):
        yield from _as_before(context)
        return
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
    sealed = sealed_files(warehouse.landing)
    if not sealed and warehouse.unchanged(LANDING):
        yield from _as_before(context)
        return
    pipeline = warehouse.pipeline("pixel")
    files, outdated = not_loaded(sealed, warehouse.data), outdated_user_agents(warehouse.data)
    source = pixel_source(files, warehouse.workspace, outdated)
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
    """Catalogue, deletions and orders of each shop that has an Admin API token; one that fails stops no other."""
    _refuse_half(context, "shopify")
    apis = warehouse.admin_apis
    if not apis and warehouse.unchanged():
        yield from _as_before(context)
        return
    settings = Settings(
        orders_of=frozenset(shop.domain for shop in warehouse.shops if shop.orders),
        known_products=lambda domain: known_products(warehouse.data, domain),
        workspace=warehouse.workspace,
    )
    source = shopify_source(apis, settings)
    yield from dlt.run(context=context, dlt_source=source, dlt_pipeline=warehouse.pipeline("shopify"))


@dlt_assets(
    name="catalogue",
    group_name="ingestion",
    dlt_source=catalogue_source(),
    dlt_pipeline=NO_PIPELINE,
    dagster_dlt_translator=RawTables(),
)
def catalogue(context: dg.AssetExecutionContext, dlt: DagsterDltResource, warehouse: Warehouse) -> Iterator[Any]:
    """The catalogue file of each shop that names one and has no Admin API token."""
    _refuse_half(context, "catalogue")
    if warehouse.unchanged(SHOPS, CATALOGUES):
        yield from _as_before(context)
        return
    source = catalogue_source(warehouse.catalogue_files)
    yield from dlt.run(context=context, dlt_source=source, dlt_pipeline=warehouse.pipeline("catalogue"))


def _as_before(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
    """The tables are what a load would make them: starting dlt would cost seconds for nothing."""
    for key in context.selected_asset_keys:
        yield dg.MaterializeResult(asset_key=key, metadata={"loaded": "nothing: the source has not changed"})


def _refuse_half(context: dg.AssetExecutionContext, source_name: str) -> None:
    """What is fetched is fetched once: the half that is not loaded would be missing for good."""
    if context.is_subset:
        raise dg.Failure(f"Materialize all tables of {source_name} together: they are one answer.")


@dg.asset_check(asset=["operations", "fetches"], name="every_shop_was_fetched")
def every_shop_was_fetched(warehouse: Warehouse) -> dg.AssetCheckResult:
    """The last time that each shop's Admin API and catalogue file were asked, they answered."""
    failed = failed_fetches(
        warehouse.data,
        of_admin_api=[api.shop for api in warehouse.admin_apis],
        of_files=[file.shop for file in warehouse.catalogue_files],
    )
    return dg.AssetCheckResult(passed=not failed, metadata={failure.subject: failure.error for failure in failed})
