"""The asset graph as Dagster loads it. Loading takes seconds, so the module does it once."""

from datetime import UTC, datetime

import pytest

from ingestion.data_folder import landing_folder, warehouse_file
from ingestion.warehouse_connection import connect
from orchestration.runner import prepare_dbt
from orchestration.warehouse_lock import warehouse_lock
from tests.conftest import PROJECT
from tests.landing_files import land, line
from tests.questions import DEMO_SHOP

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
SHOPS = """
[[shops]]
domain = "a.myshopify.com"
name = "A"
timezone = "UTC"
currency = "EUR"
ingest_keys = ["key-of-shop-a"]
"""
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


def test_the_hourly_refresh_is_skipped_without_news_and_while_a_run_is_active(definitions, tmp_path, monkeypatch):
    import dagster as dg

    monkeypatch.setenv("PIXELNOVA_DATA", str(tmp_path))
    monkeypatch.setattr("orchestration.defs.schedules.news", lambda *_: is_news)
    schedule = definitions.resolve_schedule_def("hourly")
    with dg.instance_for_test() as instance:

        def evaluate() -> dg.RunRequest | str:
            data = schedule.evaluate_tick(dg.build_schedule_context(instance))
            return data.run_requests[0] if data.run_requests else data.skip_message

        is_news = False
        assert evaluate() == "Nothing has changed since the last refresh."
        is_news = True
        assert isinstance(evaluate(), dg.RunRequest)
        run = instance.create_run_for_job(definitions.resolve_job_def("refresh"), status=dg.DagsterRunStatus.STARTED)
        assert evaluate() == "A run is active."
        instance.delete_run(run.run_id)
        with warehouse_lock():
            assert evaluate() == "A run is active."


def test_the_report_of_every_shop_is_written_on_mondays(definitions, built_demo, tmp_path, monkeypatch):
    schedule = definitions.resolve_schedule_def("weekly")
    assert (schedule.job_name, schedule.cron_schedule) == ("report", "0 12 * * 1")
    (tmp_path / "published").symlink_to(built_demo.data / "published")
    monkeypatch.setenv("PIXELNOVA_DATA", str(tmp_path))
    assert definitions.resolve_job_def("report").execute_in_process().success
    assert len(list((tmp_path / "reports" / DEMO_SHOP).glob("*.html"))) == 1


def test_all_definitions_can_be_loaded_together(definitions):
    """Job names and step names must differ; Dagster notices that only when its servers start."""
    jobs = {job.name for job in definitions.get_repository_def().get_all_jobs()}
    assert jobs >= {"refresh", "full_rebuild", "backfill", "privacy", "shopify_sync", "report"}


def test_other_jobs_materialize_what_they_need(definitions, graph):
    def assets_of(job: str) -> set[str]:
        return names(definitions.resolve_job_def(job).asset_layer.executable_asset_keys)

    everything = names(graph.get_all_asset_keys())
    shopify = {f"shopify/{table}" for table in SOURCES["shopify"]}
    shops = {f"shops/{table}" for table in SOURCES["shops"]}
    assert assets_of("full_rebuild") == assets_of("backfill") == everything
    assert assets_of("shopify_sync") == shopify | shops | {"privacy/requests"}
    assert assets_of("privacy") == everything - shopify


def test_every_asset_has_an_owner_a_kind_a_stage_and_a_description(graph):
    stages = set()
    for key in graph.get_all_asset_keys():
        asset = graph.get(key)
        assert asset.owners and asset.kinds and asset.description, key
        stages.add(asset.tags["stage"])
        edited = key.path[0] in ("shops", "experiments", "catalogue", "privacy") and "dlt" in asset.kinds
        assert (asset.freshness_policy is None) == edited, key
    stages_of_the_flow = {"ingestion", "transformation", "recommendation", "experimentation", "publication"}
    assert stages == stages_of_the_flow | {"configuration"}


def test_raw_tables_are_described_one_by_one(graph):
    from dagster import AssetKey

    assert graph.get(AssetKey(["shops", "hosts"])).description.startswith("One row per shop and host name")


