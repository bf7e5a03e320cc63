"""The catalogue of metrics: one definition of every number that a page, an API or a document shows.

Reads dbt_project/metrics.yml, which documents each field, or the metrics.json that every published version holds.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml

from serving.errors import ServingError

CATALOGUE = Path(__file__).resolve().parent.parent / "dbt_project" / "metrics.yml"
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_MART = re.compile(r"(core|analytics|recommendations|experiments|operations)\.[a-z_]+")
_NOT_ADDITIVE = re.compile(r"\b(distinct|avg|min|max|median)\b|/")
_OF_A_MART = ("grain", "mart", "date", "expression")


class InvalidCatalogue(ServingError):
    """The catalogue has an error; the message names the metric."""


class Metric(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One metric: an aggregate over a mart, or the ratio of two such metrics.

    date, where, expression, currency and the values of dimensions are SQL over the mart. unit: a share is between 0 and
    1. additive: the values of dates add up to that of the period.
    """

    name: str
    label: str
    topic: str
    description: str
    formula: str
    unit: Literal["count", "share", "money", "seconds", "days", "ratio"]
    good: Literal["up", "down", "neutral"]
    additive: bool
    grain: str | None = None
    mart: str | None = None
    date: str | None = None
    where: str | None = None
    expression: str | None = None
    currency: str | None = None
    dimensions: Mapping[str, str] = {}
    numerator: str | None = None
    denominator: str | None = None

    @property
    def is_ratio(self) -> bool:
        """Whether it is the ratio of two metrics, and not an aggregate over a mart."""
        return self.numerator is not None


class MetricCatalogue(Mapping[str, Metric]):
    """All metrics by name, in the order of the file; checked and immutable."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        """Check the metrics.

        Raises:
            InvalidCatalogue: two have the same name, or one contradicts itself or another.
        """
        self._metrics: dict[str, Metric] = {}
        for metric in metrics:
            if metric.name in self._metrics:
                raise InvalidCatalogue(f"There are two metrics named {metric.name}: rename one.")
            self._metrics[metric.name] = metric
        for metric in self._metrics.values():
            if error := self._error(metric):
                raise InvalidCatalogue(f"The metric {metric.name} {error}.")

    def __getitem__(self, name: str) -> Metric:
        return self._metrics[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._metrics)

    def __len__(self) -> int:
        return len(self._metrics)

    def parts(self, metric: Metric) -> tuple[Metric, ...]:
        """The metrics over a mart that it is computed from: itself, or numerator and denominator."""
        if metric.numerator is None or metric.denominator is None:
            return (metric,)
        return (self[metric.numerator], self[metric.denominator])

    def dimensions(self, metric: Metric) -> tuple[str, ...]:
        """The dimensions it can be grouped and filtered by; for a ratio, those of both parts."""
        first, *others = self.parts(metric)
        return tuple(name for name in first.dimensions if all(name in other.dimensions for other in others))

    def has_currency(self, metric: Metric) -> bool:
        """Whether it has one value per currency."""
        return any(part.currency for part in self.parts(metric))

    def _error(self, metric: Metric) -> str | None:
        if not all(_NAME.fullmatch(name) for name in (metric.name, *metric.dimensions)):
            return "has a name or dimension that is not lower case words with underscores"
        for field in ("label", "topic", "description", "formula"):
            if not getattr(metric, field).strip():
                return f"has an empty {field}"
        if not (metric.description.endswith(".") and metric.formula.endswith(".")):
            return "has a description or formula that does not end with a full stop"
        return self._error_of_ratio(metric) if metric.is_ratio else _error_of_aggregate(metric)

    def _error_of_ratio(self, metric: Metric) -> str | None:
        if extra := [field for field in (*_OF_A_MART, "where", "currency", "dimensions") if getattr(metric, field)]:
            return f"has a numerator and also {', '.join(extra)}: give it one or the other"
        for name in (metric.numerator, metric.denominator):
            if name is None:
                return "has a numerator and no denominator: add the name of a metric"
            if name not in self._metrics:
                return f"is computed from {name}, which does not exist"
            if self._metrics[name].is_ratio:
                return f"is computed from {name}, which is a ratio: divide metrics over a mart"
        if metric.additive:
            return "is a ratio and cannot be additive"
        numerator, denominator = self.parts(metric)
        is_money = (numerator.unit == "money") and (denominator.unit != "money")
        if is_money != (metric.unit == "money"):
            return f"has the unit {metric.unit}, but is {numerator.unit} divided by {denominator.unit}"
        return None


def _error_of_aggregate(metric: Metric) -> str | None:
    if metric.denominator:
        return "has a denominator and no numerator: add the name of a metric"
    if missing := [field for field in _OF_A_MART if not getattr(metric, field)]:
        return f"has no {', '.join(missing)}: add it, or a numerator and a denominator"
    if not _MART.fullmatch(metric.mart or ""):
        return f"reads {metric.mart}, which is not a published mart"
    if metric.unit == "money" and not metric.currency:
        return "is money without a currency: amounts of different currencies must not be added"
    if metric.additive and _NOT_ADDITIVE.search(metric.expression or ""):
        return f"is marked as additive, but {metric.expression} of dates does not add up"
    return None


def load_metrics(file: Path = CATALOGUE) -> MetricCatalogue:
    """Load the catalogue from a YAML file.

    Raises:
        InvalidCatalogue: the file is not YAML, or a metric is not valid.
    """
    try:
        entries = yaml.safe_load(file.read_text("utf-8"))["metrics"]
    except (OSError, yaml.YAMLError, TypeError, KeyError) as error:
        raise InvalidCatalogue(f"{file} is not YAML with a list `metrics`: {error}") from error
    return MetricCatalogue(_metric(entry, number) for number, entry in enumerate(entries or (), start=1))


def encode_metrics(catalogue: MetricCatalogue) -> bytes:
    """The catalogue as JSON: a list of metrics."""
    return msgspec.json.format(msgspec.json.encode(list(catalogue.values())), indent=2) + b"\n"


def decode_metrics(content: bytes) -> MetricCatalogue:
    """The inverse of `encode_metrics`."""
    return MetricCatalogue(msgspec.json.decode(content, type=list[Metric]))


def _metric(entry: Any, number: int) -> Metric:
    try:
        return msgspec.convert(entry, Metric)
    except msgspec.ValidationError as error:
        name = entry.get("name") if isinstance(entry, dict) else None
        raise InvalidCatalogue(f"The metric {name or f'number {number}'} is not valid: {error}.") from error
