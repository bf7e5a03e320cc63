"""Recommends for a session in progress: similar sessions (session-kNN) blended with the item-item lists.

Reads sessions.parquet of a version and the products viewed so far, returns scored products, best first.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pyarrow import parquet

from serving.settings import DEFAULTS, ListSettings

IDF_DIVISOR = 5.0  # dampens the weight of rarity
SCORE_DECIMALS = 12  # summation order changes the last bits; ties must stay ties

Ranked = list[tuple[str, float]]


class ViewedTogether(NamedTuple):
    """A product's published viewed_together list. again: of its seed; scores: by product id."""

    again: float
    scores: Mapping[str, float]


def recent_weights(viewed: Sequence[str], settings: ListSettings = DEFAULTS) -> dict[str, float]:
    """Weights of a session's last products, newest first; a product counts at its latest position."""
    weights: dict[str, float] = {}
    for distance, product_id in enumerate(reversed(viewed[-settings.session_views :]), 1):
        weights.setdefault(product_id, 1 / (distance * math.sqrt(distance)))
    return weights


def combined_lists(
    viewed: Sequence[str],
    lists: Mapping[str, ViewedTogether],
    settings: ListSettings = DEFAULTS,
    *,
    answer_viewed: bool = False,
) -> Ranked:
    """Combine only the item-item lists of the last products, as the storefront does without the API.

    Args:
        viewed: product ids, oldest first.
        lists: of the viewed products that have one.
        answer_viewed: whether to return products of the session itself.
    """
    scores = _item_scores(recent_weights(viewed, settings), lists)
    own = set() if answer_viewed else set(viewed)
    ranked = [
        (product_id, round(score, SCORE_DECIMALS)) for product_id, score in scores.items() if product_id not in own
    ]
    return sorted(ranked, key=lambda pair: (-pair[1], pair[0]))


def blend(
    viewed: Sequence[str],
    neighbours: "SessionNeighbours",
    lists: Mapping[str, ViewedTogether],
    *,
    answer_viewed: bool = False,
) -> Ranked:
    """Add the scores of similar sessions and of the item-item lists, each scaled by its best score.

    Args:
        viewed: product ids, oldest first.
        neighbours: the sessions to compare with.
        lists: of the last products that have one.
        answer_viewed: whether to return products of the session itself; they count for the best score either way.
    """
    weights = recent_weights(viewed, neighbours.settings)
    ids, number_by_id = neighbours.product_ids, neighbours.number_by_id
    scores = neighbours.scores(weights)
    if best := scores.max(initial=0.0):
        scores /= best
    item_scores = _item_scores(weights, lists)
    share = neighbours.settings.blend_of_lists / (max(item_scores.values(), default=0.0) or 1.0)
    list_only: dict[str, float] = {}  # products of the lists that are in no session
    for product_id, score in item_scores.items():
        number = number_by_id.get(product_id)
        if number is None:
            list_only[product_id] = score * share
        else:
            scores[number] += score * share
    if not answer_viewed:
        for product_id in set(viewed):
            list_only.pop(product_id, None)
            if product_id in number_by_id:
                scores[number_by_id[product_id]] = 0.0
    found = np.flatnonzero(scores)
    names = [ids[number] for number in found.tolist()]
    scores, ranks = scores[found], found
    if list_only:
        names += sorted(list_only)
        scores = np.append(scores, [list_only[product_id] for product_id in names[len(found) :]])
        # half a step before the next id: ties are broken by id across both sources
        ranks = np.append(found, [bisect_left(ids, product_id) - 0.5 for product_id in names[len(found) :]])
    scores = scores.round(SCORE_DECIMALS)
    order = np.lexsort((ranks, -scores))
    return [(names[place], score) for place, score in zip(order.tolist(), scores[order].tolist(), strict=True)]


def _item_scores(weights: Mapping[str, float], lists: Mapping[str, ViewedTogether]) -> dict[str, float]:
    """Scores summed over the last products, including each one's score for being viewed again; no zero scores."""
    scores: dict[str, float] = {}
    for product_id, weight in weights.items():
        together = lists.get(product_id)
        if together is None:
            continue
        scores[product_id] = scores.get(product_id, 0.0) + weight * together.again
        for other, score in together.scores.items():
            scores[other] = scores.get(other, 0.0) + weight * score
    return {product_id: score for product_id, score in scores.items() if score}


