"""What a merchant wants to know after a refresh, on the terminal.

A published version flows in; rich tables flow out.
"""

from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from serving.published import Published

NEVER = "-"


def summary(published: Published) -> RenderableType:
    """Events, visits, sales, funnel, products viewed most and bought together, how good the lists are, idle rules."""
    with published.connect() as connection:

        def rows(sql: str) -> list[tuple[Any, ...]]:
            return connection.execute(sql).fetchall()

        return Group(
            _facts(rows),
            _funnel(rows),
            _top_products(rows),
            *_bought_together(rows),
            *_evaluation(rows),
            *_idle_rules(rows),
            *_fetch_warnings(rows),
        )


def _facts(rows: Any) -> Table:
    loaded, unreadable = rows(
        "select coalesce(sum(events), 0), coalesce(sum(unreadable_lines), 0) from operations.loads"
    )[0]
    quarantined = rows("select count(*) from operations.quarantined_events")[0][0]
    sessions, visitors, bots = rows(
        "select count(*) filter (where not is_bot), count(distinct journey_id) filter (where not is_bot), "
        "count(*) filter (where is_bot) from core.sessions"
    )[0]
    table = Table(title="Your store", show_header=False, title_justify="left")
    table.add_row("Events received", f"{loaded + unreadable:,}")
    table.add_row("  loaded", f"{loaded:,}")
    table.add_row("  quarantined, with the reason", f"{quarantined:,}")
    table.add_row("Sessions", f"{sessions:,}  (and {bots:,} of bots)")
    table.add_row("Visitors", f"{visitors:,}")
    sales = rows(
        "select currency, count(*), sum(gross_total_amount), sum(net_total_amount) from core.orders "
        "where not is_test group by currency order by 2 desc"
    )
    for currency, orders, gross, net in sales:
        table.add_row(f"Orders in {escape(currency or 'an unknown currency')}", f"{orders:,}")
        table.add_row("  gross sales", f"{gross or 0:,.2f} {escape(currency or '')}")
        if net is not None:
            table.add_row("  after refunds and cancellations", f"{net:,.2f} {escape(currency or '')}")
    for currency, missing, placed, value in rows(
        "select currency, sum(missing_in_pixel), sum(admin_orders), sum(missing_amount) "
        "from operations.order_reconciliation group by currency order by 3 desc"
    ):
        share = f"{missing:,} of {placed:,} ({missing / placed:.1%})" if placed else "0"
        table.add_row("Orders that the pixel did not see", f"{share}, worth {value:,.2f} {escape(currency)}")
    return table


def _funnel(rows: Any) -> Table:
    sessions, viewed, *steps = (
        count or 0
        for count in rows(
            "select sum(sessions), sum(viewed), sum(carted_closed), sum(carted_open), sum(checked_out_closed), "
            "sum(checked_out_open), sum(purchased_closed), sum(purchased_open) from analytics.funnel_daily"
        )[0]
    )
    table = Table(title="Funnel: sessions that reached each step", title_justify="left")
    table.add_column("Step")
    table.add_column("in order", justify="right")
    table.add_column("of sessions", justify="right")
    table.add_column("at all", justify="right")
    table.add_column("of sessions", justify="right")

    def add(step: str, closed: int, reached: int) -> None:
        table.add_row(step, f"{closed:,}", _share(closed, sessions), f"{reached:,}", _share(reached, sessions))

    add("visited", sessions, sessions)
    add("viewed a product", viewed, viewed)
    for step, closed, reached in zip(
        ("added to the cart", "started a checkout", "purchased"), steps[::2], steps[1::2], strict=True
    ):
        add(step, closed, reached)
    return table


def _top_products(rows: Any) -> Table:
    table = Table(title="Most viewed products", title_justify="left")
    table.add_column("Product")
    table.add_column("views", justify="right")
    table.add_column("units sold", justify="right")
    for title, views, units in rows(
        """
        with views as (
            select views.shop, views.product_id, count(*) as views
            from core.product_views as views
            inner join core.sessions as sessions on views.session_id = sessions.session_id and not sessions.is_bot
            group by views.shop, views.product_id
        ),
        units as (select shop, product_id, sum(quantity) as units from core.order_items group by shop, product_id)
        select products.title, views.views, coalesce(units.units, 0)
        from views
        inner join core.products as products using (shop, product_id)
        left join units using (shop, product_id)
        order by views.views desc, products.title
        limit 5
        """
    ):
        table.add_row(escape(title or "?"), f"{views:,}", f"{units:,}")
    return table


