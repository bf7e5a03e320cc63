"""Erasure of people and shops: no trace of them is left, everything else stays, and they are kept out."""

import base64
import json
import shutil
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path

import duckdb
import msgspec
import pyarrow as pa
import pytest

from ingestion.data_folder import landing_folder, reports_folder
from ingestion.landing import sealed_files
from ingestion.privacy.erase import erase_everywhere, erase_pending, suppress
from ingestion.privacy.export import export_pending, exports_folder, write_package
from ingestion.privacy.identifiers import CLIENT, CUSTOMER, ORDER, TOKEN, Identifier
from ingestion.privacy.proof import traces
from ingestion.privacy.purge import purge
from ingestion.privacy.requests import DONE, ERASE, EXPORT, Request, new_request, read_requests
from ingestion.privacy.suppression import SuppressionListUnusable, Suppressions, privacy_folder
from ingestion.shops import Shop, load_shops
from orchestration.build_state import mark_for_rebuild
from tests.conftest import PROJECT
from tests.landing_files import land
from tests.privacy.people import ANNA, BEN, CARA, FIRST, OTHER_SHOP, PEOPLE, SHOP, Event, events
from tests.privacy.warehouses import built, copy_of, rebuilt
from tests.warehouse import Warehouse, differences

DEMO = "pixelnova-demo.myshopify.com"
RICHEST = """
    select orders.customer_id from core.orders inner join core.pixel_events using (shop, journey_id)
    where orders.customer_id is not null
    group by orders.customer_id, orders.journey_id
    having count(distinct pixel_events.client_id) > 1
    order by count(distinct orders.order_key) desc, count(*) desc, orders.customer_id limit 1
"""
ADMIN_ONLY = """
    select customer_id from staging.stg_shopify__orders
    where customer_id not in (select customer_id from core.orders where customer_id is not null)
    group by customer_id order by count(*) desc, customer_id limit 1
"""
PACKED = ("raw_events", "core.orders", "core.user_profiles", "core.sessions")
ANNA_HERSELF = Identifier(CUSTOMER, PEOPLE[ANNA].customer)
SHARED_BROWSER = Identifier(CLIENT, PEOPLE[BEN].browsers[0])


def erase(warehouse: Warehouse, shops: list[Shop], *identifiers: Identifier, shop: str = SHOP, **options: bool) -> None:
    """One run: erase, load, build, purge."""
    new_request(warehouse.data, shop, ERASE, identifiers, **options)
    erase_pending(warehouse.data, shops, mark_for_rebuild)
    run(warehouse, shops)
    published = warehouse.data / "published"
    purge(warehouse.data, lambda: shutil.rmtree(published, ignore_errors=True))


def run(warehouse: Warehouse, shops: list[Shop]) -> None:
    suppress(warehouse.data, sealed_files(warehouse.landing), shops)
    warehouse.load()
    warehouse.build()


