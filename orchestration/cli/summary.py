"""The summary that `refresh` prints: figures per store, and what needs attention.

Reads a published version, writes rich tables.
"""

from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from orchestration.build_warnings import BuildWarning
from serving.published import Published

NEVER = "-"
STORES_IN_DETAIL = 3  # more stores share one table
MIN_CASES = 20  # of a backtest; fewer are not significant
TASKS = {"next_view": "next view", "bought_with": "bought with", "new_product": "new product"}

Rows = Callable[..., list[tuple[Any, ...]]]


def summary_tables(published: Published, warnings: Sequence[BuildWarning] = ()) -> RenderableType:
    """Events received; each store's visits, sales, funnel, products and backtest; rules without effect; warnings."""
    with published.connect() as connection:

        def rows(sql: str, shop: str | None = None) -> list[tuple[Any, ...]]:
            return connection.execute(sql, {"shop": shop} if shop else None).fetchall()

        shops = rows("select shop, name from core.shops order by shop")
        if len(shops) > STORES_IN_DETAIL:
            stores = [_all_stores(rows)]
        else:
            stores = [part for shop, name in shops for part in _store(rows, shop, name)]
        return Group(_received(rows), *stores, *_idle_rules(rows), *_fetch_warnings(rows), *_warnings(warnings))


def _received(rows: Rows) -> Table:
    loaded, unreadable = rows(
        "select coalesce(sum(events), 0), coalesce(sum(unreadable_lines), 0) from operations.loads"
    )[0]
    quarantined = rows("select count(*) from operations.quarantined_events")[0][0]
    table = Table(title="Events", show_header=False, title_justify="left")
    table.add_row("Events received", f"{loaded + unreadable:,}")
    table.add_row("  loaded", f"{loaded:,}")
    table.add_row("  quarantined", f"{quarantined:,}")
    return table


def _store(rows: Rows, shop: str, name: str | None) -> list[RenderableType]:
    return [
        _facts(rows, shop, name or shop),
        _funnel(rows, shop),
        *_top_products(rows, shop),
        *_bought_together(rows, shop),
        *_evaluation(rows, shop),
    ]


def _all_stores(rows: Rows) -> Table:
    """One row per store and currency: amounts are never summed across currencies."""
    table = Table(title="Stores", title_justify="left")
    table.add_column("Store")
    for column in ("sessions", "visitors", "orders", "gross sales", "viewed", "purchased"):
        table.add_column(column, justify="right")
    for shop, sessions, visitors, orders, currency, gross, viewed, purchased in rows(
        """
        with visits as (
            select shop, count(*) as sessions, count(distinct journey_id) as visitors
            from core.sessions where not is_bot group by shop
        ),
        funnel as (
            select shop, sum(sessions) as sessions, sum(viewed) as viewed, sum(purchased_open) as purchased
            from analytics.funnel_daily group by shop
        ),
        sales as (
            select shop, currency, count(*) as orders, sum(gross_total_amount) as gross
            from core.orders where not is_test group by shop, currency
        )
        select
            shops.shop, coalesce(visits.sessions, 0), coalesce(visits.visitors, 0), coalesce(sales.orders, 0),
            sales.currency, sales.gross, funnel.viewed / funnel.sessions, funnel.purchased / funnel.sessions
        from core.shops as shops
        left join visits using (shop)
        left join funnel using (shop)
        left join sales using (shop)
        order by shops.shop, 4 desc, sales.currency
        """
    ):
        table.add_row(
            escape(shop),
            f"{sessions:,}",
            f"{visitors:,}",
            f"{orders:,}",
            NEVER if gross is None else _money(gross, currency),
            *(NEVER if share is None else f"{share:.1%}" for share in (viewed, purchased)),
        )
    return table


