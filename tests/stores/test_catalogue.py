"""Products known from events only: handles in every script, prices, re-created products, add-on items."""

from tests.stores.conftest import Store

SHOP = (
    'timezone = "Europe/Berlin"\ncurrency = "EUR"\n'
    '[shops.recommendations]\nexclude = ["グラス", "cafe\u0301-Kanne", "https://shop.example/products/th%C3%A9?x=1"]\n'
    'pin = ["gid://shopify/Product/10?country=DE"]\n'
)
NAMES = {  # product ▶ title, type, and why it is not recommended
    30: ("25 € Geschenkgutschein", "Sonstiges", "gift card"),
    31: ("Happy Birthday", "Carte-cadeau", "gift card"),
    32: ("Gift card holder", "Wallets", None),
    33: ("Gift wrap", "Gift wrap", None),
    34: ("Worry-free", "Package Protection", "fee or protection"),
    35: ("Versandversicherung", None, "fee or protection"),
    36: ("Sun protection cream", "Care", None),
}


def view(number: int, product: int, at: str, handle: str | None = None, **fields) -> dict:
    variant = {
        "id": f"{product}1",
        "price": {"amount": fields.get("amount", 10), "currencyCode": fields.get("currency", "EUR")},
        "product": {
            "id": str(product),
            "title": fields.get("title", f"Title {product}"),
            "untranslatedTitle": fields.get("untranslated"),
            "type": fields.get("kind"),
            "url": f"/products/{handle or f'p-{product}'}",
        },
        "title": "Default Title",
    }
    return event(f"view-{number}", "product_viewed", f"client-{number}", at, {"productVariant": variant})


def order(number: int, *products: int) -> dict:
    lines = [
        {
            "title": f"Title {product}",
            "quantity": 1,
            "finalLinePrice": {"amount": 10, "currencyCode": "EUR"},
            "variant": {
                "id": f"{product}1",
                "title": "Rot",
                "untranslatedTitle": "Red",
                "price": {"amount": 10, "currencyCode": "EUR"},
                "product": {"id": str(product), "title": f"Titel {product}", "untranslatedTitle": f"Title {product}"},
            },
        }
        for product in products
    ]
    checkout = {"token": f"t{number}", "currencyCode": "EUR", "order": {"id": str(9000 + number)}, "lineItems": lines}
    return event(
        f"order-{number}", "checkout_completed", f"buyer-{number}", "2026-11-21T09:00:00Z", {"checkout": checkout}
    )


def event(key: str, name: str, client: str, at: str, data: dict) -> dict:
    location = {"href": "https://shop.example/", "pathname": "/", "search": ""}
    return {
        "id": key,
        "name": name,
        "type": "standard",
        "clientId": client,
        "timestamp": at,
        "context": {"document": {"location": location}, "navigator": {"userAgent": "Mozilla/5.0 Chrome/130.0.0.0"}},
        "data": data,
    }


EVENTS = [
    # 10, 11 and 12: handles outside ASCII; one is in capitals of the encoding, one in another locale's folder.
    view(1, 10, "2026-11-20T10:00:00Z", "gr%c3%bcn"),
    view(2, 11, "2026-11-20T10:01:00Z", "%E3%82%B0%E3%83%A9%E3%82%B9"),
    view(3, 12, "2026-11-20T10:02:00Z", "caf%C3%A9-kanne"),
    view(4, 13, "2026-11-20T10:03:00Z", "th%C3%A9"),
    view(5, 14, "2026-11-20T10:04:00Z", "100%"),
    # 15: the newest price is of another market; 16 has no other price.
    view(6, 15, "2026-11-20T10:05:00Z", amount=20),
    view(7, 15, "2026-11-20T10:06:00Z", amount=3200, currency="JPY"),
    view(8, 16, "2026-11-20T10:07:00Z", amount=3200, currency="JPY"),
    # 17: the latest view has a translated title.
    view(9, 17, "2026-11-20T10:08:00Z", title="Mug", untranslated="Mug"),
    view(10, 17, "2026-11-20T10:09:00Z", title="Tasse", untranslated="Mug"),
    # 21 was re-created as 22. 24 is one event of a stranger; 26 was seen less than 25, and while 25 was still seen.
    *(view(20 + n, 21, f"2026-11-19T10:0{n}:00Z", "shade") for n in range(5)),
    *(view(30 + n, 22, f"2026-11-20T10:0{n}:00Z", "shade") for n in range(3)),
    *(view(40 + n, 23, f"2026-11-19T10:0{n}:00Z", "stool") for n in range(5)),
    view(50, 24, "2026-11-20T10:00:00Z", "stool"),
    *(view(60 + n, 25, f"2026-11-20T10:0{n}:00Z", "chair") for n in range(5)),
    *(view(70 + n, 26, f"2026-11-20T10:0{n}:30Z", "chair") for n in range(3)),
    *(
        view(100 + product, product, "2026-11-20T11:00:00Z", title=title, kind=kind)
        for product, (title, kind, _) in NAMES.items()
    ),
    # 40 is in every order and was never viewed.
    *(order(n, 10, 40) for n in range(3)),
    *(order(10 + n, 15, 40) for n in range(3)),
    order(20, 17),
]


