"""Personal lists and their backtest.

Reads interests of persons (intermediate.int_interests), or scores computed by dbt if there are too many products for a
matrix; writes recommendations.personal and new rows of recommendations.evaluation_history.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
from scipy import sparse

from serving.duckdb_settings import connect
from serving.recommenders.ease import best_products, product_weights
from serving.settings import ListSettings, read_settings

OVERFETCH = 5  # candidates per shown item, since the diversity rule drops some
CHUNK = 1_000  # persons per batch
DECIMALS = 6  # of scores
MAY_NOT_BE_SHOWN = -1
EVALUATED_AT = 10
MEASURED, TOO_LITTLE = "measured", "too little history"  # same values as in the model `evaluation`
RATES = ("hit_rate", "mrr", "recall", "coverage", "novelty")


@dataclass(frozen=True)
class Interests:
    """Interests of a shop's persons as persons x products matrices, with their index labels."""

    journeys: np.ndarray
    products: np.ndarray
    shown: sparse.csr_matrix  # 1 for any interest
    recency: sparse.csr_matrix  # 1 for a purchase today, less for a view; decays with the half-life
    owned: sparse.csr_matrix  # 1 for purchased products that are unlikely to be bought again
    age: np.ndarray  # days since each person's last interest


class Scores(NamedTuple):
    """Scores by person index and product index."""

    persons: np.ndarray
    products: np.ndarray
    scores: np.ndarray


class Lists(NamedTuple):
    """List items in order; positions from 1."""

    persons: np.ndarray
    products: np.ndarray
    scores: np.ndarray
    positions: np.ndarray


def recommend(warehouse: Path) -> dict[str, int]:
    """Write recommendations.personal and the history of evaluations.

    Returns:
        Persons with a list, by shop.
    """
    with connect(str(warehouse)) as connection:
        settings = read_settings(connection)
        methods = connection.execute(
            "select shop, method from intermediate.int_personal_methods order by shop"
        ).fetchall()
        evaluations = []
        connection.execute("begin")
        connection.execute("delete from recommendations.personal")  # dbt creates it: _exports__sources.yml
        for shop, method in methods:
            lists = _ease_lists if method == "ease" else _similarity_lists
            for rows in lists(connection, shop, settings):
                connection.register("chunk", rows)
                connection.execute(
                    "insert into recommendations.personal by name "
                    "select chunk.*, as_of.as_of as computed_at, $model_version as model_version "
                    "from chunk left join intermediate.int_as_of as as_of using (shop)",
                    {"model_version": settings.model_version},
                )
                connection.unregister("chunk")
            if method == "ease":
                evaluations += _evaluate(connection, shop, settings)
        _record_history(connection, evaluations, settings.model_version)
        connection.execute("commit")
        return dict(
            connection.execute(
                "select shop, count(distinct journey_id) from recommendations.personal group by shop order by shop"
            ).fetchall()
        )


def read_interests(
    connection: duckdb.DuckDBPyConnection, trained_for: str, shop: str, settings: ListSettings
) -> Interests | None:
    """Interests of a shop's persons, up to now or up to the backtest's cutoff."""
    rows = connection.execute(
        "select interests.journey_id, interests.product_id, interests.weight, "
        "date_diff('day', interests.last_date, today.today) as age, "
        "interests.orders > 0 and repurchased.product_id is null as is_owned "
        "from intermediate.int_interests as interests "
        "inner join intermediate.int_shop_today as today using (shop) "
        "left join intermediate.int_repurchased_products as repurchased using (shop, product_id) "
        "where shop = $shop and interests.trained_for = $trained_for "
        "order by interests.journey_id, interests.product_id",
        {"shop": shop, "trained_for": trained_for},
    ).fetchnumpy()
    if not len(rows["journey_id"]):
        return None
    journeys, journey_index = np.unique(rows["journey_id"].astype(str), return_inverse=True)
    products, product_index = np.unique(rows["product_id"].astype(str), return_inverse=True)
    ages = np.maximum(np.asarray(rows["age"], dtype=np.int64), 0)
    strength = np.asarray(rows["weight"], dtype=np.float32) / np.float32(settings.purchase_weight)
    owned = np.asarray(rows["is_owned"], dtype=bool)
    shape = (len(journeys), len(products))
    last = np.full(len(journeys), np.iinfo(np.int64).max)
    np.minimum.at(last, journey_index, ages)
    return Interests(
        journeys,
        products,
        sparse.csr_matrix((np.ones_like(strength), (journey_index, product_index)), shape=shape),
        sparse.csr_matrix(
            (strength * np.float32(0.5) ** (ages / settings.interest_half_life_days), (journey_index, product_index)),
            shape=shape,
            dtype=np.float32,
        ),
        sparse.csr_matrix(
            (np.ones(owned.sum(), dtype=np.float32), (journey_index[owned], product_index[owned])), shape=shape
        ),
        last,
    )