def _bought_together(rows: Any) -> list[RenderableType]:
    found = rows(
        """
        with pairs as (from recommendations.related_products where strategy = 'bought_together'),
        best as (
            select shop, product_id from pairs order by support desc, score desc, product_id limit 1
        )
        select seed.title, other.title, pairs.support, pairs.confidence
        from best
        inner join pairs using (shop, product_id)
        inner join core.products as seed using (shop, product_id)
        inner join core.products as other
            on pairs.shop = other.shop and pairs.recommended_product_id = other.product_id
        order by pairs.position
        """
    )
    if not found:
        return ["No two products were bought together twice yet: what is viewed together stands in."]
    table = Table(title=f"Bought together with {escape(found[0][0] or '?')}", title_justify="left")
    table.add_column("Product")
    table.add_column("orders with both", justify="right")
    table.add_column("of its orders", justify="right")
    for _, other, orders, confidence in found:
        table.add_row(escape(other or "?"), f"{orders:,}", f"{confidence:.0%}")
    return [table]


def _evaluation(rows: Any) -> list[RenderableType]:
    """What the lists of a week ago would have been worth since."""
    found = rows(
        """
        select task, strategy, cutoff, sum(cases),
            sum(hit_rate * cases) / sum(cases) filter (where hit_rate is not null),
            sum(mrr * cases) / sum(cases) filter (where hit_rate is not null)
        from recommendations.evaluation_history
        where computed_at = (select max(computed_at) from recommendations.evaluation_history)
        group by task, strategy, cutoff order by task, 5 desc
        """
    )
    if not found:
        return []
    table = Table(title="Recommendations, tried on the last days", title_justify="left")
    table.add_column("Task")
    table.add_column("Strategy")
    table.add_column("cases", justify="right")
    table.add_column("hits among the first", justify="right")
    table.add_column("mean of 1/place", justify="right")
    for task, strategy, cutoff, cases, hit_rate, mrr in found:
        rates = ("too little history", NEVER) if hit_rate is None else (f"{hit_rate:.1%} of {cutoff}", f"{mrr:.3f}")
        table.add_row(task, strategy, f"{int(cases):,}", *rates)
    return [table]


def _idle_rules(rows: Any) -> list[RenderableType]:
    """The merchant's rules that do nothing, which a slip of the pen does not tell otherwise."""
    found = rows(
        "select shop, case when beside is null then rule else 'pin_beside ' || beside end, product, status "
        "from recommendations.merchant_rules where status <> 'in force' order by shop, rule, beside, place"
    )
    if not found:
        return []
    table = Table(title="Rules in shops.toml that do nothing", title_justify="left")
    for column in ("Shop", "Rule", "Product", "Why"):
        table.add_column(column)
    for row in found:
        table.add_row(*(escape(value) for value in row))
    return [table]


def _fetch_warnings(rows: Any) -> list[RenderableType]:
    """What is doubtful about the catalogue that each shop has now."""
    found = rows(
        "select shop, max_by(warning, began_at) from operations.fetches where source = 'catalogue' and error is null "
        "group by shop having max_by(coalesce(warning, ''), began_at) <> '' order by shop"
    )
    if not found:
        return []
    table = Table(title="Catalogue files to look at", title_justify="left")
    table.add_column("Shop")
    table.add_column("Warning")
    for row in found:
        table.add_row(*(escape(value) for value in row))
    return [table]


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else NEVER


def status(waiting: dict[str, int], last_load: str, published: Published | None) -> RenderableType:
    """Landing files that wait, the last load, rows per mart, the published version."""
    table = Table(title="Status", show_header=False, title_justify="left")
    for what, count in waiting.items():
        table.add_row(what, f"{count:,}")
    table.add_row("Last load", last_load)
    if published is None:
        table.add_row("Published version", "none; run `pixelnova refresh`")
        return table
    table.add_row("Published version", f"{published.manifest.version}  ({escape(str(published.folder))})")
    marts = Table(title="Rows per mart", show_header=False, title_justify="left")
    for name, rows in sorted(published.manifest.rows_by_table.items()):
        marts.add_row(name, f"{rows:,}")
    return Group(table, marts)
