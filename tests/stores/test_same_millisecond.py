"""Events in the same millisecond are ordered by the page's counter."""

from tests.stores.events import cart_line, checkout, event, viewed

EVENTS = [
    event("page_viewed", "home-product", id="z1", seq=1),
    event("product_viewed", "home-product", id="a1", seq=2, path="/products/x", data=viewed("1")),
    event("product_viewed", "buy-now", id="z2", seq=8, data=viewed("1")),
    event("product_added_to_cart", "buy-now", id="m2", seq=9, data=cart_line("1")),
    event("checkout_started", "buy-now", id="a2", seq=10, data=checkout("t2")),  # 10 comes after 9, not before
    event("product_viewed", "without", id="b3", seq=None, data=viewed("1")),
    event("page_viewed", "without", id="a3", seq=None),
    event("product_viewed", "odd", id="b4", seq="second", data=viewed("1")),
    event("page_viewed", "odd", id="a4", seq=10**30),
]


def test_the_path_follows_the_page_counter(store):
    assert dict(store.query("select client_id, path from core.sessions where shop = '{shop}'")) == {
        "home-product": "home > product",
        "buy-now": "product > add to cart > checkout",
        "without": "home > product",
        "odd": "home > product",
    }