class SessionNeighbours:
    """A shop's sessions, indexed by product."""

    def __init__(
        self,
        session_numbers: np.ndarray,
        places: np.ndarray,
        products: np.ndarray,
        product_ids: list[str],
        settings: ListSettings = DEFAULTS,
    ) -> None:
        """Columns of sessions.parquet, grouped by session; products: indexes into the sorted `product_ids`."""
        self.product_ids, self.settings = product_ids, settings
        self.number_by_id = {product_id: number for number, product_id in enumerate(product_ids)}
        first_rows = np.flatnonzero(np.diff(session_numbers, prepend=-1))
        self._row_bounds = np.append(first_rows, len(session_numbers))
        self._places, self._products = places, products
        sessions = np.repeat(np.arange(len(first_rows)), np.diff(self._row_bounds))
        by_product = np.argsort(products, kind="stable")  # stable: within a product, newest session first
        self._sessions_by_product, self._places_by_product = sessions[by_product], places[by_product]
        sessions_with = np.bincount(products, minlength=len(product_ids))
        self._product_bounds = np.append(0, np.cumsum(sessions_with)).tolist()
        self._rarity = 1 + np.log(len(first_rows) / np.maximum(sessions_with, 1)) / IDF_DIVISOR

    @classmethod
    def read(cls, file: Path, settings: ListSettings = DEFAULTS) -> "SessionNeighbours":
        """Read sessions.parquet of a version; its manifest has the settings."""
        table = parquet.read_table(file, columns=["session_number", "place", "product_id"]).combine_chunks()
        numbers, places = (table[name].to_numpy().astype(np.int64) for name in ("session_number", "place"))
        # Arrow encodes the ids without holding the GIL, so requests are answered meanwhile.
        encoded = table["product_id"].combine_chunks().dictionary_encode()
        product_ids = encoded.dictionary.to_pylist()
        in_order = sorted(range(len(product_ids)), key=product_ids.__getitem__)
        numbered = np.empty(len(product_ids), np.int64)
        numbered[in_order] = np.arange(len(product_ids))
        products = numbered[encoded.indices.to_numpy()]
        return cls(numbers, places, products, [product_ids[place] for place in in_order], settings)

    def scores(self, weights: Mapping[str, float]) -> np.ndarray:
        """The score of every product by its index, 0 if no neighbour has it.

        weights: of the last products, newest first.
        """
        sessions, similarities, matches = self._neighbours(weights)
        if not len(sessions):
            return np.zeros(len(self.product_ids))
        firsts, lengths = self._row_bounds[sessions], self._row_bounds[sessions + 1] - self._row_bounds[sessions]
        ends = np.cumsum(lengths)
        rows = np.arange(ends[-1]) + np.repeat(firsts - ends + lengths, lengths)
        nearness = 1 / (1 + np.abs(self._places[rows] - np.repeat(matches, lengths)))
        sums = np.bincount(
            self._products[rows], weights=np.repeat(similarities, lengths) * nearness, minlength=len(self.product_ids)
        )
        return sums * self._rarity

    def _neighbours(self, weights: Mapping[str, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The most similar sessions, their similarities, and in each the place of the newest matching product."""
        spans, span_weights = [], []
        for product_id, weight in weights.items():
            number = self.number_by_id.get(product_id)
            if number is not None:
                first, end = self._product_bounds[number], self._product_bounds[number + 1]
                spans.append(slice(first, min(end, first + self.settings.neighbour_sessions_per_product)))
                span_weights.append(weight)
        if not spans:
            return (np.empty(0, int),) * 3
        held = np.concatenate([self._sessions_by_product[span] for span in spans])
        places = np.concatenate([self._places_by_product[span] for span in spans])
        held_weights = np.repeat(span_weights, [span.stop - span.start for span in spans])
        order = np.argsort(held, kind="stable")  # stable: within a session, newest product first
        held = held[order]
        firsts = np.flatnonzero(np.diff(held, prepend=-1))
        sessions, matches = held[firsts], places[order[firsts]]
        similarities = np.add.reduceat(held_weights[order], firsts)
        newest_of_equals_first = np.argsort(-similarities, kind="stable")
        best = newest_of_equals_first[: self.settings.neighbour_sessions]
        return sessions[best], similarities[best], matches[best]
