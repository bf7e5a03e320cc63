import math
import random
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.api.session_neighbours import SessionNeighbours, ViewedTogether, blend, combined_lists, recent_weights
from serving.settings import ListSettings
from tests.serving.published_version import write_sessions

PRODUCTS = ["10", "100", "2", "20", "3", "gamma", "ü"]
LIST_ONLY = "15"  # in a list, in no session; its id sorts among the others
LISTS = st.dictionaries(
    st.sampled_from(PRODUCTS),
    st.tuples(
        st.sampled_from([0.0, 0.25, 1.0]),
        st.dictionaries(st.sampled_from([*PRODUCTS, LIST_ONLY]), st.sampled_from([0.125, 0.5, 1.0])),
    ),
)


def neighbours_of(sessions: list[list[str]]) -> SessionNeighbours:
    """From sessions, newest first, each with its products in order; their places have gaps."""
    rows = [
        (number * 3, place * 2, product)
        for number, products in enumerate(sessions)
        for place, product in enumerate(products)
    ]
    with TemporaryDirectory() as folder:
        write_sessions(Path(folder) / "sessions.parquet", rows)
        return SessionNeighbours.read(Path(folder) / "sessions.parquet")


def slow_blend(viewed, sessions, lists, answer_viewed, per_product=500, most=200):
    """Reference implementation in plain Python; places as in `neighbours_of`."""
    weights = {}
    for distance in range(1, min(5, len(viewed)) + 1):
        product = viewed[-distance]
        if product not in weights:
            weights[product] = 1 / (distance * math.sqrt(distance))
    holders = {
        product: [number for number, products in enumerate(sessions) if product in products]
        for product in known_to(sessions)
    }
    newest = {product: set(holders.get(product, [])[:per_product]) for product in weights}
    candidates = set().union(*newest.values())
    held = {number: [product for product in weights if number in newest[product]] for number in candidates}
    similarity = {number: sum(weights[product] for product in products) for number, products in held.items()}
    chosen = sorted(candidates, key=lambda number: (-similarity[number], number))[:most]
    knn = {}
    for number in chosen:
        match = sessions[number].index(held[number][0]) * 2
        for index, product in enumerate(sessions[number]):
            rarity = math.log(len(sessions) / len(holders[product]))
            gain = similarity[number] * (1 + rarity / 5) / (1 + abs(index * 2 - match))
            knn[product] = knn.get(product, 0) + gain
    items = {}
    for seed, weight in weights.items():
        if seed in lists:
            again, scores = lists[seed]
            items[seed] = items.get(seed, 0) + weight * again
            for product, score in scores.items():
                items[product] = items.get(product, 0) + weight * score
    total = {}
    for scores, share in ((knn, 1), (items, 0.3)):
        best = max(scores.values(), default=0)
        for product, score in scores.items():
            if score:
                total[product] = total.get(product, 0) + share * score / best
    return {product: score for product, score in total.items() if answer_viewed or product not in viewed}


def known_to(sessions):
    return {product for products in sessions for product in products}


def assert_same(ranked, expected):
    assert dict(ranked) == pytest.approx(expected, abs=1e-9)
    assert len(ranked) == len(expected)
    for (left, left_score), (right, right_score) in pairwise(ranked):
        assert (-left_score, left) < (-right_score, right)


@settings(max_examples=200, deadline=None)
@given(
    sessions=st.lists(st.lists(st.sampled_from(PRODUCTS), unique=True, min_size=1, max_size=6), max_size=25),
    viewed=st.lists(st.sampled_from([*PRODUCTS, LIST_ONLY, "unknown"]), min_size=1, max_size=8),
    lists=LISTS,
    answer_viewed=st.booleans(),
    per_product=st.integers(1, 6),
    most=st.integers(1, 6),
)
def test_blend_matches_reference_implementation(sessions, viewed, lists, answer_viewed, per_product, most):
    neighbours = neighbours_of(sessions)
    neighbours.settings = ListSettings(neighbour_sessions_per_product=per_product, neighbour_sessions=most)
    given_lists = {product: ViewedTogether(*pair) for product, pair in lists.items()}
    ranked = blend(viewed, neighbours, given_lists, answer_viewed=answer_viewed)
    assert_same(ranked, slow_blend(viewed, sessions, lists, answer_viewed, per_product, most))


@settings(max_examples=200, deadline=None)
@given(viewed=st.lists(st.sampled_from([*PRODUCTS, LIST_ONLY]), min_size=1, max_size=8), lists=LISTS, own=st.booleans())
def test_combined_lists_match_item_item_part_of_blend(viewed, lists, own):
    given_lists = {product: ViewedTogether(*pair) for product, pair in lists.items()}
    ranked = combined_lists(viewed, given_lists, answer_viewed=own)
    expected = slow_blend(viewed, [], lists, True)
    best = max((score for _, score in combined_lists(viewed, given_lists, answer_viewed=True)), default=0)
    wanted = {product: score / 0.3 * best for product, score in expected.items() if own or product not in viewed}
    assert_same(ranked, wanted)


def test_blend_uses_newest_and_most_similar_sessions():
    rng = random.Random(5)
    products = [str(number) for number in range(30)]
    sessions = [rng.sample(products, rng.randrange(1, 9)) for _ in range(3000)]
    neighbours = neighbours_of(sessions)
    lists = {
        product: (rng.random(), {other: rng.random() for other in rng.sample(products, 9)}) for product in products
    }
    for _ in range(10):
        viewed = [rng.choice(products) for _ in range(7)]
        given_lists = {product: ViewedTogether(*pair) for product, pair in lists.items()}
        assert_same(blend(viewed, neighbours, given_lists), slow_blend(viewed, sessions, lists, False))


def test_recent_weights_use_last_five_products():
    weights = recent_weights(["old", "a", "b", "c", "a", "d"])
    assert weights == pytest.approx({"d": 1, "a": 2**-1.5, "c": 3**-1.5, "b": 4**-1.5})
    assert list(weights) == ["d", "a", "c", "b"]


def test_viewed_products_are_excluded_unless_answer_viewed():
    neighbours = neighbours_of([["1", "2", "3"], ["1", "3"]])
    viewed = ["2", "9", "9", "9", "9", "1"]  # the first one no longer has a weight, but was viewed
    assert [product for product, _ in blend(viewed, neighbours, {})] == ["3"]
    assert {product for product, _ in blend(viewed, neighbours, {}, answer_viewed=True)} == {"1", "2", "3"}


def test_ties_are_in_id_order_across_sessions_and_lists():
    neighbours = neighbours_of([["b", "d"], ["d"]])
    lists = {"s": ViewedTogether(0.0, {"e": 0.5, "d": 0.5, "c": 0.5, "b": 0.5, "a": 0.5, "f": 1.0})}
    ranked = blend(["s"], neighbours, lists)
    assert [product for product, _ in ranked] == ["f", "a", "b", "c", "d", "e"]
    assert [product for product, _ in combined_lists(["s"], lists)] == ["f", "a", "b", "c", "d", "e"]


def test_blend_without_sessions_uses_lists():
    neighbours = neighbours_of([])
    assert blend(["s"], neighbours, {"s": ViewedTogether(0.0, {"a": 0.5})}) == [("a", 0.3)]
    assert blend(["s"], neighbours, {}) == []
