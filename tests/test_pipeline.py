"""The whole path, run by the command: simulator ▶ collector ▶ landing files ▶ dlt ▶ dbt ▶ published files.

Recomputes the marts in plain Python from the landing archive.
"""

import json
import math
import os
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import duckdb
import pytest
from crawleruseragents import is_crawler

from ingestion.data_folder import warehouse_file
from ingestion.experiments import load_experiments
from ingestion.landing import decode_envelope, read_lines
from ingestion.privacy.scan import files_of, scan
from ingestion.shops import load_shops
from ingestion.simulator.catalogue import build_catalogue
from ingestion.simulator.orders import PlacedOrder
from ingestion.simulator.shoppers import simulate
from serving.published import read_current
from tests.comparison import differing_tables
from tests.conftest import PROJECT
from tests.privacy.test_erasure import places
from tests.questions import questions
from tests.warehouse import WORK_SETS

DEMO_SHOP = "pixelnova-demo.myshopify.com"
# Lists and rankings use the days before the last received event, which is today.
END = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}T00:00:00"
SEED = 1


@pytest.fixture(scope="module")
def demo(pixelnova, tmp_path_factory):
    """A data folder after `pixelnova demo`, with the command's output."""
    data = tmp_path_factory.mktemp("demo")
    done = pixelnova("demo", "--seed", SEED, "--end", END, data=data)
    return SimpleNamespace(data=data, output=done.stdout, published=read_current(data))


@pytest.fixture(scope="module")
def events(demo) -> list[dict]:
    """The valid events of the archive, each once."""
    found = {}
    for part in (demo.data / "landing" / "archive").rglob("*.zst"):
        for line in read_lines(part):
            event = json.loads(bytes(decode_envelope(line).event))
            if event["timestamp"] != "yesterday":
                found.setdefault(event["id"], event | {"at": datetime.fromisoformat(event["timestamp"])})
    return list(found.values())


@pytest.fixture(scope="module")
def sessions(events) -> list[list[dict]]:
    """The events of each session, in order: cut where a client paused for more than 30 minutes."""
    by_client = defaultdict(list)
    for event in events:
        by_client[event["clientId"]].append(event)
    found = []
    for of_client in by_client.values():
        previous = None
        for event in sorted(of_client, key=lambda event: (event["at"], event["id"])):
            if previous is None or event["at"] - previous > timedelta(minutes=30):
                found.append([])
            found[-1].append(event)
            previous = event["at"]
    return found


def query(published, sql):
    with published.connect() as connection:
        return connection.execute(sql).fetchall()


def test_the_demo_prints_a_summary_for_merchants(demo):
    for words in ("Events received", "Sessions", "gross sales", "Funnel", "Most viewed products", "Bought together"):
        assert words in demo.output
    [(orders,)] = query(demo.published, "select count(*) from core.orders where not is_test")
    assert f"{orders:,}" in demo.output


def test_the_data_folder_is_private(demo):
    """Landing files, the warehouse, dlt's and Dagster's files, and what is published."""
    open_to_others = [path for path in demo.data.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o027]
    assert open_to_others == []
    files = [path for path in demo.data.rglob("*") if path.is_file() and "salts" not in path.parts]
    others = {path.name for path in files if path.stat().st_mode & 0o777 != 0o640}
    assert others <= {"key"}  # of the suppression list: 0600
    assert {"landing", "published", "dagster"} <= {path.relative_to(demo.data).parts[0] for path in files}


def test_the_data_folder_holds_nothing_personal(demo):
    """Whatever the kind of file: tests/ingestion/test_privacy_scan.py shows that the scan finds data in each."""
    kinds = {file.suffix for file in files_of(demo.data)}
    assert {".zst", ".duckdb", ".parquet", ".json", ".ndjson", ".db", ".log", ".pickle"} <= kinds
    assert scan(demo.data) == []


def test_sessions_equal_plain_python(demo, shop, sessions):
    timezone = ZoneInfo(shop.timezone)
    expected = Counter(
        (
            session[0]["clientId"],
            session[0]["at"].replace(tzinfo=None),
            session[-1]["at"].replace(tzinfo=None),
            session[0]["at"].astimezone(timezone).date(),
            len(session),
            sum(event["name"] == "product_viewed" for event in session),
            is_crawler(session[0]["context"]["navigator"]["userAgent"]),
        )
        for session in sessions
    )
    found = query(
        demo.published,
        "select client_id, started_at, ended_at, local_date, events, product_views, is_bot from core.sessions",
    )
    assert Counter(found) == expected
    assert len(found) > 2_000


