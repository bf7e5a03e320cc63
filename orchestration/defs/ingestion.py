"""Raw tables as assets, loaded by dlt from shops.toml, experiments.toml, landing files, Admin API, catalogue files."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from dagster_dlt import DagsterDltResource, DagsterDltTranslator, dlt_assets
from dagster_dlt.translator import DltResourceTranslatorData

from ingestion.landing import sealed_files
from ingestion.privacy.erase import erase_pending, suppress
from ingestion.privacy.requests import read_requests
from ingestion.privacy.retention import expire
from ingestion.privacy.selection import Suppressed
from ingestion.privacy.suppression import Suppressions
from ingestion.privacy.taking_out import keep_orders_of, remaining_rows
from ingestion.sources.catalogue import catalogue_source
from ingestion.sources.experiments import experiments_source
from ingestion.sources.pixel import pixel_source
from ingestion.sources.privacy import privacy_source
from ingestion.sources.shopify import Settings, shopify_source
from ingestion.sources.shops import shops_source
from ingestion.warehouse import archive_loaded, known_products, newest_answer, not_loaded, outdated_user_agents
from ingestion.warehouse_connection import connect
from orchestration.build_state import mark_for_rebuild
from orchestration.dbt_manifest import MANIFEST, prepare_dbt, source_descriptions
from orchestration.defs.resources import Warehouse
from orchestration.defs.stages import CONFIGURATION, INGESTION
from orchestration.failed_fetches import failed_fetches
from orchestration.news import CATALOGUES, EXPERIMENTS, LANDING, PRIVACY, SHOPS
from orchestration.reload import reload_days, reload_everything
from orchestration.settings import DUCKDB, engine


class RawTables(DagsterDltTranslator):
    """Names raw tables like dbt's sources, so that dlt and dbt assets connect."""

    def get_asset_spec(self, data: DltResourceTranslatorData) -> dg.AssetSpec:
        """Key: source name, table name. People are erased before any of their data is loaded."""
        source, table = data.resource.source_name, data.resource.name
        stage = INGESTION if source in ERASED_BEFORE else CONFIGURATION
        deps = [REQUESTS] if source in ERASED_BEFORE else []
        return stage.of(super().get_asset_spec(data)).replace_attributes(
            key=[source, table], deps=deps, description=descriptions[source, table], kinds={"dlt", "duckdb"}
        )


class Reload(dg.Config):
    """Archived landing files to load again before new ones: all, or those with a shop's events of some days.

    first_day, last_day: days received, UTC, such as 2026-11-22.
    """

    everything: bool = False
    shop: str = ""
    first_day: str = ""
    last_day: str = ""


# dlt's pipelines are opened in a run, not while definitions load: opening one writes to the data folder.
NO_PIPELINE: Any = None
REQUESTS = dg.AssetKey(["privacy", "requests"])
ERASED_BEFORE = ("pixel", "shopify")  # sources with data about people, loaded after erasures
descriptions = source_descriptions(prepare_dbt() / MANIFEST)


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
        yield from _unchanged(context)
        return
    source = shops_source(warehouse.shops)
    yield from _load(context, dlt, source, warehouse.pipeline("shops"))


@dlt_assets(
    name="experiments",
    group_name="ingestion",
    dlt_source=experiments_source(),
    dlt_pipeline=NO_PIPELINE,
    dagster_dlt_translator=RawTables(),
)
def experiments(context: dg.AssetExecutionContext, dlt: DagsterDltResource, warehouse: Warehouse) -> Iterator[Any]:
    """The experiments and holdouts of experiments.toml."""
    if warehouse.unchanged(SHOPS, EXPERIMENTS):  # dates of experiments are in the timezone of their shop
        yield from _unchanged(context)
        return
    source = experiments_source(warehouse.experiments)
    yield from _load(context, dlt, source, warehouse.pipeline("experiments"))


@dlt_assets(
    name="privacy_requests",  # a job is called privacy
    group_name="ingestion",
    dlt_source=privacy_source(),
    dlt_pipeline=NO_PIPELINE,
    dagster_dlt_translator=RawTables(),
)
def privacy(context: dg.AssetExecutionContext, dlt: DagsterDltResource, warehouse: Warehouse) -> Iterator[Any]:
    """Requests about people; erasures are carried out first, in raw tables and files."""
    incremental = engine() == DUCKDB
    erased = erase_pending(warehouse.data, warehouse.shops, mark_for_rebuild, incremental)
    expired = expire(warehouse.data, warehouse.shops, mark_for_rebuild, incremental=incremental)
    if expired:
        context.log.info("Expired events of %d shops.", expired)
    if erased:
        context.log.info("Erased the subjects of %d requests.", erased)
    elif warehouse.unchanged(PRIVACY):
        yield from _unchanged(context)
        return
    source = privacy_source(read_requests(warehouse.data))
    yield from _load(context, dlt, source, warehouse.pipeline("privacy"))


