"""Recommenders that are not SQL, after the models and before the publication, and what they are watched by."""

from typing import Any

import dagster as dg

from orchestration.defs.resources import Warehouse
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
            description="What each person would like, by closed-form regression, or by similarities of products.",
            kinds={"numpy"},
        ),
        dg.AssetSpec(
            HISTORY,
            deps=[key for key in models.keys if key.path[-1] in READ],
            description="How well every strategy would have done, refresh after refresh.",
            kinds={"numpy"},
        ),
    ],
)
def recommenders(warehouse: Warehouse) -> Any:
    """Personal lists, and the evaluation of this refresh beside those before."""
    from serving.recommenders.personal import recommend  # loads numpy and scipy

    persons = recommend(warehouse.file)
    yield dg.MaterializeResult(asset_key=PERSONAL, metadata={"persons": persons})
    yield dg.MaterializeResult(asset_key=HISTORY)


@dg.asset_check(asset=HISTORY, name="no_strategy_falls_below_popularity")
def no_strategy_falls_below_popularity(warehouse: Warehouse) -> dg.AssetCheckResult:
    """What is shown would have been chosen more often than what everybody is shown."""
    from serving.recommenders.personal import below_popularity

    fallen = below_popularity(warehouse.file)
    return dg.AssetCheckResult(
        passed=not fallen,
        metadata={
            f"{one.shop}/{one.task}/{one.strategy}": f"{one.hit_rate:.3f} of {one.cases:,} cases, "
            f"popular products {one.popular_hit_rate:.3f}"
            for one in fallen
        },
    )