def test_orders_are_counted_once_and_to_the_cent(demo, events):
    completed = defaultdict(list)
    for event in events:
        if event["name"] == "checkout_completed":
            completed[event["data"]["checkout"]["order"]["id"]].append(event)
    expected = Counter()
    for number, found in completed.items():
        oldest = min(found, key=lambda event: (event["at"], event["id"]))
        checkout = oldest["data"]["checkout"]
        total = Decimal(str(checkout["totalPrice"]["amount"]))
        expected[number.rsplit("/", 1)[1], oldest["at"].replace(tzinfo=None), total, len(checkout["lineItems"])] += 1
    found = query(demo.published, "select order_id, ordered_at, gross_total_amount, line_items from core.orders")
    assert Counter(found) == expected
    assert sum(len(found) for found in completed.values()) > len(completed), "no reloaded thank-you page"
    differing = query(
        demo.published,
        "select order_key from core.orders inner join core.order_items using (order_key) "
        "group by order_key, subtotal_amount having sum(amount) <> subtotal_amount",
    )
    assert differing == []


def test_product_views_and_cart_actions_equal_the_events(demo, events):
    views = Counter(
        event["data"]["productVariant"]["product"]["id"] for event in events if event["name"] == "product_viewed"
    )
    found = query(demo.published, "select product_id, count(*) from core.product_views group by all")
    assert Counter(dict(found)) == views
    actions = Counter()
    for event in events:
        match event["name"]:
            case "product_added_to_cart":
                actions["add"] += event["data"]["cartLine"]["quantity"]
            case "product_removed_from_cart":
                actions["remove"] += event["data"]["cartLine"]["quantity"]
            case "cart_viewed":
                actions["view"] += sum(line["quantity"] for line in event["data"]["cart"]["lines"])
    found = query(demo.published, "select action, sum(quantity) from core.cart_actions group by all")
    assert dict(found) == dict(actions)


def test_the_funnel_equals_the_sessions(demo, sessions):
    names = ("product_viewed", "product_added_to_cart", "checkout_started", "checkout_completed")
    open_funnel, closed_funnel = Counter(), Counter()
    for session in sessions:
        if is_crawler(session[0]["context"]["navigator"]["userAgent"]):
            continue
        since = session[0]["at"]
        in_order = True
        for name in names:
            times = [event["at"] for event in session if event["name"] == name]
            open_funnel[name] += bool(times)
            later = [at for at in times if at >= since]
            in_order = in_order and bool(later)
            closed_funnel[name] += in_order
            since = min(later, default=since)
    [found] = query(
        demo.published,
        "select sum(viewed), sum(carted_closed), sum(checked_out_closed), sum(purchased_closed), "
        "sum(carted_open), sum(checked_out_open), sum(purchased_open) from analytics.funnel_daily",
    )
    assert found == (*(closed_funnel[name] for name in names), *(open_funnel[name] for name in names[1:]))
    assert open_funnel["checkout_completed"] > closed_funnel["checkout_completed"] > 0


def test_bought_together_finds_the_planted_companions(demo):
    companions = {
        (str(product_id), str(companion.id)) for product_id, companion in build_catalogue(SEED).companions.items()
    }
    both_ways = companions | {(other, product) for product, other in companions}
    pairs = query(
        demo.published,
        "select product_id, recommended_product_id from recommendations.related_products "
        "where strategy = 'bought_together'",
    )
    planted = [pair for pair in pairs if pair in both_ways]
    assert len(pairs) > 20
    assert len(planted) / len(pairs) > 0.8


def best_of(candidates, groups, seed):
    """The first 20 eligible products, at most three per vendor and type, as positions by product."""
    shown, per_group = [], Counter()
    ranked = sorted(
        ((-score, -support, other) for other, (score, support) in candidates.items() if other in groups),
    )
    for _, _, other in ranked[:60]:
        per_group[groups[other]] += 1
        if other != seed and per_group[groups[other]] <= 3:
            shown.append(other)
    return shown[:20]


@pytest.fixture(scope="module")
def groups(demo) -> dict[str, str]:
    """Vendor and type of each eligible product, from the catalogue."""
    return {
        str(product.id): f"{product.vendor} | {product.product_type}"
        for product in build_catalogue(SEED).products
        if product.is_published and product.in_stock
    }


def listed(demo, strategy):
    found = defaultdict(dict)
    for product, other, position, score, support in query(
        demo.published,
        "select product_id, recommended_product_id, position, score, support from recommendations.related_products "
        f"where strategy = '{strategy}' order by product_id, position",
    ):
        found[product][other] = (position, score, support)
    return found