@dlt_assets(
    name="pixel",
    group_name="ingestion",
    dlt_source=pixel_source(),
    dlt_pipeline=NO_PIPELINE,
    dagster_dlt_translator=RawTables(),
)
def pixel(
    context: dg.AssetExecutionContext, dlt: DagsterDltResource, warehouse: Warehouse, config: Reload
) -> Iterator[Any]:
    """Sealed landing files; they move to the archive once the load has committed."""
    sealed, again = sealed_files(warehouse.landing), _reload(context, warehouse, config)
    if not sealed and not again and warehouse.unchanged(LANDING):
        yield from _unchanged(context)
        return
    pipeline = warehouse.pipeline("pixel")
    files, outdated = not_loaded(sealed, warehouse.data), outdated_user_agents(warehouse.data)
    suppressed = suppress(warehouse.data, files, warehouse.shops)
    if suppressed:
        context.log.info("%d events of erased people were not loaded.", suppressed)
    files = [file for file in files if file.exists()]
    warehouse.count_lines(files)
    size = sum(file.stat().st_size for file in files)
    source = pixel_source(files, warehouse.workspace, outdated)
    yield from _load(context, dlt, source, pipeline, bytes=size)
    archive_loaded(sealed, warehouse.data)


@dlt_assets(
    name="shopify",
    group_name="ingestion",
    dlt_source=shopify_source(),
    dlt_pipeline=NO_PIPELINE,
    dagster_dlt_translator=RawTables(),
)
def shopify(context: dg.AssetExecutionContext, dlt: DagsterDltResource, warehouse: Warehouse) -> Iterator[Any]:
    """Catalogue, deletions and orders of each shop with an Admin API token; shops fail independently."""
    _refuse_subset(context, "shopify")
    apis = warehouse.admin_apis
    if not apis and warehouse.unchanged():
        yield from _unchanged(context)
        return
    suppressions, keep_orders = Suppressions(warehouse.data), keep_orders_of(warehouse.shops)
    settings = Settings(
        orders_of=frozenset(shop.domain for shop in warehouse.shops if shop.orders),
        known_products=lambda domain: known_products(warehouse.data, domain),
        workspace=warehouse.workspace,
        without_erased=lambda table, rows: remaining_rows(table, rows, Suppressed(suppressions), keep_orders),
        erased_until=suppressions.shops,
    )
    apis = [replace(api, newest_answer=newest_answer(warehouse.data, api.shop)) for api in apis]
    source = shopify_source(apis, settings)
    yield from _load(context, dlt, source, warehouse.pipeline("shopify"))


@dlt_assets(
    name="catalogue",
    group_name="ingestion",
    dlt_source=catalogue_source(),
    dlt_pipeline=NO_PIPELINE,
    dagster_dlt_translator=RawTables(),
)
def catalogue(context: dg.AssetExecutionContext, dlt: DagsterDltResource, warehouse: Warehouse) -> Iterator[Any]:
    """The catalogue files of each shop without an Admin API token."""
    _refuse_subset(context, "catalogue")
    if warehouse.unchanged(SHOPS, CATALOGUES):
        yield from _unchanged(context)
        return
    source = catalogue_source(warehouse.catalogue_files)
    yield from _load(context, dlt, source, warehouse.pipeline("catalogue"))


def _load(
    context: dg.AssetExecutionContext, resource: DagsterDltResource, source: Any, pipeline: Any, **figures: float
) -> Iterator[dg.MaterializeResult]:
    """Run dlt, and add the load's duration and these figures to each table; Dagster plots them over time."""
    began = time.monotonic()
    for result in resource.run(context=context, dlt_source=source, dlt_pipeline=pipeline):
        figures["seconds"] = time.monotonic() - began
        yield dg.MaterializeResult(asset_key=result.asset_key, metadata={**result.metadata, **figures})


def _reload(context: dg.AssetExecutionContext, warehouse: Warehouse, config: Reload) -> bool:
    """Reset the landing files that the configuration selects; returns whether it selects any."""
    now = datetime.now(UTC)
    if config.everything:
        files = reload_everything(warehouse.data, warehouse.shops, now)
    elif config.shop:
        days = (config.first_day, config.last_day)
        files = reload_days(warehouse.data, warehouse.shops, config.shop, days, now)
    else:
        return False
    context.log.info("%d landing files will be loaded again.", files)
    return True


def _unchanged(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
    """Report the tables as materialized without starting dlt, which takes seconds: a load would not change them."""
    for key in context.selected_asset_keys:
        yield dg.MaterializeResult(asset_key=key, metadata={"loaded": "nothing: the source is unchanged"})


def _refuse_subset(context: dg.AssetExecutionContext, source_name: str) -> None:
    """Each change is fetched once: tables left out of the load would never get it."""
    if context.is_subset:
        raise dg.Failure(f"Materialize all tables of {source_name} together: they are loaded from the same responses.")


@dg.asset_check(asset=["operations", "fetches"], name="every_shop_was_fetched")
def every_shop_was_fetched(warehouse: Warehouse) -> dg.AssetCheckResult:
    """The last fetch of each shop's Admin API and catalogue files succeeded."""
    with connect(warehouse.file) as connection:
        failed = failed_fetches(
            connection,
            of_admin_api=[api.shop for api in warehouse.admin_apis],
            of_files=[file.shop for file in warehouse.catalogue_files],
        )
    return dg.AssetCheckResult(passed=not failed, metadata={failure.subject: failure.error for failure in failed})
