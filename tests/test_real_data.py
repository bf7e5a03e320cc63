"""Real data through the whole path: captured pixel payloads, UCI Online Retail, and clicks of RSC15.

Each data set is a separate shop in one warehouse; the marts are recomputed from its files.
"""

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from hashlib import md5
from itertools import combinations
from math import prod
from pathlib import Path
from types import SimpleNamespace

import duckdb
import numpy as np
import pandas as pd
import pytest

from ingestion.shops import find_shop, load_shops
from serving.published import read_current
from tests.landing_files import land, land_events
from tests.odd_events import ODD_VALUES, odd_events
from tests.real_events import online_retail_orders, yoochoose_clicks

NAMES = ("payloads", "retail", "clicks", "odd", "jewels")
PAYLOADS, RETAIL, CLICKS, ODD, JEWELS = (f"{name}.myshopify.com" for name in NAMES)
SHOPS = "".join(
    f"""
[[shops]]
domain = "{domain}"
name = "{domain}"
timezone = "{timezone}"
currency = "{currency}"
ingest_keys = ["key-of-{domain.split(".")[0]}"]
"""
    for domain, timezone, currency in (
        (PAYLOADS, "Asia/Kolkata", "INR"),
        (RETAIL, "Europe/London", "GBP"),
        (CLICKS, "Europe/Berlin", "EUR"),
        (ODD, "Pacific/Auckland", "NZD"),
        (JEWELS, "Asia/Ho_Chi_Minh", "VND"),
    )
)


def jewel_view(number: int, handle: str, price: int, **variant) -> dict:
    """A view of a product of the real catalogue, with the ids that a CSV lacks."""
    product = {"id": str(number), "title": "As the pixel saw it", "url": f"/products/{handle}?variant=1"}
    shown = {"id": str(number * 10), "price": {"amount": price, "currencyCode": "VND"}, "product": product, **variant}
    when = f"2026-11-0{number}T10:00:00Z"
    return {"id": f"j{number}", "name": "product_viewed", "clientId": "j", "timestamp": when} | {
        "data": {"productVariant": shown}
    }


JEWEL_EVENTS = [
    jewel_view(1, "multi-circle-interwine-silver-ring", 990_000),
    jewel_view(2, "renamed-and-nowhere-in-the-file", 5),
]


@pytest.fixture(scope="module")
def retail_file(request, shared_data, tmp_path_factory) -> Path:
    """Online Retail: with `--long` its thirteen months, otherwise the first three."""
    whole = shared_data / "online_retail" / "online_retail.parquet"
    if request.config.getoption("--long"):
        return whole
    file = tmp_path_factory.mktemp("online_retail") / whole.name
    lines = pd.read_parquet(whole)
    lines[lines["InvoiceDate"] < "2011-03-01"].to_parquet(file)
    return file


@pytest.fixture(scope="module")
def clicks_file(request, shared_data, tmp_path_factory) -> Path:
    """RSC15: with `--long` its 70,278 clicks, otherwise about a quarter of its sessions."""
    whole = shared_data / "rsc15_100k" / "yoochoose-clicks-100k_train_full.txt"
    if request.config.getoption("--long"):
        return whole
    file = tmp_path_factory.mktemp("rsc15_100k") / whole.name
    header, *clicks = whole.read_text().splitlines(keepends=True)
    file.write_text(header + "".join(click for click in clicks if int(click.split()[0]) % 4 == 0))
    return file


@pytest.fixture(scope="module")
def real(pixelnova, shared_data, retail_file, clicks_file, tmp_path_factory):
    """One warehouse with the three data sets and a few invalid events."""
    data = tmp_path_factory.mktemp("real")
    shops = data / "shops.toml"
    file = shared_data / "catalogues" / "vietjewelers_products_export.csv"
    shops.write_text(SHOPS + f'catalogue = "{file}"\n')  # of the last shop
    env = {"PIXELNOVA_SHOPS": str(shops)}
    payloads = sorted((shared_data / "pixel_payloads").glob("*.json"))
    replayed = pixelnova("replay", "--shop", PAYLOADS, *payloads, data=data, env=env)
    broken = json.dumps({"id": "broken", "name": "page_viewed", "clientId": "c", "timestamp": "12 o'clock"})
    pixelnova("replay", "--shop", PAYLOADS, "-", data=data, env=env, stdin=broken)
    landing = data / "landing"
    land_events(landing, RETAIL, online_retail_orders(retail_file))
    land_events(landing, CLICKS, yoochoose_clicks(clicks_file))
    odd = list(odd_events(find_shop(load_shops(shops), ODD)))
    land_events(landing, ODD, odd)
    land_events(landing, JEWELS, JEWEL_EVENTS)
    land(landing, [b"this line is not an envelope\n"])
    pixelnova("refresh", data=data, env=env)
    events = [json.loads(file.read_text()) for file in payloads]
    return SimpleNamespace(
        published=read_current(data), replayed=replayed.stdout, payloads=events, odd=odd, catalogue=file
    )