def test_viewed_together_equals_plain_python(demo, shop, sessions, groups):
    timezone = ZoneInfo(shop.timezone)
    today = datetime.fromisoformat(demo.published.manifest.as_of).astimezone(timezone).date()
    weight, support, visits, own = defaultdict(Counter), defaultdict(Counter), Counter(), Counter()
    for session in sessions:
        if is_crawler(session[0]["context"]["navigator"]["userAgent"]):
            continue
        views = sorted(
            (event["at"], event["seq"], event["data"]["productVariant"]["product"]["id"])
            for event in session
            if event["name"] == "product_viewed"
        )
        products = [product for _, _, product in views][-50:]
        decay = 0.5 ** ((today - session[0]["at"].astimezone(timezone).date()).days / 30)
        for product in set(products):
            visits[product] += decay
        for earlier, one in enumerate(products):
            for later in range(earlier + 1, min(earlier + 11, len(products))):
                other = products[later]
                weight[one][other] += decay / (later - earlier)
                weight[other][one] += 0.6 * decay / (later - earlier)
        for one in set(products):
            support[one].update(set(products) - {one})
        own.update(set(products))
    found = listed(demo, "viewed_together")
    assert len(found) > 200
    for product, others in found.items():
        expected = {
            other: (round(weight[product][other] / visits[product], 9), support[product][other])
            for other in support[product]
            if weight[product][other]
        }
        for other, (_, score, counted) in others.items():
            assert expected[other] == (pytest.approx(score, abs=1e-6), counted)
        # Nearly equal scores may be in either order.
        assert [round(expected[other][0], 5) for other in best_of(expected, groups, product)] == [
            round(expected[other][0], 5) for other in others
        ]
    assert {product for product in support if best_of(dict.fromkeys(support[product], (1, 1)), groups, product)} == set(
        found
    )


def test_bought_together_equals_plain_python(demo, events, groups):
    oldest = {}
    for event in events:
        if event["name"] == "checkout_completed":
            order = event["data"]["checkout"]["order"]["id"].rpartition("/")[2]
            oldest[order] = min(oldest.get(order, event), event, key=lambda event: (event["at"], event["id"]))
    tests = {order for (order,) in query(demo.published, "select order_id from core.orders where is_test")}
    baskets = [
        {line["variant"]["product"]["id"] for line in event["data"]["checkout"]["lineItems"]}
        for order, event in oldest.items()
        if order not in tests
    ]
    own = Counter(product for basket in baskets for product in basket)
    together, weight = defaultdict(Counter), defaultdict(Counter)
    for basket in baskets:
        for one in basket:
            for other in basket - {one}:
                together[one][other] += 1
                weight[one][other] += 1 / math.log(1 + len(basket)) ** 2
    expected = {}
    for one, others in together.items():
        kept = {
            other: (round(weight[one][other] / own[one], 9), count)
            for other, count in others.items()
            if count >= 2 and count * len(baskets) > own[one] * own[other]
        }
        if shown := best_of(kept, groups, one):
            expected[one] = {other: kept[other] for other in shown}
    found = listed(demo, "bought_together")
    assert {product: list(others) for product, others in found.items()} == {
        product: list(others) for product, others in expected.items()
    }
    for product, others in found.items():
        for other, (_, score, support) in others.items():
            assert expected[product][other] == (pytest.approx(score, abs=1e-6), support)


def test_every_slot_of_every_page_is_filled_with_a_reason(demo):
    [(pages, fewest, most)] = query(
        demo.published,
        "select count(*), min(slots), max(slots) "
        "from (select count(*) as slots from recommendations.product_page group by product_id)",
    )
    [(products,)] = query(demo.published, "select count(*) from core.products where not is_deleted")
    assert (pages, fewest, most) == (products, 12, 12)
    strategies = query(demo.published, "select distinct strategy from recommendations.product_page")
    assert {"bought_together", "viewed_together", "similar"} <= {strategy for (strategy,) in strategies}


def test_the_lists_are_better_than_popular_products(demo):
    rates = {
        (task, strategy): mrr
        for task, strategy, mrr in query(
            demo.published, "select task, strategy, mrr from recommendations.evaluation_history"
        )
    }
    assert rates["next_view", "viewed_together"] > 2 * rates["next_view", "popular"]
    assert rates["next_view", "session_blend"] > 2 * rates["next_view", "popular"]
    assert rates["bought_with", "product_page"] > rates["bought_with", "popular"]
    assert ("new_product", "ease") in rates