def places(data: Path, values: Iterable[str]) -> list[tuple[str, str]]:
    """The files that contain any of the values, decompressed: in plain text, hexadecimal or base64."""
    forms = {value: [value.encode(), value.encode().hex().encode()] for value in values}
    for value, its in forms.items():
        its += [base64.b64encode(b" " * shift + value.encode())[4 * (shift > 0) : -4] for shift in range(3)]
    found = []
    for path in sorted(data.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with pa.input_stream(str(path), compression="detect") as stream:
                content = stream.read()
            found += [(path.name, value) for value, its in forms.items() if any(form in content for form in its)]
    return found


@pytest.fixture(scope="module")
def demo(built_demo, tmp_path_factory):
    """The demo before and after the erasure of its richest person and of a customer known only to the Admin API.

    The third value: their identifiers and order ids.
    """
    [(customer,)], [(unseen,)] = built_demo.query(RICHEST), built_demo.query(ADMIN_ONLY)
    rows = built_demo.query(
        "select others.identifier from core.identity_map as known inner join core.identity_map as others "
        f"using (shop, journey_id) where known.identifier = '{customer}' and known.identifier_kind = 'customer' "
        f"union all select order_id from core.orders where customer_id = '{customer}' union all "
        f"select unnest([customer_id, order_id]) from staging.stg_shopify__orders where customer_id = '{unseen}'"
    )
    erased = copy_of(built_demo, tmp_path_factory.mktemp("demo") / "erased", PROJECT / "shops.toml")
    new_request(erased.data, DEMO, ERASE, [Identifier(CUSTOMER, unseen)])
    erase(erased, load_shops(PROJECT / "shops.toml"), Identifier(CUSTOMER, customer), shop=DEMO)
    return built_demo, erased, {value for (value,) in rows}


def test_no_file_contains_an_identifier(demo):
    before, erased, identifiers = demo
    assert len(identifiers) > 5
    assert {value for _, value in places(before.data, identifiers)} == identifiers  # else the search proves nothing
    assert places(erased.data, identifiers) == []


@pytest.mark.long
def test_incremental_run_after_an_erasure_equals_a_full_build(demo, tmp_path):
    _, erased, _ = demo
    different = differences(erased, rebuilt(erased, tmp_path / "whole", PROJECT / "shops.toml"))
    assert not different, different


def test_money_of_erased_orders_stays(demo):
    before, erased, _ = demo
    money = "select local_date, currency, orders, gross_total_amount from analytics.daily_sales order by all"
    assert erased.query(money) == before.query(money)
    admin = "select matched_by, count(*), sum(admin_amount), sum(pixel_amount) from operations.reconciled_orders"
    assert erased.query(f"{admin} group by all order by all") == before.query(f"{admin} group by all order by all")
    people = "select count(*), count(customer_id), count(client_id) from core.orders"
    assert erased.query(people)[0][0] == before.query(people)[0][0]
    assert erased.query(people)[0][1:] < before.query(people)[0][1:]


@pytest.fixture(scope="module")
def shops(shops_file) -> list[Shop]:
    return load_shops(shops_file)


@pytest.fixture
def people(everyone, tmp_path, shops_file) -> Warehouse:
    """A copy of `everyone`, to erase from."""
    return copy_of(everyone, tmp_path / "people", shops_file)


def without_anonymous_orders(shops: list[Shop]) -> list[Shop]:
    return [msgspec.structs.replace(shop, keep_orders_anonymous=False) for shop in shops]


def of_anna(event: Event) -> bool:
    """Anna's events, and all events of the browser that she shared with Ben."""
    return event.shop == SHOP and (event.person == ANNA or event.body["clientId"] in PEOPLE[ANNA].browsers)


@pytest.fixture(scope="module")
def without_anna(everyone, shops, shops_file, tmp_path_factory) -> Warehouse:
    """Both stores after the erasure of Anna from one of them, which keeps no anonymous orders; tests only read it."""
    erased = copy_of(everyone, tmp_path_factory.mktemp("erased") / "data", shops_file)
    erase(erased, without_anonymous_orders(shops), ANNA_HERSELF)
    return erased


def test_everything_equals_a_build_of_the_events_without_the_person(everyone, without_anna, shops_file, tmp_path):
    """Ben keeps his own browser; the other store keeps its Anna, whose identifiers are the same."""
    never = built(tmp_path / "without", shops_file, lambda event: not of_anna(event))
    different = differences(without_anna, never, except_requests(never))
    assert not different, different
    ben = f"select count(*) from core.orders where customer_id = '{PEOPLE[BEN].customer}'"
    assert everyone.query(ben) > without_anna.query(ben) > [(4,)]


def test_rows_of_another_store_stay_as_they_are(everyone, without_anna):
    compared = 0
    for table in ["raw_pixel.events", *everyone.tables()]:
        if "shop" in everyone.table(f"select * from {table} limit 0")[0]:
            rows = f"select * from {table} where shop = '{OTHER_SHOP}' order by all"
            before = everyone.query(rows)
            assert without_anna.query(rows) == before, table
            compared += len(before)
    assert compared > 1000


def test_only_the_other_store_has_traces(without_anna):
    assert traces(without_anna.file, Suppressions(without_anna.data)) == []
    archive = landing_folder(without_anna.data) / "archive"
    assert places(archive / f"shop={SHOP}", PEOPLE[ANNA].browsers) == []
    assert places(archive / f"shop={OTHER_SHOP}", PEOPLE[ANNA].browsers)  # whose customer has the same identifiers


def except_requests(warehouse: Warehouse) -> list[str]:
    return [name for name in warehouse.tables() if name not in ("operations.erasures", "operations.privacy_requests")]


@pytest.mark.parametrize("named", [Identifier(CLIENT, PEOPLE[CARA].browsers[0]), Identifier(ORDER, "8200000000042")])
def test_guest_is_found_by_browser_or_order(people, shops, named):
    theirs = {one for event in events(SHOP) if event.person == CARA for one in event.identifiers()}
    new_request(people.data, SHOP, ERASE, [named])
    assert erase_pending(people.data, shops, mark_for_rebuild) == 1
    suppressions = Suppressions(people.data)
    assert all(suppressions.contains(SHOP, one) for one in theirs)
    assert not suppressions.contains(SHOP, ANNA_HERSELF)
    [request] = read_requests(people.data)
    assert (request.status, request.identifiers) == ("erased", [])
    assert request.counts == {"events": 28, "clients": 1, "tokens": 4, "orders": 4}


@pytest.mark.parametrize("name", [ANNA, BEN])
def test_package_has_nothing_of_another_customer_of_a_shared_browser(people, name):
    """Anna ordered last in the shared browser, so its visits are hers; checkouts there belong to whoever ordered."""
    person, folder = PEOPLE[name], exports_folder(people.data) / name
    browsers = {browser for browser in person.browsers if name == ANNA or browser not in PEOPLE[ANNA].browsers}
    write_package(people.data, Request(name, SHOP, EXPORT, FIRST, [Identifier(CUSTOMER, person.customer)]), folder)

    def is_theirs(event: Event) -> bool:
        return event.person == name if "checkout" in event.body["data"] else event.body["clientId"] in browsers

    packed = {table: json.loads((folder / f"{table}.json").read_text()) for table in PACKED}
    received = {event["event"]["id"] for event in packed["raw_events"]}
    assert received == {event.body["id"] for event in events(SHOP) if is_theirs(event)}
    assert {order["customer_id"] for order in packed["core.orders"]} == {person.customer}
    assert {profile["customer_id"] for profile in packed["core.user_profiles"]} == {person.customer}
    assert {session["client_id"] for session in packed["core.sessions"]} == browsers
    theirs, strangers = set(), set()
    for event in events(SHOP):
        (theirs if event.person == name else strangers).update(event.identifiers())
    assert places(folder, [one.value for one in strangers - theirs]) == []


def test_customer_named_with_a_shared_browser_is_erased_without_the_other_customer(people, shops):
    new_request(people.data, SHOP, ERASE, [Identifier(CUSTOMER, PEOPLE[BEN].customer), SHARED_BROWSER])
    erase_pending(people.data, shops, mark_for_rebuild)
    suppressions = Suppressions(people.data)
    assert suppressions.contains(SHOP, SHARED_BROWSER)
    assert not suppressions.contains(SHOP, ANNA_HERSELF)
    assert not suppressions.contains(SHOP, Identifier(CLIENT, PEOPLE[ANNA].browsers[0]))


@pytest.mark.parametrize("incremental", [True, False])
def test_where_tables_are_built_elsewhere_an_erasure_asks_for_a_full_build(people, shops, incremental):
    new_request(people.data, SHOP, ERASE, [Identifier(CLIENT, "nobody's")])
    marked: list[Path] = []
    assert erase_pending(people.data, shops, marked.append, incremental) == 1
    assert marked == ([] if incremental else [people.file])


def test_late_events_and_replays_are_kept_out(without_anna, shops, shops_file, tmp_path):
    later = copy_of(without_anna, tmp_path / "later", shops_file)
    late = [event for event in events(SHOP) if event.person == ANNA]
    land(later.landing, [event.line() for event in late])
    run(later, without_anonymous_orders(shops))
    assert not differences(later, without_anna, except_requests(later))
    file = land(later.landing, [event.line() for event in late])
    orders = sum(event.body["name"] == "checkout_completed" for event in late)
    assert suppress(later.data, [file], shops) == len(late)
    assert len(file.read_bytes().splitlines()) == orders  # of a shop that keeps anonymous orders
    assert places(later.landing, [PEOPLE[ANNA].customer, *PEOPLE[ANNA].browsers]) == places(
        without_anna.landing, [PEOPLE[ANNA].customer, *PEOPLE[ANNA].browsers]
    )


@pytest.mark.long
def test_whole_shop_is_erased_and_the_other_is_kept(people, shops):
    for shop in (SHOP, OTHER_SHOP):
        reports_folder(people.data, shop).mkdir(parents=True)
    packages = {
        shop: exports_folder(people.data) / new_request(people.data, shop, EXPORT, [ANNA_HERSELF]).request_id
        for shop in (SHOP, OTHER_SHOP)
    }
    assert export_pending(people.data) == 2
    erase(people, shops, whole_shop=True)
    assert not packages[SHOP].exists() and packages[OTHER_SHOP].exists()
    assert not reports_folder(people.data, SHOP).exists() and reports_folder(people.data, OTHER_SHOP).exists()
    for table in people.tables():
        columns = people.table(f"select * from {table} limit 0")[0]
        if "shop" in columns and table not in ("core.shops", "operations.erasures", "operations.privacy_requests"):
            assert people.query(f"select count(*) from {table} where shop = '{SHOP}'") == [(0,)], table
    assert people.query(f"select count(*) > 100 from core.pixel_events where shop = '{OTHER_SHOP}'") == [(True,)]
    assert not (landing_folder(people.data) / "archive" / f"shop={SHOP}").exists()
    land(people.landing, [event.line() for event in events(SHOP)])
    run(people, shops)
    assert people.query(f"select count(*) from core.pixel_events where shop = '{SHOP}'") == [(0,)]


@pytest.mark.long
def test_an_older_copy_of_the_data_is_cleaned_by_the_list(everyone, without_anna, shops, shops_file, tmp_path):
    """As after a restore: the list comes from the live data, the rest from before the erasure."""
    restored = copy_of(everyone, tmp_path / "restored", shops_file)
    shutil.copytree(privacy_folder(without_anna.data), privacy_folder(restored.data), dirs_exist_ok=True)
    erase_everywhere(restored.data, without_anonymous_orders(shops), mark_for_rebuild)
    restored.load()
    restored.build()
    assert not differences(restored, without_anna, except_requests(restored))
    assert traces(restored.file, Suppressions(restored.data)) == []


def test_restored_rows_of_a_shop_that_was_connected_again_stay(people, shops):
    """They are newer than the shop's erasure, and the watermarks in the backup are past them."""
    Suppressions(people.data).add_shop(SHOP, erased_at := FIRST + timedelta(days=30))
    moments = {"before": erased_at - timedelta(hours=1), "after": erased_at + timedelta(hours=1)}
    with duckdb.connect(str(people.file)) as connection:
        for row, at in moments.items():
            values = {"shop": SHOP, "row": row, "at": at}
            connection.execute(
                "insert into raw_shopify.products by name select $shop as shop, $row as id, $at as fetched_at", values
            )
            connection.execute(
                "insert into raw_shopify.fetches by name select $shop as shop, $row as subject, $at as began_at, "
                "'load' as _dlt_load_id, $row as _dlt_id",
                values,
            )
        connection.execute("create schema kept")
        for table, column in (("daily_shop", "local_date"), ("closed_days", "closed_until")):
            days = [(SHOP, (at + timedelta(days=days)).date()) for days, at in enumerate(moments.values())]
            connection.execute(f"create table kept.{table} (shop varchar, {column} date)")
            connection.executemany(f"insert into kept.{table} values (?, ?)", days)
    erase_everywhere(people.data, shops, mark_for_rebuild)
    assert people.query("select id from raw_shopify.products") == [("after",)]
    assert people.query("select subject from raw_shopify.fetches") == [("after",)]
    for table in ("kept.daily_shop", "kept.closed_days"):
        assert people.query(f"select * from {table}") == [(SHOP, date(2026, 11, 1))]


def test_proof_finds_what_is_left(everyone, tmp_path, shops_file):
    copy = copy_of(everyone, tmp_path / "copy", shops_file)
    suppressions = Suppressions(copy.data)
    assert traces(copy.file, suppressions) == []
    suppressions.add(SHOP, [Identifier(TOKEN, "token-banna04-00000004")])
    assert {(trace.table, trace.column) for trace in traces(copy.file, suppressions)} >= {
        ("core.identity_map", "identifier"),
        ("intermediate.int_events", "checkout_token"),
        ("raw_pixel.events", "event"),
    }


def test_list_without_its_key_is_refused(tmp_path):
    Suppressions(tmp_path).add(SHOP, [ANNA_HERSELF])
    assert Suppressions(tmp_path).contains(SHOP, ANNA_HERSELF)
    assert not Suppressions(tmp_path).contains(OTHER_SHOP, ANNA_HERSELF)
    with (privacy_folder(tmp_path) / "suppressed").open("a") as file:
        file.write("half a ha")  # of a killed process
    Suppressions(tmp_path).add(SHOP, [Identifier(CUSTOMER, "7100000000009")])
    assert Suppressions(tmp_path).contains(SHOP, Identifier(CUSTOMER, "7100000000009"))
    (privacy_folder(tmp_path) / "key").unlink()
    with pytest.raises(SuppressionListUnusable, match="key is missing"):
        Suppressions(tmp_path)


def test_list_with_a_later_erasure_of_a_shop_is_not_within_an_older_one(tmp_path):
    older, newer = Suppressions(tmp_path / "older"), Suppressions(tmp_path / "newer")
    for suppressions in (older, newer):
        suppressions.add_shop(SHOP, FIRST)
    assert older <= newer and newer <= older
    newer.add_shop(SHOP, FIRST + timedelta(days=1))
    assert older <= newer and not newer <= older


def test_requests_end_as_done(without_anna, shops):
    assert [request.status for request in read_requests(without_anna.data)] == [DONE]
    assert erase_pending(without_anna.data, shops, mark_for_rebuild) == 0
