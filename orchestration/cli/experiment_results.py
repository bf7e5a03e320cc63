"""`pixelnova experiments` and `pixelnova power`: results of experiments, and how long a planned one must run.

Read the published version only, write rich tables.
"""

import math
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from orchestration.cli.arguments import chosen_shop
from orchestration.cli.terminal import console
from orchestration.settings import data_folder

if TYPE_CHECKING:  # imports duckdb
    from serving.published import Published

NEVER = "-"
LIFTS = (0.02, 0.05, 0.1, 0.2)
Metric = Annotated[str, typer.Option(help="conversion, revenue_per_visitor or add_to_cart_rate.", metavar="METRIC")]


def experiments(
    context: typer.Context,
    shop: Annotated[str | None, typer.Option(help="Domain of one shop; default: all.")] = None,
    segments: Annotated[bool, typer.Option(help="Also show every segment (exploratory).")] = False,
) -> None:
    """Show results of experiments: a verdict for each, and its metrics compared with the control."""
    from serving.published import read_current

    if context.invoked_subcommand is None:
        console.print(experiment_tables(read_current(data_folder()), shop, segments))


def power(
    metric: Metric = "revenue_per_visitor",
    shop: Annotated[str | None, typer.Option(help="Domain of the shop; default: the first in shops.toml.")] = None,
    lift: Annotated[float | None, typer.Option(min=0.1, help="Lift to detect, in percent; default: several.")] = None,
    share: Annotated[float, typer.Option(min=0.01, max=0.99, help="Share that sees the variation.")] = 0.5,
    coverage: Annotated[float, typer.Option(min=0.01, max=1, help="Share of the visitors in the experiment.")] = 1,
    alpha: Annotated[float, typer.Option(min=0.0001, max=0.5, help="Significance level.")] = 0.05,
    chance: Annotated[float, typer.Option(min=0.5, max=0.99, help="Chance of detecting an existing lift.")] = 0.8,
    visitors_per_day: Annotated[float | None, typer.Option(min=1, help="Default: the shop's own.")] = None,
    rate: Annotated[float | None, typer.Option(min=0, help="Current value; default: the shop's own.")] = None,
    deviation: Annotated[
        float | None, typer.Option(min=0, help="Its standard deviation between visitors; default: that of a share.")
    ] = None,
) -> None:
    """Show how long an experiment must run, from the shop's own rates or from given figures."""
    from serving.experiments.power import DAYS, MEASURED, Rates, planned, shop_rates
    from serving.published import read_current

    if metric not in MEASURED:
        raise typer.BadParameter(f"{metric} is not one of {', '.join(MEASURED)}.", param_hint="--metric")
    for name, figure in (("--rate", rate), ("--deviation", deviation)):
        if figure is not None and not 0 < figure < math.inf:
            raise typer.BadParameter(f"{figure} must be above 0, and finite.", param_hint=name)
    if rate is not None and deviation is None and not 0 < rate < 1:
        raise typer.BadParameter(f"{rate} is not between 0 and 1: give --deviation too.", param_hint="--rate")
    if rate is not None and visitors_per_day is not None:
        rates = Rates(visitors_per_day, rate, rate * (1 - rate) if deviation is None else deviation**2)
        source = "the given figures"
    else:
        domain = chosen_shop(shop).domain
        with read_current(data_folder()).connect() as connection:
            own = shop_rates(connection, domain, metric)
        variance = own.variance if rate is None else rate * (1 - rate) if deviation is None else deviation**2
        mean = own.mean if rate is None else rate
        rates = Rates(visitors_per_day or own.visitors_per_day, mean, variance, own.currency)
        source = f"the last {DAYS} days of {domain}"
    level = f"{rates.mean:,.2f} {rates.currency}" if rates.currency else f"{rates.mean:.2%}"
    table = Table(
        title=f"{metric.replace('_', ' ').capitalize()} {level}, {rates.visitors_per_day * coverage:,.0f} visitors "
        f"a day in the experiment (from {escape(source)})",
        title_justify="left",
    )
    for column in ("Lift to detect", "visitors", "days", "days, with daily looks"):
        table.add_column(column, justify="right")
    for wanted in LIFTS if lift is None else (lift / 100,):
        plan = planned(rates, wanted, share, coverage, alpha, chance)
        table.add_row(f"{wanted * 100:g}%", f"{plan.visitors:,}", f"{plan.days:,}", f"{plan.days_looking_daily:,}")
    console.print(table)


