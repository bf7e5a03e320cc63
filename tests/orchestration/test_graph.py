"""The asset graph as Dagster loads it. Loading takes seconds, so the module does it once."""

from pathlib import Path

import pytest

from orchestration.runner import prepare_dbt

PROJECT = Path(__file__).resolve().parents[2]
SOURCES = {
    "pixel": {"events", "unreadable_lines", "user_agents", "landing_files"},
    "shopify": {
        "products",
        "variants",
        "product_deletions",
        "collections",
        "collection_products",
        "orders",
        "order_lines",
        "fetches",
    },
    "catalogue": {"products", "variants", "readings"},
    "experiments": {"phases", "variations", "metrics"},
    "privacy": {"requests"},
    "shops": {"shops", "hosts", "channels", "recommendation_rules", "put_aside"},
}
MARTS = {
    "analytics/basket_sizes",
    "analytics/bundle_candidates",
    "analytics/campaigns",
    "analytics/carts",
    "analytics/checkout_funnel",
    "analytics/cohorts",
    "analytics/collection_performance",
    "analytics/customer_cohorts",
    "analytics/customer_value",
    "analytics/daily_product",
    "analytics/daily_sales",
    "analytics/daily_shop",
    "analytics/discounts",
    "analytics/due_to_reorder",
    "analytics/funnel_daily",
    "analytics/landing_pages",
    "analytics/lost_demand",
    "analytics/path_transitions",
    "analytics/paths",
    "analytics/product_rankings",
    "analytics/product_segments",
    "analytics/reorder_intervals",
    "analytics/retention",
    "analytics/searches",
    "analytics/stickiness",
    "core/cart_actions",
    "core/checkout_steps",
    "core/collection_products",
    "core/collections",
    "core/identity_changes",
    "core/identity_map",
    "core/order_items",
    "core/orders",
    "core/pixel_events",
    "core/product_views",
    "core/products",
    "core/sessions",
    "core/shops",
    "core/user_journeys",
    "core/user_profiles",
    "core/variant_history",
    "core/variants",
    "experiments/exposures",
    "experiments/long_run",
    "experiments/unit_metrics",
    "operations/erasures",
    "operations/event_volume",
    "operations/fetches",
    "operations/loads",
    "operations/order_reconciliation",
    "operations/privacy_requests",
    "operations/quarantined_events",
    "operations/reconciled_orders",
    "operations/reconciliation_causes",
    "operations/shops_put_aside",
    "recommendations/clicks",
    "recommendations/effectiveness",
    "recommendations/eligibility",
    "recommendations/evaluation",
    "recommendations/impression_items",
    "recommendations/impressions",
    "recommendations/merchant_rules",
    "recommendations/next_in_session",
    "recommendations/popular_products",
    "recommendations/product_effectiveness",
    "recommendations/product_page",
    "recommendations/related_products",
}
EXPORTS = {
    "exports/list_items",
    "exports/product_cards",
    "exports/session_views",
    "exports/visitor_clients",
    "exports/visitor_items",
    "exports/visitors",
}
RECOMMENDERS = {"recommendations/evaluation_history", "recommendations/personal"}
RESULTS = {"experiments/results", "experiments/sample_ratios", "experiments/verdicts"}


@pytest.fixture(scope="module")
def definitions(tmp_path_factory):
    prepare_dbt()
    with pytest.MonkeyPatch.context() as patch:
        data = tmp_path_factory.mktemp("graph") / "data"
        patch.setenv("PIXELNOVA_DATA", str(data))
        from orchestration.definitions import defs

        loaded = defs()
        assert not data.exists(), "loading the definitions wrote to the data folder"
        yield loaded


@pytest.fixture(scope="module")
def graph(definitions):
    return definitions.resolve_asset_graph()


def names(keys) -> set[str]:
    return {"/".join(key.path) for key in keys}


def test_no_asset_is_external(graph):
    assert names(graph.external_asset_keys) == set()


def test_every_asset_is_in_the_job_refresh(definitions, graph):
    job = definitions.resolve_job_def("refresh")
    assert names(job.asset_layer.executable_asset_keys) == names(graph.get_all_asset_keys())


def test_dlt_assets_are_the_sources_of_dbt(graph):
    raw = {f"{source}/{table}" for source, tables in SOURCES.items() for table in tables}
    assert raw <= names(graph.get_all_asset_keys())
    for name in raw:
        [key] = [key for key in graph.get_all_asset_keys() if "/".join(key.path) == name]
        erased_before = {"privacy/requests"} if name.startswith(("pixel/", "shopify/")) else set()
        assert names(graph.get(key).parent_keys) == erased_before
        assert graph.get(key).child_keys, f"nothing reads {name}"


def test_published_version_depends_on_every_mart_and_export(graph):
    [published] = [key for key in graph.get_all_asset_keys() if key.path == ["published", "version"]]
    assert names(graph.get(published).parent_keys) == MARTS | EXPORTS | RECOMMENDERS | RESULTS
    assert names(graph.get(published).child_keys) == {"privacy/fulfilled"}


def test_every_model_is_in_the_group_of_its_folder(graph):
    from dagster import AssetKey

    models = PROJECT / "dbt_project" / "models"
    for file in models.rglob("*.sql"):
        layer, topic = file.relative_to(models).parts[:2]
        schema = topic if layer == "marts" or topic == "exports" else layer
        group = "staging" if layer == "staging" else topic
        assert graph.get(AssetKey([schema, file.stem])).group_name == group
    assert "default" not in {graph.get(key).group_name for key in graph.get_all_asset_keys()}


def test_every_mart_has_tests_as_asset_checks(graph):
    checked = names(check.asset_key for check in graph.asset_check_keys)
    assert checked >= MARTS


def test_job_runs_hourly_in_one_process(definitions):
    schedule = definitions.resolve_schedule_def("hourly")
    assert schedule.job_name == "refresh"
    assert schedule.cron_schedule == "5 * * * *"
    assert definitions.resolve_job_def("refresh").executor_def.name == "in_process"


def test_tables_of_one_source_are_materialized_together(definitions, graph, tmp_path, monkeypatch):
    """Tables left out would miss these changes for good: the next run fetches newer changes only."""
    import dagster as dg

    monkeypatch.setenv("PIXELNOVA_DATA", str(tmp_path))
    job = definitions.resolve_implicit_global_asset_job_def()

    def materialize(*keys: str) -> dg.ExecuteInProcessResult:
        chosen = [dg.AssetKey(key.split("/")) for key in keys]
        return job.execute_in_process(asset_selection=chosen, raise_on_error=False)

    for source in ("shopify", "catalogue"):
        subset = materialize(f"{source}/products")
        assert not subset.success
        [failure] = subset.get_step_failure_events()
        assert f"Materialize all tables of {source} together" in str(failure.event_specific_data)
    assert materialize(*(f"shopify/{table}" for table in SOURCES["shopify"])).success


def test_failed_fetches_have_an_asset_check(graph):
    assert "every_shop_was_fetched" in {check.name for check in graph.asset_check_keys}