def query(real, sql, *parameters):
    with real.published.connect() as connection:
        return connection.execute(sql, parameters).fetchall()


def test_captured_payloads_are_all_accepted_and_count_once_by_id(real):
    assert "Sent 26 events, 0 rejected." in real.replayed
    distinct = {event["id"]: event for event in real.payloads}
    assert len(distinct) < 26, "no duplicate among the payloads"
    [(events,)] = query(real, "select sum(events) from core.sessions where shop = ?", PAYLOADS)
    assert events == len(distinct)
    viewed = {event["id"] for event in real.payloads if event["name"] == "product_viewed"}
    assert query(real, "select count(*) from core.product_views where shop = ?", PAYLOADS) == [(len(viewed),)]


def test_a_catalogue_file_gives_products_and_variants_and_events_their_ids(real):
    products = (
        "select count(*), count(*) filter (where product_id = '1') from core.products where shop = ? and source = ?"
    )
    assert query(real, products, JEWELS, "catalogue_file") == [(1243, 1)]
    variants = "select count(*), sum(price) from core.variants where shop = ? and source = ?"
    rows = pd.read_csv(real.catalogue, dtype=str, keep_default_na=False)
    prices = [Decimal(price) for price in rows["Variant Price"] if price]
    assert query(real, variants, JEWELS, "catalogue_file") == [(1654, sum(prices))]
    [ring] = query(
        real,
        "select title, price_min, currency, url, is_deleted from core.products where shop = ? and product_id = '1'",
        JEWELS,
    )
    assert ring == (
        "MULTI CIRCLE INTERWINE SILVER RING",
        Decimal(1_050_000),
        "VND",
        "/products/multi-circle-interwine-silver-ring?variant=1",
        False,
    )


def test_products_missing_from_the_catalogue_are_not_sold(real):
    found = query(
        real, "select shop = ?, is_published, is_deleted, price_min from core.products where product_id = '2'", JEWELS
    )
    assert (True, False, True, Decimal(5)) in found


def test_the_captured_session_is_one_session_from_collection_to_purchase(real):
    session = [event for event in real.payloads if event["clientId"] == "ece6cea2-0914-4dcd-8345-8d64ce97b76b"]
    found = query(
        real,
        "select sum(events), sum(collection_views), sum(cart_adds), sum(checkouts_completed) from core.sessions "
        "where client_id = 'ece6cea2-0914-4dcd-8345-8d64ce97b76b'",
    )
    assert found == [(len({event["id"] for event in session}), 1, 1, 1)]
    [order] = query(
        real,
        "select order_id, order_gid, currency, subtotal_amount, tax_amount, gross_total_amount, line_items "
        "from core.orders where order_id = '5396439498987'",
    )
    assert order == (
        "5396439498987",
        "gid://shopify/OrderIdentity/5396439498987",
        "INR",
        Decimal("42.99"),
        Decimal("7.74"),
        Decimal("50.73"),
        1,
    )


def test_products_without_admin_api_come_from_events(real):
    found = query(real, "select title, vendor, source from core.products where product_id = '7992983748843'")
    assert found == [("7 Shakra Bracelet", "Company 123", "events")]


def test_unusable_input_is_quarantined_with_reason_and_content(real):
    found = query(
        real,
        "select event_id, reason, content from operations.quarantined_events "
        "where shop is distinct from ? order by event_id",
        ODD,
    )
    assert [(event_id, reason) for event_id, reason, _ in found] == [
        ("broken", "the timestamp is not an ISO 8601 time: 12 o'clock"),
        (None, "the line is not an envelope: JSON is malformed: invalid character (byte 4)"),
    ]
    assert found[1][2] == "this line is not an envelope"


