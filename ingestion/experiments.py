"""The experiments of experiments.toml, and the assignment of units to their variations.

Reads experiments.toml, which may be missing; returns checked `Experiment` records to the dlt source and the command
line.
"""

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from ingestion.assignment import BUCKETS, assigned_bucket, bucket_at, bucket_ranges
from ingestion.errors import IngestionError
from ingestion.experiments_check import DEFAULT, HOLDOUT, NOTHING, problems, utc
from ingestion.shops import MAX_PROBLEMS, Shop

EXPERIMENTS_FILE = "experiments.toml"  # beside shops.toml


class ExperimentsFileError(IngestionError):
    """experiments.toml is wrong; the message names what to change."""


@dataclass(frozen=True)
class Variation:
    """One arm. tiers: the lists it tries, in order; None for the default lists, empty to show nothing."""

    key: str
    tiers: tuple[str, ...] | None

    @property
    def shows(self) -> str:
        """The tiers as one text: default, nothing, or names of lists separated by commas."""
        return DEFAULT if self.tiers is None else ",".join(self.tiers) or NOTHING


@dataclass(frozen=True)
class Phase:
    """A period with fixed weights. started_at, ended_at: UTC, half-open; a phase also ends when the next one starts."""

    number: int
    started_at: datetime
    ended_at: datetime | None
    coverage: Decimal
    weights: tuple[Decimal, ...]

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """The half-open range of buckets of each variation."""
        return bucket_ranges(self.coverage, self.weights)


@dataclass(frozen=True)
class Experiment:
    """One experiment, or a shop's holdout, whose treatment is everyone who is not held out.

    layer_from, layer_to: the half-open range of the layer's buckets whose units take part; all without a layer.
    devices, channels, placements: None for all.
    """

    shop: str
    key: str
    name: str
    seed: str
    layer: str | None
    layer_from: int
    layer_to: int
    devices: tuple[str, ...] | None
    channels: tuple[str, ...] | None
    placements: tuple[str, ...] | None
    primary_metrics: tuple[str, ...]
    guardrails: tuple[str, ...]
    alpha: Decimal
    variations: tuple[Variation, ...]
    phases: tuple[Phase, ...]
    is_holdout: bool = False


def experiments_file(shops_file: Path) -> Path:
    """The path of experiments.toml, beside a shops.toml."""
    return shops_file.with_name(EXPERIMENTS_FILE)


def load_experiments(path: Path, shops: Sequence[Shop]) -> list[Experiment]:
    """Read and check experiments.toml: the holdouts, then the experiments in the order of the file.

    Raises:
        ExperimentsFileError: the file cannot be read, is not TOML, or does not describe usable experiments.
    """
    document = read_document(path)
    found = mistakes(document, shops)
    if found:
        more = f" And {len(found) - MAX_PROBLEMS} more." if len(found) > MAX_PROBLEMS else ""
        raise ExperimentsFileError(f"{path} is not usable. {' '.join(found[:MAX_PROBLEMS])}{more}")
    return experiments_of(document, shops)


def mistakes(document: dict[str, Any], shops: Sequence[Shop]) -> list[str]:
    """A sentence for each mistake in a decoded experiments.toml."""
    return problems(document, {shop.domain: shop.timezone for shop in shops})