def test_handles_are_normalized_across_scripts_and_encodings(store: Store):
    handles = store.query(
        "select product_id, handle from core.products where shop = '{shop}' "
        "and product_id in ('10', '11', '12', '13', '14') order by product_id"
    )
    assert handles == [("10", "grün"), ("11", "グラス"), ("12", "café-kanne"), ("13", "thé"), ("14", "100%")]


def test_rules_match_handles_urls_and_global_ids(store: Store):
    rules = store.query(
        "select rule, product_id, status from recommendations.merchant_rules where shop = '{shop}' order by 1, 2"
    )
    excluded = [("exclude", product, "in force") for product in ("11", "12", "13")]
    assert rules == [*excluded, ("pin", "10", "in force")]
    shown = store.query(
        "select distinct recommended_product_id from recommendations.product_page where shop = '{shop}'"
    )
    assert not {("11",), ("12",), ("13",)} & set(shown)
    assert ("10",) in shown


def test_price_is_the_latest_in_the_shop_currency_or_null(store: Store):
    prices = store.query(
        "select product_id, price_min::int, price_max::int, currency from core.products "
        "where shop = '{shop}' and product_id in ('15', '16') order by 1"
    )
    assert prices == [("15", 10, 10, "EUR"), ("16", None, None, "EUR")]  # 15 was bought for 10 after it was seen at 20
    variants = store.query(
        "select variant_id, price::int, currency from core.variants where shop = '{shop}' and product_id = '16'"
    )
    assert variants == [("161", None, "EUR")]


def test_title_is_the_merchants_not_a_translation(store: Store):
    assert store.query("select title from core.products where shop = '{shop}' and product_id = '17'") == [("Title 17",)]
    viewed = "select distinct product_title from core.product_views where shop = '{shop}' and product_id = '17'"
    assert store.query(viewed) == [("Mug",)]
    bought = (
        "select distinct product_title, variant_title from core.order_items where shop = '{shop}' and product_id = '17'"
    )
    assert store.query(bought) == [("Title 17", "Red")]


def test_recreated_products_replace_the_old_one_and_strangers_cannot(store: Store):
    products = store.query(
        "select product_id, is_deleted from core.products "
        "where shop = '{shop}' and handle in ('shade', 'stool', 'chair') order by 1"
    )
    assert products == [("21", True), ("22", False), ("23", False), ("24", False), ("25", False), ("26", True)]
    listed = store.query(
        "select distinct product_id from recommendations.product_page where shop = '{shop}' and product_id = '21' "
        "or shop = '{shop}' and recommended_product_id = '21'"
    )
    assert listed == []


def test_gift_cards_fees_and_add_ons_are_not_recommended(store: Store):
    reasons = dict(
        store.query("select product_id, ineligible_reason from recommendations.eligibility where shop = '{shop}'")
    )
    assert {product: reasons[str(product)] for product in NAMES} == {
        product: reason for product, (_, _, reason) in NAMES.items()
    }
    assert reasons["40"] == "in most orders and viewed by nobody"
    assert (reasons["10"], reasons["15"]) == (None, None)


def test_one_week_of_history_is_reported_as_too_short(store: Store):
    measured = store.query(
        "select distinct status, hit_rate, mrr, recall, coverage, novelty from recommendations.evaluation "
        "where shop = '{shop}'"
    )
    assert measured == [("too little history", None, None, None, None, None)]