def _facts(rows: Rows, shop: str, name: str) -> Table:
    sessions, visitors, bots = rows(
        "select count(*) filter (where not is_bot), count(distinct journey_id) filter (where not is_bot), "
        "count(*) filter (where is_bot) from core.sessions where shop = $shop",
        shop,
    )[0]
    table = Table(title=escape(name), show_header=False, title_justify="left")
    table.add_row("Sessions", f"{sessions:,}  (plus {bots:,} by bots)")
    table.add_row("Visitors", f"{visitors:,}")
    for currency, orders, gross, net in rows(
        "select currency, count(*), sum(gross_total_amount), sum(net_total_amount) from core.orders "
        "where not is_test and shop = $shop group by currency order by 2 desc, currency",
        shop,
    ):
        table.add_row(f"Orders in {escape(currency or 'an unknown currency')}", f"{orders:,}")
        table.add_row("  gross sales", _money(gross, currency))
        if net is not None:
            table.add_row("  after refunds and cancellations", _money(net, currency))
    for currency, missing, placed, value in rows(
        "select currency, sum(missing_in_pixel), sum(admin_orders), sum(missing_amount) "
        "from operations.order_reconciliation where shop = $shop group by currency having sum(admin_orders) > 0 "
        "order by 3 desc, currency",
        shop,
    ):
        share = f"{missing:,} of {placed:,} ({missing / placed:.1%})"
        table.add_row("Orders missed by the pixel", f"{share}, worth {_money(value, currency)}")
    return table


def _funnel(rows: Rows, shop: str) -> Table:
    sessions, viewed, *steps = (
        count or 0
        for count in rows(
            "select sum(sessions), sum(viewed), sum(carted_closed), sum(carted_open), sum(checked_out_closed), "
            "sum(checked_out_open), sum(purchased_closed), sum(purchased_open) from analytics.funnel_daily "
            "where shop = $shop",
            shop,
        )[0]
    )
    table = Table(title="Funnel: sessions that reached each step", title_justify="left")
    table.add_column("Step")
    table.add_column("in sequence", justify="right")
    table.add_column("of sessions", justify="right")
    table.add_column("in any order", justify="right")
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


def _top_products(rows: Rows, shop: str) -> list[RenderableType]:
    found = rows(
        """
        with views as (
            select views.product_id, count(*) as views
            from core.product_views as views
            inner join core.sessions as sessions on views.session_id = sessions.session_id and not sessions.is_bot
            where views.shop = $shop
            group by views.product_id
        ),
        units as (
            select product_id, sum(quantity) as units from core.order_items where shop = $shop group by product_id
        )
        select products.title, views.views, coalesce(units.units, 0)
        from views
        inner join core.products as products on views.product_id = products.product_id and products.shop = $shop
        left join units on views.product_id = units.product_id
        order by views.views desc, products.title
        limit 5
        """,
        shop,
    )
    if not found:
        return ["No product views yet."]
    table = Table(title="Most viewed products", title_justify="left")
    table.add_column("Product")
    table.add_column("views", justify="right")
    table.add_column("units sold", justify="right")
    for title, views, units in found:
        table.add_row(escape(title or "?"), f"{views:,}", f"{units:,}")
    return [table]


def _bought_together(rows: Rows, shop: str) -> list[RenderableType]:
    found = rows(
        """
        with pairs as (
            from recommendations.related_products where strategy = 'bought_together' and shop = $shop
        ),
        best as (select product_id from pairs order by support desc, score desc, product_id limit 1)
        select seed.title, recommended.title, pairs.support, pairs.confidence
        from best
        inner join pairs using (product_id)
        inner join core.products as seed on pairs.product_id = seed.product_id and seed.shop = $shop
        inner join core.products as recommended
            on pairs.recommended_product_id = recommended.product_id and recommended.shop = $shop
        order by pairs.position
        """,
        shop,
    )
    if not found:
        listed = rows("select 1 from recommendations.related_products where shop = $shop limit 1", shop)
        return ["No products have been bought together often enough yet; lists use views instead."] if listed else []
    table = Table(title=f"Bought together with {escape(found[0][0] or '?')}", title_justify="left")
    table.add_column("Product")
    table.add_column("orders with both", justify="right")
    table.add_column("share of orders", justify="right")
    for _, title, orders, confidence in found:
        table.add_row(escape(title or "?"), f"{orders:,}", f"{confidence:.0%}")
    return [table]


