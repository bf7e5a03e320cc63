"""Exports for the storefront, Shopify and the read API, from a warehouse of a few rows."""

import json
from pathlib import Path

import duckdb
import pytest

from serving.publish import publish
from serving.published import Published, VisitorShard, private_folder, shard_name, shop_folder
from serving.settings import ListSettings
from tests.serving.marts import make_warehouse

SHOPPERS = ("journey-a", "journey-b", "journey-c", "client-1", "client-2", "customer-9", "session")


def published(tmp_path: Path, change: str = "") -> Published:
    make_warehouse(tmp_path / "warehouse.duckdb", change)
    return publish(tmp_path / "warehouse.duckdb", tmp_path)


def shown(document, placement):
    return [item.product_id for item in document.placements[placement]]


def test_document_has_ordered_lists_with_display_fields(tmp_path):
    document = published(tmp_path).document("s", "1")
    assert shown(document, "product_page") == ["3", "2", "handle:five"]
    assert shown(document, "bought_together") == ["3", "2"]
    assert shown(document, "viewed_together") == []
    first = document.placements["product_page"][0]
    assert (first.position, first.gid, first.handle) == (1, "gid://shopify/Product/3", "handle-3")
    assert (first.price.amount, first.price.currency) == ("9.50", "EUR")
    assert (first.reason.code, first.reason.support, first.reason.lift) == ("bought_together", 2, 2.0)
    assert document.placements["product_page"][2].gid is None
    assert document.seed.again == 0


@pytest.mark.parametrize(
    ("price", "formatted"),
    [("9.5", "9.50"), ("10", "10.00"), ("1.2345", "1.2345"), ("990000", "990000.00"), ("3.990", "3.99")],
)
def test_price_has_at_least_two_decimals(tmp_path, price, formatted):
    found = published(tmp_path, f"update core.products set price_min = {price};").document("s", "1")
    assert found.placements["product_page"][0].price.amount == formatted


def test_sold_out_product_is_seed_but_not_item(tmp_path):
    version = published(tmp_path)
    assert version.document("s", "4") is not None
    assert "4" not in version.catalogue("s").products
    assert version.catalogue("s").diversity == {"1": "V | T", "2": "V | T"}
    assert version.manifest.ineligible_dropped == 0


@pytest.mark.parametrize(
    "change",
    [
        "update core.products set is_available = false where product_id = '3'",
        "update core.products set is_published = false where product_id = '3'",
        "update core.products set is_gift_card = true where product_id = '3'",
        "update core.products set is_deleted = true where product_id = '3'",
        "update core.products set price_max = 0 where product_id = '3'",
        "update recommendations.eligibility set is_eligible = false where product_id = '3'",
        "insert into raw_shops.recommendation_rules values ('s', 'exclude', null, '3', 1)",
        "insert into raw_shops.recommendation_rules values ('s', 'exclude', null, 'handle-3', 1)",
        "insert into intermediate.int_recommendation_rules values ('s', 'exclude', '3')",
        "delete from recommendations.eligibility where product_id = '3'",
    ],
)
def test_eligibility_check_drops_and_counts_ineligible_items(tmp_path, change):
    version = published(tmp_path, change + ";")
    assert shown(version.document("s", "1"), "product_page") == ["2", "handle:five"]
    assert [item.position for item in version.document("s", "1").placements["product_page"]] == [1, 2]
    assert version.manifest.ineligible_dropped > 0
    for file in (version.folder / "recommendations").rglob("*.*json"):
        found = [item["product_id"] for item in items_of(json_of(file))]
        assert "3" not in found, file


def json_of(file: Path) -> list:
    return [json.loads(line) for line in file.read_text().splitlines()]


def items_of(value) -> list[dict]:
    if isinstance(value, list):
        return [item for inner in value for item in items_of(inner)]
    if isinstance(value, dict):
        own = [value] if "position" in value else []
        return own + [item for inner in value.values() for item in items_of(inner)]
    return []


def test_public_files_have_no_shopper_data(tmp_path):
    version = published(tmp_path)
    public = list((version.folder / "recommendations").rglob("*"))
    assert len(public) > 15
    for file in public:
        if file.is_file():
            content = file.read_bytes()
            assert not [shopper for shopper in SHOPPERS if shopper.encode() in content], file


@pytest.mark.parametrize(
    ("image", "shown"),
    [
        ("https://cdn.shopify.com/s/3.jpg?v=1", True),
        ("https://SHOP.example/3.jpg", True),
        ("https://evil.example/pixel.gif", False),
        ("https://evil.example/cdn.shopify.com/3.jpg", False),
        ("https://cdn.shopify.com.evil.example/3.jpg", False),
        ("javascript:alert(1)", False),
    ],
)
def test_urls_from_events_are_restricted_to_shop_and_cdn(tmp_path, image, shown):
    change = f"update core.products set image_url = '{image}', url = '/products/x?email=jane@x.example';"
    item = published(tmp_path, change).document("s", "1").placements["product_page"][0]
    assert item.url == "/products/handle-3"
    assert item.image == (image if shown else None)


def test_removed_shop_is_in_no_file(tmp_path):
    version = published(tmp_path, "delete from core.shops;")
    assert version.shops() == []
    of_shops = [file for file in version.manifest.files if file.path.endswith("json") and "/" in file.path]
    assert {file.rows for file in of_shops} <= {0}


