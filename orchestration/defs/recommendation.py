"""Recommenders in Python, between the models and the publication, and the check of their quality."""

from typing import Any

import dagster as dg

from orchestration.defs.resources import Warehouse
from orchestration.defs.stages import RECOMMENDATION
from orchestration.defs.transformation import PERSONAL, models

HISTORY = dg.AssetKey(["recommendations", "evaluation_history"])
READ = ("eligibility", "evaluation")


@dg.multi_asset(
    name="recommenders",
    group_name="recommendations",
    specs=[
        dg.AssetSpec(
            PERSONAL,
            deps=[key for key in models.keys if key.path[-1].startswith("int_") or key.path[-1] in READ],
            description="Personal recommendations, by closed-form regression (EASE) or product similarity.",
            kinds={"numpy"},
            **RECOMMENDATION.attributes,
        ),
        dg.AssetSpec(
            HISTORY,
            deps=[key for key in models.keys if key.path[-1] in READ],
            description="Backtest results of every strategy, one set per refresh.",
            kinds={"numpy"},
            **RECOMMENDATION.attributes,
        ),
    ],
)
def recommenders(warehouse: Warehouse) -> Any:
    """Personal lists, and the evaluation of this refresh appended to its history."""
    from serving.recommenders.personal import recommend  # imports numpy and scipy

    persons = recommend(warehouse.file)
    yield dg.MaterializeResult(asset_key=PERSONAL, metadata={"persons": persons})
    yield dg.MaterializeResult(asset_key=HISTORY)


@dg.asset_check(asset=HISTORY, name="no_strategy_falls_below_popularity")
def no_strategy_falls_below_popularity(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Every strategy has at least the hit rate of popular products."""
    from serving.recommenders.personal import below_popularity

    worse = below_popularity(warehouse.file)
    return dg.AssetCheckResult(
        passed=not worse,
        metadata={
            f"{result.shop}/{result.task}/{result.strategy}": f"hit rate {result.hit_rate:.3f} "
            f"in {result.cases:,} cases, popular products {result.popular_hit_rate:.3f}"
            for result in worse
        },
    )
