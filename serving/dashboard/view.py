"""What a page shows: the shop, period, comparison and filters that the reader chose, and cached answers for them.

Reads the published version through serving.analytics only; answers are cached by version and by the reader's shops.
"""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import streamlit as st

from serving.analytics.annotations import Annotation, annotations_of, load_annotations
from serving.analytics.changes import SalesChange, sales_change
from serving.analytics.periods import Period
from serving.analytics.reports import NotFilterable, Table, reports, run_report
from serving.analytics.store import ShopInfo, Store, Stores
from serving.analytics.values import DATE, WEEK, Measured, measure
from serving.dashboard.environment import ANNOTATIONS_VARIABLE
from serving.dashboard.overview import currencies

CACHED_ANSWERS = 2000
MAX_DATES_DRAWN = 120

Key = tuple[str, tuple[str, ...] | None]  # of the cache: version, and the shops that the reader may see
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class View:
    """One reader's choice. earlier: the period to compare with; filters: values by dimension."""

    store: Store
    shop: ShopInfo
    period: Period
    earlier: Period | None
    filters: Mapping[str, str] = field(default_factory=dict)

    @property
    def step(self) -> str:
        """What series are drawn by: `date`, or `week` in a period with more dates than a chart can show."""
        return DATE if self.period.days <= MAX_DATES_DRAWN else WEEK

    def only(self, **filters: str) -> "View":
        """The same choice with further filters."""
        return replace(self, filters={**self.filters, **filters})

    def measure(self, name: str, by: Sequence[str] = (), period: Period | None = None) -> Measured | None:
        """A metric; None if it does not exist for the chosen filters."""
        chosen = period or self.period
        try:
            return _measure(self._key, self.store, self.shop.shop, name, chosen, tuple(by), _pairs(self.filters))
        except NotFilterable:
            return None

    def report(self, name: str) -> Table:
        """A report with the filters that it applies; `ignored_filters` names the others."""
        applied = {name_: value for name_, value in self.filters.items() if name_ not in self.ignored_filters(name)}
        return _report(self._key, self.store, self.shop.shop, name, self.period, _pairs(applied))

    def ignored_filters(self, name: str) -> list[str]:
        """The chosen filters that a report does not apply."""
        return [filter_name for filter_name in self.filters if filter_name not in reports()[name].filters]

    def sales_change(self, currency: str) -> SalesChange | None:
        """Why sales changed; None without a comparison."""
        if self.earlier is None:
            return None
        return _sales_change(
            self._key, self.store, self.shop.shop, currency, self.period, self.earlier, _pairs(self.filters)
        )

    def currencies(self) -> list[str]:
        """The currencies of the period's orders, the shop's own first."""
        measured = self.measure("gross_sales") or replace(self, filters={}).measure("gross_sales")
        return currencies(measured, self.shop.currency)

    def products(self) -> dict[str, str]:
        """Ids of the period's products by title. Products that share a title have their ids appended, so that links are
        unambiguous."""
        found = self.report("products").rows.records()
        count = Counter(one["title"] for one in found)
        return {
            one["title"] if count[one["title"]] == 1 else f"{one['title']} ({one['product_id']})": one["product_id"]
            for one in found
        }

    def annotations(self) -> list[Annotation]:
        """What happened in the shop in the period."""
        return annotations_of(load_annotations(annotations_file()), self.shop.shop, self.period)

    @property
    def _key(self) -> Key:
        visible = self.store.visible
        return self.store.version, None if visible is None else tuple(sorted(visible))


def annotations_file() -> Path:
    """annotations.toml, beside shops.toml."""
    return Path(os.environ.get(ANNOTATIONS_VARIABLE, "annotations.toml"))


@st.cache_resource
def open_stores(data: str) -> Stores:
    """The published versions of a data folder, once per process."""
    return Stores(Path(data))


@st.cache_data(max_entries=CACHED_ANSWERS, show_spinner=False)
def _measure(
    key: Key, _store: Store, shop: str, name: str, period: Period, by: tuple[str, ...], filters: Pairs
) -> Measured:
    return measure(_store, shop, name, period, by, dict(filters))


@st.cache_data(max_entries=CACHED_ANSWERS, show_spinner=False)
def _report(key: Key, _store: Store, shop: str, name: str, period: Period, filters: Pairs) -> Table:
    return run_report(_store, shop, name, period, dict(filters))


@st.cache_data(max_entries=CACHED_ANSWERS, show_spinner=False)
def _sales_change(
    key: Key, _store: Store, shop: str, currency: str, period: Period, earlier: Period, filters: Pairs
) -> SalesChange:
    return sales_change(_store, shop, currency, period, earlier, dict(filters))


def _pairs(filters: Mapping[str, str]) -> Pairs:
    return tuple(sorted(filters.items()))
