"""Dagster's SQLite storage with connections that stay open.

Reads and writes the same files as Dagster's own storage, which opens a connection for every statement. Opening them
takes most of the time that a refresh spends in Dagster: a run has a thousand events.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import sqlalchemy
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData

OPEN_FILES = 4  # one per run, and the index of all runs
BUSY_SECONDS = 120  # another process may be writing


class EventLog(SqliteEventLogStorage):
    """The event log. Keeps one engine per file, with its connection and its compiled statements."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        """base_dir: the folder of the files."""
        self._engine_of = lru_cache(OPEN_FILES)(self._new_engine)
        super().__init__(base_dir, inst_data)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[sqlalchemy.Connection]:
        with self._db_lock:
            engine = self._engine_of(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection

    def delete_events(self, run_id: str) -> None:
        """Delete the events of a run, and close its file, which the caller removes."""
        super().delete_events(run_id)
        self._engine_of(run_id).dispose()

    def _new_engine(self, shard: str) -> sqlalchemy.Engine:
        engine = sqlalchemy.create_engine(self.conn_string_for_shard(shard), connect_args={"timeout": BUSY_SECONDS})

        @sqlalchemy.event.listens_for(engine, "connect")
        def set_up(connection: Any, _: Any) -> None:
            connection.execute("pragma synchronous = normal")  # a power cut may lose the last events, but not the file

        return engine


class HistoryStorage(DagsterSqliteStorage):
    """Dagster's SQLite storage with this event log; dagster.yaml names it."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        """base_dir: where dagster.yaml keeps the history."""
        super().__init__(base_dir, inst_data)
        self._event_log_storage = EventLog(f"{base_dir}/history/runs/")

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: dict[str, str]) -> "HistoryStorage":
        """Called by Dagster with the values of dagster.yaml."""
        return cls.from_local(inst_data=inst_data, **config_value)
