"""Why sales changed: the difference between two periods, split by channel and device, and by product.

Takes two periods; returns parts that add up to the difference.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from serving.analytics.periods import Period
from serving.analytics.store import Store
from serving.analytics.values import Filters, measure

SESSIONS, ORDER_RATE, ORDER_VALUE = "sessions", "orders per session", "order value"
Segment = tuple[str, str]  # channel and device


@dataclass(frozen=True)
class Part:
    """The part of the difference that is due to one factor of a segment's sales."""

    segment: Segment
    factor: str
    amount: float


@dataclass(frozen=True)
class ProductPart:
    """One product's difference in sales, and the segment that contributes most to it."""

    product_id: str
    title: str
    amount: float
    segment: Segment
    segment_amount: float


@dataclass(frozen=True)
class SalesChange:
    """Gross sales in both periods, and the parts of the difference, largest first."""

    currency: str
    earlier: float
    current: float
    parts: tuple[Part, ...]
    products: tuple[ProductPart, ...]

    @property
    def difference(self) -> float:
        """Current minus earlier sales; the sum of all parts."""
        return self.current - self.earlier


@dataclass(frozen=True)
class Factors:
    """The figures that a segment's sales are computed from."""

    sessions: float
    orders: float
    sales: float


def sales_change(
    store: Store, shop: str, currency: str, period: Period, earlier: Period, filters: Filters | None = None
) -> SalesChange:
    """Split the change in gross sales in one currency.

    Raises:
        NotFilterable: sales cannot be filtered this way.
    """
    now, before = (_factors(store, shop, currency, one, filters) for one in (period, earlier))
    parts = [
        part
        for segment in sorted(now.keys() | before.keys())
        for part in divided(segment, before.get(segment), now.get(segment))
    ]
    return SalesChange(
        currency,
        sum(one.sales for one in before.values()),
        sum(one.sales for one in now.values()),
        tuple(sorted(parts, key=lambda part: (-abs(part.amount), part.segment, part.factor))),
        _products(store, shop, currency, period, earlier, filters),
    )


def divided(segment: Segment, before: Factors | None, now: Factors | None) -> list[Part]:
    """The difference in sales of a segment, by factor: sales = sessions x orders per session x order value.

    By logarithmic means (LMDI), which leave no remainder. Where a factor is 0 in one period, the whole difference
    belongs to the first such factor.
    """
    before, now = before or Factors(0, 0, 0), now or Factors(0, 0, 0)
    difference = now.sales - before.sales
    if not difference:
        return []
    pairs = {SESSIONS: (before.sessions, now.sessions), ORDER_RATE: (before.orders, now.orders)}
    for factor, (old, new) in pairs.items():
        if old <= 0 or new <= 0:
            return [Part(segment, factor, difference)]
    if before.sales <= 0 or now.sales <= 0:
        return [Part(segment, ORDER_VALUE, difference)]
    weight = _logarithmic_mean(before.sales, now.sales)
    ratios = {
        SESSIONS: now.sessions / before.sessions,
        ORDER_RATE: (now.orders / now.sessions) / (before.orders / before.sessions),
        ORDER_VALUE: (now.sales / now.orders) / (before.sales / before.orders),
    }
    return [Part(segment, factor, weight * math.log(ratio)) for factor, ratio in ratios.items()]


def _logarithmic_mean(left: float, right: float) -> float:
    return left if math.isclose(left, right, rel_tol=1e-12) else (right - left) / math.log(right / left)


def _factors(store: Store, shop: str, currency: str, period: Period, filters: Filters | None) -> dict[Segment, Factors]:
    by = ("channel", "device")
    found: dict[str, Mapping[Segment, float]] = {}
    for metric in ("sessions", "orders", "gross_sales"):
        measured = measure(store, shop, metric, period, by, filters)
        wanted = currency if store.catalogue().has_currency(measured.metric) else None
        found[metric] = {
            (str(one.keys[0]), str(one.keys[1])): float(one.value or Decimal(0))
            for one in measured.values
            if one.currency == wanted
        }
    segments = {segment for values in found.values() for segment in values}
    return {
        segment: Factors(*(found[metric].get(segment, 0.0) for metric in ("sessions", "orders", "gross_sales")))
        for segment in segments
    }


def _products(
    store: Store, shop: str, currency: str, period: Period, earlier: Period, filters: Filters | None
) -> tuple[ProductPart, ...]:
    now, before = (_product_sales(store, shop, currency, one, filters) for one in (period, earlier))
    by_product: dict[str, dict[Segment, Decimal]] = {}
    for product, channel, device in now.keys() | before.keys():
        key = (product, channel, device)
        by_product.setdefault(product, {})[channel, device] = now.get(key, Decimal(0)) - before.get(key, Decimal(0))
    titles = dict(store.query(shop, "select product_id, title from core.products where shop = $shop").rows)
    parts = [_product_part(product, titles.get(product) or product, found) for product, found in by_product.items()]
    return tuple(sorted((part for part in parts if part.amount), key=lambda part: (-abs(part.amount), part.product_id)))


def _product_sales(
    store: Store, shop: str, currency: str, period: Period, filters: Filters | None
) -> dict[tuple[str, str, str], Decimal]:
    measured = measure(store, shop, "product_sales", period, ("product_id", "channel", "device"), filters)
    return {one.keys: Decimal(one.value or 0) for one in measured.values if one.currency == currency}


def _product_part(product_id: str, title: str, by_segment: Mapping[Segment, Decimal]) -> ProductPart:
    amount = sum(by_segment.values())
    segment = max(sorted(by_segment), key=lambda one: by_segment[one] if amount > 0 else -by_segment[one])
    return ProductPart(product_id, title, float(amount), segment, float(by_segment[segment]))
