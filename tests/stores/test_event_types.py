"""Custom events with standard names, names resembling checkout events, and non-shopping pages."""

from tests.stores.events import cart_line, checkout, event, viewed

EVENTS = [
    event("page_viewed", "real"),
    event("product_viewed", "real", 1, data=viewed("1")),
    event("product_added_to_cart", "real", 2, data=cart_line("1")),
    event("checkout_started", "real", 3, data=checkout("t1")),
    event("checkout_completed", "real", 4, data=checkout("t1", 2001)),
    event("product_viewed", "real", 1, type="custom", data=None, customData={"products": [1]}),
    event("product_viewed", "real", 1, type="CUSTOM", data=viewed("1")),
    event("product_viewed", "real", 1, type=None, data=None, customData={"id": 1}),
    event("product_added_to_cart", "real", 2, type="custom", data=cart_line("1")),
    event("checkout_started", "real", 3, type="custom", data=checkout("t1")),
    event("checkout_completed", "real", 4, type="custom", data=checkout("t2", 2002)),
    event("checkout_completed", "real", 4, type="dom", data=checkout("t3", 2003)),
    event("checkout_upsell_shown", "real", 4, type="custom", data=None, customData={"offer": 1}),
    event("checkout_upsell_accepted", "real", 4, data=checkout("t4", 2004)),
    # Events without a type, as from older pixels, are standard.
    event("product_viewed", "untyped", type=None, data=viewed("2")),
    event("page_viewed", "untyped", type=None, data=None, customData=None),
    # Order status pages are not shopping.
    event("page_viewed", "account", path="/account/orders/77"),
    event("page_viewed", "account", 1, path="/en-ca/account"),
    event("page_viewed", "account-host", path="https://account.store.example/orders"),
    event("page_viewed", "account-shopify", path="https://shopify.com/65432/account/orders/1?locale=de"),
    event("page_viewed", "order-status", path="/65432/orders/0123456789abcdef0123456789abcdef"),
    event("page_viewed", "reader", path="/blogs/news/account-of-a-journey"),
    event("page_viewed", "buyer", path="/checkouts/cn/abc/thank-you"),
    event("checkout_completed", "legacy-thanks", path="/65432/orders/abc", data=checkout("t5", 2005)),
]


def test_custom_events_do_not_count_as_standard(store):
    assert store.query(
        "select product_views, cart_adds, checkouts_started, checkouts_completed from core.sessions "
        "where shop = '{shop}' and client_id = 'real'"
    ) == [(1, 1, 1, 1)]
    assert store.query("select order_id from core.orders where shop = '{shop}' order by 1") == [("2001",), ("2005",)]
    assert store.query("select count(*) from core.cart_actions where shop = '{shop}'") == [(1,)]


def test_only_real_checkout_events_are_checkout_steps(store):
    assert store.query(
        "select step from core.checkout_steps where shop = '{shop}' and client_id = 'real' order by stepped_at"
    ) == [("checkout_started",), ("checkout_completed",)]


def test_custom_events_keep_a_distinct_name(store):
    assert store.query(
        "select event_name, count(*) from core.pixel_events where shop = '{shop}' and event_name like '%:%' "
        "group by all order by all"
    ) == [
        ("custom:checkout_completed", 1),
        ("custom:checkout_started", 1),
        ("custom:product_added_to_cart", 1),
        ("custom:product_viewed", 3),
        ("dom:checkout_completed", 1),
    ]


def test_events_without_a_type_are_standard(store):
    assert store.query("select page_views from core.sessions where shop = '{shop}' and client_id = 'untyped'") == [(1,)]
    assert store.query("select product_id from core.product_views where shop = '{shop}' and client_id = 'untyped'") == [
        ("2",)
    ]


def test_account_and_order_status_pages_do_not_start_sessions(store):
    assert store.query("select client_id from core.sessions where shop = '{shop}' order by 1") == [
        ("buyer",),
        ("legacy-thanks",),
        ("reader",),
        ("real",),
        ("untyped",),
    ]
    assert store.query("select count(*) from core.pixel_events where shop = '{shop}' and session_id is null") == [(5,)]