def experiment_tables(published: "Published", shop: str | None, with_segments: bool) -> RenderableType:
    """A verdict and a table per experiment and phase, newest phase first."""
    with published.connect() as connection:
        verdicts = connection.execute(
            "select shop, experiment, phase, experiment_name, units, left_out_units, days, sentence "
            "from experiments.verdicts where coalesce(shop = $shop, true) "
            "order by shop, experiment, phase desc",
            {"shop": shop},
        ).fetchall()
        results = connection.execute(
            """
            select
                plain.shop, plain.experiment, plain.phase, plain.metric, plain.variation, plain.role,
                plain.segment_kind, plain.segment, plain.status, plain.currency,
                plain.control_value, plain.variation_value, plain.lift, plain.lift_lower, plain.lift_upper,
                adjusted.lift, adjusted.sequential_lift_lower, adjusted.sequential_lift_upper,
                coalesce(adjusted.corrected_sequential_p_value, plain.corrected_sequential_p_value)
            from experiments.results as plain
            inner join experiments.results as adjusted
                using (shop, experiment, phase, metric, variation, segment_kind, segment, is_capped)
            where not plain.is_adjusted and adjusted.is_adjusted and not plain.is_capped
                and plain.metric <> 'incremental_sales' and (plain.segment_kind = 'all' or $segments)
            order by
                plain.shop, plain.experiment, plain.phase desc, plain.variation, plain.segment_kind, plain.segment,
                case plain.role when 'primary' then 0 when 'guardrail' then 1 else 2 end, plain.metric
            """,
            {"segments": with_segments},
        ).fetchall()
    if not verdicts and shop:
        return f"{escape(shop)} has no published experiments: correct its name, or add them to experiments.toml."
    if not verdicts:
        return "No experiments are declared: add them to experiments.toml (see docs/experiments.md)."
    tables = {key: list(rows) for key, rows in groupby(results, key=lambda row: row[:3])}
    parts: list[RenderableType] = []
    for *key, name, units, left_out, days, sentence in verdicts:
        domain, _, phase = key
        parts.append(f"[bold]{escape(name)}[/bold] ({escape(domain)}, phase {phase}): {escape(sentence)}")
        parts.append(f"{units:,} visitors in {days:.0f} days; {left_out:,} left out.")
        if rows := tables.get(tuple(key)):
            parts.append(_table(rows))
    return Group(*parts)


def _table(rows: list[tuple[Any, ...]]) -> Table:
    table = Table(title_justify="left")
    for column in ("Metric", "Role", "Variation"):
        table.add_column(column)
    for column in ("control", "variation", "lift", "adjusted lift", "always-valid interval", "p"):
        table.add_column(column, justify="right")
    for row in rows:
        metric, variation, role, kind, segment, status, currency, control, value, lift, lower, upper, *adjusted = row[
            3:
        ]
        of_segment = "" if kind == "all" else f" ({kind}: {segment})"
        if status != "reported":
            table.add_row(escape(metric + of_segment), role, escape(variation), status)
            continue
        own_lift, any_lower, any_upper, p_value = adjusted
        table.add_row(
            escape(metric + of_segment),
            role,
            escape(variation),
            _value(control, currency),
            _value(value, currency),
            _with_interval(lift, lower, upper),
            NEVER if own_lift is None else f"{own_lift:+.1%}",
            NEVER if any_lower is None else f"{any_lower:+.1%} to {any_upper:+.1%}",
            NEVER if p_value is None else f"{p_value:.3f}",
        )
    return table


def _value(value: float, currency: str | None) -> str:
    return f"{value:,.2f} {escape(currency)}" if currency else f"{value:,.4f}"


def _with_interval(lift: float | None, lower: float | None, upper: float | None) -> str:
    if lift is None:
        return NEVER
    return f"{lift:+.1%}" if lower is None else f"{lift:+.1%} ({lower:+.1%} to {upper:+.1%})"
