"""Results, checks and sentences of one phase, from simulated visitors summed as in the warehouse."""

from dataclasses import replace
from datetime import datetime, timedelta

import duckdb
import numpy as np
import pytest

from serving.experiments.results import OVERALL, REPORTED, WITHHELD, Phase, Sums, _attributed_sales, analysed
from serving.experiments.statistics import moments_of
from serving.settings import EXPERIMENT_DEFAULTS

BEGAN = datetime(2026, 10, 1)
RUNNING = Phase(
    shop="s",
    experiment="e",
    experiment_name="E",
    phase=1,
    is_holdout=False,
    alpha=0.05,
    started_at=BEGAN,
    ended_at=None,
    as_of=BEGAN + timedelta(days=20),
    currency="EUR",
    weights={"control": 5000, "b": 5000},
    roles={"revenue_per_visitor": "primary"},
    left_out={},
)
ENDED = replace(RUNNING, ended_at=RUNNING.as_of)


def experiment(rng: np.random.Generator, per_variation: dict[str, dict[str, int]], **lifts: float) -> Sums:
    """Sums of visitors by variation and device; `lifts`: of sales by variation, and of refunds as `refunds`."""
    sums = Sums()
    for variation, by_device in per_variation.items():
        for device, units in by_device.items():
            ones = np.ones(units)
            before = np.round(rng.lognormal(3, 0.5, units) * (rng.random(units) < 0.3), 2)
            bought = rng.random(units) < 0.2
            sales = np.round(bought * rng.lognormal(3, 0.5, units) * (1 + lifts.get(variation, 0)) + before / 2, 2)
            refunds = np.round(sales * rng.beta(1, 9, units) * (1 + lifts.get("refunds", 0) * (variation == "b")), 2)
            moments = {
                "revenue_per_visitor": moments_of(sales, ones, before, ones),
                "conversion": moments_of(sales > 0, ones, before > 0, ones),
                "refund_rate": moments_of(refunds, sales, 0 * before, before),
            }
            for segment in (OVERALL, ("device", device)):
                sums.units.setdefault(segment, {}).setdefault(variation, 0)
                sums.units[segment][variation] += units
                for metric, its in moments.items():
                    strata = sums.moments.setdefault((metric, False, segment), {}).setdefault(variation, {})
                    strata[device] = its
            sums.counted += units
    return sums