def test_metafields_contain_only_catalogue_products(tmp_path):
    version = published(tmp_path, "update core.products set source = 'events' where product_id in ('1', '3');")
    assert json_of(version.folder / shop_folder("s") / "metafields.ndjson") == []


def visitor_shard(version: Published, identifier: str) -> VisitorShard:
    import msgspec

    file = version.folder / private_folder("s") / "visitors" / shard_name(identifier)
    return msgspec.json.decode(file.read_bytes(), type=VisitorShard)


def test_visitor_list_prefers_session_then_personal_then_segment(tmp_path):
    version = published(tmp_path)
    of_taste = visitor_shard(version, "journey-a").journeys["journey-a"]
    assert (of_taste.strategy, of_taste.segment, of_taste.channel) == ("ease", "champion", "email")
    assert of_taste.items == [("3", 0.75, "ease"), ("1", 0.75, "ease")]
    in_session = visitor_shard(version, "journey-b").journeys["journey-b"]
    assert in_session.items == [("2", 1.25, "session_blend")]
    new = visitor_shard(version, "journey-c").journeys["journey-c"]
    assert (new.strategy, new.segment, new.items) == ("segment", "visitor", [])
    assert visitor_shard(version, "client-2").clients["client-2"] == "journey-a"


def test_visitors_who_refuse_personal_lists_are_in_no_file(tmp_path):
    refusal = "update intermediate.int_permissions set may_have_personal_lists = false where journey_id = 'journey-a';"
    assert files_that_name(published(tmp_path), "journey-a", "client-1")
    (tmp_path / "warehouse.duckdb").unlink()
    assert not files_that_name(published(tmp_path, refusal), "journey-a", "client-1")


def files_that_name(version: Published, *names: str) -> list[Path]:
    files = [file for file in version.folder.rglob("*.*json") if file.is_file()]
    return [file for file in files if any(name.encode() in file.read_bytes() for name in names)]


def test_bots_are_excluded_from_visitors(tmp_path):
    version = published(tmp_path)
    for file in (version.folder / private_folder("s") / "visitors").iterdir():
        assert "bot" not in file.read_text()


def test_sessions_are_newest_first_with_last_place_of_each_product(tmp_path):
    version = published(tmp_path)
    file = version.folder / private_folder("s") / "sessions.parquet"
    with duckdb.connect() as connection:
        rows = connection.execute(f"from '{file}'").fetchall()
    assert rows == [(0, 1, "1"), (0, 2, "2"), (1, 1, "3")]


def test_empty_list_deletes_its_metafield(tmp_path):
    version = published(tmp_path, "delete from recommendations.product_page where product_id = '2';")
    folder = version.folder / shop_folder("s")
    [filled] = json_of(folder / "metafields.ndjson")
    assert [metafield["ownerId"] for metafield in filled["metafields"]] == ["gid://shopify/Product/1"]
    # 3 and 4 never had a list: deleting a missing metafield changes nothing.
    [emptied] = json_of(folder / "metafields_delete.ndjson")
    assert emptied["metafields"] == [
        {"ownerId": f"gid://shopify/Product/{number}", "namespace": "$app:pixelnova", "key": "recommendations"}
        for number in (2, 3, 4)
    ]


def test_metafields_are_mutation_variables(tmp_path):
    version = published(tmp_path)
    [call] = json_of(version.folder / shop_folder("s") / "metafields.ndjson")
    assert [metafield["ownerId"] for metafield in call["metafields"]] == [
        "gid://shopify/Product/1",
        "gid://shopify/Product/2",
    ]
    first = call["metafields"][0]
    assert json.loads(first["value"]) == ["gid://shopify/Product/3", "gid://shopify/Product/2"]
    assert first["type"] == "list.product_reference"


def test_shop_lists_and_lists_of_its_parts(tmp_path):
    lists = published(tmp_path).lists("s")
    assert [item.product_id for item in lists.popular] == ["1", "2"]
    assert [item.product_id for item in lists.trending] == ["3"]
    assert [item.product_id for item in lists.vendors["V"]] == ["2"]
    assert lists.vendors["V"][0].reason.code == "popular_in_vendor"


def test_strategy_files_in_ndjson_and_parquet(tmp_path):
    version = published(tmp_path)
    [line] = json_of(version.folder / "recommendations" / "bought_together.ndjson")
    assert (line["shop"], line["strategy"], line["list"]) == ("s", "bought_together", "1")
    with duckdb.connect() as connection:
        rows = connection.execute(
            "select list, position, recommended_product_id, reason_code, support, price_amount "
            f"from '{version.folder / 'recommendations' / 'bought_together.parquet'}'"
        ).fetchall()
    assert rows == [("1", 1, "3", "bought_together", 2, "9.50"), ("1", 2, "2", "bought_together", 2, "9.50")]


def test_empty_shop_has_files(tmp_path):
    version = published(tmp_path, "insert into core.shops values ('new');")
    assert version.shops() == ["new", "s"]
    assert version.lists("new").popular == []
    assert version.catalogue("new").products == {}


def test_manifest_records_settings(tmp_path):
    version = published(tmp_path, "insert into intermediate.int_recommendation_settings values ('session_views', '9')")
    assert version.manifest.settings == ListSettings(model_version="7", session_views=9)
