"""Adapters from public data sets to pixel events, for tests. The project includes none of the data."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

CURRENCY = "GBP"


def online_retail_orders(parquet: Path) -> Iterator[dict[str, Any]]:
    """UCI Online Retail: one checkout_completed event per invoice that is not a cancellation."""
    with duckdb.connect() as connection:
        rows = connection.execute(
            """
            select InvoiceNo, min(InvoiceDate), min(CustomerID)::bigint,
                list(StockCode order by rowid), list(Description order by rowid), list(Quantity order by rowid),
                list(cast(UnitPrice as decimal(18, 4)) order by rowid)
            from (select *, row_number() over () as rowid from read_parquet($path))
            where not starts_with(InvoiceNo, 'C')
            group by InvoiceNo
            order by InvoiceNo
            """,
            {"path": str(parquet)},
        ).fetchall()
    for invoice, invoiced_at, customer, codes, titles, quantities, prices in rows:
        amounts = [quantity * price for quantity, price in zip(quantities, prices, strict=True)]
        lines = zip(codes, titles, quantities, prices, amounts, strict=True)
        yield {
            "id": f"invoice-{invoice}",
            "clientId": str(customer) if customer else None,
            "name": "checkout_completed",
            "timestamp": f"{invoiced_at:%Y-%m-%dT%H:%M:%S}.000Z",
            "data": {
                "checkout": {
                    "currencyCode": CURRENCY,
                    "order": {"id": invoice, "customer": {"id": str(customer)} if customer else None},
                    "lineItems": [
                        {
                            "title": title,
                            "quantity": quantity,
                            "finalLinePrice": _money(amount),
                            "variant": {
                                "id": None,
                                "sku": code,
                                "price": _money(price),
                                "product": {"id": code, "title": title},
                            },
                        }
                        for code, title, quantity, price, amount in lines
                    ],
                    "subtotalPrice": _money(sum(amounts)),
                    "totalPrice": _money(sum(amounts)),
                }
            },
        }


def _money(amount: Any) -> dict[str, Any]:
    return {"amount": float(amount), "currencyCode": CURRENCY}


def yoochoose_clicks(tsv: Path) -> Iterator[dict[str, Any]]:
    """RSC15 clicks: one product_viewed event each; the data's session is the client."""
    with tsv.open() as file:
        next(file)
        for number, line in enumerate(file):
            session, item, seconds = line.split()
            clicked_at = datetime.fromtimestamp(round(float(seconds) * 1000) / 1000, UTC)
            yield {
                "id": f"click-{number}",
                "clientId": session,
                "name": "product_viewed",
                "timestamp": f"{clicked_at:%Y-%m-%dT%H:%M:%S}.{clicked_at.microsecond // 1000:03d}Z",
                "data": {"productVariant": {"id": None, "product": {"id": item, "title": item}}},
            }
