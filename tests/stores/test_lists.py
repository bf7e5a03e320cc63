"""Searches and collections: folded terms, repetitions, refinements, and the product that is opened next."""

from decimal import Decimal
from typing import Any

from tests.stores.events import HOST, checkout, event, variant, viewed


def opened(name: str, client: str, minute: float, path: str, data: Any, referrer: str = "") -> dict[str, Any]:
    """An event whose page was reached from another path of the store, or from an unknown page."""
    made = event(name, client, minute, path=path, data=data)
    made["context"]["document"]["referrer"] = f"https://{HOST}{referrer}" if referrer.startswith("/") else referrer
    return made


def search(client: str, minute: float, query: Any, products: Any = (), path: str = "/search?q=x") -> dict[str, Any]:
    found = [variant(product) for product in products] if isinstance(products, tuple) else products
    data = {"searchResult": {"query": query, "productVariants": found}}
    return opened("search_submitted", client, minute, path, data)


def collection(
    client: str, minute: float, products: Any, number: Any = 7, path: str = "/collections/c"
) -> dict[str, Any]:
    data = {"collection": {"id": number, "title": "Lamps", "productVariants": products}}
    return opened("collection_viewed", client, minute, path, data)


def view(client: str, minute: float, product: Any, referrer: str = "", query: str = "") -> dict[str, Any]:
    return opened("product_viewed", client, minute, f"/products/p{product}{query}", viewed(product), referrer)


def order(client: str, minute: float, number: str, product: Any, amount: float) -> dict[str, Any]:
    data = checkout(f"t{number}", number, product=product, amount=amount)
    return event("checkout_completed", client, minute, data=data)


LISTED = [variant("1"), {"title": "without a product"}, variant("gid://shopify/Product/3"), variant("3"), 5]
EVENTS = [
    # One term in three forms; the second repeats the first.
    search("a", 0, "Crème  brûlée", ("1", "2")),
    search("a", 1, " creme BRULEE ", (), "/search?q=x&page=2"),
    view("a", 2, "1", "/search", "?_pos=4&_sid=x&_ss=r"),
    view("a", 3, "2", "/search", "?_pos=900719925474099276"),
    view("a", 4, "9", "/products/p2"),  # from another product
    search("a", 5, "pan", ("1",)),
    search("b", 0, "creme brulee", ()),
    search("b", 1, "custard", ("1",)),
    order("b", 2, "1", "1", 30),
    search("b", 3, "spoon", ("1",)),
    search("c", 0, "creme brulee", None),
    search("c", 1, "", ()),
    search("c", 2, "   ", ()),
    search("c", 3, None, ()),
    search("c", 4, "x" * 300, "not a list"),
    # Opened directly, without a referrer; then another product, also without one.
    collection("d", 0, LISTED),
    view("d", 1, "3"),
    view("d", 2, "1"),
    order("d", 3, "2", "3", 20),
    view("d", 4, "1", "https://elsewhere.example/collections/c"),
    # From the list of an earlier page: one product twice, and one that is not listed.
    collection("e", 0, LISTED),
    view("e", 1, "1", "/collections/c"),
    view("e", 2, "1", "/collections/c"),
    view("e", 3, "8", "/collections/c"),
    order("e", 4, "3", "1", 10),
    order("e", 5, "4", "1", 5),
    # The second page.
    collection("f", 0, LISTED, path="/collections/c?page=2"),
    view("f", 1, "1", "/collections/c"),
    collection("g", 0, "not a list", number="gid://shopify/Collection/8"),
    collection("g", 1, LISTED, number=None),
]


def found(store, term, columns, window=90):
    return store.query(
        f"select {columns} from analytics.searches "
        f"where shop = '{{shop}}' and term = '{term}' and window_days = {window}"
    )


def test_a_term_is_folded_and_repetitions_are_one_search(store):
    counts = "searches, submissions, sessions, people, searches_without_click, clicks"
    assert found(store, "creme brulee", counts) == [(3, 4, 3, 3, 2, 2)]
    assert found(store, "x" * 100, counts) == [(1, 1, 1, 1, 1, 0)]
    [(terms,)] = store.query("select count(distinct term) from analytics.searches where shop = '{shop}'")
    assert terms == 5  # an empty one is none


def test_no_result_is_known_only_where_results_are_sent(store):
    columns = "searches_with_known_results, searches_without_result, no_result_rate"
    assert found(store, "creme brulee", columns) == [(2, 1, 0.5)]
    assert found(store, "x" * 100, columns) == [(0, None, None)]


def test_a_search_without_click_is_refined_to_the_next_term(store):
    assert found(store, "creme brulee", "searches_refined, refined_to") == [(2, "custard")]
    assert found(store, "custard", "searches_refined, refined_to") == [(1, "spoon")]
    assert found(store, "pan", "searches_refined, refined_to") == [(0, None)]


def test_orders_after_a_search_count_for_all_terms_before_them(store):
    columns = "orders, sales_amount, currency"
    assert found(store, "creme brulee", columns) == found(store, "custard", columns) == [(1, Decimal(30), "EUR")]
    assert found(store, "spoon", columns) == [(0, Decimal(0), "EUR")]


def test_windows_are_those_before_as_of(store):
    assert found(store, "pan", "searches", window=7) == found(store, "pan", "searches", window=30) == [(1,)]


def test_the_position_in_search_results_is_shopifys_or_that_of_the_list(store):
    assert store.query(
        "select product_id, position from intermediate.int_opened_lists "
        "where shop = '{shop}' and list_kind = 'search' and is_click order by all"
    ) == [("1", 4), ("2", None)]


def performance(store, level, columns):
    return store.query(
        f"select {columns} from analytics.collection_performance "
        f"where shop = '{{shop}}' and level = '{level}' order by all"
    )


def test_a_collection_has_its_views_and_the_share_of_them_with_a_click(store):
    columns = "collection_id, collection_title, views, sessions, clicks, click_rate, orders, sales_amount"
    assert performance(store, "collection", columns) == [
        ("7", "Lamps", 3, 3, 5, 1, 3, Decimal(35)),
        ("8", "Lamps", 1, 1, 0, 0, 0, Decimal(0)),
    ]


def test_products_have_their_position_on_the_first_page(store):
    columns = "product_id, position, views, clicks, click_rate, orders, sales_amount"
    # Product 3 is listed twice; its first position counts.
    assert performance(store, "position", columns) == [
        ("1", 1, 2, 2, 0.5, 2, Decimal(15)),
        ("3", 3, 2, 1, 0.5, 1, Decimal(20)),
    ]
    assert performance(store, "product", columns) == [
        ("1", None, 2, 3, 0.5, 2, Decimal(15)),
        ("3", None, 2, 1, 0.5, 1, Decimal(20)),
        ("8", None, 0, 1, None, 0, Decimal(0)),
    ]