def _ease_lists(connection: duckdb.DuckDBPyConnection, shop: str, settings: ListSettings) -> Iterator[pa.Table]:
    """Lists for recently active persons who permit them; the others count for the weights only."""
    interests = read_interests(connection, "now", shop, settings)
    if interests is None:
        return
    groups = _groups(connection, shop, interests.products)
    weights = product_weights(interests.shown)
    weights[:, groups == MAY_NOT_BE_SHOWN] = 0
    permitted = np.isin(interests.journeys, _permitted(connection, shop))
    active = np.flatnonzero(permitted & (interests.age <= settings.personal_active_days))
    for begin in range(0, len(active), CHUNK):
        persons = active[begin : begin + CHUNK]
        products, scores = best_products(
            interests.recency[persons], weights, interests.owned[persons], OVERFETCH * settings.list_limit
        )
        rows = Scores(
            np.repeat(persons, products.shape[1]), products.ravel(), np.round(scores.ravel().astype(float), DECIMALS)
        )
        yield _listed(shop, "ease", interests.journeys, interests.products, short_lists(rows, groups, settings))


def _similarity_lists(connection: duckdb.DuckDBPyConnection, shop: str, settings: ListSettings) -> Iterator[pa.Table]:
    rows = connection.execute(
        "select journey_id, product_id, score from intermediate.int_personal_scores where shop = $shop", {"shop": shop}
    ).fetchnumpy()
    if not len(rows["score"]):
        return
    journeys, persons = np.unique(rows["journey_id"].astype(str), return_inverse=True)
    names, products = np.unique(rows["product_id"].astype(str), return_inverse=True)
    groups = _groups(connection, shop, names)
    scores = Scores(persons, products, np.asarray(rows["score"], dtype=float))
    yield _listed(shop, "item_similarity", journeys, names, short_lists(scores, groups, settings))


def _permitted(connection: duckdb.DuckDBPyConnection, shop: str) -> np.ndarray:
    """The journeys that may have personal lists."""
    rows = connection.execute(
        "select journey_id from intermediate.int_permissions where shop = $shop and may_have_personal_lists",
        {"shop": shop},
    ).fetchnumpy()
    return rows["journey_id"].astype(str)


def _groups(connection: duckdb.DuckDBPyConnection, shop: str, products: np.ndarray) -> np.ndarray:
    """The group of each product: that of its vendor and type, one of its own, or MAY_NOT_BE_SHOWN."""
    group_of = dict(
        connection.execute(
            "select product_id, coalesce(diversity_group, product_id) from recommendations.eligibility "
            "where shop = $shop and is_eligible",
            {"shop": shop},
        ).fetchall()
    )
    numbers = {group: number for number, group in enumerate(sorted(set(group_of.values())))}
    return np.array([numbers.get(group_of.get(product), MAY_NOT_BE_SHOWN) for product in products])


