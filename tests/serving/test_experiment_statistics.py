"""The statistics of experiments against tea-tasting, a direct computation, and simulated experiments."""

import math

import numpy as np
import pandas as pd
import pytest
import tea_tasting as tt
from scipy import stats

from serving.experiments.results import MIN_ACTIVE
from serving.experiments.statistics import (
    SEQUENTIAL_UNITS,
    Estimate,
    adjusted,
    benjamini_hochberg,
    compare,
    holm,
    moments_of,
    ratio,
    sample_ratio_p_value,
    sequential_factor,
    smallest_effect,
    units_needed,
)

ALPHA = 0.05
LOOKS = 20


def visitors(rng: np.random.Generator, units: int, lift: float = 0.0) -> pd.DataFrame:
    """Visitors in two variations: sessions, orders and sales, before and after; the second variation sells more."""
    interest = rng.gamma(1.5, 1, units)
    variation = rng.integers(0, 2, units)
    frame = {"variation": variation}
    for when, factor in (("pre_", 1.0), ("", 1 + lift * variation)):
        sessions = 1 + rng.poisson(2 * interest)
        orders = rng.binomial(sessions, np.minimum(0.05 * interest, 0.9) * factor)
        frame |= {
            f"{when}sessions": sessions,
            f"{when}orders": orders,
            f"{when}sales": np.round(orders * rng.lognormal(3, 0.8, units), 2),
        }
    return pd.DataFrame(frame)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return visitors(np.random.default_rng(7), 20_000, lift=0.05)


def compared(frame: pd.DataFrame, columns: tuple[str, ...], adjust: bool = False):
    moments = [moments_of(*(frame.loc[frame.variation == number, column] for column in columns)) for number in (0, 1)]
    if adjust:
        arms = adjusted({"control": [moments[0]], "b": [moments[1]]})
        return compare(arms["control"], arms["b"], ALPHA)
    return compare(ratio(moments[0]), ratio(moments[1]), ALPHA)


@pytest.mark.parametrize(
    ("columns", "metric"),
    [
        (("sales",), tt.Mean("sales")),
        (("sales", "orders"), tt.RatioOfMeans("sales", "orders")),
        (("orders", "sessions"), tt.RatioOfMeans("orders", "sessions")),
        (("orders", "sessions", "pre_orders", "pre_sessions"), tt.RatioOfMeans(
            "orders", "sessions", numer_covariate="pre_orders", denom_covariate="pre_sessions"
        )),
    ],
    ids=["welch", "order value", "ratio", "ratio with cuped"],
)  # fmt: skip
def test_intervals_and_p_values_equal_those_of_tea_tasting(frame, columns, metric):
    equals_tea_tasting(compared(frame, columns, adjust=len(columns) == 4), frame, metric)


def test_cuped_of_a_mean_equals_that_of_tea_tasting(frame):
    with_ones = frame.assign(one=1)
    own = compared(with_ones, ("sales", "one", "pre_sales", "one"), adjust=True)
    equals_tea_tasting(own, frame, tt.Mean("sales", covariate="pre_sales"))
    assert own.standard_error < compared(frame, ("sales",)).standard_error


def equals_tea_tasting(own, frame: pd.DataFrame, metric) -> None:
    result = tt.Experiment({"metric": metric}, "variation").analyze(frame)["metric"]
    assert own.p_value == pytest.approx(result.pvalue, rel=1e-3)
    assert own.difference == pytest.approx(result.effect_size, rel=1e-3)
    assert own.lower == pytest.approx(result.effect_size_ci_lower, rel=1e-3)
    assert own.upper == pytest.approx(result.effect_size_ci_upper, rel=1e-3)
    assert own.lift == pytest.approx(result.rel_effect_size, rel=1e-3)
    assert own.lift_lower == pytest.approx(result.rel_effect_size_ci_lower, rel=1e-3)
    assert own.lift_upper == pytest.approx(result.rel_effect_size_ci_upper, rel=1e-3)


@pytest.mark.parametrize(("control", "share"), [(10_250, 0.5), (10_100, 0.5), (2_150, 0.1)])
def test_sample_ratio_equals_that_of_tea_tasting(control, share):
    units = 20_000
    frame = pd.DataFrame({"variation": np.repeat([0, 1], [control, units - control])})
    test = tt.SampleRatio({0: share, 1: 1 - share}, method="norm", correction=False)
    theirs = tt.Experiment({"ratio": test}, "variation").analyze(frame)["ratio"]
    own = sample_ratio_p_value((control, units - control), (share, 1 - share))
    assert own == pytest.approx(theirs.pvalue, rel=0.01)


