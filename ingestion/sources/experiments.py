"""dlt source `experiments`: the experiments of experiments.toml for SQL, by phase, by variation and by metric."""

from collections.abc import Iterator, Sequence
from typing import Any

import dlt
from dlt.common.schema.typing import TColumnSchema, TDataType
from dlt.extract import DltResource

from ingestion.experiments import Experiment
from ingestion.sources import SCHEMA_CONTRACT


@dlt.source(name="experiments", schema_contract=SCHEMA_CONTRACT)
def experiments_source(experiments: Sequence[Experiment] = ()) -> tuple[DltResource, ...]:
    """Tables of raw_experiments: phases, one row per shop, experiment and phase; variations, one row per phase and
    variation; metrics, one row per shop, experiment and metric with a role. A shop's holdout is one of them."""
    holdouts = {experiment.shop: experiment for experiment in experiments if experiment.is_holdout}

    @dlt.resource(
        name="phases",
        write_disposition="replace",
        columns={
            "shop": _column("text"),
            "experiment": _column("text"),
            "phase": _column("bigint"),
            "experiment_name": _column("text"),
            "seed": _column("text"),
            "layer": _column("text", nullable=True),
            "layer_from": _column("bigint"),
            "layer_to": _column("bigint"),
            "holdout_started_at": _column("timestamp", nullable=True),
            "holdout_to": _column("bigint", nullable=True),
            "started_at": _column("timestamp"),
            "ended_at": _column("timestamp", nullable=True),
            "coverage": _share(),
            "alpha": _share(),
            "is_holdout": _column("bool"),
            "devices": _column("text", nullable=True),
            "channels": _column("text", nullable=True),
            "placements": _column("text", nullable=True),
        },
    )
    def phases() -> Iterator[Any]:
        yield dlt.mark.materialize_table_schema()  # most shops have no experiment, but SQL reads the table anyway
        for experiment in experiments:
            holdout = None if experiment.is_holdout else holdouts.get(experiment.shop)
            for phase in experiment.phases:
                yield {
                    **_named(experiment),
                    "phase": phase.number,
                    "experiment_name": experiment.name,
                    "seed": experiment.seed,
                    "layer": experiment.layer,
                    "layer_from": experiment.layer_from,
                    "layer_to": experiment.layer_to,
                    "holdout_started_at": holdout and holdout.phases[0].started_at,
                    "holdout_to": holdout and holdout.phases[0].ranges[0][1],
                    "started_at": phase.started_at,
                    "ended_at": phase.ended_at,
                    "coverage": phase.coverage,
                    "alpha": experiment.alpha,
                    "is_holdout": experiment.is_holdout,
                    "devices": _joined(experiment.devices),
                    "channels": _joined(experiment.channels),
                    "placements": _joined(experiment.placements),
                }

    @dlt.resource(
        name="variations",
        write_disposition="replace",
        columns={
            "shop": _column("text"),
            "experiment": _column("text"),
            "phase": _column("bigint"),
            "variation": _column("text"),
            "variation_number": _column("bigint"),
            "weight": _share(),
            "bucket_from": _column("bigint"),
            "bucket_to": _column("bigint"),
            "shows": _column("text"),
        },
    )
    def variations() -> Iterator[Any]:
        yield dlt.mark.materialize_table_schema()
        for experiment in experiments:
            for phase in experiment.phases:
                split = zip(experiment.variations, phase.weights, phase.ranges, strict=True)
                for number, (variation, weight, (bucket_from, bucket_to)) in enumerate(split):
                    yield {
                        **_named(experiment),
                        "phase": phase.number,
                        "variation": variation.key,
                        "variation_number": number,
                        "weight": weight,
                        "bucket_from": bucket_from,
                        "bucket_to": bucket_to,
                        "shows": variation.shows,
                    }

    @dlt.resource(
        name="metrics",
        write_disposition="replace",
        columns={
            "shop": _column("text"),
            "experiment": _column("text"),
            "metric": _column("text"),
            "role": _column("text"),
        },
    )
    def metrics() -> Iterator[Any]:
        yield dlt.mark.materialize_table_schema()
        for experiment in experiments:
            for role, named in (("primary", experiment.primary_metrics), ("guardrail", experiment.guardrails)):
                for metric in named:
                    yield {**_named(experiment), "metric": metric, "role": role}

    return phases, variations, metrics


def _named(experiment: Experiment) -> dict[str, str]:
    return {"shop": experiment.shop, "experiment": experiment.key}


def _joined(names: Sequence[str] | None) -> str | None:
    return None if names is None else ",".join(names)


def _column(data_type: TDataType, nullable: bool = False) -> TColumnSchema:
    return {"data_type": data_type, "nullable": nullable}


def _share() -> TColumnSchema:
    return {**_column("decimal"), "precision": 9, "scale": 8}