def test_online_retail_orders_and_lines_equal_the_parquet_to_the_cent(real, retail_file):
    lines = pd.read_parquet(retail_file)
    lines = lines[~lines["InvoiceNo"].str.startswith("C")]
    thousandths = (lines["UnitPrice"] * 1000).round().astype("int64") * lines["Quantity"]
    assert (lines["UnitPrice"] * 1000 - (lines["UnitPrice"] * 1000).round()).abs().max() < 1e-6
    total = Decimal(int(thousandths.sum())) / 1000
    assert query(
        real, "select count(*), sum(gross_total_amount), sum(line_items) from core.orders where shop = ?", RETAIL
    ) == [(lines["InvoiceNo"].nunique(), total, len(lines))]
    assert query(real, "select count(*), sum(quantity), sum(amount) from core.order_items where shop = ?", RETAIL) == [
        (len(lines), int(lines["Quantity"].sum()), total)
    ]
    by_invoice = thousandths.groupby(lines["InvoiceNo"]).sum()
    found = query(real, "select order_gid, gross_total_amount from core.orders where shop = ?", RETAIL)
    assert {number: int(amount * 1000) for number, amount in found} == by_invoice.to_dict()


@pytest.fixture(scope="module")
def retail_lines(retail_file) -> pd.DataFrame:
    """The lines of non-cancelled invoices, with their amount in thousandths."""
    lines = pd.read_parquet(retail_file)
    lines = lines[~lines["InvoiceNo"].str.startswith("C")]
    return lines.assign(amount=(lines["UnitPrice"] * 1000).round().astype("int64") * lines["Quantity"])


@pytest.fixture(scope="module")
def retail_orders(retail_lines) -> pd.DataFrame:
    """One row per non-cancelled invoice, by pandas: customer, local date and month, thousandths."""
    orders = retail_lines.groupby("InvoiceNo").agg(
        at=("InvoiceDate", "min"), customer=("CustomerID", "min"), amount=("amount", "sum")
    )
    local = orders["at"].dt.tz_localize("UTC").dt.tz_convert("Europe/London")
    return orders.assign(date=local.dt.date, month=local.dt.year * 12 + local.dt.month - 1)


def test_online_retail_daily_sales_equal_pandas(real, retail_orders):
    days = retail_orders.groupby("date")["amount"].agg(["count", "sum"])
    found = query(
        real, "select local_date, orders, gross_sales_amount from analytics.daily_shop where shop = ?", RETAIL
    )
    expected = {day: (count, Decimal(int(total)) / 1000) for day, count, total in days.itertuples()}
    assert {day: (orders, amount) for day, orders, amount in found if orders} == expected


def test_online_retail_repeat_customers_and_orders_equal_pandas(real, retail_orders):
    known = retail_orders.dropna(subset="customer").sort_values("at")
    number = known.groupby("customer").cumcount()
    repeated = known[number > 0].groupby("date").size().to_dict()
    found = query(real, "select local_date, repeat_orders from analytics.daily_shop where shop = ?", RETAIL)
    assert {day: orders for day, orders in found if orders} == repeated
    customers = known.groupby("customer").size()
    [(buyers, repeaters)] = query(
        real,
        "select count(*) filter (where orders > 0), count(*) filter (where orders > 1) from core.user_profiles "
        "where shop = ?",
        RETAIL,
    )
    assert (buyers, repeaters) == (len(customers), int((customers > 1).sum()))
    assert repeaters > 300


def test_online_retail_monthly_cohorts_equal_pandas(real, retail_orders):
    known = retail_orders.dropna(subset="customer")
    known = known.assign(cohort=known.groupby("customer")["month"].transform("min"))
    known = known.assign(since=known["month"] - known["cohort"])
    members = known.groupby("cohort")["customer"].nunique()
    expected = {
        (cohort, since): (members[cohort], months["customer"].nunique(), len(months), int(months["amount"].sum()))
        for (cohort, since), months in known.groupby(["cohort", "since"])
    }
    found = query(
        real,
        "select year(cohort_month) * 12 + month(cohort_month) - 1, months_since, members, active_members, orders, "
        "sales_amount, cumulative_sales_amount from analytics.cohorts "
        "where shop = ? and cohort_kind = 'customers' and segment_kind = 'all' order by 1, 2",
        RETAIL,
    )
    active = {
        (cohort, since): (size, active, orders, int(sales * 1000))
        for cohort, since, size, active, orders, sales, _ in found
        if orders
    }
    assert active == expected
    totals: dict[int, Decimal] = {}
    for cohort, _, _, _, _, sales, cumulative in found:
        totals[cohort] = totals.get(cohort, Decimal(0)) + sales
        assert cumulative == totals[cohort]


