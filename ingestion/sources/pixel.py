"""dlt source `pixel`: landing files.

Reads sealed landing files; writes four tables: events (one row per envelope), unreadable_lines (one row per line that
is not an envelope), user_agents (one row per user agent of the events, classified by bundled lists: crawler or not,
device class) and landing_files (one row per loaded file: the ledger).

DuckDB converts the files to one Parquet file that dlt imports, because dlt is fast at moving files and slow at moving
Python objects. Files are selected by explicit list: selection by modification time would skip a file that is sealed
late but was written early.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

import dlt
import duckdb
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from dlt.extract import DltResource

from ingestion.duckdb_settings import loading_settings
from ingestion.landing import (
    ENVELOPE_VERSION,
    DamagedPart,
    check_part,
    decode_envelope,
    landing_name,
    read_lines,
    shop_of,
)
from ingestion.sources import SCHEMA_CONTRACT

# The envelope's types in DuckDB. JSON text becomes a JSON column in the warehouse.
ENVELOPE_TYPES = {
    "v": "bigint",
    "received_at": "timestamptz",
    "shop": "varchar",
    "source": "varchar",
    "request_id": "varchar",
    "index": "bigint",
    "visitor_hash": "varchar",
    "user_agent": "varchar",
    "origin": "varchar",
    "gpc": "boolean",
    "host_ok": "boolean",
    "consent": "varchar",
    "pixel_version": "varchar",
    "event": "varchar",
}
REQUIRED = ("v", "received_at", "shop", "source", "request_id", "index", "gpc", "event")
_COLUMN_NAMES = ", ".join(f'"{name}"' for name in ENVELOPE_TYPES)
_ARROW_TYPES = {
    "bigint": pa.int64(),
    "timestamptz": pa.timestamp("us", tz="UTC"),
    "varchar": pa.string(),
    "boolean": pa.bool_(),
}
_ARROW_SCHEMA = pa.schema(
    [
        *((name, _ARROW_TYPES[kind]) for name, kind in ENVELOPE_TYPES.items()),
        ("landing_file", pa.string()),
        ("load_began_at", _ARROW_TYPES["timestamptz"]),
    ]
)
_ANDROID_PHONE = re.compile(r"\bMobile\b|\bOpera Mini\b|\bOpera Mobi\b")
CLOCK_TOLERANCE = timedelta(hours=1)  # between collector and loader; stg_pixel__last_received uses the same hour


def _column(data_type: str) -> dict[str, Any]:
    return {"data_type": data_type, "nullable": True}


def device(user_agent: str) -> str:
    """mobile, tablet, desktop, or unknown (bots, televisions and so on).

    On Android, "Mobile" anywhere means a phone rather than a tablet; user-agents looks for "Mobile Safari".
    """
    from user_agents import parse  # compiles a thousand patterns: only for loads with new events

    parsed = parse(user_agent)
    if parsed.os.family == "Android":
        return "mobile" if _ANDROID_PHONE.search(user_agent) else "tablet"
    kinds = {
        "tablet": parsed.is_tablet,
        "mobile": parsed.is_mobile or parsed.os.family == "KaiOS",
        "desktop": parsed.is_pc,
    }
    return next((kind for kind, is_it in kinds.items() if is_it), "unknown")


def classifier() -> str:
    """The versions of the user-agent lists and of the rule in `device`."""
    packages = ("crawler-user-agents", "user-agents", "ua-parser", "ua-parser-builtins")
    return ", ".join(["devices 2", *(f"{package} {version(package)}" for package in packages)])


@dataclass(frozen=True)
class _UnreadableLine:
    landing_file: str
    line_number: int
    line: str
    reason: str
    shop: str | None = None


class _Batch:
    """The landing files of one load, read on first access."""

    def __init__(self, files: Sequence[Path], workspace: Path | None) -> None:
        self.files = files
        self._workspace = workspace
        self._began_at = datetime.now(UTC)
        self._unreadable: list[_UnreadableLine] = []

    @cached_property
    def parquet(self) -> Path:
        """All envelopes of all files as Parquet, each with the name of its file."""
        if self._workspace is None:
            raise ValueError("a load needs a workspace")
        self._workspace.mkdir(parents=True, exist_ok=True)
        target = self._workspace / "events.parquet"
        if not self._copy_files(self.files, target):
            self._copy_rows([self._copy_one(file, number) for number, file in enumerate(self.files)], target)
        return target

    @cached_property
    def unreadable(self) -> list[_UnreadableLine]:
        """The lines that are not envelopes."""
        assert self.parquet
        return self._unreadable

    def _copy_files(self, files: Sequence[Path], target: Path) -> bool:
        """Copy files if they are whole and every line is an envelope; else return False, and the copy is unusable."""
        try:
            for file in files:
                if file.suffix == ".zst":
                    check_part(file)
        except DamagedPart:
            return False
        types = ", ".join(f"\"{name}\": '{kind}'" for name, kind in ENVELOPE_TYPES.items())
        if not files:
            files = [self._workspace / "nothing.jsonl"]
            files[0].touch()
        select = f"""
            select {_COLUMN_NAMES}, replace(parse_filename(filename), '.zst', '') as landing_file, {self._load_began_at}
            from read_json($files, format = 'newline_delimited', columns = {{{types}}}, filename = true)
        """
        try:
            self._copy(select, files, target)
        except duckdb.Error:
            return False
        missing = " or ".join(f'"{name}" is null' for name in REQUIRED)
        unfit = f"{missing} or v <> {ENVELOPE_VERSION} or not starts_with(event, '{{')"
        with duckdb.connect() as connection:
            found = connection.execute(
                f"select 1 from read_parquet($path) where {unfit} limit 1", {"path": str(target)}
            ).fetchone()
        return found is None

    def _copy_rows(self, files: Sequence[Path], target: Path) -> None:
        self._copy("select * from read_parquet($files)", files, target)

    def _copy_one(self, file: Path, number: int) -> Path:
        """One file as Parquet: all at once if possible, else line by line."""
        target = self._workspace / f"{number}.parquet"
        if not self._copy_files([file], target):
            lines = self._workspace / f"{number}.lines.parquet"
            pq.write_table(self._readable_lines(file), lines)
            self._copy(
                f"""
                select * replace (cast(json(consent) as varchar) as consent, cast(json(event) as varchar) as event)
                from (select {_COLUMN_NAMES}, landing_file, {self._load_began_at} from read_parquet($files))
                """,
                [lines],
                target,
            )
        return target

    def _readable_lines(self, file: Path) -> pa.Table:
        """The envelopes of a file as DuckDB would have read them; other lines go to `unreadable`.

        The lost rest of a damaged part goes there too, as one line.
        """
        rows = []
        for number, line in enumerate(self._lines(file), start=1):
            try:
                envelope = decode_envelope(line)
            except ValueError as error:
                text = line.decode(errors="backslashreplace").replace("\0", "\\x00")
                self._unreadable.append(_UnreadableLine(landing_name(file), number, text, str(error)))
                continue
            row = msgspec.structs.asdict(envelope)
            row["consent"] = None if envelope.consent is None else msgspec.json.encode(envelope.consent).decode()
            row["event"] = bytes(envelope.event).decode()
            rows.append({**row, "landing_file": landing_name(file)})
        return pa.Table.from_pylist(rows, schema=_ARROW_SCHEMA.remove(_ARROW_SCHEMA.get_field_index("load_began_at")))

    def _lines(self, file: Path) -> Iterator[bytes]:
        number = 0
        try:
            for number, line in enumerate(read_lines(file), start=1):  # noqa: B007  (used after the loop)
                yield line
        except DamagedPart as error:
            lost = _UnreadableLine(landing_name(file), number + 1, file.name, str(error), shop_of(file))
            self._unreadable.append(lost)

    def _copy(self, select: str, files: Sequence[Path], target: Path) -> None:
        with duckdb.connect() as connection:
            connection.execute("set timezone = 'UTC'")
            for name, value in loading_settings().items():
                connection.execute(f"set {name} = '{value}'")
            connection.execute(
                f"copy ({select}) to '{target}' (format parquet)", {"files": [str(file) for file in files]}
            )

    @property
    def _load_began_at(self) -> str:
        # Not a constant: DuckDB writes one as "required", and dlt copies a file whose schema is not the expected one.
        return f"case when request_id is not null then timestamptz '{self._began_at.isoformat()}' end as load_began_at"

    def contents(self) -> dict[str, tuple[int, datetime | None]]:
        """The number of envelopes of each file, and when the newest was received.

        Times after the beginning of this load come from a wrong clock and are ignored.
        """
        latest = self._began_at + CLOCK_TOLERANCE
        rows = self._query(
            "select landing_file, count(*), max(received_at) filter (where received_at <= "
            f"timestamptz '{latest.isoformat()}') from read_parquet($path) group by all"
        )
        return {landing_file: (events, newest) for landing_file, events, newest in rows}

    def user_agents(self) -> list[str]:
        """The user agents of the events, or else of their requests."""
        rows = self._query(
            """
            select distinct coalesce(json_extract_string(event, '$.context.navigator.userAgent'), user_agent) as named
            from read_parquet($path)
            where named is not null
            order by named
            """
        )
        return [user_agent for (user_agent,) in rows]

    def _query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect() as connection:
            return connection.execute(sql, {"path": str(self.parquet)}).fetchall()


@dlt.source(name="pixel", schema_contract=SCHEMA_CONTRACT, max_table_nesting=0)
def pixel_source(
    files: Sequence[Path] = (), workspace: Path | None = None, outdated_user_agents: Sequence[str] = ()
) -> tuple[DltResource, ...]:
    """Tables raw_pixel.events, .unreadable_lines, .user_agents and .landing_files, from these landing files.

    Args:
        files: the files to load, each once: sealed files, or all archived parts of a file.
        workspace: folder of the Parquet file until it is loaded; if it is on the warehouse's disk, dlt does not copy
            the file. Not needed for only defining the tables.
        outdated_user_agents: user agents classified by an older version of the lists.
    """
    batch = _Batch(files, workspace)

    @dlt.resource(
        name="events",
        write_disposition="append",
        columns={"consent": _column("json"), "event": _column("json")},
    )
    def events() -> Iterator[Any]:
        # Also without files: the file's schema creates the table.
        yield dlt.mark.with_file_import(
            str(batch.parquet),
            "parquet",
            pq.read_metadata(batch.parquet).num_rows,
            hints=_ARROW_SCHEMA.empty_table(),  # the file's own schema marks columns without nulls as required
        )

    @dlt.resource(
        name="unreadable_lines",
        write_disposition="append",
        columns={
            "landing_file": _column("text"),
            "line_number": _column("bigint"),
            "line": _column("text"),
            "reason": _column("text"),
            # Set for damaged parts, and for events put aside later by ingestion/quarantine.py.
            "shop": _column("text"),
            "received_at": _column("timestamp"),
        },
    )
    def unreadable_lines() -> Iterator[Any]:
        yield dlt.mark.materialize_table_schema()
        yield [vars(line) for line in batch.unreadable]

    @dlt.resource(
        name="user_agents",
        write_disposition="merge",
        primary_key="user_agent",
        columns={
            "user_agent": {"data_type": "text"},
            "is_bot": _column("bool"),
            "device": _column("text"),
            "classified_by": _column("text"),
        },
    )
    def user_agents() -> Iterator[Any]:
        from crawleruseragents import is_crawler

        yield dlt.mark.materialize_table_schema()
        lists = classifier()
        yield [
            {"user_agent": name, "is_bot": is_crawler(name), "device": device(name), "classified_by": lists}
            for name in sorted({*batch.user_agents(), *outdated_user_agents})
        ]

    @dlt.resource(
        name="landing_files",
        write_disposition="append",
        columns={
            "landing_file": _column("text"),
            "events": _column("bigint"),
            "unreadable_lines": _column("bigint"),
            "bytes": _column("bigint"),
            "loaded_at": _column("timestamp"),
            "newest_received_at": _column("timestamp"),
        },
    )
    def landing_files() -> Iterator[Any]:
        yield dlt.mark.materialize_table_schema()
        contents, loaded_at = batch.contents(), datetime.now(UTC)
        unreadable = Counter(line.landing_file for line in batch.unreadable)
        for name, parts in groupby(sorted(batch.files, key=landing_name), landing_name):
            events, newest_received_at = contents.get(name, (0, None))
            yield {
                "landing_file": name,
                "events": events,
                "unreadable_lines": unreadable[name],
                "bytes": sum(part.stat().st_size for part in parts),
                "loaded_at": loaded_at,
                "newest_received_at": newest_received_at,
            }

    return events, unreadable_lines, user_agents, landing_files
