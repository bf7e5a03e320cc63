"""Computes experiment results in Python, between the models and the publication."""

from collections.abc import Iterator

import dagster as dg

from orchestration.defs.resources import Warehouse
from orchestration.defs.stages import EXPERIMENTATION
from orchestration.defs.transformation import models

DESCRIPTIONS = {
    "results": "Every metric of every variation against the control.",
    "sample_ratios": "Units of every variation and segment, and how many were expected.",
    "verdicts": "The verdict on every experiment, in one sentence.",
}
RESULTS = [dg.AssetKey(["experiments", table]) for table in DESCRIPTIONS]
READ = ("exposures", "shops", "effectiveness")


@dg.multi_asset(
    name="experiment_results",
    group_name="experiments",
    specs=[
        dg.AssetSpec(
            key,
            deps=[
                model
                for model in models.keys
                if model.path[-1].startswith(("int_experiment_", "stg_experiments__")) or model.path[-1] in READ
            ],
            description=DESCRIPTIONS[key.path[-1]],
            kinds={"scipy"},
            **EXPERIMENTATION.attributes,
        )
        for key in RESULTS
    ],
)
def experiment_results(warehouse: Warehouse) -> Iterator[dg.MaterializeResult]:
    """Intervals, p-values, sample ratios and sentences."""
    from serving.experiments.results import write_results  # imports numpy and scipy

    sentences = write_results(warehouse.file)
    for key in RESULTS:
        yield dg.MaterializeResult(asset_key=key, metadata=sentences)
