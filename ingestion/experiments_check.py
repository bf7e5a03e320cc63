"""Checks experiments.toml; each message names the experiment, the field and the remedy.

Reads the decoded file; returns messages, none if every experiment can run.
"""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import combinations, pairwise
from typing import Any
from zoneinfo import ZoneInfo

from ingestion.assignment import BUCKETS, bucket_ranges

DEFAULT, NOTHING, HOLDOUT = "default", "nothing", "holdout"
PLACEMENTS = ("product_page", "bought_together", "viewed_together", "session", "popular", "trending")
STRATEGIES = (*PLACEMENTS, "similar")
DEVICES = ("mobile", "tablet", "desktop")
# The channels that a page can determine from its URL and referrer (serving/experiment_export.py).
CHANNELS = (
    *("paid search", "paid social", "email", "sms", "other campaign"),
    *("direct", "organic search", "organic social", "referral"),
)
METRICS = (
    "conversion",
    "revenue_per_visitor",
    "net_revenue_per_visitor",
    "average_order_value",
    "units_per_order",
    "click_through",
    "add_to_cart_rate",
    "refund_rate",
)
_REQUIRED = ("shop", "key", "name", "primary_metrics", "variations", "phases")
_OPTIONAL = ("seed", "layer", "layer_share", "audience", "guardrails", "alpha", "placements")
_HOLDOUT_FIELDS = ("shop", "share", "start")
_PHASE_FIELDS = ("start", "end", "coverage", "weights")
_VARIATION_FIELDS = ("key", "shows", "tiers")
_KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


def problems(document: Mapping[str, Any], timezones: Mapping[str, str]) -> list[str]:
    """The problems, in the order of the file.

    Args:
        document: experiments.toml, decoded, with floats as decimals.
        timezones: of the shops in shops.toml, by domain.
    """
    for name in document:
        if name not in ("experiments", "holdouts"):
            return [f"{_quoted(name)} is outside an experiment: move it below [[experiments]]."]
    for name, tables in document.items():
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            return [f"{name} is written as [{name}]: write [[{name}]], once for each."]
    holdouts, experiments = document.get("holdouts", []), document.get("experiments", [])
    found = []
    for holdout in holdouts:
        found += [f"Holdout of {holdout.get('shop')}: {problem}" for problem in _of_holdout(holdout, timezones)]
    for number, experiment in enumerate(experiments, start=1):
        whose = f"{experiment['key']}" if isinstance(experiment.get("key"), str) else f"Experiment number {number}"
        found += [f"{whose}: {problem}" for problem in _of_experiment(experiment, timezones)]
    if found:
        return found  # the checks below compare experiments that are valid on their own
    return [*_twice(holdouts, experiments), *_conflicts(experiments, timezones)]


def utc(moment: datetime | date, zone: ZoneInfo) -> datetime:
    """A time of the file in UTC; a date is its first moment in the shop's timezone."""
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time(), zone)
    return moment.astimezone(UTC)


def _of_holdout(holdout: Mapping[str, Any], timezones: Mapping[str, str]) -> Iterator[str]:
    yield from _fields(holdout, _HOLDOUT_FIELDS, _HOLDOUT_FIELDS)
    checks = {
        "shop": lambda shop: _shop(shop, timezones),
        "share": _holdout_share,
        "start": _moment,
    }
    yield from _checked(holdout, checks)


def _holdout_share(share: Any) -> str | None:
    if not _is_share(share) or share >= 1:
        return "write a number above 0 and below 1."
    if any(first >= end for first, end in bucket_ranges(Decimal(1), (share, 1 - share))):
        return f"the holdout or the rest would get less than one of {BUCKETS:,} buckets: choose another share."
    return None


def _of_experiment(experiment: Mapping[str, Any], timezones: Mapping[str, str]) -> Iterator[str]:
    yield from _fields(experiment, (*_REQUIRED, *_OPTIONAL), _REQUIRED)
    checks = {
        "shop": lambda shop: _shop(shop, timezones),
        "key": _key,
        "name": lambda name: None if isinstance(name, str) and name.strip() else "write a name as a string.",
        "seed": _key,
        "layer": _key,
        "layer_share": lambda share: None if _is_share(share) else "write a number above 0, at most 1.",
        "audience": _audience,
        "primary_metrics": lambda metrics: _listed(metrics, METRICS, "metric"),
        "guardrails": lambda metrics: _listed(metrics, METRICS, "metric", may_be_empty=True),
        "alpha": lambda alpha: (
            None if _is_share(alpha) and alpha <= Decimal("0.5") else "write a number above 0, at most 0.5."
        ),
        "placements": lambda placements: _listed(placements, PLACEMENTS, "placement"),
    }
    yield from _checked(experiment, checks)
    if "layer_share" in experiment and "layer" not in experiment:
        yield "layer_share is set without a layer: name the layer, or remove it."
    if "layer" in experiment and experiment["layer"] == experiment.get("seed", experiment.get("key")):
        yield f"the layer {_quoted(experiment['layer'])} is also its seed, so it would decide the variation: rename it."
    primary, guardrails = (_texts(experiment.get(name)) for name in ("primary_metrics", "guardrails"))
    both = [metric for metric in guardrails if metric in primary]
    if both:
        yield f"{both[0]} is a primary metric and a guardrail: keep one of the two."
    yield from _variations(experiment.get("variations", ()))
    variations = experiment.get("variations")
    number = len(variations) if isinstance(variations, list) else 0
    if "phases" in experiment:
        zone = ZoneInfo(timezones.get(str(experiment.get("shop")), "UTC"))
        yield from _phases(experiment["phases"], number, zone)