def test_the_sequential_interval_equals_a_direct_computation():
    """The published formula on the observations themselves: one per unit, in the order of arrival."""
    rng = np.random.default_rng(3)
    for units in (200, SEQUENTIAL_UNITS, 40_000):
        values = rng.lognormal(1, 1, units)
        variation = rng.integers(0, 2, units)
        control, treated = values[variation == 0], values[variation == 1]
        own = compare(ratio(moments_of(control)), ratio(moments_of(treated)), ALPHA)
        squared_error = control.var(ddof=1) / len(control) + treated.var(ddof=1) / len(treated)
        deviation = np.sqrt(units * squared_error)
        rho = np.sqrt((-2 * np.log(ALPHA) + np.log(-2 * np.log(ALPHA) + 1)) / SEQUENTIAL_UNITS)
        half = deviation * np.sqrt(
            2 * (units * rho**2 + 1) / (units**2 * rho**2) * np.log(np.sqrt(units * rho**2 + 1) / ALPHA)
        )
        difference = treated.mean() - control.mean()
        assert (own.sequential_lower, own.sequential_upper) == pytest.approx((difference - half, difference + half))
        assert own.sequential_lower < own.lower
        assert own.sequential_upper > own.upper


def test_the_sequential_p_value_is_alpha_where_the_interval_touches_zero():
    for units in (500, 50_000):
        touching = Estimate(units // 2, sequential_factor(units, ALPHA) * math.sqrt(2), 1.0)
        own = compare(Estimate(units // 2, 0.0, 1.0), touching, ALPHA)
        assert own.sequential_lower == pytest.approx(0, abs=1e-12)
        assert own.sequential_p_value == pytest.approx(ALPHA)


def test_holm_and_benjamini_hochberg_on_published_examples():
    """Holm as in R's documentation of p.adjust; Benjamini and Hochberg 1995, table 1: four of fifteen at 5 %."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    published = (0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344)
    published += (0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000)
    assert sum(p <= 0.05 for p in benjamini_hochberg(published)) == 4
    assert sum(p <= 0.05 for p in holm(published)) == 3


def test_benjamini_hochberg_equals_scipy():
    rng = np.random.default_rng(3)
    for count in (1, 2, 30):
        p_values = rng.uniform(0, 1, count).round(1)  # with ties
        assert benjamini_hochberg(p_values) == pytest.approx(stats.false_discovery_control(p_values))
    assert benjamini_hochberg([]) == []


def test_sample_ratio_equals_scipy():
    for units, weights in (([10, 20, 30], [1, 2, 3]), ([500, 700], [1, 1]), ([7, 9, 4], [5, 3, 2])):
        expected = np.array(weights) / sum(weights) * sum(units)
        assert sample_ratio_p_value(units, weights) == pytest.approx(stats.chisquare(units, expected).pvalue)


def test_post_stratification_removes_an_uneven_mix():
    """More phones by chance in one variation: the device explains the difference, not the variation."""
    rng = np.random.default_rng(11)

    def device(units: int, mean: float):
        return moments_of(rng.normal(mean, 1, units))

    control, b = [device(600, 1.0), device(400, 5.0)], [device(500, 1.0), device(500, 5.0)]
    arms = adjusted({"control": control, "b": b})
    fair = compare(arms["control"], arms["b"], ALPHA)
    naive = compare(ratio(control[0] + control[1]), ratio(b[0] + b[1]), ALPHA)
    assert naive.p_value < 0.001
    assert fair.p_value > 0.05
    assert fair.standard_error < 0.6 * naive.standard_error


def test_a_metric_that_does_not_vary_is_not_compared():
    """One unit per order, always: rounding errors do not count as variance."""
    rng = np.random.default_rng(6)
    orders = [rng.poisson(0.3, 1_000) * 1.1 for _ in range(2)]
    assert compare(*(ratio(moments_of(column, column)) for column in orders), ALPHA) is None


def test_small_strata_are_joined():
    rng = np.random.default_rng(5)
    arms = {
        name: [moments_of(rng.normal(2, 1, units)) for units in sizes]
        for name, sizes in {"control": (500, 3, 400, 2), "b": (480, 2, 420, 0)}.items()
    }
    whole = adjusted({name: [strata[0], strata[1] + strata[2] + strata[3]] for name, strata in arms.items()})
    joined = adjusted(arms)
    for name in arms:
        assert joined[name].value == pytest.approx(whole[name].value)
        assert joined[name].variance == pytest.approx(whole[name].variance)
    assert adjusted({"control": [moments_of([1.0] * 4)], "b": [moments_of([1.0] * 90)]}) is None


def test_the_smallest_effect_is_found_as_often_as_the_power_says():
    rng = np.random.default_rng(2)
    control_rate, lift = 0.04, 0.25
    variance = control_rate * (1 - control_rate)
    units, looking_daily = units_needed(variance, control_rate * lift, 0.5, ALPHA)
    assert smallest_effect(math.sqrt(4 * variance / units), ALPHA) == pytest.approx(control_rate * lift)
    runs, each = 2_000, round(units / 2)
    sold = [rng.binomial(each, rate, runs) for rate in (control_rate, control_rate * (1 + lift))]
    error = np.sqrt(sum(count / each * (1 - count / each) / each for count in sold))
    found = np.abs(sold[1] - sold[0]) / each / error > stats.norm.isf(ALPHA / 2)
    assert 0.74 < found.mean() < 0.83
    assert units < looking_daily < 2.5 * units


def without_effect(rng: np.random.Generator, runs: int, days_units: int = 150) -> tuple[float, float, float]:
    """Shares of A/A runs with a false positive: at the last look, at any look, and sequentially at any look."""
    last = any_look = sequential = 0
    for _ in range(runs):
        arms, found, found_sequentially = [None, None], False, False
        for _ in range(LOOKS):
            for number in (0, 1):
                sales = rng.lognormal(3, 0.8, days_units) * (rng.random(days_units) < 0.2)
                arms[number] = moments_of(sales) if arms[number] is None else arms[number] + moments_of(sales)
            result = compare(ratio(arms[0]), ratio(arms[1]), ALPHA)
            found |= result.p_value < ALPHA
            found_sequentially |= result.sequential_p_value < ALPHA
        last += result.p_value < ALPHA
        any_look += found
        sequential += found_sequentially
    return last / runs, any_look / runs, sequential / runs


def test_false_positives_of_an_a_a_test_stay_at_alpha():
    """A small run; the next test has a thousand. Peeking at the fixed interval is the negative control."""
    last, any_look, sequential = without_effect(np.random.default_rng(20261129), 200)
    assert last <= 0.10
    assert any_look > 0.15
    assert sequential <= 0.05


@pytest.mark.long
def test_false_positives_of_a_thousand_a_a_tests():
    last, any_look, sequential = without_effect(np.random.default_rng(15), 1_000)
    assert 0.04 <= last <= 0.06
    assert any_look > 0.2
    assert sequential <= 0.05


def click_through_false_positives(rng: np.random.Generator, runs: int) -> tuple[float, float]:
    """A/A of clicks per list seen, where visitors see many lists and differ in taste: delta method, and naive z."""
    delta = naive = 0
    for _ in range(runs):
        arms, seen, clicked = [], [], []
        for _ in range(2):
            lists = 1 + rng.negative_binomial(1, 0.2, 400)
            clicks = rng.binomial(lists, rng.beta(0.5, 4, 400))
            arms.append(ratio(moments_of(clicks, lists)))
            seen.append(lists.sum())
            clicked.append(clicks.sum())
        delta += compare(*arms, ALPHA).p_value < ALPHA
        rate = sum(clicked) / sum(seen)
        error = math.sqrt(rate * (1 - rate) * (1 / seen[0] + 1 / seen[1]))
        naive += abs(clicked[0] / seen[0] - clicked[1] / seen[1]) / error > stats.norm.isf(ALPHA / 2)
    return delta / runs, naive / runs


def test_a_naive_z_test_of_click_through_is_wrong_and_the_delta_method_is_not():
    delta, naive = click_through_false_positives(np.random.default_rng(4), 500)
    assert 0.03 <= delta <= 0.07
    assert naive > 0.12


def missed(rng: np.random.Generator, buyers: int, times: int, runs: int) -> float:
    """How often the interval excludes 0 without a difference: one visitor in ten buys, amounts are skewed.

    buyers: expected in the control; the variation has `times` as many visitors.
    """

    def sales(visitors: int) -> Estimate:
        return ratio(moments_of(rng.lognormal(0, 0.8, visitors) * (rng.random(visitors) < 0.1)))

    results = (compare(sales(10 * buyers), sales(10 * buyers * times), ALPHA) for _ in range(runs))
    return sum(not result.lower <= 0 <= result.upper for result in results) / runs


def test_sales_of_a_small_holdout_need_many_buyers():
    rng = np.random.default_rng(3)
    assert missed(rng, buyers=13, times=19, runs=800) > 0.09
    assert missed(rng, buyers=MIN_ACTIVE, times=19, runs=800) < 0.08
    assert missed(rng, buyers=20, times=1, runs=800) < 0.065


@pytest.mark.parametrize("adjust", [False, True], ids=["unadjusted", "adjusted"])
def test_planted_lifts_are_inside_the_interval(request, adjust):
    """Two strata of visitors, the first with history: sales per visitor rise by 10 % in the variation."""
    rng = np.random.default_rng(9)
    runs, covered, lift = 1_000 if request.config.getoption("--long") else 300, 0, 0.1
    for _ in range(runs):
        arms = {}
        for name, factor in (("control", 1.0), ("b", 1 + lift)):
            loyalty, ones = rng.gamma(1, 1, 500), np.ones(500)
            known = moments_of(10 * factor * loyalty + rng.exponential(5, 500), ones, 10 * loyalty, ones)
            new = moments_of(factor * rng.exponential(3, 700))
            arms[name] = [known, new]
        estimates = adjusted(arms) if adjust else {name: ratio(known + new) for name, (known, new) in arms.items()}
        result = compare(estimates["control"], estimates["b"], ALPHA)
        truth = lift * (500 * 10 + 700 * 3) / 1_200
        covered += result.lower <= truth <= result.upper
    assert covered / runs >= 0.93
