"""Ids in every form that Shopify and its apps send; placeholders identify nobody and lose no data."""

import base64

from tests.stores.events import cart_line, checkout, event, viewed


def encoded(gid: str) -> str:
    return base64.b64encode(gid.encode()).decode()


FORMS_OF_801 = [
    801,
    "801",
    " 801 ",
    "0801",
    801.0,
    "gid://shopify/Product/801",
    "gid://shopify/Product/801?country=CA",
    "gid://shopify/Product/801/",
    encoded("gid://shopify/Product/801"),
    encoded("gid://shopify/Product/801").rstrip("="),
    encoded("gid://shopify/Product/801?country=CA"),
    {"node": {"id": "gid://shopify/Product/801"}},
    {"id": 801},
]
TEXT_IDS = ["uid_X", "v-1235", "#1001"]
PLACEHOLDERS = [
    *(0, "0", "", " ", -1, "-1", None, "null", "NULL", "undefined", "None", "nil", "NaN", "n/a", "anonymous", "guest"),
    *("unknown", "false", "[object Object]", "(not set)", "00000000-0000-0000-0000-000000000000", "{{ customer.id }}"),
]
GIDS_OF_NOBODY = ["gid://shopify/Customer/0", "gid://shopify/Customer/null", encoded("gid://shopify/Customer/0")]

EVENTS = [
    *(event("product_viewed", f"form-{n}", data=viewed(form, form)) for n, form in enumerate(FORMS_OF_801)),
    *(event("product_added_to_cart", f"form-{n}", 1, data=cart_line(form)) for n, form in enumerate(FORMS_OF_801)),
    *(
        event("checkout_completed", f"form-{n}", 2, data=checkout(f"t-form-{n}", 5000 + n, product=form))
        for n, form in enumerate(FORMS_OF_801)
    ),
    *(event("product_viewed", f"text-{n}", data=viewed(text, text)) for n, text in enumerate(TEXT_IDS)),
    *(event("product_viewed", f"no-product-{n}", data=viewed(text, text)) for n, text in enumerate(PLACEHOLDERS)),
    *(
        event("checkout_completed", f"no-customer-{n}", data=checkout(f"t-customer-{n}", 6000 + n, customer=text))
        for n, text in enumerate([*PLACEHOLDERS, *GIDS_OF_NOBODY])
    ),
    *(
        event("checkout_completed", f"no-token-{n}", data=checkout(text, 7000 + n))
        for n, text in enumerate(PLACEHOLDERS)
    ),
    *(
        event("checkout_completed", f"no-order-{n}", data=checkout(f"t-order-{n}", text))
        for n, text in enumerate(PLACEHOLDERS)
    ),
    *(
        event("checkout_completed", f"neither-{n}", data=checkout(text, text, amount=10 + n))
        for n, text in enumerate(PLACEHOLDERS)
    ),
    *(event("page_viewed", text, minute) for minute, text in enumerate(PLACEHOLDERS) if text is None or text != ""),
    # One order, by gid, number, name and base64 gid.
    *(
        event("checkout_completed", "one-order", minute, data=checkout("t-one", order))
        for minute, order in enumerate(
            ["#1042", "gid://shopify/OrderIdentity/9001", "9001", encoded("gid://shopify/Order/9001")]
        )
    ),
    # One customer, in two forms from two browsers.
    event("checkout_completed", "browser-a", data=checkout("t-a", 9004, customer=encoded("gid://shopify/Customer/77"))),
    event("checkout_completed", "browser-b", 1, data=checkout("t-b", 9005, customer="77")),
    # Event ids that are placeholders.
    *(event("page_viewed", "event-ids", minute, id="undefined") for minute in range(3)),
]


def test_every_form_of_an_id_is_one_product(store):
    assert store.query(
        "select count(*), count(distinct product_id), min(product_id), min(variant_id) from core.product_views "
        "where shop = '{shop}' and client_id like 'form-%'"
    ) == [(len(FORMS_OF_801), 1, "801", "801")]
    assert store.query(
        "select distinct product_id from core.cart_actions where shop = '{shop}' and client_id like 'form-%'"
    ) == [("801",)]
    assert store.query(
        "select distinct items.product_id from core.order_items as items join core.orders as orders using (order_key) "
        "where orders.shop = '{shop}' and orders.client_id like 'form-%'"
    ) == [("801",)]


def test_text_ids_are_kept_unchanged(store):
    found = store.query(
        "select product_id, variant_id from core.product_views where shop = '{shop}' and client_id like 'text-%' "
        "order by client_id"
    )
    assert found == [(text, text) for text in TEXT_IDS]


def test_placeholders_are_not_products(store):
    assert store.query(
        "select count(*), count(product_id), count(variant_id) from core.product_views "
        "where shop = '{shop}' and client_id like 'no-product-%'"
    ) == [(len(PLACEHOLDERS), 0, 0)]


def test_placeholders_do_not_merge_visitors(store):
    for kind, people in (
        ("no-customer", len(PLACEHOLDERS) + len(GIDS_OF_NOBODY)),
        ("no-token", len(PLACEHOLDERS)),
        ("neither", len(PLACEHOLDERS)),
    ):
        assert store.query(
            "select count(*), count(distinct journey_id), count(customer_id), count(*) filter (where is_repeat_order) "
            f"from core.orders where shop = '{{shop}}' and client_id like '{kind}-%'"
        ) == [(people, people, 0, 0)], kind
    assert store.query(
        "select count(*) from core.identity_map where shop = '{shop}' and (identifier in ('0', 'null', 'undefined') "
        "or identifier like '00000000%' or trim(identifier) = '')"
    ) == [(0,)]


def test_orders_with_placeholders_are_kept(store):
    for kind in ("no-order", "neither"):
        assert store.query(
            "select count(*), count(distinct order_key) from core.orders "
            f"where shop = '{{shop}}' and client_id like '{kind}-%'"
        ) == [(len(PLACEHOLDERS), len(PLACEHOLDERS))], kind


def test_placeholder_clients_have_no_session(store):
    assert store.query(
        "select count(*) from core.sessions where shop = '{shop}' and client_id in ('0', 'null', 'undefined', '-1')"
    ) == [(0,)]
    named = [text for text in PLACEHOLDERS if text is None or text != ""]
    assert store.query(
        "select count(*) from core.pixel_events where shop = '{shop}' and event_name = 'page_viewed' "
        "and client_id is null and session_id is null"
    ) == [(len(named),)]


def test_one_order_by_gid_number_and_name_counts_once(store):
    assert store.query("select order_id from core.orders where shop = '{shop}' and client_id = 'one-order'") == [
        ("9001",)
    ]


def test_one_customer_in_two_forms_is_one_person(store):
    assert store.query(
        "select count(*), count(distinct journey_id), min(customer_id) from core.orders where shop = '{shop}' "
        "and client_id in ('browser-a', 'browser-b')"
    ) == [(2, 1, "77")]


def test_events_with_a_placeholder_for_an_id_are_all_kept(store):
    assert store.query("select count(*) from core.pixel_events where shop = '{shop}' and client_id = 'event-ids'") == [
        (3,)
    ]


def test_every_order_event_is_an_order_or_a_named_duplicate(store):
    sent = sum(each["name"] == "checkout_completed" for each in EVENTS)
    assert store.query(
        "select count(*), count(order_key), count(*) filter (where is_order_event) from core.checkout_steps "
        "where shop = '{shop}' and step = 'checkout_completed'"
    ) == [(sent, sent, sent - 3)]
    assert store.query("select count(*) from core.orders where shop = '{shop}'") == [(sent - 3,)]
