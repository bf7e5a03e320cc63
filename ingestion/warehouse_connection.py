"""Opens the warehouse for writing; waits while another process has it open.

DuckDB allows one writer or many readers. Only a run writes, but an analyst or a monitor may have the file open for a
moment, which would make the run fail.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import dlt
import duckdb
from dlt.destinations.exceptions import DestinationConnectionError
from dlt.destinations.impl.duckdb.duck import DuckDbClient
from dlt.destinations.impl.duckdb.sql_client import DuckDbSqlClient

from ingestion.errors import IngestionError

WAIT_SECONDS = 60.0
_POLL_SECONDS = 0.25
_T = TypeVar("_T")


class WarehouseInUse(IngestionError):
    """Another process has the warehouse open and did not close it in time."""


def connect(warehouse: Path, wait_seconds: float = WAIT_SECONDS) -> duckdb.DuckDBPyConnection:
    """Open the warehouse for writing.

    Raises:
        WarehouseInUse: another process kept it open; the message names it.
    """
    return _patiently(lambda: duckdb.connect(str(warehouse)), wait_seconds)


def _patiently(open_it: Callable[[], _T], wait_seconds: float = WAIT_SECONDS) -> _T:
    until = time.monotonic() + wait_seconds
    while True:
        try:
            return open_it()
        except (duckdb.IOException, DestinationConnectionError) as error:
            if "Could not set lock" not in str(error):
                raise
            if time.monotonic() >= until:
                reason = str(error).partition("IO Error: ")[2].partition(". However")[0].partition(". See also")[0]
                raise WarehouseInUse(
                    f"The warehouse is open in another process: {reason}. Close it there and run again; to read, use "
                    "published/current/pixelnova.duckdb, which is never locked."
                ) from error
            time.sleep(_POLL_SECONDS)


class WaitingDuckdb(dlt.destinations.duckdb):
    """dlt's DuckDB destination, except that it waits for the file."""

    @property
    def client_class(self) -> type[DuckDbClient]:
        """The client that opens connections."""
        return _WaitingClient

    @property
    def destination_type(self) -> str:
        """What dlt records in its state: the destination is DuckDB."""
        return "dlt.destinations.duckdb"


class _WaitingSqlClient(DuckDbSqlClient):
    def open_connection(self) -> duckdb.DuckDBPyConnection:
        return _patiently(super().open_connection)


class _WaitingClient(DuckDbClient):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        client = self.sql_client
        self.sql_client = _WaitingSqlClient(
            client.dataset_name, client.staging_dataset_name, client.credentials, client.capabilities
        )
