"""The statistics of experiments, as pure functions of sums.

Takes counts, sums and products of sums per variation; returns differences, intervals, p-values and sample sizes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special  # not stats, which takes half a second to import

POWER = 0.8
MIN_STRATUM_UNITS = 30  # per variation; smaller strata are joined, because their variance is poorly known
ROUNDING = 1e-12
WIDEST = 5.0  # logarithm of a ratio; wider intervals of a lift mean nothing
SEQUENTIAL_UNITS = 5_000  # units at which the sequential interval is tightest


@dataclass(frozen=True)
class Moments:
    """Sums over units of four columns: numerator and denominator, and both before the first exposure.

    A mean over units is a ratio with a denominator of 1 for each unit.

    Attributes:
        units: number of units.
        sums: sum of each column, of length 4.
        products: sums of the products of each pair of columns, 4 x 4.
        active: number of units with a numerator above 0, such as buyers.
    """

    units: int
    sums: np.ndarray
    products: np.ndarray
    active: int

    def __add__(self, other: "Moments") -> "Moments":
        return _added([self, other])

    @property
    def means(self) -> np.ndarray:
        """The mean of each column."""
        return self.sums / self.units

    @property
    def covariance(self) -> np.ndarray:
        """The sample covariance of each pair of columns."""
        return (self.products - np.outer(self.sums, self.sums) / self.units) / (self.units - 1)


def moments_of(*columns: Sequence[float] | np.ndarray) -> Moments:
    """The moments of one value per unit in each column: numerator[, denominator[, both before the exposure]]."""
    units = len(columns[0])
    absent = (None, np.ones(units), np.zeros(units), np.ones(units))
    values = np.stack([*(np.asarray(column, float) for column in columns), *absent[len(columns) :]])
    return Moments(units, values.sum(axis=1), values @ values.T, int((values[0] > 0).sum()))


@dataclass(frozen=True)
class Estimate:
    """A metric of one variation, and the variance of that estimate."""

    units: int
    value: float
    variance: float


def ratio(arm: Moments) -> Estimate | None:
    """The ratio of means, with its variance by the delta method; None without two units or a denominator.

    With a denominator of 1 for each unit this is the mean and its ordinary variance.
    """
    if arm.units < 2 or arm.sums[1] <= 0:
        return None
    outcome = _linear_outcome(arm)
    return Estimate(arm.units, float(arm.sums[0] / arm.sums[1]), _variance(outcome, arm) / arm.units)


def adjusted(arms: Mapping[str, Sequence[Moments]]) -> dict[str, Estimate] | None:
    """The ratio of each variation as if all variations had drawn the same visitors, which narrows the interval.

    Strata are weighted by their share over all variations (post-stratification: Miratrix, Sekhon, Yu, JRSS B 2013).
    Within a stratum whose units have history, the outcome is adjusted by what they did before (CUPED: Deng, Xu, Kohavi,
    Walker, WSDM 2013), with one coefficient for all variations. A single stratum gives plain CUPED.

    Args:
        arms: moments of each stratum by variation, in the same order of strata.

    Returns:
        None if a variation has too few units, no numerator or no denominator.
    """
    strata = _large_strata([dict(zip(arms, stratum, strict=True)) for stratum in zip(*arms.values(), strict=True)])
    whole = {variation: _added([stratum[variation] for stratum in strata]) for variation in arms}
    if any(arm.units < MIN_STRATUM_UNITS or arm.sums[0] == 0 or arm.sums[1] <= 0 for arm in whole.values()):
        return None
    everyone = _added(list(whole.values()))
    values = {variation: float(arm.sums[0] / arm.sums[1]) for variation, arm in whole.items()}
    variances = dict.fromkeys(arms, 0.0)
    for stratum in strata:
        pooled = _added(list(stratum.values()))
        weight = pooled.units / everyone.units
        coefficient = _history_coefficient(stratum, pooled, everyone)
        for variation, arm in stratum.items():
            direction = _linear_outcome(whole[variation])
            values[variation] += weight * float(direction @ arm.means)
            if coefficient:
                direction = direction - coefficient * _linear_history(arm)
                shift = arm.sums[2] / arm.sums[3] - pooled.sums[2] / pooled.sums[3]
                values[variation] -= weight * coefficient * float(shift)
            variances[variation] += weight**2 * _variance(direction, arm) / arm.units
    return {variation: Estimate(whole[variation].units, values[variation], variances[variation]) for variation in arms}


def _large_strata(strata: Sequence[Mapping[str, Moments]]) -> list[Mapping[str, Moments]]:
    """The strata with enough units in each variation; the others are joined into one, or into the last large one."""

    def is_large(stratum: Mapping[str, Moments]) -> bool:
        return min(arm.units for arm in stratum.values()) >= MIN_STRATUM_UNITS

    def joined(some: Sequence[Mapping[str, Moments]]) -> Mapping[str, Moments]:
        return {variation: _added([stratum[variation] for stratum in some]) for variation in some[0]}

    large, small = [s for s in strata if is_large(s)], [s for s in strata if not is_large(s)]
    if small and large and not is_large(joined(small)):
        return [*large[:-1], joined([large[-1], *small])]
    return [*large, joined(small)] if small else large


def _added(moments: Sequence[Moments]) -> Moments:
    return Moments(
        sum(part.units for part in moments),
        np.sum([part.sums for part in moments], axis=0),
        np.sum([part.products for part in moments], axis=0),
        sum(part.active for part in moments),
    )


def _variance(direction: np.ndarray, arm: Moments) -> float:
    """The variance of a unit in this direction; 0 if only rounding errors are left."""
    terms = np.outer(direction, direction) * arm.covariance
    variance = float(terms.sum())
    return variance if variance > ROUNDING * float(np.abs(terms).sum()) else 0.0


def _linear_outcome(arm: Moments) -> np.ndarray:
    """Coefficients by which the ratio's numerator and denominator move it, to first order (the delta method)."""
    mean = arm.means
    return np.array([1 / mean[1], -mean[0] / mean[1] ** 2, 0.0, 0.0])