def short_lists(scored: Scores, groups: np.ndarray, settings: ListSettings) -> Lists:
    """The best products of each person, with at most a few of one vendor and type.

    Args:
        scored: in any order; scores of 0 or less are ignored.
        groups: by product, from `_groups`.
    """
    kept = np.flatnonzero((scored.scores > 0) & (groups[scored.products] != MAY_NOT_BE_SHOWN))
    # Ties in product order, for reproducible results.
    order = kept[np.lexsort((scored.products[kept], -scored.scores[kept], scored.persons[kept]))]
    persons_groups = scored.persons[order] * (groups.max(initial=0) + 1) + groups[scored.products[order]]
    order = order[_positions(persons_groups) <= settings.max_per_vendor_and_type]
    positions = _positions(scored.persons[order])
    order, positions = order[positions <= settings.list_limit], positions[positions <= settings.list_limit]
    return Lists(scored.persons[order], scored.products[order], scored.scores[order], positions)


def _positions(keys: np.ndarray) -> np.ndarray:
    """The position of each row within its key, from 1."""
    order = np.argsort(keys, kind="stable")
    firsts = np.flatnonzero(np.diff(keys[order], prepend=-1))
    positions = np.empty(len(keys), int)
    positions[order] = np.arange(1, len(keys) + 1) - np.repeat(firsts, np.diff(firsts, append=len(keys)))
    return positions


def _listed(shop: str, strategy: str, journeys: np.ndarray, products: np.ndarray, lists: Lists) -> pa.Table:
    return pa.table(
        {
            "shop": pa.array([shop] * len(lists.positions), pa.string()),
            "journey_id": pa.array(journeys[lists.persons], pa.string()),
            "position": lists.positions,
            "recommended_product_id": pa.array(products[lists.products], pa.string()),
            "strategy": pa.array([strategy] * len(lists.positions), pa.string()),
            "score": lists.scores,
        }
    )


def _evaluate(
    connection: duckdb.DuckDBPyConnection, shop: str, settings: ListSettings
) -> list[tuple[str, str, str, dict[str, Any]]]:
    """Backtest: how well earlier interests predict products that are new to a person."""
    past = read_interests(connection, "backtest", shop, settings)
    if past is None:
        return []
    new = connection.execute(
        "select journey_id, product_id from intermediate.int_interests where shop = $shop and trained_for = 'now' "
        "except "
        "select journey_id, product_id from intermediate.int_interests where shop = $shop and trained_for = 'backtest' "
        "order by journey_id, product_id",
        {"shop": shop},
    ).fetchall()
    journey_index = {journey: index for index, journey in enumerate(past.journeys)}
    product_index = {product: index for index, product in enumerate(past.products)}
    targets: dict[int, set[int]] = {}
    for journey, product in new:
        if journey in journey_index and product in product_index:
            targets.setdefault(journey_index[journey], set()).add(product_index[product])
    persons = sorted(targets)[: settings.evaluation_cases]
    if not persons:
        return []
    known = past.shown[persons]
    by_ease = best_products(past.recency[persons], product_weights(past.shown), known, EVALUATED_AT)
    popularity = np.asarray(past.shown.sum(axis=0)).ravel().astype(np.float32)
    everyone = sparse.csr_matrix(np.ones((len(persons), 1), dtype=np.float32))
    by_popularity = best_products(everyone, popularity[np.newaxis, :], known, EVALUATED_AT)
    wanted = [targets[person] for person in persons]
    share = popularity / popularity.sum()
    history = int(popularity.sum())
    is_measured = len(persons) >= settings.evaluation_min_cases and history >= settings.evaluation_min_history
    return [
        (
            shop,
            "new_product",
            strategy,
            {"history": history, "status": MEASURED if is_measured else TOO_LITTLE}
            | _measured(*best, wanted, share)
            | ({} if is_measured else dict.fromkeys(RATES)),
        )
        for strategy, best in (("ease", by_ease), ("popular", by_popularity))
    ]


