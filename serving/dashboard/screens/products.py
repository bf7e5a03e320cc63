"""Products: all of them, rankings, lost demand, and one product with what is viewed and bought with it."""

import streamlit as st

from serving.dashboard.figures import cards, report_details, series, show_rows, table, title
from serving.dashboard.view import View

CARDS = ("product_views", "cart_adds", "units", "product_sales")
SERIES = ("product_sales", "product_views")  # of one product
RANKINGS = {"viewed": "Most viewed", "converting": "Top converting", "abandoned": "Most abandoned"}


def render(view: View) -> None:
    """The table of products, rankings, lost demand and one product."""
    cards(view, CARDS)
    # The reader's browser fetches images from the shop's own address; nothing else leaves this machine.
    with_images = st.toggle("Product images (loaded from Shopify)", key="images", bind="query-params")
    table(view, "products", hidden=("product_id",) if with_images else ("product_id", "image_url"))
    _rankings(view)
    table(view, "lost-demand", hidden=("product_id",))
    for name in ("collections", "bundles", "reorder-intervals"):
        table(view, name)
    if products := view.products():
        _one_product(view, products)


def _rankings(view: View) -> None:
    found = view.report("product-rankings")
    title(view, found)
    names = [column.name for column in found.report.columns]
    for tab, ranking in zip(st.tabs(list(RANKINGS.values())), RANKINGS, strict=True):
        with tab:
            rows = [row for row in found.rows.rows if row[names.index("ranking")] == ranking]
            show_rows(found, hidden=("ranking", "product_id"), rows=rows)
    report_details(found)


def _one_product(view: View, products: dict[str, str]) -> None:
    st.markdown("#### One product")
    chosen = st.selectbox("Product", list(products), key="product", bind="query-params")
    of_product = view.only(product_id=products[chosen])
    cards(of_product, CARDS)
    for name in SERIES:
        series(of_product, name)
    found = of_product.report("related-products")
    names = [column.name for column in found.report.columns]
    strategies = list(dict.fromkeys(row[names.index("strategy")] for row in found.rows.rows))
    if not strategies:
        st.info("Too few views and orders to recommend products with this one.")
    for strategy in strategies:
        st.markdown(f"**{strategy.replace('_', ' ').capitalize()}**")
        rows = [row for row in found.rows.rows if row[names.index("strategy")] == strategy]
        show_rows(found, hidden=("strategy", "product_id"), rows=rows)
    report_details(found)
