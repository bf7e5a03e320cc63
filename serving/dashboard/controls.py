"""The sidebar: shop, period, comparison and filters, kept in the URL, so that a link opens the same view.

Reads the reader's shops and the version's values, returns the `View` that pages show.
"""

from datetime import date

import streamlit as st

from serving.analytics.periods import PERIODS, InvalidPeriod, Period, compared_period, named_period
from serving.analytics.store import ShopInfo, Store
from serving.dashboard.view import View

CUSTOM = "custom"
ALL = "all"
IN_URL = "query-params"
VISITORS = ("new", "known")
# Options are not formatted: the URL would contain the formatted text.
COMPARISONS = {"previous period": "previous", "year before": "year", "no comparison": "none"}
FILTERS = {"channel": "Channel", "device": "Device", "new_or_known": "Visitors"}


def chosen_view(store: Store, shops: list[ShopInfo]) -> View:
    """Show the sidebar, and return the reader's choice."""
    with st.sidebar:
        names = {shop.shop: shop for shop in shops}
        shop = names[st.selectbox("Shop", list(names), key="shop", bind=IN_URL)]
        period = _chosen_period(shop)
        comparison = st.selectbox("Compare with", list(COMPARISONS), key="compare", bind=IN_URL)
        earlier = compared_period(period, COMPARISONS[comparison])
        known = earlier if earlier and earlier.first >= shop.first_date else None
        filters = _chosen_filters(store, shop)
        st.caption(_caption(shop, period, known))
        if earlier and not known and shop.has_events:
            st.caption(f"No comparison: the shop's first events are from {shop.first_date:%b %d, %Y}.")
    return View(store, shop, period, known, filters)


def _chosen_period(shop: ShopInfo) -> Period:
    options = [*PERIODS, CUSTOM]
    name = st.selectbox("Period", options, index=options.index("28 days"), key="period", bind=IN_URL)
    if name != CUSTOM:
        return named_period(name, shop.today, shop.first_date)
    default = named_period("28 days", shop.today, shop.first_date)
    chosen = st.date_input(
        "Dates", (default.first, default.last), max_value=max(shop.today, date.today()), key="dates", bind=IN_URL
    )
    if not isinstance(chosen, tuple) or len(chosen) != 2:  # while the reader has chosen only the first date
        return default
    try:
        return Period(*chosen)
    except InvalidPeriod as error:
        st.warning(str(error))
        return default


def _chosen_filters(store: Store, shop: ShopInfo) -> dict[str, str]:
    chosen = {}
    for dimension, label in FILTERS.items():
        values = VISITORS if dimension == "new_or_known" else _values(store, shop, dimension)
        value = st.selectbox(label, [ALL, *values], key=dimension, bind=IN_URL)
        if value != ALL:
            chosen[dimension] = value
    return chosen


def _values(store: Store, shop: ShopInfo, dimension: str) -> list[str]:
    sql = f"select distinct {dimension} from core.sessions where shop = $shop and not is_bot order by 1"
    return [value for (value,) in store.query(shop.shop, sql).rows if value]


def _caption(shop: ShopInfo, period: Period, earlier: Period | None) -> str:
    compared = f", compared with {_dates(earlier)}" if earlier else ""
    return (
        f"{_dates(period)}{compared}. Dates are the shop's ({shop.timezone}). "
        f"{f'Data until {shop.as_of:%Y-%m-%d %H:%M} UTC' if shop.has_events else 'No data yet'}."
    )


def _dates(period: Period) -> str:
    """Oct 27 to Nov 23, 2026 · Dec 20, 2025 to Jan 16, 2026."""
    year = "" if period.first.year == period.last.year else ", %Y"
    return f"{period.first.strftime('%b %d' + year)} to {period.last:%b %d, %Y}"
