"""Lists seen, clicks in them and sales attributed to them; the client id names the case."""

from typing import Any

from tests.stores.events import NOON, checkout, event, viewed

REFUSED = {"consent": {"analyticsProcessingAllowed": False}}


def seen(client: str, minute: float, request: Any, *products: Any, **changes: Any) -> dict[str, Any]:
    """A list that was seen on the page of product 1."""
    data = {
        "v": 1,
        "request_id": request,
        "placement": "product_page",
        "seed_product_id": "1",
        "model_version": "1",
        "version": "v1",
        "product_ids": list(products),
        "strategies": ["bought_together", *["popular"] * (len(products) - 1)],
    }
    return _custom("viewed", client, minute, data | changes)


def clicked(
    client: str, minute: float, request: Any, product: Any, position: Any = 1, **changes: Any
) -> dict[str, Any]:
    data = {
        "v": 1,
        "request_id": request,
        "placement": "product_page",
        "seed_product_id": "1",
        "model_version": "1",
        "version": "v1",
        "product_id": product,
        "strategy": "bought_together" if position == 1 else "popular",
        "position": position,
    }
    return _custom("clicked", client, minute, data | changes)


def _custom(what: str, client: str, minute: float, data: Any) -> dict[str, Any]:
    name = f"pixelnova:recommendation_{what}"
    return event(name, client, minute, path="/products/product-1", type="custom", customData=data)


def bought(
    client: str, minute: float, product: str, amount: float = 10, recommendation: Any = None, customer: Any = None
) -> dict[str, Any]:
    """An order of one product; `recommendation` is the value of its line property."""
    order = f"{client}-{minute}"
    data = checkout(f"t-{order}", order, customer, product, amount)
    if recommendation is not None:
        data["checkout"]["lineItems"][0]["properties"] = [
            {"key": "gift", "value": "yes"},
            {"key": "_pixelnova_rec", "value": recommendation},
        ]
    return event("checkout_completed", client, minute, data=data)


DAY = 24 * 60  # minutes
NATIVE = "?variant=1&pr_prod_strat=e5_desc&pr_rec_id=abc123&pr_rec_pid=90&pr_ref_pid=91&pr_seq=uniform"

SAME = seen("twice", 0, "r-twice", "2", "3")
ATTRIBUTED = [
    # A line property wins over a later click.
    clicked("property", 0, "r-property", "20", 3),
    clicked("property", 5, "r-later", "20", 1),
    bought("property", 10, "20", 11, "r-property.product_page.popular.3"),
    # The last of two clicks, in the window of seven days.
    clicked("last click", 0, "r-first", "21", 1),
    clicked("last click", 1, "r-last", "21", 4),
    bought("last click", 4 * DAY, "21", 12),
    clicked("late", -8 * DAY, "r-late", "22", 1),
    bought("late", 0, "22", 13),
    # Bought before the click.
    bought("before", 0, "23", 14),
    clicked("before", 1, "r-before", "23", 1),
    # Seen within a day, not clicked; seen and clicked; seen the day before.
    seen("view", 0, "r-view", "24", "25"),
    bought("view", 20, "25", 15),
    seen("both", 0, "r-both", "26"),
    clicked("both", 1, "r-both", "26", 1),
    bought("both", 20, "26", 16),
    seen("old view", 0, "r-old-view", "27"),
    bought("old view", 1.1 * DAY, "27", 17),
    # Clicked on the phone, bought on the desktop by the same customer.
    clicked("phone", 0, "r-phone", "28", 2),
    bought("phone", 1, "29", 18, customer="900"),
    bought("desktop", 2 * DAY, "28", 19, customer="900"),
    # Malformed properties credit nothing.
    bought("forged", 0, "30", 21, "*.*.*.*"),
    bought("forged", 1, "31", 22, {"request": 1}),
    bought("forged", 2, "32", 23, "r.product_page.popular.first"),
    # Shopify's own list: the page that it opened, reloaded once.
    event("page_viewed", "native", 0, path=f"/products/product-90{NATIVE}"),
    event("product_viewed", "native", 0, path=f"/products/product-90{NATIVE}", data=viewed("90")),
    event("page_viewed", "native", 1, path=f"/products/product-90{NATIVE}"),
    bought("native", 5, "90", 24),
]
EVENTS = [
    *ATTRIBUTED,
    seen("plain", 0, "r-plain", "2", "3"),
    clicked("plain", 1, "r-plain", "3", 2),
    clicked("plain", 2, "r-plain", "3", 2),  # a second tab
    SAME,
    SAME,
    seen("twice", 5, "r-twice", "2", "3"),  # the page was restored: another event of the same list
    clicked("no view", 0, "r-no-view", "2"),
    seen("many", 0, "r-many", *range(1, 5001), strategies=["x"] * 5),
    seen("gids", 0, "r-gids", "gid://shopify/Product/2", 3, {"id": 4}, None, [5], "", "2"),
    seen("no list", 0, "r-no-list", product_ids="2", strategies=7),
    seen("no data", 0, None, product_ids={"2": 3}, placement=["x"] * 99, strategies=None),
    _custom("viewed", "text", 0, "not an object"),
    _custom("clicked", "text", 1, ["not an object"]),
    clicked("negative", 0, "r-negative", "2", -1),
    clicked("fraction", 0, "r-fraction", "2", 1.5),
    clicked("far", 0, "r-far", "2", 10**30),
    clicked("long", 0, "x" * 1000, "2", strategy="y" * 1000),
]