def _linear_history(arm: Moments) -> np.ndarray:
    """The same for the ratio before the first exposure."""
    mean = arm.means
    return np.array([0.0, 0.0, 1 / mean[3], -mean[2] / mean[3] ** 2])


def _history_coefficient(stratum: Mapping[str, Moments], pooled: Moments, everyone: Moments) -> float:
    """How much the outcome changes per unit of the ratio before; 0 if the stratum has no history."""
    if any(arm.sums[3] <= 0 for arm in stratum.values()):
        return 0.0
    history = _linear_history(pooled)
    variance = _variance(history, pooled)
    return float(_linear_outcome(everyone) @ pooled.covariance @ history) / variance if variance > 0 else 0.0


@dataclass(frozen=True)
class Comparison:
    """A variation against the control.

    Attributes:
        difference: of the metric, with its interval (lower, upper) and p-value at a fixed horizon.
        lift: the difference relative to the control, with its interval; None if one of the values is not positive.
        sequential_…: intervals and p-value that are valid at every look.
        standard_error: of the difference.
    """

    difference: float
    lower: float
    upper: float
    p_value: float
    lift: float | None
    lift_lower: float | None
    lift_upper: float | None
    sequential_lower: float
    sequential_upper: float
    sequential_p_value: float
    sequential_lift_lower: float | None
    sequential_lift_upper: float | None
    standard_error: float


def compare(control: Estimate, variation: Estimate, alpha: float) -> Comparison | None:
    """Welch's t-test, its intervals, and the sequential interval; None if neither variation varies.

    The interval of the lift comes from the logarithm of the ratio of both values, by the delta method.
    """
    error = math.sqrt(control.variance + variation.variance)
    if error == 0:
        return None
    difference = variation.value - control.value
    half = error * _t_quantile(control, variation, alpha)
    units = control.units + variation.units
    factor = sequential_factor(units, alpha)
    return Comparison(
        difference=difference,
        lower=difference - half,
        upper=difference + half,
        p_value=float(2 * special.stdtr(_welch_freedom(control, variation), -abs(difference) / error)),
        lift=variation.value / control.value - 1 if control.value > 0 else None,
        **_lift_bounds(control, variation, alpha, factor),
        sequential_lower=difference - factor * error,
        sequential_upper=difference + factor * error,
        sequential_p_value=sequential_p_value(difference / error, units, alpha),
        standard_error=error,
    )


def _lift_bounds(control: Estimate, variation: Estimate, alpha: float, factor: float) -> dict[str, float | None]:
    names = ("lift_lower", "lift_upper", "sequential_lift_lower", "sequential_lift_upper")
    if control.value <= 0 or variation.value <= 0:
        return dict.fromkeys(names)
    arms = [Estimate(arm.units, 1, arm.variance / arm.value**2) for arm in (control, variation)]
    error = math.sqrt(arms[0].variance + arms[1].variance)
    if error * factor > WIDEST:
        return dict.fromkeys(names)
    halves = (error * _t_quantile(*arms, alpha), error * factor)
    bounds = (sign * half for half in halves for sign in (-1, 1))
    ratio_of_values = variation.value / control.value
    return {name: ratio_of_values * math.exp(bound) - 1 for name, bound in zip(names, bounds, strict=True)}


