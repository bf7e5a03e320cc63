"""dlt source `privacy`: the requests about people, without identifiers, for SQL."""

from collections.abc import Iterator, Sequence
from typing import Any

import dlt
from dlt.extract import DltResource

from ingestion.privacy.requests import Request
from ingestion.sources import SCHEMA_CONTRACT

COUNTS = ("events", "clients", "tokens", "customers", "orders", "files")


@dlt.source(name="privacy", schema_contract=SCHEMA_CONTRACT)
def privacy_source(requests: Sequence[Request] = ()) -> DltResource:
    """Table raw_privacy.requests, one row per request from Shopify or the operator; `files` is for exports."""

    @dlt.resource(
        name="requests",
        write_disposition="replace",
        columns={
            "shop": {"data_type": "text", "nullable": False},
            "request_id": {"data_type": "text", "nullable": False},
            "topic": {"data_type": "text", "nullable": False},
            "requested_at": {"data_type": "timestamp", "nullable": False},
            "due_at": {"data_type": "timestamp", "nullable": False},
            "status": {"data_type": "text", "nullable": False},
            "fulfilled_at": {"data_type": "timestamp", "nullable": True},
            "subject": {"data_type": "text", "nullable": True},
            "detail": {"data_type": "text", "nullable": True},
            **{name: {"data_type": "bigint", "nullable": True} for name in COUNTS},
        },
    )
    def rows() -> Iterator[Any]:
        yield dlt.mark.materialize_table_schema()
        for request in requests:
            yield {
                "shop": request.shop,
                "request_id": request.request_id,
                "topic": request.topic,
                "requested_at": request.requested_at,
                "due_at": request.due_at,
                "status": request.status,
                "fulfilled_at": request.fulfilled_at,
                "subject": request.subject,
                "detail": request.detail,
                **{name: request.counts.get(name) for name in COUNTS},
            }

    return rows