def test_same_list_counts_once(store):
    rows = store.query(
        "select client_id, items, viewed_at from recommendations.impressions where shop = '{shop}' "
        "and client_id in ('plain', 'twice') order by all"
    )
    noon = NOON.replace(tzinfo=None)
    assert rows == [("plain", 2, noon), ("twice", 2, noon)]


def test_click_without_view_counts(store):
    rows = store.query(
        "select client_id, product_id, strategy, position, has_impression, is_repeated from recommendations.clicks "
        "where shop = '{shop}' and client_id in ('plain', 'no view') order by clicked_at, client_id"
    )
    assert rows == [
        ("no view", "2", "bought_together", 1, False, False),
        ("plain", "3", "popular", 2, True, False),
        ("plain", "3", "popular", 2, True, True),
    ]


def test_malformed_fields_are_null_and_lists_are_bounded(store):
    lists = store.query(
        "select client_id, placement, items from recommendations.impressions where shop = '{shop}' "
        "and client_id in ('many', 'gids', 'no list', 'no data', 'text')"
    )
    assert set(lists) == {
        ("many", "product_page", 50),
        ("gids", "product_page", 3),
        ("no list", "product_page", 0),
        ("no data", "unknown", 0),
        ("text", "unknown", 0),
    }
    clicks = store.query(
        "select client_id, request_id, strategy, position from recommendations.clicks where shop = '{shop}' "
        "and client_id in ('text', 'negative', 'fraction', 'far', 'long')"
    )
    assert set(clicks) == {
        ("text", None, "unknown", None),
        ("negative", "r-negative", "popular", None),
        ("fraction", "r-fraction", "popular", None),
        ("far", "r-far", "popular", None),
        ("long", None, "unknown", 1),
    }


def test_order_lines_are_credited_once(store):
    credited = store.query(
        "select client_id, product_id, attribution, source, strategy, position, cast(amount as integer) "
        "from intermediate.int_attributed_outcomes where shop = '{shop}' order by all"
    )
    assert credited == [
        ("both", "26", "direct", "pixelnova", "bought_together", 1, 16),
        ("desktop", "28", "direct", "pixelnova", "popular", 2, 19),
        ("last click", "21", "direct", "pixelnova", "popular", 4, 12),
        ("native", "90", "direct", "shopify", "e5_desc", None, 24),
        ("property", "20", "direct", "pixelnova", "popular", 3, 11),
        ("view", "25", "view_through", "pixelnova", "popular", 2, 15),
    ]


def test_levels_of_effectiveness_agree(store):
    columns = (
        "lists_seen, lists_clicked, items_seen, items_clicked, direct_orders, cast(direct_gross_sales as integer), "
        "view_through_orders, cast(view_through_gross_sales as integer)"
    )
    where = "from recommendations.effectiveness where shop = '{shop}' and source = 'pixelnova'"
    total = f"select {', '.join(f'sum({column})' for column in columns.split(', '))} {where} and level = "
    of_source, of_positions = store.query(total + "'source'"), store.query(total + "'position'")
    assert of_source[0][2:] == of_positions[0][2:]
    assert of_source[0][4:] == (4, 58, 1, 15)
    [(lists, listed)] = store.query(
        "select count(distinct list_id), count(*) from intermediate.int_listed_products "
        "where shop = '{shop}' and source = 'pixelnova'"
    )
    assert of_source[0][0] == lists
    assert of_source[0][2] == listed
    windows = store.query("select distinct attribution_click_days, attribution_view_days " + where)
    assert windows == [(7, 1)]


def test_native_recommendations_are_clicks_of_shopify(store):
    clicks = store.query(
        "select request_id, seed_product_id, product_id, strategy, placement, version, is_repeated "
        "from recommendations.clicks where shop = '{shop}' and source = 'shopify' order by clicked_at"
    )
    click = ("abc123", "91", "90", "e5_desc", "shopify", "uniform")
    assert clicks == [(*click, False), (*click, True)]


def test_sales_of_products_are_those_of_placements(store):
    sums = "select sum(direct_orders), sum(direct_gross_sales), sum(items_seen), sum(items_clicked), sum(cart_adds) "
    by_product = store.query(sums + "from recommendations.product_effectiveness where shop = '{shop}'")
    by_level = store.query(
        sums + "from recommendations.effectiveness where shop = '{shop}' and level = 'position' "
        "and (placement <> 'unknown' or items_clicked = 0)"
    )
    assert by_product == by_level


def test_product_segments_are_the_sales_of_the_products(store):
    sums = "sum(orders), sum(units), sum(sales_amount)"
    daily = store.query(
        f"select {sums} from analytics.daily_product where shop = '{{shop}}' and local_date <= date '2026-11-24'"
    )
    for kind in ("rfm", "channel"):
        by_segment = f"from analytics.product_segments where shop = '{{shop}}' and segment_kind = '{kind}'"
        assert store.query(f"select {sums} {by_segment}") == daily