def test_events_with_invalid_times_are_quarantined_with_the_reason(demo):
    found = query(demo.published, "select distinct reason from operations.quarantined_events")
    assert found == [("the timestamp is not an ISO 8601 time: yesterday",)]


def test_the_catalogue_equals_the_admin_api(demo):
    found = query(demo.published, "select product_id, is_published, is_available, source from core.products")
    assert sorted(found) == sorted(
        (str(product.id), product.is_published, product.in_stock, "admin_api")
        for product in build_catalogue(SEED).products
    )


@pytest.fixture(scope="module")
def placed(shop) -> list[PlacedOrder]:
    """The orders as the simulated shop knows them."""
    end = datetime.fromisoformat(END).replace(tzinfo=UTC)
    experiments = load_experiments(PROJECT / "experiments.toml", load_shops(PROJECT / "shops.toml"))
    return simulate(shop, build_catalogue(SEED), SEED, end, experiments=experiments).orders


def test_reconciliation_finds_exactly_the_orders_missed_by_the_pixel(demo, events, placed):
    seen = {
        event["data"]["checkout"]["order"]["id"].rpartition("/")[2]
        for event in events
        if event["name"] == "checkout_completed"
    }
    compared = [order for order in placed if order.source_name == "web" and not order.is_test]
    expected = {str(order.id): "matched" if str(order.id) in seen else "missing_in_pixel" for order in compared}
    found = query(
        demo.published,
        "select order_id, outcome from operations.reconciled_orders "
        "inner join (select id as order_id, key from (values {}) as known(id, key)) on key = admin_order_key".format(
            ", ".join(f"('{order.id}', md5('{DEMO_SHOP}|{order.id}'))" for order in placed)
        ),
    )
    assert len(found) == len(placed)
    assert {order: outcome for order, outcome in found if "not_compared" not in outcome} == expected
    lost = [order for order in compared if expected[str(order.id)] == "missing_in_pixel"]
    assert 10 < len(lost) < len(compared) / 5
    [(orders, matched, missing, worth)] = query(
        demo.published,
        "select sum(admin_orders), sum(matched_orders), sum(missing_in_pixel), sum(missing_amount) "
        "from operations.order_reconciliation",
    )
    value = Decimal(sum(order.total_cents for order in lost)) / 100
    assert (orders, matched, missing, worth) == (len(compared), len(compared) - len(lost), len(lost), value)


def test_net_sales_exclude_refunds_and_cancellations(demo, placed):
    by_id = {str(order.id): order for order in placed}
    found = query(demo.published, "select order_id, net_total_amount, refunded_amount from core.orders")
    refunded = 0
    for order_id, net, given_back in found:
        order = by_id[order_id]
        assert given_back == Decimal(order.refunded_cents) / 100
        left = 0 if order.cancelled_at else order.total_cents - order.refunded_cents
        assert net == Decimal(left) / 100
        refunded += order.refunded_cents > 0
    assert refunded > 5


def test_variants_and_collections_equal_the_admin_api(demo):
    catalogue = build_catalogue(SEED)
    found = query(demo.published, "select variant_id, product_id, price, is_available from core.variants")
    assert sorted(found) == sorted(
        (str(variant.id), str(product.id), Decimal(variant.price_cents) / 100, variant.inventory > 0)
        for product in catalogue.products
        for variant in product.variants
    )
    members = query(
        demo.published,
        "select title, product_id from core.collection_products "
        "inner join core.collections using (shop, collection_id)",
    )
    assert sorted(members) == sorted((product.collection, str(product.id)) for product in catalogue.products)


def test_views_have_the_variant_price_of_their_time(demo):
    [(views, priced, agreeing)] = query(
        demo.published,
        "select count(*), count(listed_price), count(*) filter (where listed_price = price) from core.product_views",
    )
    assert views == priced == agreeing > 5_000


def test_nothing_waits_after_a_refresh(demo, pixelnova):
    output = pixelnova("status", data=demo.data).stdout
    assert "Landing files waiting to be loaded │ 0" in output
    assert demo.published.manifest.version in output
    assert "core.sessions" in output


def test_a_refresh_without_news_builds_and_publishes_nothing(demo, pixelnova):
    output = pixelnova("refresh", data=demo.data).stdout
    assert f"Nothing has changed since version {demo.published.manifest.version}" in output
    assert read_current(demo.data).manifest.version == demo.published.manifest.version