@pytest.mark.parametrize("mart", ["campaigns", "landing_pages"])
def test_online_retail_attributed_sales_equal_pandas_by_every_model(real, retail_orders, mart):
    models = ("first_touch", "last_touch", "last_non_direct", "linear", "position_based")
    total = Decimal(int(retail_orders["amount"].sum())) / 1000
    sums = [f"sum({model}_orders), sum({model}_sales_amount)" for model in models]
    found = query(real, f"select {', '.join(sums)} from analytics.{mart} where shop = ?", RETAIL)
    assert found == [(len(retail_orders), total) * len(models)]


def test_online_retail_sales_of_the_month_after_a_first_visit_equal_pandas(real, retail_orders):
    """For the day with the most first orders; every order is a separate session here."""
    known = retail_orders.dropna(subset="customer")
    day = known.groupby("customer")["date"].min().mode()[0]
    customers = known[known["date"] == day]["customer"].unique()
    later = known[known["customer"].isin(customers) & (known["date"] >= day)]
    expected = [
        Decimal(int(later[later["date"] <= day + timedelta(days=days)]["amount"].sum())) / 1000 for days in (30, 90)
    ]
    found = query(
        real,
        "select sum(people), sum(sales_30_days_amount), sum(sales_90_days_amount) from analytics.campaigns "
        "where shop = ? and local_date = ? and sessions > 0",
        RETAIL,
        day,
    )
    assert found == [(len(customers), *expected)]
    assert expected[0] < expected[1]


@dataclass
class Invoice:
    """One non-cancelled invoice. key: its order_key; products: by stock code, amounts in thousandths of a pound."""

    key: str
    at: datetime
    day: date
    customer: str | None
    products: Counter[str] = field(default_factory=Counter)
    units: int = 0

    @property
    def amount(self) -> int:
        return sum(self.products.values())


@pytest.fixture(scope="module")
def invoices(retail_lines) -> list[Invoice]:
    """All invoices that are not cancelled, by time, then by order_key."""
    names = ["InvoiceNo", "InvoiceDate", "CustomerID", "StockCode", "Quantity", "amount"]
    columns = retail_lines.sort_values("InvoiceDate")[names]
    found: dict[str, Invoice] = {}
    for number, at, customer, code, quantity, amount in columns.itertuples(index=False, name=None):
        if number not in found:
            day = at.tz_localize("UTC").tz_convert("Europe/London").date()
            known = None if pd.isna(customer) else str(int(customer))
            found[number] = Invoice(md5(f"{RETAIL}|{number}".encode()).hexdigest(), at, day, known)
        found[number].products[code.strip()] += amount
        found[number].units += quantity
    return sorted(found.values(), key=lambda invoice: (invoice.at, invoice.key))


@pytest.fixture(scope="module")
def by_customer(invoices) -> dict[str, list[Invoice]]:
    found = defaultdict(list)
    for invoice in invoices:
        if invoice.customer:
            found[invoice.customer].append(invoice)
    return found


def first_product(invoice: Invoice) -> str:
    return min(invoice.products, key=lambda code: (-invoice.products[code], code))


def test_online_retail_customer_value_equals_plain_python(real, by_customer):
    expected = {
        customer: (
            len(bought),
            bought[0].day.replace(day=1),
            first_product(bought[0]),
            sum(one.amount for one in bought),
            bought[0].amount,
            sum(one.amount for one in bought[1:]),
            None,
            None,
        )
        for customer, bought in by_customer.items()
    }
    found = query(
        real,
        "select customer_id, orders, cohort_month, first_product_id, cast(1000 * gross_amount as bigint), "
        "cast(1000 * new_gross_amount as bigint), cast(1000 * returning_gross_amount as bigint), net_amount, "
        "margin_amount from analytics.customer_value where shop = ?",
        RETAIL,
    )
    assert {customer: tuple(row) for customer, *row in found} == expected


