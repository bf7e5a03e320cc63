"""Fetches that failed in the last run.

Reads the mart operations.fetches, from the warehouse during a run and from the published version after it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import duckdb


@dataclass(frozen=True)
class FailedFetch:
    """A failed fetch. subject: the shop and what was requested. error: one sentence."""

    subject: str
    error: str


def failed_fetches(
    connection: duckdb.DuckDBPyConnection, of_admin_api: Iterable[str], of_files: Iterable[str]
) -> list[FailedFetch]:
    """What failed in the newest run: requests to these shops' Admin APIs, and reading these shops' catalogue files."""
    rows = connection.execute(
        "select shop || ': ' || subject, error from operations.fetches "
        "where is_newest and error is not null and list_contains("
        "case source when 'shopify' then $of_admin_api else $of_files end, shop) order by all",
        {"of_admin_api": list(of_admin_api), "of_files": list(of_files)},
    ).fetchall()
    return [FailedFetch(subject, error) for subject, error in rows]
