"""Results of every experiment and phase: each metric of each variation against the control.

Reads intermediate.int_experiment_sums, experiments.exposures and the definitions of experiments; writes
experiments.results, experiments.sample_ratios and experiments.verdicts, which dbt has created (_results__sources.yml).
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from serving.duckdb_settings import connect
from serving.experiments import sentences
from serving.experiments.statistics import (
    Estimate,
    Moments,
    adjusted,
    benjamini_hochberg,
    compare,
    holm,
    ratio,
    sample_ratio_p_value,
    smallest_effect,
)
from serving.settings import ExperimentSettings, read_experiment_settings

SAMPLE_RATIO_ALPHA = 0.001
MIN_UNITS = 30  # per variation; smaller variations are not compared
MIN_ACTIVE = 100  # buyers, or buyers with refunds: with fewer, intervals of amounts miss too often (docs/decisions)
SALES, INCREMENTAL_SALES, UNITS = "revenue_per_visitor", "incremental_sales", "units"
OVERALL = ("all", "all")  # segment kind and segment
MONEY = ("revenue_per_visitor", "net_revenue_per_visitor", "average_order_value", INCREMENTAL_SALES)
OF_AMOUNTS = (*MONEY, "refund_rate")
COLUMNS = ("numerator", "denominator", "earlier_numerator", "earlier_denominator")
PRODUCTS = tuple(f"products_{row}{column}" for row in range(1, 5) for column in range(row, 5))
SYMMETRIC = np.array([[0, 1, 2, 3], [1, 4, 5, 6], [2, 5, 7, 8], [3, 6, 8, 9]])  # index of each in PRODUCTS
MIXED = ("several_variations", "several_devices")  # reasons why a unit is left out
REPORTED, WITHHELD, TOO_LITTLE = "reported", "withheld", "too little data"

MIN_EXPECTED = 5  # units per variation; with fewer, chi-square is not a good approximation
NO_UNITS = Moments(0, np.zeros(4), np.zeros((4, 4)), 0)
KEPT_WHEN_WITHHELD = (
    *("shop", "experiment", "phase", "metric", "variation", "segment_kind", "segment", "is_capped", "is_adjusted"),
    *("control", "role", "currency", "control_units", "variation_units"),
)
Segment = tuple[str, str]
Strata = dict[str, dict[str, Moments]]  # moments by variation and stratum


@dataclass(frozen=True)
class Phase:
    """A phase of an experiment as declared, and how long it has run."""

    shop: str
    experiment: str
    experiment_name: str
    phase: int
    is_holdout: bool
    alpha: float
    started_at: datetime
    ended_at: datetime | None
    as_of: datetime
    currency: str | None
    weights: Mapping[str, int]  # buckets by variation; the first is the control
    roles: Mapping[str, str]  # primary or guardrail, by metric; all others are secondary
    left_out: Mapping[str, int]  # units by reason

    @property
    def has_ended(self) -> bool:
        """Whether no unit can be exposed any more."""
        return self.ended_at is not None and self.ended_at <= self.as_of

    @property
    def days(self) -> float:
        """How long it has run, in days."""
        until = self.ended_at if self.has_ended else self.as_of
        return max((until - self.started_at).total_seconds() / 86_400, 1.0)


@dataclass(frozen=True)
class Result:
    """One row of experiments.results; its columns are described in _results__sources.yml."""

    shop: str
    experiment: str
    phase: int
    metric: str
    variation: str
    segment_kind: str
    segment: str
    is_capped: bool
    is_adjusted: bool
    control: str
    role: str
    currency: str | None
    control_units: int
    variation_units: int
    status: str
    control_value: float | None = None
    variation_value: float | None = None
    difference: float | None = None
    lower: float | None = None
    upper: float | None = None
    p_value: float | None = None
    lift: float | None = None
    lift_lower: float | None = None
    lift_upper: float | None = None
    sequential_lower: float | None = None
    sequential_upper: float | None = None
    sequential_p_value: float | None = None
    sequential_lift_lower: float | None = None
    sequential_lift_upper: float | None = None
    correction: str | None = None
    corrected_p_value: float | None = None
    corrected_sequential_p_value: float | None = None
    smallest_lift: float | None = None
    days_needed: int | None = None
    attributed_sales: float | None = None


@dataclass(frozen=True)
class SampleRatio:
    """Units of a variation in a segment, and the number expected by weight. p_value: of the whole segment."""

    shop: str
    experiment: str
    phase: int
    segment_kind: str
    segment: str
    variation: str
    units: int
    expected_units: float
    p_value: float


@dataclass(frozen=True)
class Verdict:
    """One row of experiments.verdicts: the verdict on a phase, in a sentence."""

    shop: str
    experiment: str
    experiment_name: str
    phase: int
    is_holdout: bool
    started_at: datetime
    ended_at: datetime | None
    days: float
    units: int
    left_out_units: int
    mixed_share: float
    sample_ratio_p_value: float
    status: str
    withheld_reason: str | None
    metric: str | None
    variation: str | None
    days_needed: int | None
    sentence: str


@dataclass
class Analysis:
    """All rows of one phase."""

    results: list[Result] = field(default_factory=list)
    sample_ratios: list[SampleRatio] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)


def write_results(warehouse: Path) -> dict[str, str]:
    """Write the three tables.

    Returns:
        The sentence of each experiment's latest phase, by shop and experiment.
    """
    with connect(str(warehouse)) as connection:
        settings = read_experiment_settings(connection)
        analyses = [analysed(phase, sums, attributed, settings) for phase, sums, attributed in read_phases(connection)]
        connection.execute("begin")
        for table in ("results", "sample_ratios", "verdicts"):
            rows = [asdict(row) for analysis in analyses for row in getattr(analysis, table)]
            connection.execute(f"delete from experiments.{table}")
            if rows:
                connection.register("rows", pa.Table.from_pylist(rows))
                connection.execute(f"insert into experiments.{table} by name from rows")
                connection.unregister("rows")
        connection.execute("commit")
    return {f"{v.shop}/{v.experiment}": v.sentence for analysis in analyses for v in analysis.verdicts}


def analysed(phase: Phase, sums: "Sums", attributed: Mapping[str, float], settings: ExperimentSettings) -> Analysis:
    """All rows of a phase."""
    sample_ratios = list(_sample_ratios(phase, sums.units))
    withheld = _withheld_reason(phase, sums, sample_ratios, settings)
    uneven = {(row.segment_kind, row.segment) for row in sample_ratios if row.p_value < SAMPLE_RATIO_ALPHA}
    results = []
    for (metric, is_capped, segment), strata in sorted(sums.moments.items()):
        for result in _results(phase, metric, is_capped, segment, strata, settings):
            is_withheld = result.status == REPORTED and (withheld or segment in uneven)
            results.append(_without_values(result) if is_withheld else result)
    results = _corrected([replace(row, attributed_sales=_attributed(row, attributed)) for row in results])
    return Analysis(results, sample_ratios, [_verdict(phase, sums, results, sample_ratios, withheld, settings)])


@dataclass
class Sums:
    """What the warehouse counted in one phase.

    Attributes:
        moments: by metric, whether capped, and segment.
        units: of every segment, by variation, before persons seen on several devices are left out.
        counted: units whose results count.
        mixed: units that saw several variations.
    """

    moments: dict[tuple[str, bool, Segment], Strata] = field(default_factory=dict)
    units: dict[Segment, dict[str, int]] = field(default_factory=dict)
    counted: int = 0
    mixed: int = 0


def _sample_ratios(phase: Phase, units: Mapping[Segment, Mapping[str, int]]) -> Iterator[SampleRatio]:
    weights = list(phase.weights.values())
    for (kind, segment), by_variation in sorted(units.items()):
        observed = [by_variation.get(variation, 0) for variation in phase.weights]
        expected = [sum(observed) * weight / sum(weights) for weight in weights]
        if min(expected) < MIN_EXPECTED:
            continue
        p_value = sample_ratio_p_value(observed, weights)
        for variation, count, wanted in zip(phase.weights, observed, expected, strict=True):
            yield SampleRatio(
                phase.shop, phase.experiment, phase.phase, kind, segment, variation, count, wanted, p_value
            )


def _withheld_reason(
    phase: Phase, sums: Sums, sample_ratios: Sequence[SampleRatio], settings: ExperimentSettings
) -> str | None:
    """Why the phase's results are withheld; None if they are reported.

    A segment's p-value is multiplied by the number of segments, since one in a thousand is uneven by chance.
    """
    mixed_share = _mixed_share(sums)
    if mixed_share > settings.experiment_max_mixed_share:
        return sentences.mixed(mixed_share, settings.experiment_max_mixed_share)
    p_values = {(row.segment_kind, row.segment): row.p_value for row in sample_ratios}
    of_segments = {
        segment: min(1.0, p_value * len(p_values)) for segment, p_value in p_values.items() if segment != OVERALL
    }
    worst = min([p_values.get(OVERALL, 1.0), *of_segments.values()])
    if worst >= SAMPLE_RATIO_ALPHA:
        return None
    causes: dict[str, Segment] = {}
    for segment, p_value in sorted(p_values.items(), key=lambda item: item[1]):
        if segment != OVERALL and p_value < SAMPLE_RATIO_ALPHA:
            causes.setdefault(segment[0], segment)
    counts = [(row.variation, row.units, row.expected_units) for row in sample_ratios if _segment(row) == OVERALL]
    return sentences.uneven(counts, worst, list(causes.values()))


def _segment(row: SampleRatio | Result) -> Segment:
    return row.segment_kind, row.segment


def _mixed_share(sums: Sums) -> float:
    return sums.mixed / (sums.counted + sums.mixed) if sums.mixed else 0.0


def _results(
    phase: Phase, metric: str, is_capped: bool, segment: Segment, strata: Strata, settings: ExperimentSettings
) -> Iterator[Result]:
    """Unadjusted and adjusted rows of every variation against the control."""
    control, *variations = phase.weights
    names = sorted({name for moments in strata.values() for name in moments})
    arms = {variation: [strata.get(variation, {}).get(name, NO_UNITS) for name in names] for variation in phase.weights}
    whole = {variation: sum(moments, NO_UNITS) for variation, moments in arms.items()}
    active = MIN_ACTIVE if metric in OF_AMOUNTS else 0
    compared = {v: m for v, m in arms.items() if whole[v].units >= MIN_UNITS and whole[v].active >= active}
    estimates = {
        False: {v: ratio(whole[v]) for v in compared},
        True: (adjusted(compared) or {}) if len(compared) > 1 else {},
    }
    is_overall = segment == OVERALL
    for variation in variations:
        for is_adjusted in (False, True):
            pair = [estimates[is_adjusted].get(v) for v in (control, variation)]
            row = Result(
                phase.shop,
                phase.experiment,
                phase.phase,
                metric,
                variation,
                *segment,
                is_capped,
                is_adjusted,
                control,
                phase.roles.get(metric, "secondary") if is_overall else "exploratory",
                phase.currency if metric in MONEY else None,
                whole[control].units,
                whole[variation].units,
                TOO_LITTLE,
            )
            if None not in pair:
                row = _reported(row, *pair, phase, settings)
            if metric == INCREMENTAL_SALES:  # of one week; the overall row is derived from sales per visitor
                yield _in_total(row)
                continue
            yield row
            if phase.is_holdout and metric == SALES and is_overall:
                yield _in_total(row)


def _reported(
    row: Result, control: Estimate, variation: Estimate, phase: Phase, settings: ExperimentSettings
) -> Result:
    comparison = compare(control, variation, phase.alpha)
    if comparison is None:
        return row
    values = asdict(comparison)
    smallest = smallest_effect(values.pop("standard_error"), phase.alpha)
    smallest_lift = smallest / control.value if control.value > 0 else None
    return replace(
        row,
        **values,
        status=REPORTED,
        control_value=control.value,
        variation_value=variation.value,
        smallest_lift=smallest_lift,
        days_needed=None
        if phase.has_ended or smallest_lift is None
        else max(0, math.ceil(phase.days * ((smallest_lift / settings.experiment_target_lift) ** 2 - 1))),
    )


def _in_total(row: Result) -> Result:
    """Sales per visitor as incremental sales: the difference per unit, times the units that were not held out."""

    def total(per_unit: float | None) -> float | None:
        return None if per_unit is None else per_unit * row.variation_units

    return replace(
        row,
        metric=INCREMENTAL_SALES,
        role="exploratory" if row.segment_kind != OVERALL[0] else "incremental",
        difference=total(row.difference),
        lower=total(row.lower),
        upper=total(row.upper),
        sequential_lower=total(row.sequential_lower),
        sequential_upper=total(row.sequential_upper),
    )


def _without_values(row: Result) -> Result:
    return Result(**{name: getattr(row, name) for name in KEPT_WHEN_WITHHELD} | {"status": WITHHELD})


def _attributed(row: Result, attributed: Mapping[str, float]) -> float | None:
    if row.metric != INCREMENTAL_SALES:
        return None
    if row.segment_kind == OVERALL[0]:
        return sum(attributed.values()) if attributed else None
    return attributed.get(row.segment)


def _corrected(results: Sequence[Result]) -> list[Result]:
    """The rows, with p-values of overall ones corrected for several metrics and variations: primary metrics by Holm,
    others by Benjamini and Hochberg. A metric without a cap also belongs to the family of the capped ones."""
    corrected = list(results)
    corrections = (("holm", holm, ("primary",)), ("benjamini_hochberg", benjamini_hochberg, ("guardrail", "secondary")))
    for is_capped in (False, True):
        for is_adjusted in (False, True):
            for name, correction, roles in corrections:
                family: dict[tuple[str, str], int] = {}
                for index, row in enumerate(results):  # capped rows come after those without a cap
                    is_one = row.status == REPORTED and row.role in roles and row.is_adjusted == is_adjusted
                    if is_one and (is_capped or not row.is_capped):
                        family[row.metric, row.variation] = index
                p_values = correction([results[index].p_value for index in family.values()])
                sequential = correction([results[index].sequential_p_value for index in family.values()])
                for index, p_value, at_each_look in zip(family.values(), p_values, sequential, strict=True):
                    if results[index].is_capped == is_capped:
                        corrected[index] = replace(
                            results[index],
                            correction=name,
                            corrected_p_value=p_value,
                            corrected_sequential_p_value=at_each_look,
                        )
    return corrected


def _verdict(
    phase: Phase,
    sums: Sums,
    results: Sequence[Result],
    sample_ratios: Sequence[SampleRatio],
    withheld: str | None,
    settings: ExperimentSettings,
) -> Verdict:
    overall = [row for row in results if _segment(row) == OVERALL and not row.is_capped and row.status == REPORTED]
    best = {(row.metric, row.variation): row for row in overall}  # adjusted rows come after unadjusted ones
    minimum = f"at least {MIN_UNITS} visitors in each variation, and {MIN_ACTIVE} buyers to compare sales"
    judged = sentences.judged(
        phase, list(best.values()), sums.counted, withheld, settings.experiment_target_lift, minimum
    )
    return Verdict(
        shop=phase.shop,
        experiment=phase.experiment,
        experiment_name=phase.experiment_name,
        phase=phase.phase,
        is_holdout=phase.is_holdout,
        started_at=phase.started_at,
        ended_at=phase.ended_at,
        days=phase.days,
        units=sums.counted,
        left_out_units=sum(phase.left_out.values()),
        mixed_share=_mixed_share(sums),
        sample_ratio_p_value=next((row.p_value for row in sample_ratios if _segment(row) == OVERALL), 1.0),
        status=judged.status,
        withheld_reason=withheld,
        metric=judged.row.metric if judged.row else None,
        variation=judged.row.variation if judged.row else None,
        days_needed=judged.row.days_needed if judged.row else None,
        sentence=judged.sentence,
    )


def read_phases(connection: duckdb.DuckDBPyConnection) -> list[tuple[Phase, Sums, dict[str, float]]]:
    """Each phase with its sums, and for a holdout the sales attributed to recommendations by week."""
    weights, roles, left_out = defaultdict(dict), defaultdict(dict), defaultdict(dict)
    for *key, variation, buckets in connection.execute(
        "select shop, experiment, phase, variation, bucket_to - bucket_from from staging.stg_experiments__variations "
        "order by shop, experiment, phase, variation_number"
    ).fetchall():
        weights[tuple(key)][variation] = buckets
    for *key, metric, role in connection.execute(
        "select shop, experiment, metric, role from staging.stg_experiments__metrics order by all"
    ).fetchall():
        roles[tuple(key)][metric] = role
    for *key, reason, units in connection.execute(
        "select shop, experiment, phase, left_out_reason, count(*) from experiments.exposures "
        "where not is_counted group by all order by all"
    ).fetchall():
        left_out[tuple(key)][reason] = units
    phases = connection.execute(
        "select phases.shop, phases.experiment, phases.experiment_name, phases.phase, phases.is_holdout, "
        "cast(phases.alpha as double), "
        "phases.started_at, phases.ended_at, as_of.as_of, shops.currency "
        "from staging.stg_experiments__phases as phases "
        "inner join intermediate.int_as_of as as_of using (shop) "
        "left join core.shops as shops using (shop) "
        "order by phases.shop, phases.experiment, phases.phase"
    ).fetchall()
    sums = _read_sums(connection)
    found = []
    for row in phases:
        shop, experiment, _, number, is_holdout, *_ = row
        key = (shop, experiment, number)
        phase = Phase(*row, weights[key], roles[shop, experiment] or {SALES: "primary"}, left_out[key])
        own = sums[key]
        own.mixed = sum(phase.left_out.get(reason, 0) for reason in MIXED)
        found.append((phase, own, _attributed_sales(connection, phase) if is_holdout else {}))
    return found


def _attributed_sales(connection: duckdb.DuckDBPyConnection, phase: Phase) -> dict[str, float]:
    """Sales attributed to recommendations directly, gross, in the shop's currency, by week since the phase began."""
    rows = connection.execute(
        "select cast(date_trunc('week', sales.local_date) as date), cast(sum(sales.direct_gross_sales) as double) "
        "from recommendations.effectiveness as sales inner join core.shops as shops using (shop) "
        "where shop = $shop and sales.currency = $currency and sales.source = 'pixelnova' and sales.level = 'source' "
        "and sales.local_date >= cast(timezone(coalesce(shops.timezone, 'UTC'), timezone('UTC', $started_at)) as date) "
        "group by 1 order by 1",
        {"shop": phase.shop, "currency": phase.currency, "started_at": phase.started_at},
    )
    return {week.isoformat(): amount for week, amount in rows.fetchall()}


def _read_sums(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str, str, int], Sums]:
    sums: dict[tuple[str, str, int], Sums] = defaultdict(Sums)
    rows = connection.execute(
        "select shop, experiment, phase, metric, is_capped, segment_kind, segment, variation, stratum, units, "
        "cast(active_units as bigint), "
        f"{', '.join(f'cast({column} as double)' for column in (*COLUMNS, *PRODUCTS))} "
        "from intermediate.int_experiment_sums order by 1, 2, 3, 4, 5, 6, 7, 8, 9"
    )
    for (
        shop,
        experiment,
        phase,
        metric,
        is_capped,
        kind,
        segment,
        variation,
        stratum,
        units,
        active,
        *values,
    ) in rows.fetchall():
        own = sums[shop, experiment, phase]
        if metric == UNITS:
            own.units.setdefault((kind, segment), {})[variation] = units
            continue
        moments = Moments(units, np.array(values[:4]), np.array(values[4:])[SYMMETRIC], active)
        by_variation = own.moments.setdefault((metric, is_capped, (kind, segment)), {})
        by_variation.setdefault(variation, {})[stratum] = moments
        if (metric, is_capped, (kind, segment)) == (SALES, False, OVERALL):
            own.counted += units
    return sums
