"""When something is a problem, and when it is not; and what is read from a data folder."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from orchestration.errors import OrchestrationError
from orchestration.failed_fetches import FailedFetch
from orchestration.health import Health, Share, read_health
from orchestration.problems import Thresholds, problems
from orchestration.run_log import LAST_RUN, LastRun
from serving.publish import publish
from tests.landing_files import land, line
from tests.serving.marts import make_warehouse

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
BEGAN = "2026-11-22T11:00:00+00:00"
HEALTHY = Health(
    disk_free=500,
    disk_total=1000,
    waiting=(NOW - timedelta(minutes=119),),
    is_running=False,
    last=LastRun("run-1", BEGAN, "2026-11-22T11:02:00+00:00"),
    published=None,
    quarantined=(Share("a", 20, 1000), Share("b", 19, 20)),
    missing_orders=(Share("a", 25, 100), Share("b", 5, 5)),
)


def found(**changes) -> dict[str, str]:
    return {problem.key: problem.what for problem in problems(replace(HEALTHY, **changes), Thresholds(), NOW)}


def test_nothing_is_wrong_at_the_thresholds():
    assert found() == {}
    assert found(waiting=(), last=None, quarantined=(), missing_orders=()) == {}


@pytest.mark.parametrize(
    ("change", "key", "what"),
    [
        ({"disk_free": 99}, "disk", "(10%) are free"),
        ({"last": LastRun("run-1", BEGAN, BEGAN, "pixel: no table")}, "refresh", "failed: pixel: no table."),
        ({"last": LastRun("run-1", BEGAN)}, "refresh", "was killed"),
        (
            {"waiting": (NOW - timedelta(minutes=121), NOW)},
            "stale",
            "2 landing files wait to be loaded, the oldest for 2.0",
        ),
        ({"failed_fetches": (FailedFetch("a: orders", "no scope."),)}, "fetch a: orders", "failed: no scope."),
        ({"quarantined": (Share("a", 21, 1000),)}, "quarantine a", "21 of 1,000 events of a (2.1%)"),
        ({"quarantined": (Share(None, 20, 20),)}, "quarantine None", "20 of 20 lines without a shop"),
        ({"missing_orders": (Share("a", 26, 100),)}, "orders a", "missed 26 of 100 orders (26%) of a"),
    ],
)
def test_each_problem_has_its_key_and_says_what(change, key, what):
    [(name, text)] = found(**change).items()
    assert name == key
    assert what in text


def test_a_run_in_progress_is_not_a_killed_one():
    assert found(last=LastRun("run-1", BEGAN), is_running=True) == {}


def test_since_is_when_it_began():
    unhealthy = replace(HEALTHY, last=LastRun("run-1", BEGAN), waiting=(NOW - timedelta(days=1),))
    since = {problem.key: problem.since for problem in problems(unhealthy, Thresholds(), NOW)}
    assert since == {"refresh": datetime.fromisoformat(BEGAN), "stale": NOW - timedelta(days=1)}


def test_thresholds_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("PIXELNOVA_ALERT_STALE_MINUTES", "30")
    assert Thresholds.of_environment() == Thresholds(stale_minutes=30)
    monkeypatch.setenv("PIXELNOVA_ALERT_STALE_MINUTES", "half an hour")
    with pytest.raises(OrchestrationError, match="PIXELNOVA_ALERT_STALE_MINUTES is 'half an hour'"):
        Thresholds.of_environment()


MARTS = """
create table operations.event_volume as from (values
    ('a', date '2026-11-01', 5000), ('a', date '2026-11-21', 70), ('a', date '2026-11-22', 20),
    ('b', date '2026-11-10', 8)
) as days (shop, local_date, events);
create table operations.quarantined_events as
    select 'a' as shop, date '2026-11-22' as local_date from range(10)
    union all select 'a', date '2026-11-01' from range(100)
    union all select null, date '2026-11-22' from range(3);
create table operations.order_reconciliation as from (values
    ('a', date '2026-11-22', 'EUR', 3, 10), ('a', date '2026-11-22', 'USD', 0, 2), ('a', date '2026-11-15', 'EUR', 9, 9)
) as days (shop, local_date, currency, missing_in_pixel, admin_orders);
create table operations.fetches as
    select 'shopify' as source, 'a.myshopify.com' as shop, 'orders' as subject, 'no scope' as error, true as is_newest;
"""
SHOPS = """[[shops]]
domain = "a.myshopify.com"
name = "A"
timezone = "UTC"
currency = "EUR"
ingest_keys = ["key-of-shop-a"]
"""


def test_health_is_read_from_files_and_the_published_version(tmp_path, monkeypatch):
    shops, data = tmp_path / "shops.toml", tmp_path / "data"
    shops.write_text(SHOPS)
    nothing = read_health(data, shops)
    assert (nothing.waiting, nothing.last, nothing.published, nothing.is_running) == ((), None, None, False)
    assert 0 < nothing.disk_free < nothing.disk_total
    data.mkdir()
    make_warehouse(data / "warehouse.duckdb", MARTS)
    publish(data / "warehouse.duckdb", data)
    land(data / "landing", [line({"id": "e"})])
    (data / LAST_RUN).write_text(json.dumps({"run": "r", "began_at": BEGAN, "ended_at": None, "error": None}))
    health = read_health(data, shops)
    assert len(health.waiting) == 1 and health.last == LastRun("r", BEGAN)
    assert health.quarantined == (Share("a", 10, 100), Share("b", 0, 8), Share(None, 3, 3))
    assert health.missing_orders == (Share("a", 3, 12),)
    assert health.failed_fetches == ()  # the shop has no token any more
    monkeypatch.setenv("PIXELNOVA_SHOPIFY_TOKEN_A", "token")
    assert read_health(data, shops).failed_fetches == (FailedFetch("a.myshopify.com: orders", "no scope"),)


def test_a_version_without_the_marts_gives_no_shares(tmp_path):
    make_warehouse(tmp_path / "warehouse.duckdb")
    publish(tmp_path / "warehouse.duckdb", tmp_path)
    health = read_health(tmp_path, tmp_path / "no-shops.toml")
    assert health.published is not None and health.quarantined == ()