def test_online_retail_cohorts_by_first_product_equal_plain_python(real, by_customer):
    sizes = Counter(first_product(bought[0]) for bought in by_customer.values())
    people, amounts, ordering = Counter(), Counter(), defaultdict(set)
    for customer, bought in by_customer.items():
        product = first_product(bought[0])
        begun = bought[0].day.replace(day=1)
        for cohort in (("all", "all"), ("first_product", product if sizes[product] >= 5 else "other")):
            people[*cohort, begun] += 1
            for one in bought:
                since = (one.day.year - begun.year) * 12 + one.day.month - begun.month
                amounts[*cohort, begun, since] += one.amount
                ordering[*cohort, begun, since].add(customer)
    expected = {}
    for *cohort, begun in people:
        total = 0
        for since in range(13):
            key = (*cohort, begun, since)
            total += amounts[key]
            expected[key] = (people[*cohort, begun], len(ordering.get(key, ())), total)
    found = query(
        real,
        "select dimension, dimension_value, cohort_month, months_since, people, ordering_people, "
        "cast(1000 * cumulative_gross_amount as bigint) from analytics.customer_cohorts "
        "where shop = ? and dimension in ('all', 'first_product') and months_since < 13",
        RETAIL,
    )
    assert {tuple(row[:4]): tuple(row[4:]) for row in found} == expected
    assert len({value for dimension, value, *_ in expected if dimension == "first_product"}) > 10


def test_online_retail_reorder_intervals_equal_plain_python(real, by_customer):
    days, bought_by, orders = defaultdict(list), defaultdict(set), Counter()
    for customer, bought in by_customer.items():
        last: dict[tuple[str, str], date] = {}
        for one in bought:
            for item in (("shop", "*"), *(("product", code) for code in one.products)):
                orders[item] += 1
                bought_by[item].add(customer)
                if item in last:
                    days[item].append((one.day - last[item]).days)
                last[item] = one.day
    found = query(
        real,
        "select item_kind, item, orders, buyers, intervals, lower_quartile_days, median_days, upper_quartile_days "
        "from analytics.reorder_intervals where shop = ? and item_kind <> 'product_type'",
        RETAIL,
    )
    assert {tuple(row[:2]): tuple(row[2:5]) for row in found} == {
        item: (orders[item], len(bought_by[item]), len(days[item])) for item in orders
    }
    for kind, item, *_, intervals, lower, middle, upper in found:
        quartiles = np.percentile(days[kind, item], [25, 50, 75]).tolist() if intervals else [None] * 3
        assert [lower, middle, upper] == pytest.approx(quartiles)
    assert sum(map(len, days.values())) > 5_000


def test_online_retail_basket_sizes_equal_plain_python(real, invoices):
    orders, units, amounts = Counter(), Counter(), Counter()
    for invoice in invoices:
        size = min(len(invoice.products), 10)
        orders[size] += 1
        units[size] += invoice.units
        amounts[size] += invoice.amount
    found = query(
        real,
        "select products, orders, units, cast(1000 * subtotal_amount as bigint), attach_rate "
        "from analytics.basket_sizes where shop = ? and contains_kind = 'all'",
        RETAIL,
    )
    assert {size: tuple(row[:3]) for size, *row in found} == {
        size: (orders[size], units[size], amounts[size]) for size in orders
    }
    assert {rate for *_, rate in found} == {1 - orders[1] / len(invoices)}