@pytest.mark.long
def test_a_build_without_new_data_changes_no_row_and_does_not_block_readers(demo, pixelnova):
    (demo.data / "last_refresh.json").unlink()
    with demo.published.connect() as analyst:
        pixelnova("refresh", data=demo.data)
        assert analyst.execute("select count(*) > 0 from core.sessions").fetchall() == [(True,)]
    again = read_current(demo.data)
    assert again.manifest.version > demo.published.manifest.version
    assert differing_tables(demo.published, again) == {}
    assert again.manifest.as_of == demo.published.manifest.as_of
    with duckdb.connect(str(warehouse_file(demo.data)), read_only=True) as warehouse:
        for work_set in WORK_SETS:  # else every later run would rebuild the same rows again
            assert warehouse.execute(f"select count(*) from intermediate.{work_set}").fetchall() == [(0,)], work_set
        assert warehouse.execute(
            "select count(*) from raw_pixel.landing_files "
            "where landing_file not in (select landing_file from intermediate.int_landing_files_processed)"
        ).fetchall() == [(0,)]


def today(published, shop) -> date:
    """The shop's date when the newest event was received."""
    return datetime.fromisoformat(published.manifest.as_of).astimezone(ZoneInfo(shop.timezone)).date()


@pytest.mark.long
def test_rebuild_from_the_archive_with_duplicates_changes_no_number(demo, shop, pixelnova, tmp_path):
    parts = sorted((demo.data / "landing" / "archive").rglob("*.zst"))
    lines = [line for part in parts for line in read_lines(part)]
    some = tmp_path / "again.jsonl"
    before = demo.published
    for replays in (1, 2):
        some.write_bytes(b"\n".join(lines[replays::10]) + b"\n")
        pixelnova("replay", some, data=demo.data)
        pixelnova("refresh", "--full", data=demo.data)
        again = read_current(demo.data)
        if today(again, shop) == today(before, shop):
            break
        before = again  # midnight passed in the shop's timezone, which moves every window of days
    dated = query(
        again,
        "select table_schema || '.' || table_name from information_schema.columns where column_name = 'computed_at'",
    )
    without = {table: ["computed_at"] for (table,) in dated}
    # Running phases last until the newest event was received.
    without |= {"experiments.results": ["days_needed"], "experiments.verdicts": ["days", "days_needed", "sentence"]}
    differing = differing_tables(before, again, without)
    # Somebody's week since the first exposure may have ended with the newest event.
    assert differing.keys() - {"experiments.long_run"} == {"operations.loads", "recommendations.evaluation_history"}
    archived = list((demo.data / "landing" / "archive").rglob("*.zst"))  # two of a replay at a full hour
    assert len(archived) >= len(parts) + replays
    assert query(again, "select count(*), sum(landing_files) from operations.loads") == [(1, len(archived))]


def test_the_questions_of_analysts_are_answered_by_the_published_file(demo):
    for question in questions():
        assert query(demo.published, question.sql), question.title


def test_the_rules_of_the_models_hold(demo):
    """dbt's unit tests, and the tests that are too slow for every refresh; they need a refreshed warehouse."""
    done = subprocess.run(
        [Path(sys.executable).parent / "pixelnova-dbt", "test", "--select", "test_type:unit", "tag:thorough"],
        cwd=PROJECT / "dbt_project",
        env={**os.environ, "PIXELNOVA_DATA": str(demo.data)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert "ERROR=0" in done.stdout
    assert "PASS=0" not in done.stdout


@pytest.mark.long
def test_erased_customer_is_in_no_file_of_the_data_folder(demo, pixelnova):
    """Last: it removes the published version that other tests read."""
    [(customer,)] = query(
        demo.published,
        "select customer_id from core.orders where customer_id is not null "
        "group by customer_id order by count(*) desc, customer_id limit 1",
    )
    identifiers = {
        identifier
        for (identifier,) in query(
            demo.published,
            "select others.identifier from core.identity_map as known inner join core.identity_map as others "
            f"using (shop, journey_id) where known.identifier = '{customer}' and known.identifier_kind = 'customer'",
        )
    }
    assert {value for _, value in places(demo.data, identifiers)} == identifiers
    output = pixelnova("privacy", "erase", "--shop", DEMO_SHOP, "--customer", customer, data=demo.data).stdout
    assert "Erased: " in output and "1 customer," in output
    assert places(demo.data, identifiers) == []
    assert "done" in pixelnova("privacy", "requests", data=demo.data).stdout
    [(events, erased_at)] = query(read_current(demo.data), "select events, erased_at from operations.erasures")
    assert events > 10 and erased_at is not None