def _measured(
    products: np.ndarray, scores: np.ndarray, wanted: list[set[int]], share: np.ndarray
) -> dict[str, float | None]:
    shown = np.ma.masked_array(products, np.round(scores, DECIMALS) <= 0)  # as in `short_lists`
    first = [
        next((rank for rank, product in enumerate(row, start=1) if product in targets), 0)
        for row, targets in zip(shown.tolist(), wanted, strict=True)
    ]
    hits = [len(targets.intersection(row)) for row, targets in zip(shown.tolist(), wanted, strict=True)]
    return {
        "cases": len(wanted),
        "hit_rate": float(np.mean([rank > 0 for rank in first])),
        "mrr": float(np.mean([1 / rank if rank else 0 for rank in first])),
        "recall": float(np.mean([hit / len(targets) for hit, targets in zip(hits, wanted, strict=True)])),
        "coverage": len(np.unique(shown.compressed())) / len(share),
        "novelty": float(np.mean(-np.log2(share[shown.compressed()]))) if shown.count() else None,
    }


def _record_history(
    connection: duckdb.DuckDBPyConnection,
    evaluations: list[tuple[str, str, str, dict[str, Any]]],
    model_version: str,
) -> None:
    """Record the evaluation of this refresh, once per as_of."""
    connection.execute(
        "create table if not exists recommendations.evaluation_history as from recommendations.evaluation limit 0"
    )
    connection.execute(
        "comment on table recommendations.evaluation_history is 'One row per shop, task, strategy and as_of of a "
        "refresh: recommendations.evaluation at that time, and the backtest of personal lists (task new_product).'"
    )
    # The history outlives the code that wrote it: new columns are added, and none is dropped.
    for name, kind, *_ in connection.execute("describe recommendations.evaluation").fetchall():
        connection.execute(f"alter table recommendations.evaluation_history add column if not exists {name} {kind}")
    connection.execute(
        "delete from recommendations.evaluation_history as history using intermediate.int_as_of as as_of "
        "where history.shop = as_of.shop and history.computed_at = as_of.as_of"
    )
    connection.execute("insert into recommendations.evaluation_history by name from recommendations.evaluation")
    for name, comment in connection.execute(
        "select column_name, comment from duckdb_columns() "
        "where schema_name = 'recommendations' and table_name = 'evaluation' and comment is not null"
    ).fetchall():
        escaped = comment.replace("'", "''")
        connection.execute(f"comment on column recommendations.evaluation_history.{name} is '{escaped}'")
    for shop, task, strategy, measured in evaluations:
        connection.execute(
            "insert into recommendations.evaluation_history by name select "
            "md5(concat_ws('|', $shop, $task, $strategy)) as evaluation_key, $shop as shop, $task as task, "
            "$strategy as strategy, $cutoff as cutoff, $cases as cases, $history as history, $status as status, "
            "$hit_rate as hit_rate, $mrr as mrr, $recall as recall, $coverage as coverage, $novelty as novelty, "
            "(select max(last_date) from intermediate.int_interests where shop = $shop and trained_for = 'backtest') "
            "as trained_until, "
            "(select as_of from intermediate.int_as_of where shop = $shop) as computed_at, "
            "$model_version as model_version",
            {
                "shop": shop,
                "task": task,
                "strategy": strategy,
                "cutoff": EVALUATED_AT,
                "model_version": model_version,
                **measured,
            },
        )


@dataclass(frozen=True)
class BelowPopularity:
    """A strategy with a lower hit rate than the popular list."""

    shop: str
    task: str
    strategy: str
    hit_rate: float
    popular_hit_rate: float
    cases: int
    trained_until: date


def below_popularity(warehouse: Path, min_cases: int = 100) -> list[BelowPopularity]:
    """The strategies below popularity in the last evaluation, if it has enough cases."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        rows = connection.execute(
            """
            select own.shop, own.task, own.strategy, own.hit_rate, popular.hit_rate, own.cases, own.trained_until
            from recommendations.evaluation_history as own
            inner join recommendations.evaluation_history as popular using (shop, task, computed_at)
            inner join intermediate.int_as_of as as_of on own.shop = as_of.shop and own.computed_at = as_of.as_of
            where popular.strategy = 'popular' and own.hit_rate < popular.hit_rate and own.cases >= $min_cases
            order by all
            """,
            {"min_cases": min_cases},
        ).fetchall()
    return [BelowPopularity(*row) for row in rows]
