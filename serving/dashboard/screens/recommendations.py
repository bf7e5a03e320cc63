"""Recommendations: coverage, clicks, attributed and incremental sales, offline quality, and a preview."""

from datetime import datetime
from decimal import Decimal

import streamlit as st

from serving.dashboard.charts import FORMATS
from serving.dashboard.figures import cards, report_details, series, show_rows, table, title
from serving.dashboard.formats import UNKNOWN, number_text
from serving.dashboard.view import View

CARDS = (
    *("recommendation_impressions", "recommendation_clicks", "recommendation_click_through_rate"),
    *("recommendation_sales", "recommendation_sales_share"),
)
COVERAGE = """
select
    count(*) as products,
    count(*) filter (where is_eligible) as eligible,
    count(*) filter (where is_eligible and product_id in (
        select page.product_id from recommendations.product_page as page where page.shop = $shop
    )) as with_list
from recommendations.eligibility
where shop = $shop
"""


def render(view: View) -> None:
    """Figures, tables, quality and a preview."""
    cards(view, CARDS)
    [(products, eligible, with_list)] = view.store.query(view.shop.shop, COVERAGE).rows
    st.markdown(
        f"**{with_list:,} of {eligible:,}** products that may be shown have recommendations ({products:,} in all)."
    )
    table(view, "recommendations")
    table(view, "incremental-sales")
    st.caption(
        "Attributed sales count every purchase after a click; incremental sales only those that would not have "
        "happened without recommendations. They answer different questions: never add them."
    )
    series(view, "recommendation_click_through_rate")
    _quality(view)
    _preview(view)


def _quality(view: View) -> None:
    found = view.report("recommendation-quality")
    title(view, found)
    records = found.rows.records()
    if not records:
        st.info("Too few sessions for a backtest.")
        return
    times: list[datetime] = sorted({one["computed_at"] for one in records})
    lines: dict[str, dict[datetime, float]] = {}
    for one in records:
        lines.setdefault(f"{one['task']}: {one['strategy']}".replace("_", " "), {})[one["computed_at"]] = one[
            "hit_rate"
        ]
    st.echarts_chart(
        {
            "animation": False,
            "tooltip": {"trigger": "axis", "valueFormatter": FORMATS["share"]},
            "legend": {"bottom": 0, "type": "scroll"},
            "grid": {"left": 8, "right": 12, "top": 12, "bottom": 36, "containLabel": True},
            "xAxis": {"type": "category", "data": [f"{time:%Y-%m-%d %H:%M}" for time in times]},
            "yAxis": {"type": "value", "min": 0, "max": 100, "axisLabel": {"formatter": "{value} %"}},
            "series": [
                {
                    "name": name,
                    "type": "line",
                    "symbolSize": 8,
                    "data": [100 * values[time] if time in values else None for time in times],
                }
                for name, values in lines.items()
            ],
        },
        height=320,
        key="quality",
        alt="Hit rate of the lists over time",
    )
    show_rows(found)
    report_details(found)


def _preview(view: View) -> None:
    st.markdown("#### What a shopper sees")
    products = view.products()
    if not products:
        st.info("No product was viewed in this period.")
        return
    chosen = st.selectbox("Product page", list(products), key="preview", bind="query-params")
    document = view.store.published.document(view.shop.shop, products[chosen])
    items = document.placements.get("product_page", []) if document else []
    if not items:
        st.info("There are no recommendations for this product.")
        return
    st.dataframe(
        {
            "": [item.position for item in items],
            "Product": [item.title or item.product_id for item in items],
            "Price": [
                number_text(Decimal(item.price.amount), "money", item.price.currency) if item.price else UNKNOWN
                for item in items
            ],
            "Why": [item.reason.code.replace("_", " ") for item in items],
        },
        hide_index=True,
    )