def test_online_retail_bundles_equal_plain_python(real, invoices):
    baskets = [sorted(invoice.products) for invoice in invoices if len(invoice.products) <= 50]
    count = len(baskets)
    singles = Counter(code for basket in baskets for code in basket)
    pairs = Counter(pair for basket in baskets for pair in combinations(basket, 2))

    def most_frequent(found: Counter) -> dict[tuple[str, ...], int]:
        likely = [
            (-orders, codes)
            for codes, orders in found.items()
            if orders >= 3 and orders > count * prod(singles[code] / count for code in codes)
        ]
        return {codes: -orders for orders, codes in sorted(likely)[:200]}

    best = most_frequent(pairs)
    inside = {code for pair in best for code in pair}
    triples = Counter(
        triple
        for basket in baskets
        for triple in combinations([code for code in basket if code in inside], 3)
        if all(pair in best for pair in combinations(triple, 2))
    )
    expected = best | most_frequent(triples)
    found = query(
        real,
        "select product_id_1, product_id_2, product_id_3, orders, support, lift, attach_rate, margin_amount "
        "from analytics.bundle_candidates where shop = ?",
        RETAIL,
    )
    assert {tuple(code for code in row[:3] if code): row[3] for row in found} == expected
    for *codes, orders, support, lift, attach_rate, margin in found:
        known = [code for code in codes if code]
        assert support == pytest.approx(orders / count)
        assert lift == pytest.approx(orders / count / prod(singles[code] / count for code in known))
        assert attach_rate == pytest.approx(orders / min(singles[code] for code in known))
        assert margin is None
    assert sum(row[2] is not None for row in found) > 100


def test_an_order_without_a_client_counts_but_belongs_to_no_session(real, retail_file):
    with duckdb.connect() as connection:
        expected = connection.execute(
            "select count(distinct InvoiceNo) from read_parquet($path) "
            "where not starts_with(InvoiceNo, 'C') and CustomerID is null",
            {"path": str(retail_file)},
        ).fetchall()
    found = query(real, "select count(*) from core.orders where shop = ? and session_id is null", RETAIL)
    assert found == expected
    assert found[0][0] > 0


def test_click_sessions_equal_pandas(real, clicks_file):
    clicks = pd.read_csv(clicks_file, sep="\t")
    clicks["ms"] = (clicks["Time"] * 1000).round().astype("int64")
    clicks = clicks.sort_values(["SessionId", "ms"])
    gaps = clicks.groupby("SessionId")["ms"].diff()
    expected = int(gaps.isna().sum() + (gaps > 30 * 60 * 1000).sum())
    assert query(real, "select count(*) from core.product_views where shop = ?", CLICKS) == [(len(clicks),)]
    found = query(real, "select count(*), count(distinct client_id) from core.sessions where shop = ?", CLICKS)
    assert found == [(expected, clicks["SessionId"].nunique())]
    assert expected > clicks["SessionId"].nunique(), "no session was cut"
    views = clicks["ItemId"].astype(str).value_counts().to_dict()
    found = query(real, "select product_id, count(*) from core.product_views where shop = ? group by all", CLICKS)
    assert dict(found) == views


def test_dates_are_those_of_each_shop(real):
    found = query(
        real,
        "select shop, min(local_date), min(ordered_at) from core.orders where shop = ? group by all",
        RETAIL,
    )
    assert found == [(RETAIL, datetime(2010, 12, 1).date(), datetime(2010, 12, 1, 8, 26))]
    [(differing,)] = query(
        real,
        "select count(*) from core.product_views where shop = ? and local_date <> cast(viewed_at as date)",
        CLICKS,
    )
    assert differing > 0, "no click between midnight in Berlin and midnight UTC"


def test_money_of_different_currencies_is_not_mixed(real):
    found = query(real, "select shop, currency from core.orders group by all order by all")
    assert (RETAIL, "GBP") in found
    assert (PAYLOADS, "INR") in found


def test_invalid_events_are_used_or_quarantined_and_never_fatal(real):
    """Half of this test is that the fixture's refresh succeeded."""
    assert len(real.odd) > 4_000
    reasons = dict(
        query(
            real,
            "select split_part(reason, ':', 1), count(*) from operations.quarantined_events "
            "where shop = ? group by all",
            ODD,
        )
    )
    assert set(reasons) == {
        "the event has no id",
        "the event has no name",
        "the event has no timestamp",
        "the timestamp is not an ISO 8601 time",
        "the timestamp is before the year 2000",
        "the timestamp is in the future",
    }
    [(views,)] = query(real, "select count(*) from core.product_views where shop = ?", ODD)
    viewed = [event for event in real.odd if event["name"] == "product_viewed"]
    assert len(viewed) - len(ODD_VALUES) * 3 < views <= len(viewed)
    [(orders, priced)] = query(real, "select count(*), count(gross_total_amount) from core.orders where shop = ?", ODD)
    assert orders > priced > 0
    found = query(real, "select title, handle from core.products where shop = ? and product_id = '77'", ODD)
    assert found == [("[/b] tricky [red]", "tricky")]
