"""Experiments in published files and in the read API, from a warehouse of a few rows."""

import json

import pytest

from serving.publish import publish
from serving.published import shop_folder
from tests.serving.conftest import Asking
from tests.serving.marts import make_warehouse

EXPERIMENTS = """
insert into staging.stg_experiments__phases by name
    select 's' as shop, unnest(['holdout', 'test']) as experiment, 1 as phase, experiment as seed, null as layer,
        0 as layer_from, 10000 as layer_to, timestamp '2026-11-01 09:30:00' as started_at,
        timestamp '2999-11-01' as ended_at, experiment = 'holdout' as is_holdout, ['mobile'] as devices,
        null as channels, ['product_page'] as placements;
insert into staging.stg_experiments__variations by name
    select 's' as shop, 'holdout' as experiment, 1 as phase, unnest(['control', 'treatment']) as variation,
        unnest([0, 1]) as variation_number, unnest([0, 500]) as bucket_from, unnest([500, 10000]) as bucket_to,
        unnest(['nothing', 'default']) as shows
    union all by name
    select 's' as shop, 'test' as experiment, 1 as phase, unnest(['control', 'alike']) as variation,
        unnest([0, 1]) as variation_number, unnest([0, 5000]) as bucket_from, unnest([5000, 10000]) as bucket_to,
        unnest(['default', 'similar,trending']) as shows;
insert into recommendations.related_products
    select 'similar', 's', '1', '2', 1, 0.5, 1, null, null;
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    data = tmp_path_factory.mktemp("data")
    make_warehouse(data / "warehouse.duckdb", EXPERIMENTS)
    publish(data / "warehouse.duckdb", data)
    return data


@pytest.fixture(scope="module")
def ask(data):
    return Asking(data)


def ids(answer):
    return [item["product_id"] for item in answer.json()["items"]]


def test_file_says_who_sees_what_and_when(data):
    document = json.loads((data / "published/current" / shop_folder("s") / "experiments.json").read_bytes())
    assert document["shop"] == "s"
    holdout, test = document["experiments"]
    assert holdout["is_holdout"]
    assert [variation["tiers"] for variation in holdout["variations"]] == [[], None]
    assert test["variations"] == [
        {"variation": "control", "bucket_from": 0, "bucket_to": 5000, "tiers": None},
        {"variation": "alike", "bucket_from": 5000, "bucket_to": 10000, "tiers": ["similar", "trending"]},
    ]
    assert (test["started_at"], test["ended_at"]) == ("2026-11-01T09:30:00.000Z", "2999-11-01T00:00:00.000Z")
    assert (test["placements"], test["devices"], test["channels"]) == (["product_page"], ["mobile"], None)
    assert test["audience"].startswith("^")


def test_similar_products_are_published_for_the_variation_that_shows_them(data, tmp_path):
    name = "recommendations/shops/s/products/*"
    found = [json.loads(file.read_bytes())["products"] for file in (data / "published/current").glob(name)]
    placements = {product: lists["placements"] for products in found for product, lists in products.items()}
    assert [item["product_id"] for item in placements["1"]["similar"]] == ["2"]
    assert placements["2"]["similar"] == []
    make_warehouse(tmp_path / "warehouse.duckdb", "")
    assert "similar" not in publish(tmp_path / "warehouse.duckdb", tmp_path).document("s", "1").placements


def test_api_serves_the_published_file(ask, data):
    answer = ask("/v1/shops/s/experiments")
    assert answer.status_code == 200
    assert answer.content == (data / "published/current" / shop_folder("s") / "experiments.json").read_bytes()
    assert ask("/v1/shops/other/experiments").status_code == 404


def test_api_lists_what_a_variation_shows(ask):
    route = "/v1/shops/s/products/{}/recommendations?variation={}"
    assert ids(ask(route.format("1", "test.alike"))) == ["2"]
    assert ids(ask(route.format("2", "test.alike"))) == ["3"], "no similar product: the next list"
    assert ids(ask(route.format("1", "holdout.control"))) == []
    default = ids(ask("/v1/shops/s/products/1/recommendations"))
    assert ids(ask(route.format("1", "test.control"))) == ids(ask(route.format("1", "holdout.treatment"))) == default
    refused = ask(route.format("1", "test.other"))
    assert refused.status_code == 404
    assert "test.alike" in refused.text