def _variations(variations: Any) -> Iterator[str]:
    if variations == ():
        return  # reported as missing
    if not isinstance(variations, list) or not all(isinstance(variation, dict) for variation in variations):
        yield "variations are written as [[experiments.variations]], once for each."
        return
    if len(variations) < 2:
        yield "it has one variation: an experiment compares at least two, the control first."
    keys = [variation.get("key") for variation in variations]
    for number, variation in enumerate(variations, start=1):
        key = variation.get("key")
        whose = f"variation {key}" if isinstance(key, str) else f"variation number {number}"
        for problem in _of_variation(variation):
            yield f"{whose}: {problem}"
        if key is not None and key in keys[: number - 1]:
            yield f"{whose} appears twice: rename one."


def _of_variation(variation: Mapping[str, Any]) -> Iterator[str]:
    yield from _fields(variation, _VARIATION_FIELDS, ("key",))
    shows = (*STRATEGIES, DEFAULT, NOTHING)
    checks = {
        "key": _key,
        "shows": lambda name: None if name in shows else f"{_meant(name, shows)}",
        "tiers": lambda tiers: _listed(tiers, STRATEGIES, "strategy"),
    }
    yield from _checked(variation, checks)
    if ("shows" in variation) == ("tiers" in variation):
        yield 'say what it shows: either shows = "a strategy", "default" or "nothing", or tiers = ["a strategy", …].'


def _phases(phases: Any, variations: int, zone: ZoneInfo) -> Iterator[str]:
    if not isinstance(phases, list) or not phases or not all(isinstance(phase, dict) for phase in phases):
        yield "phases are written as [[experiments.phases]], once for each."
        return
    wrong = False
    for number, phase in enumerate(phases, start=1):
        for problem in _of_phase(phase, variations, zone):
            wrong = True
            yield f"phase {number}: {problem}"
    if wrong:
        return
    for number, (earlier, later) in enumerate(pairwise(phases), start=1):
        if utc(later["start"], zone) <= utc(earlier["start"], zone):
            yield f"phase {number + 1} does not start after phase {number}: write phases in the order of their start."
        elif "end" in earlier and utc(earlier["end"], zone) > utc(later["start"], zone):
            yield (
                f"phase {number + 1} starts before phase {number} ends, so they overlap: "
                f"end phase {number} at {later['start']}."
            )


def _of_phase(phase: Mapping[str, Any], variations: int, zone: ZoneInfo) -> Iterator[str]:
    yield from _fields(phase, _PHASE_FIELDS, ("start", "coverage", "weights"))
    checks = {
        "start": _moment,
        "end": _moment,
        "coverage": lambda share: None if _is_share(share) else "write a number above 0, at most 1.",
        "weights": lambda weights: _weights(weights, variations),
    }
    wrong = list(_checked(phase, checks))
    yield from wrong
    if wrong:
        return
    if "end" in phase and "start" in phase and utc(phase["end"], zone) <= utc(phase["start"], zone):
        yield f"its end {phase['end']} is not after its start {phase['start']}: correct one of them."
    if "coverage" in phase and "weights" in phase:
        shares = [Decimal(weight) for weight in phase["weights"]]
        if any(first >= end for first, end in bucket_ranges(Decimal(phase["coverage"]), shares)):
            yield f"a variation would get less than one of {BUCKETS:,} buckets: raise its weight or the coverage."


def _weights(weights: Any, variations: int) -> str | None:
    if not isinstance(weights, list) or not all(_is_share(weight) for weight in weights):
        return "write one number above 0 per variation in brackets."
    if variations and len(weights) != variations:
        return f"write one weight for each of the {variations} variations."
    return None if sum(weights) == 1 else f"they sum to {sum(weights)}: make them sum to 1."


def _audience(audience: Any) -> str | None:
    if not isinstance(audience, dict) or not audience:
        return "write {devices = […], channels = […]}, or one of them."
    for name, values in audience.items():
        if name not in ("devices", "channels"):
            return f"{_quoted(name)} is unknown: an audience has devices and channels."
        problem = _listed(values, DEVICES if name == "devices" else CHANNELS, name.removesuffix("s"))
        if problem:
            return problem
    return None


