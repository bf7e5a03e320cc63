"""A warehouse of a few rows, as dbt and the recommenders leave it, for tests of publication.

Creates the tables itself; the views of `exports` come from the dbt project.
"""

import os
import tempfile
from functools import cache
from pathlib import Path

import duckdb

from orchestration.parsed_dbt import parsed_project
from tests.warehouse import DBT_PROJECT, TARGET


def make_warehouse(file: Path, change: str = "") -> None:
    """change: SQL to execute afterwards."""
    with duckdb.connect(str(file)) as connection:
        connection.execute(MARTS)
        for statement in _export_views():
            connection.execute(statement)
        connection.execute(change)


@cache
def _export_views() -> list[str]:
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    chosen = ["--select", "intermediate.exports,resource_type:model"]
    folders = ["--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT), "--target-path", TARGET]
    with tempfile.TemporaryDirectory() as data:
        before = dict(os.environ)
        os.environ |= {"PIXELNOVA_DATA": data, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
        try:
            done = dbtRunner(parsed_project()).invoke(["compile", "--quiet", *folders, *chosen])
        finally:
            DuckDBConnectionManager.close_all_connections()
            os.environ.clear()
            os.environ.update(before)
    assert done.success, done.exception
    nodes = [result.node for result in done.result.results]
    return [f"create view {node.schema}.{node.alias} as {node.compiled_code}" for node in nodes]


MARTS = """
create schema core; create schema analytics; create schema recommendations; create schema operations;
create schema staging; create schema intermediate; create schema raw_shops; create schema exports;
create table staging.secret (client_id varchar);
create table operations.loads as select
    'load-2' as load_id, timestamp '2026-11-22 12:01:00' as loaded_at, 3 as landing_files,
    timestamp '2026-11-22 12:00:00' as newest_received_at;
create table analytics.funnel_daily as select 's' as shop, 7 as sessions;
comment on table analytics.funnel_daily is 'One row per shop''s day.';
comment on column analytics.funnel_daily.sessions is 'All sessions.';
create table staging.stg_shops__hosts as select 's' as shop, 'shop.example' as host;
create table intermediate.int_recommendation_rules (shop varchar, rule varchar, product_id varchar);
create table raw_shops.recommendation_rules
    (shop varchar, rule varchar, beside varchar, product varchar, place bigint);
create table staging.stg_experiments__phases (
    shop varchar, experiment varchar, phase integer, seed varchar, layer varchar, layer_from integer, layer_to integer,
    started_at timestamp, ended_at timestamp, is_holdout boolean, devices varchar[], channels varchar[],
    placements varchar[]
);
create table staging.stg_experiments__variations (
    shop varchar, experiment varchar, phase integer, variation varchar, variation_number integer, bucket_from integer,
    bucket_to integer, shows varchar
);
create table core.shops as select 's' as shop;
-- 1, 2 and 3 are eligible; 4 is sold out; handle:five comes from a catalogue file only.
create table core.products as
    select 's' as shop, unnest(['1', '2', '3', '4', 'handle:five']) as product_id, 'Title ' || product_id as title,
        'handle-' || product_id as handle, 'V' as vendor, 'T' as product_type, '/products/' || product_id as url,
        'https://cdn.shopify.com/' || product_id || '.jpg' as image_url, 'admin_api' as source,
        9.5::decimal(18, 4) as price_min, 9.5::decimal(18, 4) as price_max,
        'EUR' as currency, true as is_published, product_id <> '4' as is_available, false as is_deleted,
        false as is_gift_card;
create table recommendations.eligibility as
    select shop, product_id, is_available as is_eligible, case when product_id < '3' then 'V | T' end as diversity_group
    from core.products;
create table recommendations.related_products as
    select 'bought_together' as strategy, 's' as shop, '1' as product_id,
        unnest(['3', '2']) as recommended_product_id, unnest([1, 2]) as position, 0.5 as score, 2 as support,
        0.5 as confidence, 2.0 as lift
    union all
    select 'viewed_together', 's', '2', '1', 1, 0.25, 4, 0.5, 1.5;
create table recommendations.product_page as
    select 's' as shop, unnest(['1', '1', '1', '2']) as product_id,
        unnest(['3', '2', 'handle:five', '1']) as recommended_product_id, unnest([1, 2, 3, 1]) as position,
        unnest(['bought_together', 'bought_together', 'popular', 'popular']) as strategy, 2 as support,
        0.5 as confidence, 2.0 as lift;
create table recommendations.popular_products as
    select unnest(['popular', 'popular', 'popular', 'trending']) as strategy, 's' as shop,
        unnest(['shop', 'shop', 'vendor', 'shop']) as scope, unnest(['s', 's', 'V', 's']) as scope_value,
        unnest(['1', '2', '2', '3']) as recommended_product_id, unnest([1, 2, 1, 1]) as position, 5.0 as score,
        5 as support;
create table recommendations.next_in_session as
    select 's' as shop, 'journey-b' as journey_id, 'session' as session_id, 1 as position,
        '2' as recommended_product_id, 1.25 as score;
create table recommendations.personal as
    select 's' as shop, unnest(['journey-a', 'journey-a', 'journey-b']) as journey_id, 'ease' as strategy,
        unnest([1, 2, 1]) as position, unnest(['3', '1', '1']) as recommended_product_id, 0.75 as score;
create table core.user_journeys as
    select 's' as shop, unnest(['journey-a', 'journey-b', 'journey-c', 'journey-bot']) as journey_id,
        'email' as last_non_direct_channel, timestamp '2026-11-22 11:00:00' as last_seen_at,
        journey_id = 'journey-bot' as is_bot;
create table core.identity_map as
    select 's' as shop, 'client' as identifier_kind, unnest(['client-1', 'client-2', 'client-bot']) as identifier,
        unnest(['journey-a', 'journey-a', 'journey-bot']) as journey_id
    union all select 's', 'customer', 'customer-9', 'journey-a';
create table intermediate.int_as_of as select 's' as shop, timestamp '2026-11-22 12:00:00' as as_of;
create table intermediate.int_recommendation_settings as
    select unnest(['model_version', 'max_per_vendor_and_type']) as name, unnest(['7', '3']) as value;
create table intermediate.int_viewed_products as
    select unnest(['now', 'backtest']) as trained_for, 's' as shop, '2' as product_id, unnest([0.125, 0.25]) as again;
create table intermediate.int_permissions as
    select shop, journey_id, true as may_have_personal_lists from core.user_journeys;
create table intermediate.int_customer_segments as select 'journey-a' as journey_id, 'champion' as segment;
create table intermediate.int_session_products as
    select 's' as shop, unnest(['new', 'new', 'new', 'old']) as session_id,
        unnest(['2', '1', '2', '3']) as product_id, unnest([1, 2, 3, 1]) as views_to_end,
        unnest([10, 10, 10, 9]) as hour, timestamp '2026-11-22 00:00:00' + to_hours(hour) as last_viewed_at;
"""