def _t_quantile(control: Estimate, variation: Estimate, alpha: float) -> float:
    return -float(special.stdtrit(_welch_freedom(control, variation), alpha / 2))


def _welch_freedom(control: Estimate, variation: Estimate) -> float:
    """Degrees of freedom by Welch and Satterthwaite."""
    return (control.variance + variation.variance) ** 2 / (
        control.variance**2 / (control.units - 1) + variation.variance**2 / (variation.units - 1)
    )


def sequential_factor(units: float, alpha: float) -> float:
    """Half the width of the interval that is valid at every look, in standard errors.

    Robbins' normal mixture as an asymptotic confidence sequence: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas,
    "Time-uniform central limit theory and asymptotic confidence sequences", Annals of Statistics 52(6), 2024
    (arXiv 2103.06476), theorem 2.2: after t units, standard deviation s,
    mean +- s * sqrt(2 (t rho^2 + 1) / (t^2 rho^2) * log(sqrt(t rho^2 + 1) / alpha)); here s = error * sqrt(t).
    """
    spread = units * _mixture_variance(alpha)
    return math.sqrt(2 * (spread + 1) / spread * math.log(math.sqrt(spread + 1) / alpha))


def sequential_p_value(z: float, units: int, alpha: float) -> float:
    """The smallest alpha whose sequential interval excludes 0, with the mixture tuned for `alpha`."""
    spread = units * _mixture_variance(alpha)
    return min(1.0, math.sqrt(spread + 1) * math.exp(-(z**2) * spread / (2 * (spread + 1))))


def _mixture_variance(alpha: float) -> float:
    """rho^2 for which the interval is about tightest at SEQUENTIAL_UNITS (the same paper, appendix B.2)."""
    doubled = -2 * math.log(alpha)
    return (doubled + math.log(doubled + 1)) / SEQUENTIAL_UNITS


def sample_ratio_p_value(units: Sequence[int], weights: Sequence[float]) -> float:
    """Chi-square: how likely counts this uneven are, if units are assigned to variations by weight."""
    if sum(units) == 0:
        return 1.0
    expected = np.asarray(weights, float) / sum(weights) * sum(units)
    return float(special.chdtrc(len(units) - 1, ((units - expected) ** 2 / expected).sum()))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for several primary metrics: the chance of any false positive stays below alpha
    (Holm 1979)."""
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for all other metrics: the share of false positives among those found stays below alpha.

    The step-up procedure of Benjamini and Hochberg 1995, as adjusted p-values.
    """
    corrected, smallest = [0.0] * len(p_values), 1.0
    for rank, index in reversed(list(enumerate(np.argsort(p_values, kind="stable"), 1))):
        smallest = min(smallest, p_values[index] * len(p_values) / rank)
        corrected[index] = smallest
    return corrected


def smallest_effect(standard_error: float, alpha: float, power: float = POWER) -> float:
    """The smallest true difference that would be found with this power."""
    return standard_error * _detectable(alpha, power)


def units_needed(
    unit_variance: float, difference: float, share: float, alpha: float, power: float = POWER
) -> tuple[float, float]:
    """How many units a control and a variation need together to find a true difference.

    Args:
        unit_variance: of the metric, between units.
        difference: of the metric.
        share: of the variation among these units.

    Returns:
        For one look at the end, and for looking every day until the sequential interval excludes 0.
    """
    total_variance = unit_variance * (1 / share + 1 / (1 - share))  # of the difference, times the number of units

    def missing(log_units: float) -> float:
        units = math.exp(log_units)
        return (
            sequential_factor(units, alpha)
            + float(special.ndtri(power))
            - difference * math.sqrt(units / total_variance)
        )

    at_the_end = _detectable(alpha, power) ** 2 * total_variance / difference**2
    longest = math.log(at_the_end) + 10
    return at_the_end, math.exp(float(optimize.brentq(missing, min(0.0, math.log(at_the_end)), longest)))


def _detectable(alpha: float, power: float) -> float:
    return float(special.ndtri(power) - special.ndtri(alpha / 2))
