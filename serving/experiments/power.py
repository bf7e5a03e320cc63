"""How long an experiment must run: from a shop's own visitors and sales, or from given figures.

Reads a published version, returns numbers of visitors and days.
"""

import math
from dataclasses import dataclass

import duckdb

from serving.errors import ServingError
from serving.experiments.statistics import units_needed

DAYS = 28  # four whole weeks of the shop, up to its last whole day

# What each metric sums per visitor.
MEASURED = {
    "conversion": "case when orders.orders > 0 then 1 else 0 end",
    "revenue_per_visitor": "coalesce(orders.sales, 0)",
    "add_to_cart_rate": "case when visitors.cart_adds > 0 then 1 else 0 end",
}


class NoRates(ServingError):
    """The shop has too few visitors or sales to plan from; the message names the remedy."""


@dataclass(frozen=True)
class Rates:
    """A metric of one shop. visitors_per_day: persons seen in DAYS, per day; mean, variance: between visitors."""

    visitors_per_day: float
    mean: float
    variance: float
    currency: str | None = None


@dataclass(frozen=True)
class Plan:
    """The effort to detect a lift. days, days_looking_daily: with one look at the end, and with a look every day."""

    lift: float
    visitors: int
    days: int
    days_looking_daily: int


def shop_rates(connection: duckdb.DuckDBPyConnection, shop: str, metric: str) -> Rates:
    """The rates of the last four weeks, without bots and test orders.

    Raises:
        NoRates: there is nothing to plan from.
    """
    (row,) = connection.execute(
        f"""
        with last as (
            select max(local_date) as last_date from core.sessions where shop = $shop
        ),
        visitors as (
            select sessions.journey_id, sum(sessions.cart_adds) as cart_adds
            from core.sessions as sessions, last
            where sessions.shop = $shop and not sessions.is_bot
                and sessions.local_date < last.last_date
                and sessions.local_date >= last.last_date - {DAYS}
            group by sessions.journey_id
        ),
        orders as (
            select
                orders.journey_id,
                count(*) as orders,
                sum(orders.gross_total_amount) filter (where orders.currency = shops.currency) as sales
            from core.orders as orders
            inner join core.shops as shops using (shop), last
            where orders.shop = $shop and not orders.is_bot and not orders.is_test
                and orders.local_date < last.last_date
                and orders.local_date >= last.last_date - {DAYS}
            group by orders.journey_id
        ),
        measured as (
            select cast({MEASURED[metric]} as double) as value
            from visitors
            left join orders using (journey_id)
        )
        select
            count(*), avg(value), var_samp(value), (select currency from core.shops where shop = $shop) from measured
        """,
        {"shop": shop},
    ).fetchall()
    visitors, mean, variance, currency = row
    if not mean or not variance:
        raise NoRates(
            f"{shop} has no {metric.replace('_', ' ')} in its last {DAYS} days to plan from: "
            "give --visitors-per-day and --rate."
        )
    return Rates(visitors / DAYS, mean, variance, currency if metric == "revenue_per_visitor" else None)


def planned(rates: Rates, lift: float, share: float, coverage: float, alpha: float, power: float) -> Plan:
    """Plan an experiment that detects a lift.

    Args:
        share: the variation's share of the visitors in both.
        coverage: share of all visitors that are in the experiment.
    """
    at_the_end, looking_daily = units_needed(rates.variance, rates.mean * lift, share, alpha, power)
    per_day = rates.visitors_per_day * coverage
    return Plan(
        lift, math.ceil(at_the_end), max(1, math.ceil(at_the_end / per_day)), max(1, math.ceil(looking_daily / per_day))
    )