def _evaluation(rows: Rows, shop: str) -> list[RenderableType]:
    """Backtest: lists made from older events, scored against what shoppers did next."""
    found = rows(
        """
        select task, strategy, cutoff, cases, hit_rate, mrr, date_diff('day', trained_until, computed_at)
        from recommendations.evaluation_history
        where shop = $shop
            and computed_at = (select max(computed_at) from recommendations.evaluation_history where shop = $shop)
        order by task, hit_rate desc nulls last, strategy
        """,
        shop,
    )
    if not found:
        return []
    # If no strategy has a hit, there is too little history to learn from.
    rated = {task for task, _, _, cases, hit_rate, *_ in found if cases >= MIN_CASES and hit_rate}
    days = found[0][-1]
    parts: list[RenderableType] = []
    if rated:
        table = Table(title=f"Recommendation backtest, last {days} days", title_justify="left")
        table.add_column("Task")
        table.add_column("Strategy")
        for column in ("cases", "hit rate", "MRR"):
            table.add_column(column, justify="right")
        for task, strategy, cutoff, cases, hit_rate, mrr, _ in found:
            if task in rated:
                rates = (NEVER, NEVER) if hit_rate is None else (f"{hit_rate:.1%} @ {cutoff}", f"{mrr:.3f}")
                table.add_row(TASKS.get(task, task), strategy, f"{int(cases):,}", *rates)
        parts.append(table)
    unrated = {task: int(cases) for task, _, _, cases, *_ in found if task not in rated}
    if unrated:
        counts = ", ".join(f"{TASKS.get(task, task)} ({cases:,} cases)" for task, cases in sorted(unrated.items()))
        parts.append(f"Recommendation backtest: too little history yet to rate {counts}.")
    return parts


def _idle_rules(rows: Rows) -> list[RenderableType]:
    """The merchant's rules that have no effect, most likely because of a typo."""
    found = rows(
        "select shop, case when beside is null then rule else 'pin_beside ' || beside end, product, status "
        "from recommendations.merchant_rules where status <> 'in force' order by shop, rule, beside, place"
    )
    if not found:
        return []
    table = Table(title="Rules in shops.toml without effect", title_justify="left")
    for column in ("Shop", "Rule", "Product", "Why"):
        table.add_column(column)
    for row in found:
        table.add_row(*(escape(value) for value in row))
    return [table]


def _fetch_warnings(rows: Rows) -> list[RenderableType]:
    """Warnings about the catalogue files that are in use."""
    found = rows(
        "select shop, max_by(warning, began_at) from operations.fetches where source = 'catalogue' and error is null "
        "group by shop having max_by(coalesce(warning, ''), began_at) <> '' order by shop"
    )
    if not found:
        return []
    table = Table(title="Catalogue file warnings", title_justify="left")
    table.add_column("Shop")
    table.add_column("Warning")
    for row in found:
        table.add_row(*(escape(value) for value in row))
    return [table]


def _warnings(warnings: Sequence[BuildWarning]) -> list[RenderableType]:
    if not warnings:
        return []
    table = Table(title="Data test warnings (published anyway)", title_justify="left")
    table.add_column("Test")
    table.add_column("rows", justify="right")
    table.add_column("Query that finds these rows", overflow="fold")
    for warning in warnings:
        table.add_row(escape(warning.description), f"{warning.rows:,}", escape(str(warning.query)))
    return [table]


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else NEVER


def _money(amount: Any, currency: str | None) -> str:
    return f"{amount or 0:,.2f} {escape(currency or '')}".rstrip()