def test_what_dbt_cannot_see_is_checked(graph):
    checked = {("/".join(check.asset_key.path), check.name) for check in graph.asset_check_keys}
    assert checked >= {
        ("pixel/landing_files", "acknowledged_events_are_loaded_quarantined_or_waiting"),
        ("published/version", "published_rows_are_the_rows_of_the_marts"),
        ("published/version", "disk_has_room"),
        ("operations/event_volume", "last_day_has_the_usual_number_of_events"),
        ("operations/event_volume", "events_arrive_within_an_hour"),
        ("operations/quarantined_events", "few_events_are_quarantined"),
        ("operations/order_reconciliation", "the_pixel_sees_most_orders"),
        ("operations/fetches", "every_shop_was_fetched"),
        ("privacy/fulfilled", "no_suppressed_identifier_is_left"),
    }


def test_waiting_files_start_a_refresh_unless_a_run_is_active(definitions, tmp_path, monkeypatch):
    import dagster as dg

    monkeypatch.setenv("PIXELNOVA_DATA", str(tmp_path))
    sensor = definitions.resolve_sensor_def("waiting_files")
    assert sensor.job_name == "refresh" and sensor.default_status == dg.DefaultSensorStatus.RUNNING
    with dg.DagsterInstance.ephemeral() as instance:

        def evaluate() -> dg.RunRequest | str:
            data = sensor.evaluate_tick(dg.build_sensor_context(instance))
            return data.run_requests[0] if data.run_requests else data.skip_message

        assert evaluate() == "No landing files are waiting."
        land(landing_folder(tmp_path), [line({"id": "1"})])
        assert evaluate().startswith("1 landing files")
        monkeypatch.setenv("PIXELNOVA_REFRESH_MINUTES", "0")
        assert "wait, the oldest for 0 minutes." in evaluate().tags["started_because"]
        with warehouse_lock():
            assert evaluate() == "A run is active."
        run = instance.create_run_for_job(definitions.resolve_job_def("refresh"), status=dg.DagsterRunStatus.STARTED)
        assert evaluate() == "A run is active."
        instance.delete_run(run.run_id)
        assert isinstance(evaluate(), dg.RunRequest)


@pytest.fixture
def load_pixel(definitions, tmp_path, monkeypatch):
    """Materializes the pixel's raw tables in a job; returns the result, and the load of each landing file."""
    import dagster as dg

    monkeypatch.setenv("PIXELNOVA_DATA", str(tmp_path))
    monkeypatch.setenv("PIXELNOVA_SHOPS", str(tmp_path / "shops.toml"))
    (tmp_path / "shops.toml").write_text(SHOPS)

    def run(job: str, **arguments) -> tuple[dg.ExecuteInProcessResult, list]:
        result = definitions.resolve_job_def(job).execute_in_process(
            asset_selection=[dg.AssetKey(["pixel", table]) for table in SOURCES["pixel"]],
            raise_on_error=False,
            **arguments,
        )
        with connect(warehouse_file(tmp_path)) as connection:
            loads = "select landing_file, _dlt_load_id from raw_pixel.landing_files order by all"
            return result, connection.execute(loads).fetchall()

    return run


def test_jobs_load_the_archive_again_in_whole_or_in_part(load_pixel, tmp_path):
    for day in (20, 21):
        received_at = datetime(2026, 11, day, 12, tzinfo=UTC)
        land(landing_folder(tmp_path), [line({"id": f"{day}", "name": "n"}, received_at=received_at)])
    first, loaded = load_pixel("refresh")
    [check] = first.get_asset_check_evaluations()
    counts = {name: value.value for name, value in check.metadata.items()}
    assert check.passed and counts == {"acknowledged": 2, "loaded": 2, "quarantined": 0, "waiting": 0}
    figures = first.asset_materializations_for_node("pixel")[0].metadata
    assert figures["bytes"].value > 0 and figures["seconds"].value > 0

    days = {"shop": "a.myshopify.com", "first_day": "2026-11-21", "last_day": "2026-11-21"}
    backfill, in_part = load_pixel("backfill", run_config=days)
    assert backfill.success
    assert [before == after for before, after in zip(loaded, in_part, strict=True)] == [True, False]
    full_rebuild, in_whole = load_pixel("full_rebuild")
    assert full_rebuild.success and len(set(in_whole) - {*loaded, *in_part}) == 2

    nothing, unchanged = load_pixel("backfill", run_config={**days, "last_day": "2026-11-19"})
    [failure] = nothing.get_step_failure_events()
    assert "The archive has no landing files of a.myshopify.com" in str(failure.event_specific_data)
    assert unchanged == in_whole


def test_a_backfill_needs_a_shop_and_days(definitions):
    import dagster as dg

    with pytest.raises(dg.DagsterInvalidConfigError, match="shop"):
        definitions.resolve_job_def("backfill").execute_in_process()


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