def read_document(path: Path) -> dict[str, Any]:
    """experiments.toml, decoded but not checked; empty if the file does not exist.

    Raises:
        ExperimentsFileError: the file cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(path.read_bytes().decode(), parse_float=Decimal)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ExperimentsFileError(f"{path} cannot be read ({error.strerror}): check its permissions.") from error
    except UnicodeDecodeError as error:
        raise ExperimentsFileError(
            f"{path} is not usable: it is not UTF-8 (byte {error.start}): save it as UTF-8."
        ) from error
    except (tomllib.TOMLDecodeError, ArithmeticError) as error:
        raise ExperimentsFileError(f"{path} is not usable: it is not TOML: {error}. Correct that line.") from error


def experiments_of(document: dict[str, Any], shops: Sequence[Shop]) -> list[Experiment]:
    """The experiments of a checked document."""
    zones = {shop.domain: ZoneInfo(shop.timezone) for shop in shops}
    declared = document.get("experiments", [])
    ranges = _layer_ranges(declared)
    return [_holdout(holdout, zones) for holdout in document.get("holdouts", [])] + [
        _experiment(experiment, zones, *ranges.get((experiment["shop"], experiment["key"]), (0, BUCKETS)))
        for experiment in declared
    ]


def assigned_variation(
    experiment: Experiment, phase: Phase, unit: str, holdout: Experiment | None = None
) -> Variation | None:
    """The variation of a unit; None if the unit is outside the layer or the coverage, or held out.

    Args:
        holdout: the shop's, if it has begun.
    """
    if holdout is not None and holdout is not experiment:
        held_out = assigned_variation(holdout, holdout.phases[0], unit)
        if held_out is holdout.variations[0]:
            return None
    if experiment.layer is not None and not (
        experiment.layer_from <= assigned_bucket(experiment.layer, unit) < experiment.layer_to
    ):
        return None
    bucket = assigned_bucket(experiment.seed, unit)
    for variation, (bucket_from, bucket_to) in zip(experiment.variations, phase.ranges, strict=True):
        if bucket_from <= bucket < bucket_to:
            return variation
    return None


def _layer_ranges(declared: Sequence[dict[str, Any]]) -> dict[tuple[str, str], tuple[int, int]]:
    """The range of each experiment in its layer: one after the other in the order of the file."""
    members: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for experiment in declared:
        if "layer" in experiment:
            members.setdefault((experiment["shop"], experiment["layer"]), []).append(experiment)
    ranges = {}
    for (shop, _), experiments in members.items():
        shares = [experiment.get("layer_share", Decimal(1) / len(experiments)) for experiment in experiments]
        edges = [bucket_at(edge) for edge in (Decimal(0), *accumulate(shares))]
        for experiment, edge in zip(experiments, pairwise(edges), strict=True):
            ranges[shop, experiment["key"]] = edge
    return ranges


def _holdout(holdout: dict[str, Any], zones: dict[str, ZoneInfo]) -> Experiment:
    shop, share = holdout["shop"], Decimal(holdout["share"])
    started_at = utc(holdout["start"], zones[shop])
    return Experiment(
        shop=shop,
        key=HOLDOUT,
        name="Holdout",
        seed=HOLDOUT,
        layer=None,
        layer_from=0,
        layer_to=BUCKETS,
        devices=None,
        channels=None,
        placements=None,
        primary_metrics=("revenue_per_visitor",),
        guardrails=(),
        alpha=Decimal("0.05"),
        variations=(Variation("control", ()), Variation("treatment", None)),
        phases=(Phase(1, started_at, None, Decimal(1), (share, 1 - share)),),
        is_holdout=True,
    )


def _experiment(declared: dict[str, Any], zones: dict[str, ZoneInfo], layer_from: int, layer_to: int) -> Experiment:
    audience = declared.get("audience", {})
    return Experiment(
        shop=declared["shop"],
        key=declared["key"],
        name=declared["name"],
        seed=declared.get("seed", declared["key"]),
        layer=declared.get("layer"),
        layer_from=layer_from,
        layer_to=layer_to,
        devices=_names(audience.get("devices")),
        channels=_names(audience.get("channels")),
        placements=_names(declared.get("placements")),
        primary_metrics=tuple(declared["primary_metrics"]),
        guardrails=tuple(declared.get("guardrails", [])),
        alpha=Decimal(declared.get("alpha", "0.05")),
        variations=tuple(Variation(variation["key"], _tiers(variation)) for variation in declared["variations"]),
        phases=tuple(_phases(declared["phases"], zones[declared["shop"]])),
    )


def _phases(declared: Sequence[dict[str, Any]], zone: ZoneInfo) -> Iterator[Phase]:
    starts = [utc(phase["start"], zone) for phase in declared]
    for number, (phase, following) in enumerate(zip(declared, [*starts[1:], None], strict=True), start=1):
        ended_at = utc(phase["end"], zone) if "end" in phase else following
        yield Phase(
            number,
            starts[number - 1],
            ended_at,
            Decimal(phase["coverage"]),
            tuple(Decimal(weight) for weight in phase["weights"]),
        )


def _tiers(variation: dict[str, Any]) -> tuple[str, ...] | None:
    if "tiers" in variation:
        return tuple(variation["tiers"])
    return {DEFAULT: None, NOTHING: ()}.get(variation["shows"], (variation["shows"],))


def _names(listed: list[str] | None) -> tuple[str, ...] | None:
    return None if listed is None else tuple(listed)
