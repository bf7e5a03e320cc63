"""Hypothesis strategies for odd events: any field may have any value that the collector accepts."""

import copy
from typing import Any

from hypothesis import strategies as st

from tests.stores.events import cart_line, checkout, event, viewed
from tests.stores.test_poison import NUMBERS, PATHS, TEXTS, TIMESTAMPS

TEMPLATES = [
    event("page_viewed", "c", path="/products/x?utm_source=a&utm_medium=cpc"),
    event("product_viewed", "c", data=viewed("1")),
    event("product_added_to_cart", "c", data=cart_line("1")),
    event("product_removed_from_cart", "d", data=cart_line("1")),
    event("cart_viewed", "d", data={"cart": {"lines": [cart_line("1")["cartLine"], cart_line("2")["cartLine"]]}}),
    event("search_submitted", "d", data={"searchResult": {"query": "mug"}}),
    event("checkout_started", "e", data=checkout("t")),
    event("payment_info_submitted", "e", data=checkout("t")),
    event("checkout_completed", "e", data=checkout("t", "gid://shopify/OrderIdentity/1", "2")),
    event("pixelnova:recommendation_clicked", "e", type="custom", customData={"product_id": "1"}),
]

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXT,
    st.sampled_from([*TIMESTAMPS, *NUMBERS, *TEXTS, *PATHS]),
    st.datetimes().map(lambda moment: f"{moment.isoformat()}Z"),
    st.recursive(
        TEXT, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=6
    ),
)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for step, child in children for found in _paths(child, (*path, step)))]


@st.composite
def odd_events(draw: st.DrawFn) -> dict[str, Any]:
    """An event with up to three odd values, and the id and name that the collector requires."""
    made = copy.deepcopy(draw(st.sampled_from(TEMPLATES)))
    made["id"] = draw(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(_paths(made)[1:]))
        if path == ("id",):
            continue
        holder = made
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = draw(TEXT.filter(bool) if path == ("name",) else VALUES)
    return made
