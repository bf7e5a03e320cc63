"""Random catalogues, stock changes and merchant rules: no file or response contains an ineligible item.

Reimplements eligibility in plain Python. Models, recommenders, publication and read API are the real ones; the test
writes only the tables that the lists are built from.
"""

import json
import random
import shutil
from collections import Counter
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.api.visitor_access import VisitorSecrets
from serving.publish import publish
from serving.published import Published
from serving.recommenders.personal import recommend
from tests.conftest import PROJECT
from tests.serving.conftest import Asking
from tests.warehouse import Warehouse

TODAY = date(2026, 11, 20)
LISTS = ["marts.recommendations", "intermediate.recommendations"]
GIVEN = ["int_session_products", "int_view_pairs_daily", "int_order_pairs_daily"]
KEY = "a-key-for-visitors"
PRICES = [None, 0, -5, 5, 10, 11, 40, 99_999_999_999_999]


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    """A warehouse with every model built, without events."""
    warehouse = Warehouse(tmp_path_factory.mktemp("template"), PROJECT / "shops.toml")
    warehouse.load()
    warehouse.build()
    with duckdb.connect(str(warehouse.file)) as connection:
        connection.execute("delete from core.shops")
    return warehouse.file


class Store:
    """A shop with a random catalogue, visitors and rules."""

    def __init__(self, name: str, rng: random.Random) -> None:
        self.shop, self.rng = f"{name}.myshopify.com", rng
        vendors = [f"Vendor {number}" for number in range(rng.randint(1, 3))] + [None] * rng.randint(0, 1)
        types = ["Bowl", "Cup", "Gift Card", "Sample", None][: rng.randint(1, 5)]
        self.products = []
        for number in range(rng.randint(0, 30)):
            known = rng.random() < 0.9
            self.products.append(
                {
                    "product_id": str(1000 + number) if known else f"handle:h{number}",
                    "title": f"Product {number}" if rng.random() < 0.97 else None,
                    "handle": f"h{number}",
                    "vendor": rng.choice(vendors),
                    "product_type": rng.choice(types),
                    "tags": rng.choice([None, '["blue"]', '["Sample","blue"]']) if rng.random() < 0.2 else None,
                    "is_gift_card": rng.choice([None, False, False, rng.random() < 0.1]),
                    "is_published": rng.random() < 0.85,
                    "is_available": rng.random() < 0.8,
                    "is_deleted": rng.random() < 0.05,
                    "price": rng.choice(PRICES) if rng.random() < 0.3 else rng.randint(5, 50),
                    "source": rng.choice(["catalogue_file", "catalogue_file", "catalogue_file", "events"]),
                }
            )
        self.has_catalogue = rng.random() < 0.5
        named = [rng.choice([product["handle"], product["product_id"]]) for product in self.products]
        self.excluded = rng.sample(named, min(len(named), rng.randint(0, 3)))
        self.pinned = rng.sample(named, min(len(named), rng.randint(0, 3)))

    def may_be_shown(self) -> dict[str, str | None]:
        """The eligible products, with vendor and type where both are known."""
        shown = {}
        for product in self.products:
            sort = (product["product_type"] or "").lower()
            if (
                product["is_published"]
                and product["is_available"]
                and not product["is_deleted"]
                and product["title"]
                and not product["is_gift_card"]
                and sort not in ("gift card", "sample")
                and "sample" not in (product["tags"] or "").lower()
                and (product["price"] is None or product["price"] > 0)
                and not (self.has_catalogue and product["source"] == "events")
                and not {product["handle"], product["product_id"]} & set(self.excluded)
            ):
                both = product["vendor"] and product["product_type"]
                shown[product["product_id"]] = f"{product['vendor']} | {product['product_type']}" if both else None
        if len({group or "" for group in shown.values()}) <= 1:
            return dict.fromkeys(shown)
        return shown

    def restock(self) -> None:
        """Toggle the availability of some products."""
        for product in self.products:
            if self.rng.random() < 0.4:
                product["is_available"] = not product["is_available"]

    def write(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Replace the shop's catalogue and rules."""
        for table in ("core.products", "core.collection_products", "raw_shops.recommendation_rules"):
            connection.execute(f"delete from {table} where shop = $shop", {"shop": self.shop})
        for product in self.products:
            known = {name: value for name, value in product.items() if name != "price"}
            exists = not product["is_deleted"]
            self.insert(
                connection,
                "core.products",
                **known
                | {
                    "product_key": f"{self.shop}/{product['product_id']}",
                    "is_published": product["is_published"] and exists,
                    "is_available": product["is_available"] and exists,
                    "price_min": product["price"],
                    "price_max": product["price"],
                    "currency": "EUR",
                },
            )
            collection = f"c{self.rng.randrange(2)}"
            self.insert(
                connection,
                "core.collection_products",
                collection_product_key=f"{self.shop}/{product['product_id']}",
                collection_id=collection,
                product_id=product["product_id"],
            )
        for rule, names in (("exclude", self.excluded), ("pin", self.pinned)):
            for place, name in enumerate(names, start=1):
                loaded = {"_dlt_load_id": "1", "_dlt_id": f"{self.shop}/{rule}/{place}"}
                self.insert(
                    connection, "raw_shops.recommendation_rules", rule=rule, product=name, place=place, **loaded
                )

    def write_visits(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Write sessions of a few products, orders of some of them, and their visitors."""
        self.insert(connection, "core.shops", name=self.shop, timezone="UTC", currency="EUR")
        self.insert(connection, "intermediate.int_shop_today", today=TODAY)
        self.insert(connection, "intermediate.int_as_of", as_of=datetime(2026, 11, 20, 12))
        if self.has_catalogue:
            self.insert(connection, "intermediate.int_catalogue_shops", complete_source="catalogue_file")
        ids = [product["product_id"] for product in self.products]
        for number in range(self.rng.randint(0, 40) if ids else 0):
            day = TODAY - timedelta(days=self.rng.randrange(14))
            session, journey = f"{self.shop}/{number}", f"{self.shop}-j{number % 7}"
            viewed = [self.rng.choice(ids) for _ in range(self.rng.randint(1, 5))]
            self.insert(connection, "intermediate.int_visits", session_id=session, journey_id=journey)
            if number < 7:
                self.insert(
                    connection,
                    "core.user_journeys",
                    journey_id=journey,
                    last_seen_at=datetime(2026, 11, 19),
                    is_bot=False,
                )
            for place, product in enumerate(viewed, start=1):
                self.insert(
                    connection,
                    "intermediate.int_session_products",
                    session_id=session,
                    local_date=day,
                    product_id=product,
                    views_to_end=place,
                    is_last_view=product not in viewed[: place - 1],
                    last_viewed_at=datetime.combine(day, datetime.min.time()),
                )
            for left in set(viewed):
                for right in set(viewed):
                    if left <= right:
                        pair = {"product_id": left, "other_product_id": right}
                        self.insert(
                            connection,
                            "intermediate.int_view_pairs_daily",
                            **pair,
                            local_date=day,
                            sessions=1,
                            forward_weight=1,
                            backward_weight=1,
                        )
                        self.insert(
                            connection,
                            "intermediate.int_order_pairs_daily",
                            **pair,
                            local_date=day,
                            orders=2,
                            weight=1,
                        )

    def insert(self, connection: duckdb.DuckDBPyConnection, table: str, **values: Any) -> None:
        """Insert a row of this shop; other columns are null."""
        named = {"shop": self.shop, **values}
        columns = ", ".join(f"${name} as {name}" for name in named)
        connection.execute(f"insert into {table} by name select {columns}", named)


def check(shown: list[str], store: Store, where: Any, seed: str | None = None) -> int:
    """Assert the rules for one list."""
    allowed = store.may_be_shown()
    assert len(shown) == len(set(shown)), where
    assert set(shown) <= set(allowed), (where, set(shown) - set(allowed))
    assert seed not in shown, where
    groups = Counter(group for product in shown if (group := allowed[product]) is not None)
    assert all(count <= 3 for count in groups.values()), (where, groups)
    return len(shown)


def lists_of(value: Any, path: str = "") -> list[tuple[str, list[str]]]:
    """Every list of items within a document."""
    if isinstance(value, list):
        if value and isinstance(value[0], dict) and "position" in value[0]:
            assert [item["position"] for item in value] == list(range(1, len(value) + 1)), path
            return [(path, [item["product_id"] for item in value])]
        return []
    if isinstance(value, dict):
        return [found for key, inner in value.items() for found in lists_of(inner, f"{path}/{key}")]
    return []


def check_files(version: Published, stores: list[Store]) -> int:
    items = 0
    by_shop = {store.shop: store for store in stores}
    for store in stores:
        folder = version.folder / "recommendations" / "shops" / store.shop
        for shard in (folder / "products").iterdir():
            for product, document in json.loads(shard.read_text())["products"].items():
                for path, shown in lists_of(document):
                    items += check(shown, store, (shard, product, path), product)
        for path, shown in lists_of(json.loads((folder / "lists.json").read_text())):
            items += check(shown, store, path)
        catalogue = json.loads((folder / "catalogue.json").read_text())
        assert set(catalogue["products"]) == set(store.may_be_shown()), (store.products, store.excluded)
        for call in map(json.loads, (folder / "metafields.ndjson").read_text().splitlines()):
            for metafield in call["metafields"]:
                seed = metafield["ownerId"].rpartition("/")[2]
                check([gid.rpartition("/")[2] for gid in json.loads(metafield["value"])], store, metafield, seed)
        private = version.folder / "private" / "shops" / store.shop / "visitors"
        for shard in private.iterdir():
            for journey, (_, _, _, listed) in json.loads(shard.read_text())["journeys"].items():
                items += check([product for product, _, _ in listed], store, journey)
    for file in (version.folder / "recommendations").glob("*.ndjson"):
        for line in map(json.loads, file.read_text().splitlines()):
            shown = [item["product_id"] for item in line["items"]]
            items += check(shown, by_shop[line["shop"]], (file.name, line["list"]), line["list"])
    for file in (version.folder / "recommendations").glob("*.parquet"):
        with duckdb.connect() as connection:
            for shop, shown in connection.execute(
                f"select shop, list(recommended_product_id) from '{file}' group by shop, list"
            ).fetchall():
                items += check(shown, by_shop[shop], file)
    return items


def check_answers(ask: Asking, stores: list[Store], rng: random.Random) -> int:
    items = 0
    for store in stores:
        base = f"/v1/shops/{store.shop}"
        ids = [product["product_id"] for product in store.products]
        for seed in ids:
            excluded = rng.sample(ids, min(len(ids), rng.randint(0, 3)))
            for placement in ("product_page", "bought_together", "viewed_together"):
                answer = ask(
                    f"{base}/products/{seed}/recommendations",
                    params={"placement": placement, "limit": 20, "exclude": ",".join(excluded)},
                )
                if answer.status_code == 404:
                    continue
                shown = [item["product_id"] for item in answer.json()["items"]]
                items += check(shown, store, (seed, placement), seed)
                assert not set(shown) & set(excluded)
        for path in ("popular", "trending"):
            answer = ask(f"{base}/{path}")
            items += check([item["product_id"] for item in answer.json()["items"]], store, path)
        if ids:
            viewed = [rng.choice(ids) for _ in range(5)]
            answer = ask(f"{base}/session", "POST", json={"products": viewed})
            assert answer.status_code == 200, answer.text
            items += check([item["product_id"] for item in answer.json()["items"]], store, ("session", viewed))
        for number in range(8):
            visitor = f"{base}/visitors/{store.shop}-j{number}"  # the last one is unknown
            answer = ask(visitor, headers={"Authorization": f"Bearer {KEY}"})
            assert answer.status_code == 200, answer.text
            items += check([item["product_id"] for item in answer.json()["items"]], store, "visitor")
    return items


@settings(
    max_examples=1,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 10**9))
def test_no_file_or_response_contains_an_ineligible_item(template, tmp_path_factory, seed):
    rng = random.Random(seed)
    data = tmp_path_factory.mktemp("store")
    shutil.copy(template, data / "warehouse.duckdb")
    warehouse = Warehouse(data, data / "shops.toml", load=False)
    stores = [Store(f"s{number}", rng) for number in range(5)]
    items = 0
    for step in range(2):
        with duckdb.connect(str(warehouse.file)) as connection:
            for store in stores:
                if step:
                    store.restock()
                else:
                    store.write_visits(connection)
                store.write(connection)
        warehouse.build("--select", *LISTS, "--exclude", *GIVEN)
        recommend(warehouse.file)
        version = publish(warehouse.file, data)
        assert version.manifest.ineligible_dropped == 0
        items += check_files(version, stores)
        items += check_answers(Asking(data, secrets=VisitorSecrets(api_keys=[KEY.encode()])), stores, rng)
    assert items > 0


def test_catalogue_without_views_has_lists(template, tmp_path):
    shutil.copy(template, tmp_path / "warehouse.duckdb")
    warehouse = Warehouse(tmp_path, tmp_path / "shops.toml", load=False)
    store = Store("new", random.Random(7))
    while len(store.may_be_shown()) < 13:
        store = Store("new", store.rng)
    with duckdb.connect(str(warehouse.file)) as connection:
        store.insert(connection, "core.shops", name=store.shop, timezone="UTC", currency="EUR")
        store.insert(connection, "intermediate.int_shop_today", today=None)
        store.insert(connection, "intermediate.int_catalogue_shops", complete_source="catalogue_file")
        store.has_catalogue = True
        store.write(connection)
    warehouse.build("--select", *LISTS, "--exclude", *GIVEN)
    recommend(warehouse.file)
    version = publish(warehouse.file, tmp_path)
    assert check_files(version, [store]) > 0
    assert len(version.lists(store.shop).popular) > 3
    assert all(version.document(store.shop, product).placements["product_page"] for product in store.may_be_shown())