def even(units: int) -> dict[str, dict[str, int]]:
    return {variation: {"mobile": units // 2, "desktop": units // 2} for variation in ("control", "b")}


def analysis(phase: Phase, sums: Sums, attributed: dict[str, float] | None = None):
    return analysed(phase, sums, attributed or {}, EXPERIMENT_DEFAULTS)


def verdict(phase: Phase, sums: Sums, attributed: dict[str, float] | None = None):
    [found] = analysis(phase, sums, attributed).verdicts
    return found


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def test_a_winner_is_named_with_its_interval(rng):
    found = analysis(ENDED, experiment(rng, even(20_000), b=0.2))
    [judged] = found.verdicts
    row = one(found, is_adjusted=True)
    assert judged.status == "found"
    assert judged.sentence == (
        f"Variation b sold {row.lift * 100:.1f} % more per visitor than the control "
        f"(95 % interval {row.lift_lower * 100:.1f} to {row.lift_upper * 100:.1f} %)."
    )
    assert row.lift_lower < 0.2 * 0.59 < row.lift_upper  # about 59 % of the sales rise


def one(found, metric="revenue_per_visitor", is_adjusted=False, segment=OVERALL, variation="b"):
    [row] = [
        row
        for row in found.results
        if (row.metric, row.is_adjusted, (row.segment_kind, row.segment), row.variation)
        == (metric, is_adjusted, segment, variation)
    ]
    return row


def test_a_running_experiment_is_judged_by_the_sequential_interval(rng):
    found = analysis(RUNNING, experiment(rng, even(20_000), b=0.2))
    row = one(found, is_adjusted=True)
    assert f"({'95 %'} interval {row.sequential_lift_lower * 100:.1f} to" in found.verdicts[0].sentence
    assert row.sequential_lift_lower < row.lift_lower


def test_adjusted_and_unadjusted_results_are_both_reported(rng):
    found = analysis(ENDED, experiment(rng, even(20_000), b=0.2))
    plain, adjusted = one(found), one(found, is_adjusted=True)
    assert plain.upper - plain.lower > adjusted.upper - adjusted.lower
    assert plain.difference == pytest.approx(adjusted.difference, abs=plain.upper - plain.lower)


def test_too_early_says_how_many_days(rng):
    found = analysis(RUNNING, experiment(rng, even(500)))
    row = one(found, is_adjusted=True)
    days = round(20 * ((row.smallest_lift / 0.1) ** 2 - 1))
    assert row.days_needed == pytest.approx(days, abs=1)
    assert found.verdicts[0].sentence == f"Too early: about {row.days_needed} more days to find a lift of 10 %."
    # Twice the visitors in twice the days: the total need stays about the same.
    later = analysis(replace(RUNNING, as_of=BEGAN + timedelta(days=40)), experiment(rng, even(1_000)))
    assert one(later, is_adjusted=True).days_needed + 40 == pytest.approx(row.days_needed + 20, rel=0.15)


def test_an_ended_experiment_without_a_difference_says_what_it_could_have_found(rng):
    found = verdict(ENDED, experiment(rng, even(20_000)))
    assert found.status == "not found"
    assert found.sentence.startswith("No difference was found between variation b and the control: one of ")


def test_an_uneven_split_withholds_all_results(rng):
    """The script fails on phones of variation b."""
    broken = {"control": {"mobile": 5_000, "desktop": 5_000}, "b": {"mobile": 4_200, "desktop": 5_010}}
    found = analysis(ENDED, experiment(rng, broken, b=0.5))
    [judged] = found.verdicts
    assert judged.status == "withheld"
    assert judged.sentence.startswith(
        "Withheld: the split differs from the declared one: control 10,000 (expected 9,605)"
    )
    assert judged.sentence.endswith("check device mobile.")
    assert {row.status for row in found.results} == {WITHHELD}
    assert {row.lift for row in found.results} == {None}
    p_values = {row.segment: row.p_value for row in found.sample_ratios}
    assert p_values["mobile"] < 0.001 < p_values["desktop"]


def test_an_uneven_segment_withholds_all_results_of_an_even_split(rng):
    shifted = {"control": {"mobile": 5_600, "desktop": 4_400}, "b": {"mobile": 5_000, "desktop": 5_000}}
    judged = verdict(ENDED, experiment(rng, shifted))
    assert judged.sample_ratio_p_value > 0.9
    assert judged.status == "withheld"


def test_weights_of_a_ramp_up_are_not_an_uneven_split(rng):
    ramp = {"control": {"mobile": 9_000}, "b": {"mobile": 1_000}}
    uneven = verdict(ENDED, experiment(rng, ramp))
    even_enough = verdict(replace(ENDED, weights={"control": 9000, "b": 1000}), experiment(rng, ramp))
    assert (uneven.status, even_enough.status) == ("withheld", "not found")


@pytest.mark.parametrize(("mixed", "status"), [(202, "not found"), (203, "withheld")])
def test_too_many_visitors_in_several_variations_withhold_the_result(rng, mixed, status):
    sums = experiment(rng, even(10_000))
    sums.mixed = mixed
    judged = verdict(replace(ENDED, left_out={"several_devices": mixed, "bot": 5}), sums)
    assert judged.status == status
    assert judged.left_out_units == mixed + 5
    assert judged.mixed_share == pytest.approx(mixed / (20_000 + mixed))


def test_a_broken_guardrail_is_part_of_the_sentence(rng):
    phase = replace(ENDED, roles={"revenue_per_visitor": "primary", "refund_rate": "guardrail"})
    sentence = verdict(phase, experiment(rng, even(20_000), b=0.2, refunds=0.5)).sentence
    assert "; but variation b had " in sentence
    assert "% more of its sales refunded than the control" in sentence


def test_a_guardrail_broken_before_the_primary_metric_can_be_compared_is_part_of_the_sentence(rng):
    sums = experiment(rng, even(20_000), refunds=0.5)
    for by_device in sums.moments["conversion", False, OVERALL].values():
        for device, moments in by_device.items():
            by_device[device] = replace(moments, units=10)
    phase = replace(ENDED, roles={"conversion": "primary", "refund_rate": "guardrail"})
    judged = verdict(phase, sums)
    assert judged.status == "too early"
    assert judged.sentence.startswith("Too early: there is not enough to compare yet (")
    assert "); but variation b had " in judged.sentence
    assert judged.sentence.endswith(").")


def test_primary_metrics_are_corrected_by_holm_and_others_by_benjamini_hochberg(rng):
    phase = replace(ENDED, roles={"revenue_per_visitor": "primary", "conversion": "primary"})
    found = analysis(phase, experiment(rng, even(5_000)))
    primary = [one(found, "revenue_per_visitor"), one(found, "conversion")]
    smaller, larger = sorted(primary, key=lambda row: row.p_value)
    assert {row.correction for row in primary} == {"holm"}
    assert smaller.corrected_p_value == min(1, 2 * smaller.p_value)
    assert larger.corrected_p_value == max(smaller.corrected_p_value, larger.p_value)
    refunds = one(found, "refund_rate")
    assert (refunds.role, refunds.correction) == ("secondary", "benjamini_hochberg")
    assert refunds.corrected_p_value == refunds.p_value
    segment = one(found, segment=("device", "mobile"))
    assert (segment.role, segment.correction, segment.corrected_p_value) == ("exploratory", None, None)


def test_incremental_sales_of_a_holdout_are_reported_with_attributed_sales(rng):
    phase = replace(RUNNING, is_holdout=True, weights={"control": 1000, "treatment": 9000})
    units = {"control": {"mobile": 3_000}, "treatment": {"mobile": 27_000}}
    found = analysis(phase, experiment(rng, units, treatment=0.3), {"2026-10-05": 40_000.0, "2026-10-12": 10_000.0})
    row = one(found, "incremental_sales", is_adjusted=True, variation="treatment")
    sales = one(found, is_adjusted=True, variation="treatment")
    assert row.difference == pytest.approx(sales.difference * 27_000)
    assert row.lower == pytest.approx(sales.lower * 27_000)
    assert row.attributed_sales == 50_000
    assert found.verdicts[0].sentence == (
        f"Recommendations brought {row.difference:,.0f} EUR of extra sales (95 % interval "
        f"{row.sequential_lower:,.0f} to {row.sequential_upper:,.0f} EUR); 50,000 EUR were attributed to them."
    )


@pytest.mark.parametrize(
    ("timezone", "started_at", "sales"),
    [
        ("Australia/Sydney", datetime(2026, 9, 30, 14), 6),
        ("Australia/Sydney", datetime(2026, 9, 30, 13), 7),
        ("UTC", datetime(2026, 10, 1), 6),
        ("America/New_York", datetime(2026, 10, 1, 4), 6),
        ("America/New_York", datetime(2026, 10, 1, 3), 7),
    ],
)
def test_sales_are_attributed_from_the_local_date_on_which_a_holdout_began(timezone, started_at, sales):
    with duckdb.connect() as connection:
        connection.execute(
            "create schema core; create schema recommendations; "
            f"create table core.shops as select 's' as shop, '{timezone}' as timezone; "
            "create table recommendations.effectiveness as select 's' as shop, 'EUR' as currency, "
            "'pixelnova' as source, 'source' as level, date '2026-09-30' + cast(day as int) as local_date, "
            "power(2, day) as direct_gross_sales from range(3) as days (day)"
        )
        phase = replace(RUNNING, is_holdout=True, started_at=started_at)
        assert _attributed_sales(connection, phase) == {"2026-09-28": sales}


def test_every_variation_is_compared_with_the_control(rng):
    phase = replace(ENDED, weights={"control": 4000, "b": 3000, "c": 3000})
    units = {"control": {"mobile": 8_000}, "b": {"mobile": 6_000}, "c": {"mobile": 6_000}}
    found = analysis(phase, experiment(rng, units, c=0.4))
    assert {row.variation for row in found.results} == {"b", "c"}
    assert found.verdicts[0].sentence.startswith("Variation c sold ")


def test_few_or_no_visitors_are_not_compared(rng):
    few = analysis(RUNNING, experiment(rng, even(20)))
    assert {row.status for row in few.results} == {"too little data"}
    assert few.verdicts[0].status == "too early"
    assert verdict(RUNNING, Sums()).sentence == "No visitor has seen it yet."
    later = replace(RUNNING, started_at=RUNNING.as_of + timedelta(days=9))
    assert verdict(later, Sums()).sentence == "It begins on 2026-10-30."


def test_comparing_sales_needs_100_buyers(rng):
    few = experiment(rng, even(200))
    buyers = few.moments["conversion", False, OVERALL]["control"].values()
    assert 30 < sum(moments.active for moments in buyers) < 100
    found = analysis(RUNNING, few)
    assert (one(found).status, one(found, "conversion").status) == ("too little data", REPORTED)
    assert found.verdicts[0].sentence == (
        "Too early: there is not enough to compare yet "
        "(at least 30 visitors in each variation, and 100 buyers to compare sales)."
    )
    assert one(analysis(RUNNING, experiment(rng, even(1_000)))).status == REPORTED


def test_comparing_refunds_needs_100_buyers_with_refunds(rng):
    sums = experiment(rng, even(2_000))
    assert one(analysis(RUNNING, sums), "refund_rate").status == REPORTED
    by_device = sums.moments["refund_rate", False, OVERALL]["b"]
    for device, moments in by_device.items():
        by_device[device] = replace(moments, active=49)
    found = analysis(RUNNING, sums)
    assert (one(found, "refund_rate").status, one(found).status) == ("too little data", REPORTED)


def test_a_control_without_sales_has_no_lift(rng):
    sums = experiment(rng, even(2_000))
    for metric, is_capped, segment in sums.moments:
        for moments in sums.moments[metric, is_capped, segment]["control"].values():
            moments.sums[0] = moments.products[0, :] = moments.products[:, 0] = 0
    found = analysis(ENDED, sums)
    row = one(found)
    assert (row.status, row.lift, row.smallest_lift) == (REPORTED, None, None)
    assert found.verdicts[0].sentence == "Variation b sold more per visitor than the control, which has none."
