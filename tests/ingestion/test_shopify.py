"""Checks every query against Shopify's own schemas, and the source against a simulated API that executes one."""

import gzip
import json
import re
import shutil
import subprocess
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import duckdb
import msgspec
import pytest
import requests
from dlt.sources.helpers.rest_client import RESTClient
from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator
from graphql import build_client_schema, parse, validate

from ingestion.data_folder import warehouse_file
from ingestion.simulator.admin_api import MAX_QUERY_COST, SCHEMA_FILE, AdminApi, Bucket, query_cost, running_admin_api
from ingestion.simulator.admin_store import AdminStore
from ingestion.simulator.catalogue import build_catalogue
from ingestion.simulator.prune_schema import prune
from ingestion.simulator.shoppers import simulate
from ingestion.sources import shopify, shopify_api
from ingestion.sources.shopify import Settings, shopify_source
from ingestion.sources.shopify_api import admin_apis
from ingestion.sources.shopify_errors import ShopifyError
from ingestion.sources.shopify_queries import API_VERSION, DOCUMENTS, PRODUCTS
from ingestion.sources.shopify_token import token_variable
from ingestion.warehouse import known_products, newest_answer, open_pipeline
from tests.browser import missing

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
PINK = "gid://shopify/Product/{}"


def query(data, sql):
    with duckdb.connect(str(warehouse_file(data)), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def product(number: int, **fields) -> dict:
    updated_at = (NOW - timedelta(days=30) + timedelta(minutes=number)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "__typename": "Product",
        "id": f"gid://shopify/Product/{number}",
        "title": f"Product {number}",
        "handle": f"product-{number}",
        "descriptionHtml": "",
        "vendor": "V",
        "productType": "T",
        "tags": [],
        "status": "ACTIVE",
        "isGiftCard": False,
        "createdAt": updated_at,
        "updatedAt": updated_at,
        "publishedAt": None,
        "onlineStoreUrl": None,
        "featuredMedia": None,
        **fields,
    }


def variant(product_number: int, number: int, **fields) -> dict:
    return {
        "__typename": "ProductVariant",
        "id": f"gid://shopify/ProductVariant/{product_number * 1000 + number}",
        "title": f"Variant {number}",
        "sku": None,
        "position": number,
        "price": "10.00",
        "compareAtPrice": None,
        "availableForSale": True,
        "inventoryQuantity": 1,
        "inventoryPolicy": "DENY",
        "inventoryItem": {"unitCost": None},
        "createdAt": "2026-01-01T00:00:00Z",
        "updatedAt": "2026-01-01T00:00:00Z",
        **fields,
    }


@pytest.fixture
def store(shop) -> AdminStore:
    """600 products with 1,328 variants: one has 130, the others two each."""
    made = AdminStore(shop.domain)
    for number in range(600):
        variants = 130 if number == 77 else 2
        made.add_product(product(number), [variant(number, one) for one in range(1, variants + 1)])
    return made


@contextmanager
def serving(shop, store, token="right", **settings):
    """The simulated API, and the loader's client of it."""
    simulator = AdminApi(store, "right", **{"bucket": Bucket(maximum=1e6)} | settings)
    with running_admin_api(simulator) as url:
        [api] = admin_apis([shop], {token_variable(shop.domain): token, "PIXELNOVA_SHOPIFY_URL": url})
        yield simulator, api


def load(data, *apis, **settings):
    """Load; returns (subject, error) of every failed subject."""
    known = {
        "known_products": lambda domain: known_products(data, domain),
        "workspace": data / "work",
    }
    open_pipeline("shopify", data).run(shopify_source(apis, Settings(**known | settings)))
    newest = "select max(_dlt_load_id) from raw_shopify.fetches"
    return query(
        data, f"select subject, error from raw_shopify.fetches where error is not null and _dlt_load_id = ({newest})"
    )


def rows(data, table) -> int:
    return query(data, f"select count(*) from raw_shopify.{table}")[0][0]


def now_known(data) -> dict[str, set[str]]:
    """Product ▶ its variants, by the staging models' rule: those fetched with its newest version."""
    found = query(
        data,
        """
        with newest as (select id, max(fetched_at) as fetched_at from raw_shopify.products group by id)
        select newest.id, variants.id
        from newest left join raw_shopify.variants
            on newest.id = variants.parent_id and newest.fetched_at = variants.fetched_at
        where newest.id not in (select id from raw_shopify.product_deletions)
        """,
    )
    known: dict[str, set[str]] = {}
    for product_id, variant_id in found:
        known.setdefault(product_id, set()).update({variant_id} - {None})
    return known


def really(store) -> dict[str, set[str]]:
    return {product_id: set(variants) for product_id, variants in store.variants.items()}


# --- queries


@pytest.fixture(scope="module")
def published_schemas(tmp_path_factory) -> dict[str, dict]:
    """Admin API version ▶ Shopify's introspection, from npm."""
    if not shutil.which("npm"):
        missing("npm, which fetches Shopify's schemas, is missing: apt-get install npm")
    folder = tmp_path_factory.mktemp("npm")
    fetched = subprocess.run(
        ["npm", "pack", "--silent", "@shopify/dev-mcp@1.16.0"], cwd=folder, capture_output=True, text=True
    )
    if fetched.returncode:
        missing(f"npm cannot fetch Shopify's schemas: {fetched.stderr[-200:]}")
    subprocess.run(["tar", "xzf", fetched.stdout.strip()], cwd=folder, check=True)
    return {
        file.name.removeprefix("admin_").removesuffix(".json.gz"): json.loads(gzip.decompress(file.read_bytes()))[
            "data"
        ]
        for file in sorted((folder / "package/dist/data").glob("admin_*.json.gz"))
    }


def test_every_query_is_valid_in_shopifys_own_schemas(published_schemas):
    assert API_VERSION in published_schemas
    for version, introspection in published_schemas.items():
        schema = build_client_schema(introspection)
        for document in DOCUMENTS:
            errors = [error.message for error in validate(schema, parse(document))]
            if version < "2026-07":  # orders have tokens since this version
                errors = [error for error in errors if "Token' on type 'Order'" not in error]
            assert errors == [], version


def test_invalid_queries_are_detected(published_schemas):
    schema = build_client_schema(published_schemas[API_VERSION])
    assert validate(schema, parse(PRODUCTS.replace("vendor", "priceRangeV9")))


def test_simulator_schema_is_a_subset_of_shopifys(published_schemas):
    assert prune(published_schemas[API_VERSION], DOCUMENTS).strip() in SCHEMA_FILE.read_text()


def test_every_query_stays_below_the_cost_limit():
    costs = [query_cost(parse(document)) for document in DOCUMENTS]
    assert max(costs) <= MAX_QUERY_COST
    assert query_cost(parse("{products(first: 50) {nodes {id variants(first: 10) {nodes {id}}}}}")) == 652


# --- the whole catalogue, and then what has changed


class Clock:
    """Advances only in `sleep`, so that throttling does not depend on the speed of the machine."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_600_products_with_1328_variants_are_loaded_exactly_under_throttling(shop, store, tmp_path, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(shopify_api, "time", clock)
    bucket = Bucket(maximum=1000, restore_rate=800, clock=clock.monotonic)
    with serving(shop, store, bucket=bucket) as (simulator, api):
        assert load(tmp_path, api) == []
        assert simulator.bucket.throttled > 0
    assert (rows(tmp_path, "products"), rows(tmp_path, "variants")) == (600, 1328)
    assert now_known(tmp_path) == really(store)


def test_a_client_that_ignores_throttling_silently_loads_too_little(shop, store):
    """Negative control: a client like this one must fail the test above."""
    with serving(shop, store, bucket=Bucket(maximum=1700, clock=Clock().monotonic)) as (_, api):
        client = RESTClient(
            api.url,
            headers={"X-Shopify-Access-Token": "right"},
            session=requests.Session(),
            paginator=JSONResponseCursorPaginator(
                "data.products.pageInfo.endCursor", cursor_body_path="variables.after"
            ),
        )
        pages = client.paginate(
            "graphql.json", "POST", json={"query": PRODUCTS, "variables": {}}, data_selector="data.products.nodes"
        )
        assert 0 < sum(len(page) for page in pages) < 600


def test_later_runs_load_only_changes(shop, store, tmp_path):
    with serving(shop, store) as (simulator, api):
        load(tmp_path, api)
        simulator.requests.clear()
        load(tmp_path, api)
        assert (rows(tmp_path, "products"), rows(tmp_path, "variants")) == (600, 1328)
        assert simulator.requests.count("PixelnovaProducts") == 1
        store.update_product(PINK.format(5), NOW, title="Renamed")
        store.update_variant(PINK.format(6), "gid://shopify/ProductVariant/6001", NOW, price="12.50")
        store.remove_variant(PINK.format(77), "gid://shopify/ProductVariant/77130", NOW)
        store.delete_product(PINK.format(8), datetime.now(UTC))
        store.add_product(product(1000, updatedAt="2026-11-01T12:00:00Z"), [variant(1000, 1)])
        load(tmp_path, api)
    assert (rows(tmp_path, "products"), rows(tmp_path, "variants")) == (604, 1328 + 2 + 2 + 129 + 1)
    assert now_known(tmp_path) == really(store)


def test_a_query_for_other_fields_reads_all_products_again(shop, store, tmp_path, monkeypatch):
    with serving(shop, store) as (_, api):
        load(tmp_path, api)
        monkeypatch.setattr(shopify, "PRODUCTS", PRODUCTS.replace("vendor", "vendor vendorAgain: vendor"))
        load(tmp_path, api)
        assert rows(tmp_path, "products") == 1200
        load(tmp_path, api)
        assert rows(tmp_path, "products") == 1200


def test_changes_in_the_second_of_the_last_run_are_not_missed(shop, store, tmp_path):
    with serving(shop, store) as (_, api):
        store.update_product(PINK.format(1), NOW, title="One")
        load(tmp_path, api)
        store.update_product(PINK.format(1), NOW, title="Two")
        store.update_product(PINK.format(2), NOW - timedelta(seconds=90), title="Late in the index")
        load(tmp_path, api)
    titles = query(tmp_path, "select json_extract_string(node, '$.title') from raw_shopify.products")
    assert {("One",), ("Two",), ("Late in the index",)} <= set(titles)
    assert rows(tmp_path, "products") == 602


def test_late_variants_of_large_products_are_not_missed(shop, store, tmp_path):
    with serving(shop, store) as (_, api):
        store.update_product(PINK.format(77), NOW)
        load(tmp_path, api)
        store.update_variant(PINK.format(77), "gid://shopify/ProductVariant/77130", NOW, price="99.00")
        load(tmp_path, api)
    found = query(tmp_path, "select node from raw_shopify.variants where id like '%/77130' order by fetched_at")
    assert json.loads(found[-1][0])["price"] == "99.00"


def test_a_failed_run_resumes_where_it_stopped(shop, store, tmp_path):
    with serving(shop, store) as (_, api):
        real = api.pages

        def pages(path, text, **variables):
            for number, page in enumerate(real(path, text, **variables)):
                if path == "products" and number == 3:
                    raise ShopifyError("no more")
                yield page

        object.__setattr__(api, "pages", pages)
        assert load(tmp_path, api) == [("products", "no more")]
        assert rows(tmp_path, "products") == 75
        object.__setattr__(api, "pages", real)
        assert load(tmp_path, api) == []
    assert now_known(tmp_path) == really(store)
    assert rows(tmp_path, "products") == 600


def test_changes_during_a_bulk_operation_are_not_missed(shop, store, tmp_path):
    """A bulk file is not a snapshot: product 1 is read before it changes, product 2 after."""
    with serving(shop, store) as (_, api):
        later = datetime.now(UTC) + timedelta(seconds=30)
        store.update_product(PINK.format(2), later + timedelta(hours=1), title="In the file")
        load(tmp_path, api, bulk_from=1)
        store.update_product(PINK.format(1), later, title="Too late for the file")
        load(tmp_path, api)
    titles = query(tmp_path, "select json_extract_string(node, '$.title') from raw_shopify.products")
    assert ("Too late for the file",) in titles


def test_objects_deleted_between_two_queries_are_skipped(shop, store, tmp_path):
    store.collections["gid://shopify/Collection/1"] = collection = {
        "__typename": "Collection",
        "id": "gid://shopify/Collection/1",
        "title": "Here",
        "handle": "here",
        "sortOrder": "MANUAL",
        "updatedAt": "2026-01-01T00:00:00Z",
    }
    store.collections["gid://shopify/Collection/2"] = {**collection, "id": "gid://shopify/Collection/2"}
    with serving(shop, store) as (simulator, api):
        answer = simulator._root["collection"]
        simulator._root["collection"] = lambda info, id: None if id.endswith("/2") else answer(info, id)
        simulator._root["product"] = lambda info, id: None
        assert load(tmp_path, api) == []
    assert rows(tmp_path, "collections") == 1
    assert now_known(tmp_path).keys() == really(store).keys() - {PINK.format(77)}


def test_an_unexpected_response_stops_only_its_subject(shop, store, tmp_path, monkeypatch):
    monkeypatch.setattr(shopify, "_with_children", lambda *_: 1 / 0)
    with serving(shop, AdminStore(shop.domain, build_catalogue(1))) as (_, api):
        [(subject, error)] = load(tmp_path, api)
    assert (subject, "ZeroDivisionError" in error) == ("products", True)
    assert rows(tmp_path, "collections") == 8


def test_the_sweep_finds_products_deleted_without_an_event(shop, store, tmp_path, monkeypatch):
    with serving(shop, store) as (_, api):
        load(tmp_path, api)
        store.delete_product(PINK.format(9), NOW, leaves_event=False)
        load(tmp_path, api)
        assert PINK.format(9) in now_known(tmp_path)
        monkeypatch.setattr(shopify, "SWEEP_EVERY", timedelta())
        load(tmp_path, api)
        load(tmp_path, api)
    assert now_known(tmp_path) == really(store)
    assert rows(tmp_path, "product_deletions") == 1


def test_rows_fetched_while_the_clock_was_ahead_do_not_hide_later_changes(shop, store, tmp_path, monkeypatch):
    with serving(shop, store) as (_, api):
        with monkeypatch.context() as ahead:
            ahead.setattr(shopify, "_now", lambda: datetime.now(UTC) + timedelta(days=400))
            load(tmp_path, api)
        changed = datetime.now(UTC)
        store.update_product(PINK.format(5), changed, title="Renamed")
        store.delete_product(PINK.format(8), changed)
        store.delete_product(PINK.format(9), changed, leaves_event=False)
        load(tmp_path, replace(api, newest_answer=newest_answer(tmp_path, shop.domain)))
    newest = "select max_by(node, fetched_at) from raw_shopify.products where id = '{}'"
    [(node,)] = query(tmp_path, newest.format(PINK.format(5)))
    assert json.loads(node)["title"] == "Renamed"
    assert {PINK.format(8), PINK.format(9)}.isdisjoint(known_products(tmp_path, shop.domain))


def test_collections_are_reloaded_when_members_change(shop, tmp_path, monkeypatch):
    store = AdminStore(shop.domain, build_catalogue(1))
    with serving(shop, store) as (_, api):
        load(tmp_path, api)
        members = "select parent_id, id from raw_shopify.collection_products"
        everything = {(one, member) for one, found in store.members.items() for member in found}
        assert set(query(tmp_path, members)) == everything
        load(tmp_path, api)
        assert rows(tmp_path, "collections") == 8
        one, another, *_ = store.collections
        store.members[one] = store.members[one][5:]  # by a rule: the collection's updated_at stays
        del store.collections[another]
        monkeypatch.setattr(shopify, "MEMBERSHIP_EVERY", timedelta())
        load(tmp_path, api)
    assert rows(tmp_path, "collections") == 10
    newest = f"select max(fetched_at) from raw_shopify.collections where id = '{one}'"
    found = query(tmp_path, f"{members} where parent_id = '{one}' and fetched_at = ({newest})")
    assert {member for _, member in found} == set(store.members[one])
    gone = query(tmp_path, "select id from raw_shopify.collections where node like '%deletedAt%'")
    assert gone == [(another,)]


# --- bulk


def test_a_bulk_operation_loads_the_same_rows_as_paging(shop, store, tmp_path):
    compared = "select {}, id, parent_id, json(node) from raw_shopify.{} order by all"
    found = {}
    for way, bulk_from in (("bulk", 1), ("paged", 10_000)):
        with serving(shop, store) as (simulator, api):
            assert load(tmp_path / way, api, bulk_from=bulk_from) == []
            assert ("PixelnovaRunBulk" in simulator.requests) == (way == "bulk")
            store_before = rows(tmp_path / way, "products")
            load(tmp_path / way, api)
            assert simulator.requests.count("PixelnovaRunBulk") == (way == "bulk")
            assert rows(tmp_path / way, "products") - store_before <= 3  # returned again by the overlap
        found[way] = {
            table: {
                (one, parent): {key: value for key, value in json.loads(node).items() if key != "__parentId"}
                for _, one, parent, node in query(tmp_path / way, compared.format("1", table))
            }
            for table in ("products", "variants")
        }
    assert found["bulk"] == found["paged"]
    assert now_known(tmp_path / "bulk") == really(store)


@pytest.mark.parametrize(
    ("trouble", "complaint"),
    [({"bulk_ends_as": "FAILED"}, "ended as FAILED"), ({"bulk_is_cut": True}, "where Shopify announced")],
)
def test_a_failed_bulk_operation_loads_nothing_and_the_next_run_everything(shop, store, tmp_path, trouble, complaint):
    with serving(shop, store) as (simulator, api):
        vars(simulator).update(trouble)
        [(subject, error)] = load(tmp_path, api, bulk_from=1)
        assert (subject, complaint in error) == ("products", True)
        assert rows(tmp_path, "products") == rows(tmp_path, "variants") == 0
        vars(simulator).update(bulk_ends_as="COMPLETED", bulk_is_cut=False)
        assert load(tmp_path, api, bulk_from=1) == []
    assert now_known(tmp_path) == really(store)


# --- orders


def test_orders_have_all_lines_and_refunds_and_no_buyer_input(shop, tmp_path):
    orders = simulate(shop, build_catalogue(1), 1, NOW, days=3).orders
    store = AdminStore(shop.domain, orders=orders)
    first = next(iter(store.orders.values()))
    line = first["lineItems"][0]
    first["lineItems"] = [
        {**line, "id": f"gid://shopify/LineItem/{n}", "customAttributes": [{"key": "Engraving", "value": "Ada"}]}
        for n in range(230)
    ]
    first["customAttributes"] = [
        {"key": "_pixelnova", "value": "r"},
        {"key": "Gift for", "value": "Ada Lovelace"},
        {"key": "_Engraving", "value": "Ada"},
    ]
    money = {"amount": "1.00", "currencyCode": "USD"}
    first["refunds"] = [
        {"id": f"gid://shopify/Refund/{n}", "createdAt": "2026-11-01T00:00:00Z"}
        | {"totalRefundedSet": {"shopMoney": money, "presentmentMoney": money}}
        for n in range(7)
    ]
    with serving(shop, store) as (_, api):
        assert load(tmp_path, api, orders_of=frozenset({shop.domain})) == []
        load(tmp_path, api, orders_of=frozenset({shop.domain}))
    assert rows(tmp_path, "orders") == len(orders)
    assert rows(tmp_path, "order_lines") == sum(len(order["lineItems"]) for order in store.orders.values())
    [(node,)] = query(tmp_path, f"select node from raw_shopify.orders where id = '{first['id']}'")
    assert len(json.loads(node)["refunds"]) == 7
    assert json.loads(node)["customAttributes"] == [{"key": "_pixelnova", "value": "r"}]
    everything = json.dumps(query(tmp_path, "select node from raw_shopify.order_lines")) + node
    assert "Ada" not in everything


def test_orders_are_fetched_only_if_enabled(shop, tmp_path):
    store = AdminStore(shop.domain, orders=simulate(shop, build_catalogue(1), 1, NOW, days=1).orders)
    with serving(shop, store) as (simulator, api):
        load(tmp_path, api)
        assert "PixelnovaOrders" not in simulator.requests
    assert rows(tmp_path, "orders") == 0


# --- errors


def refuse(simulator):
    simulator.scopes.clear()


def sunset(simulator):
    simulator.served_version = "2027-01"


def be_down(simulator):
    simulator.server_errors = 10_000


@pytest.mark.parametrize(
    ("token", "trouble", "complaint"),
    [
        ("wrong", lambda simulator: None, "refuses the token .* PIXELNOVA_SHOPIFY_TOKEN_PIXELNOVA_DEMO"),
        ("right", refuse, "denies access: .* Give the app that scope"),
        ("right", sunset, "serves API version 2027-01 in place of"),
        ("right", be_down, "answers HTTP 502: check the network and run again"),
    ],
)
def test_refusals_are_reported_in_one_sentence_and_load_nothing(
    shop, store, tmp_path, monkeypatch, token, trouble, complaint
):
    monkeypatch.setattr(shopify_api.time, "sleep", lambda seconds: None)
    with serving(shop, store, token) as (simulator, api):
        trouble(simulator)
        with pytest.raises(ShopifyError, match=complaint):
            list(api.pages("products", PRODUCTS))
        reported = load(tmp_path, api)
    assert all(re.search(complaint, error) for _, error in reported)
    assert reported
    assert rows(tmp_path, "products") == 0


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (PRODUCTS.replace("handle", "hndle"), "Cannot query field 'hndle'"),
        (PRODUCTS.replace("sortKey: UPDATED_AT", "sortBy: ID"), "Unknown argument 'sortBy'"),
        (PRODUCTS.replace("first: 25", "first: 250"), "exceeds the single query max cost"),
    ],
)
def test_the_simulator_rejects_invalid_queries(shop, store, text, complaint):
    with serving(shop, store) as (_, api), pytest.raises(ShopifyError, match=complaint):
        list(api.pages("products", text))


def test_unknown_versions_and_shops_are_reported(shop, store):
    with serving(shop, store) as (_, api):
        elsewhere = shopify_api.AdminApi(api.shop, api.url.replace(API_VERSION, "2019-01"), api.token)
        with pytest.raises(ShopifyError, match="There is no Admin API"):
            elsewhere.ask(PRODUCTS)


def test_an_unreachable_api_fails_with_one_sentence(shop, monkeypatch):
    monkeypatch.setattr(shopify_api.time, "sleep", lambda seconds: None)
    [api] = admin_apis([shop], {token_variable(shop.domain): "t", "PIXELNOVA_SHOPIFY_URL": "http://127.0.0.1:1"})
    with pytest.raises(ShopifyError, match=r"cannot be reached at http://127\.0\.0\.1:1/admin/api"):
        api.ask(PRODUCTS)


def test_server_errors_are_retried(shop, store, tmp_path):
    with serving(shop, store) as (simulator, api):
        simulator.server_errors = 3
        assert load(tmp_path, api) == []
    assert now_known(tmp_path) == really(store)


def test_an_expired_cursor_loses_no_product(shop, store, tmp_path):
    with serving(shop, store) as (simulator, api):
        real = api.pages

        def pages(path, text, **variables):
            for number, page in enumerate(real(path, text, **variables)):
                if path == "products" and number == 5 and simulator.cursors_of == 0:
                    simulator.cursors_of += 1
                yield page

        object.__setattr__(api, "pages", pages)
        assert load(tmp_path, api) == []
        assert simulator.cursors_of == 1
    assert now_known(tmp_path) == really(store)
    assert rows(tmp_path, "products") == 600


def test_a_failing_shop_does_not_stop_others_and_catches_up_later(shop, store, tmp_path):
    other = msgspec.structs.replace(shop, domain="other.myshopify.com")
    with ExitStack() as stack:
        simulator, api = stack.enter_context(serving(shop, store))
        _, other_api = stack.enter_context(serving(other, AdminStore(other.domain, build_catalogue(1))))
        simulator.scopes.clear()
        reported = load(tmp_path, api, other_api)
        assert {subject for subject, _ in reported} == {"products", "collections"}
        by_shop = "select shop, count(*) from raw_shopify.products group by shop order by shop"
        assert query(tmp_path, by_shop) == [(other.domain, len(build_catalogue(1).products))]
        simulator.scopes.add("read_products")
        assert load(tmp_path, api, other_api) == []
    assert dict(query(tmp_path, by_shop))[shop.domain] == 600


@pytest.mark.parametrize("bulk_from", [1, 10_000])
def test_unusual_products_are_loaded_unchanged(shop, tmp_path, bulk_from):
    store = AdminStore(shop.domain)
    odd = {
        "descriptionHtml": "<p>" + 'é😀"\\\n' * 50_000,
        "title": "  <b>Tee & \u2028 \0 'quoted'</b> ",
        "vendor": "",
        "tags": ["a,b", "ü"],
        "status": "UNLISTED",
    }
    store.add_product(product(1, **odd), [])  # without variants
    store.add_product(product(2), [variant(2, 1, price="0", inventoryQuantity=None, availableForSale=False)])
    store.add_product(product(3), [variant(3, 1, price="1050000"), variant(3, 2, price="9999999999.99")])
    with serving(shop, store) as (_, api):
        assert load(tmp_path, api, bulk_from=bulk_from) == []
    assert now_known(tmp_path) == really(store)
    [(node,)] = query(tmp_path, "select node from raw_shopify.products where id like '%/1'")
    assert {key: json.loads(node)[key] for key in odd} == odd


def test_a_shop_without_a_token_has_empty_tables(tmp_path, shop):
    load(tmp_path, *admin_apis([shop], {}))
    assert [rows(tmp_path, table) for table in shopify.LOGS] == [0] * len(shopify.LOGS)


def test_tokens_are_never_printed(shop):
    [api] = admin_apis([shop], {token_variable(shop.domain): "a secret"})
    assert "a secret" not in repr(api)