def _twice(holdouts: Sequence[Mapping[str, Any]], experiments: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for one, other in combinations(holdouts, 2):
        if one["shop"] == other["shop"]:
            yield f"{one['shop']} has several holdouts: a shop can have only one; remove the others."
    for one, other in combinations(experiments, 2):
        if one["shop"] != other["shop"]:
            continue
        if one["key"] == other["key"]:
            yield f"{one['key']}: two experiments of {one['shop']} have this key; rename one."
            continue
        seeds = [experiment.get("seed", experiment["key"]) for experiment in (one, other)]
        if seeds[0] == seeds[1]:
            yield (
                f"{other['key']} has the seed of {one['key']}, so both would assign units identically: "
                "choose another seed."
            )
        for layered, seed in ((one, seeds[1]), (other, seeds[0])):
            if layered.get("layer") == seed:
                yield f"{_quoted(seed)} is a layer and the seed of another experiment: rename one of them."


def _conflicts(experiments: Sequence[Mapping[str, Any]], timezones: Mapping[str, str]) -> Iterator[str]:
    layers: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for experiment in experiments:
        if "layer" in experiment:
            layers.setdefault((experiment["shop"], experiment["layer"]), []).append(experiment)
    for (_, layer), members in layers.items():
        shares = [member["layer_share"] for member in members if "layer_share" in member]
        if shares and len(shares) < len(members):
            yield f"Layer {layer}: some experiments have a layer_share and others do not: give one to each or to none."
        elif sum(shares) > 1:
            yield f"Layer {layer}: the layer_shares of its experiments sum to {sum(shares)}: at most 1 can be shared."
        elif any(first >= end for first, end in bucket_ranges(Decimal(1), shares)):
            yield (
                f"Layer {layer}: an experiment would get less than one of {BUCKETS:,} buckets: raise its layer_share."
            )
    for one, other in combinations(experiments, 2):
        shared = [name for name in one.get("placements", PLACEMENTS) if name in other.get("placements", PLACEMENTS)]
        if one["shop"] != other["shop"] or not shared or one["key"] == other["key"]:
            continue
        is_shared = "layer" in one and one["layer"] == other.get("layer")
        if not is_shared and _at_one_time(one, other, ZoneInfo(timezones[one["shop"]])):
            yield (
                f"{other['key']} and {one['key']} run on the placement {shared[0]} at the same time: "
                "give both the same layer, other placements or other times."
            )


def _at_one_time(one: Mapping[str, Any], other: Mapping[str, Any], zone: ZoneInfo) -> bool:
    never = datetime.max.replace(tzinfo=UTC)
    (one_from, one_to), (other_from, other_to) = (
        (
            utc(experiment["phases"][0]["start"], zone),
            utc(experiment["phases"][-1]["end"], zone) if "end" in experiment["phases"][-1] else never,
        )
        for experiment in (one, other)
    )
    return one_from < other_to and other_from < one_to


def _checked(table: Mapping[str, Any], checks: Mapping[str, Callable[[Any], str | None]]) -> Iterator[str]:
    for name, check in checks.items():
        problem = check(table[name]) if name in table else None
        if problem:
            yield f"{name} is {_quoted(table[name])}: {problem}"


def _fields(table: Mapping[str, Any], known: Sequence[str], required: Sequence[str]) -> Iterator[str]:
    for name in table:
        if name not in known:
            yield f"the field {name} is unknown: {_meant(name, known)}"
    for name in required:
        if name not in table:
            yield f"{name} is missing."


def _shop(shop: Any, timezones: Mapping[str, str]) -> str | None:
    return (
        None
        if isinstance(shop, str) and shop in timezones
        else f"it is not in shops.toml; {_meant(shop, tuple(timezones))}"
    )


def _key(key: Any) -> str | None:
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        return "use 1 to 40 lower-case letters, digits, - and _."
    return f"the name {HOLDOUT} is reserved for a shop's holdout; choose another." if key == HOLDOUT else None


def _moment(moment: Any) -> str | None:
    if isinstance(moment, datetime) and moment.tzinfo is None:
        return f"its timezone is missing: write {moment.isoformat()}Z for UTC, or only a date, in the shop's timezone."
    if isinstance(moment, date) and not 2000 <= moment.year < 2100:
        return "write a year from 2000 to 2099."
    return (
        None if isinstance(moment, date) else "write a date such as 2026-11-01, or a time such as 2026-11-01T09:00:00Z."
    )


def _listed(values: Any, known: Sequence[str], kind: str, may_be_empty: bool = False) -> str | None:
    if not isinstance(values, list) or not (values or may_be_empty):
        return f"write one or more in brackets: {', '.join(known)}."
    for value in values:
        if value not in known:
            return f"{_quoted(value)} is not a {kind}: {_meant(value, known)}"
        if values.count(value) > 1:
            return f"{_quoted(value)} appears twice."
    return None


def _texts(values: Any) -> list[str]:
    return values if isinstance(values, list) else []


def _is_share(value: Any) -> bool:
    """Whether it is a number above 0, at most 1."""
    return type(value) in (int, Decimal) and Decimal(value).is_finite() and 0 < value <= 1


def _meant(name: Any, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1) if isinstance(name, str) else []
    return f"did you mean {close[0]}?" if close else f"use one of {', '.join(known)}."


def _quoted(value: Any) -> str:
    text = (
        repr([str(part) if isinstance(part, Decimal) else part for part in value])
        if isinstance(value, list)
        else (str(value) if isinstance(value, Decimal | date) else repr(value))
    )
    return text if len(text) <= 80 else f"{text[:77]}…"
