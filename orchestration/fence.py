"""Keeps one bad event or shop from failing a refresh: finds what dbt cannot build and builds without it.

Reads the failures of a build, writes the quarantine (ingestion/quarantine.py) with the reasons, and builds again until
a build succeeds or nothing more can be put aside.
"""

import json
import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import duckdb

from ingestion.quarantine import put_aside_events, put_aside_shops, shops_put_aside
from orchestration.disk_space import MESSAGES as DISK_FULL

log = logging.getLogger(__name__)

RESULTS = "run_results.json"
NOT_REPORTED = "it ended without reporting what failed"
MAX_EVENTS = 1000  # if more fail, the SQL is wrong
_HEADER = re.compile(r"\w+ Error in \w+ |Database Error$")  # dbt's first lines, before the engine's message
_DISK_FULL = "|".join(map(re.escape, DISK_FULL))
# Only how the message begins: what follows may quote an event.
_OF_DUCKDB = re.compile(rf"Out of Memory Error|(\[Errno|(IO|FATAL|TransactionContext) Error:).*({_DISK_FULL})")
_TASK = (
    r"Task \d+ in stage \S+ failed \d+ times, most recent failure: Lost task \S+ in stage \S+ \(TID \d+\) \([^()]*\): "
)
_QUERY = (
    rf"\S+HiveSQLException: Error running query: (\S+SparkException: Job aborted due to stage failure: ({_TASK})?)?"
)
_LACK = rf"ExecutorLostFailure|\S+OutOfMemoryError|Total size of serialized results|\S+IOException: ({_DISK_FULL})"
_OF_SPARK = re.compile(rf"TSocket |failed to connect: |{_QUERY}({_LACK})")


class Failure(NamedTuple):
    """A failed model or test. compiled_code: the SQL that ran; empty if it did not run."""

    name: str
    is_test: bool
    message: str
    compiled_code: str

    @property
    def is_of_machine(self) -> bool:
        """Whether memory or disk ran out, or dbt or Spark was killed: no event or shop is at fault."""
        lines = [line.strip() for line in self.message.splitlines() if line.strip()]
        message = next((line for line in lines if not _HEADER.match(line)), "")
        return message == NOT_REPORTED or any(kind.match(message) for kind in (_OF_DUCKDB, _OF_SPARK))


def failures_of(run_results: Path) -> list[Failure]:
    """The failures in the run_results.json of a failed run, without the nodes skipped because of them.

    A run that reported no failed node, such as a killed one, has one failure without SQL.
    """
    results = json.loads(run_results.read_text())["results"] if run_results.exists() else []
    return [
        Failure(
            result["unique_id"].split(".")[2],
            result["unique_id"].startswith("test."),
            (result["message"] or "").strip(),
            result.get("compiled_code") or "",
        )
        for result in results
        if result["status"] in ("error", "fail")
    ] or [Failure("dbt", False, NOT_REPORTED, "")]


def put_aside_what_fails(
    warehouse: Path, failed: Sequence[Failure], build: Callable[[], Sequence[Failure]]
) -> Sequence[Failure]:
    """Put aside events or shops until a build succeeds.

    Args:
        warehouse: must have no open connection.
        build: runs a full build and returns its failures.

    Returns:
        What still fails, if no event or shop is at fault; trials have then been undone.
    """
    while failed and not _is_of_machine(failed):
        if _put_aside_events_of(warehouse, failed) or _put_aside_shops_of(warehouse, failed):
            failed = build()
            continue
        return _put_aside_shops_by_trial(warehouse, failed, build)
    return failed


def _put_aside_events_of(warehouse: Path, failed: Sequence[Failure]) -> bool:
    """Bisect the events of failed models with one row per event, and put aside those at fault."""
    for failure in failed:
        keys = [] if failure.is_test else _events_at_fault(warehouse, failure.compiled_code)
        if keys:
            lines = put_aside_events(warehouse, keys, f"the event cannot be built: {_headline(failure)}")
            log.warning("%d events were put aside: %s", lines, _headline(failure))
            if lines:
                return True
    return False


def _events_at_fault(warehouse: Path, sql: str) -> list[str]:
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")

        def fails(condition: str, keys: Sequence[str]) -> bool:
            try:
                connection.execute(
                    f"select sum(hash(model)) from (select * from ({sql}) as events where {condition}) as model",
                    {"keys": list(keys)},
                ).fetchall()
            except (duckdb.OutOfMemoryException, duckdb.IOException):  # no event's fault
                raise
            except duckdb.Error:
                return True
            return False

        try:
            rows = connection.execute(f"select distinct event_key from ({sql}) as model order by event_key").fetchall()
        except duckdb.Error:  # not a model of events, or computing the keys fails
            return []
        keys = [key for (key,) in rows if key is not None]
        if not fails("list_contains($keys, event_key)", keys):
            return []
        culprits: list[str] = []
        suspects = [keys]
        while suspects:
            part = suspects.pop()
            if not fails("list_contains($keys, event_key)", part):
                continue
            if len(part) == 1:
                culprits += part
            else:
                suspects += [part[: len(part) // 2], part[len(part) // 2 :]]
            if len(culprits) > MAX_EVENTS:
                return []
        return [] if fails("not list_contains($keys, event_key)", culprits) else culprits


def _put_aside_shops_of(warehouse: Path, failed: Sequence[Failure]) -> bool:
    """Put aside the shops that the rows of failed tests name."""
    reasons = {}
    for failure in failed:
        for shop in _shops_in_rows(warehouse, failure.compiled_code) if failure.is_test else ():
            reasons.setdefault(shop, f"the shop's tables fail the test {failure.name}")
    put_aside = shops_put_aside(warehouse)
    if not reasons.keys() - put_aside.keys() or not _all_shops(warehouse) - put_aside.keys() - reasons.keys():
        return False
    put_aside_shops(warehouse, {**put_aside, **reasons})
    for shop, reason in reasons.items():
        log.warning("The shop was put aside: %s", reason, extra={"shop": shop})
    return True


def _shops_in_rows(warehouse: Path, sql: str) -> set[str]:
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        try:
            rows = connection.execute(f"select distinct shop from ({sql}) as failing").fetchall()
        except duckdb.Error:  # the rows have no shop
            return set()
    return {shop for (shop,) in rows if shop is not None}


def _put_aside_shops_by_trial(
    warehouse: Path, failed: Sequence[Failure], build: Callable[[], Sequence[Failure]]
) -> Sequence[Failure]:
    """Bisect the shops by trial builds; if every shop fails on its own, no shop is at fault."""
    before = shops_put_aside(warehouse)
    all_shops = sorted(_all_shops(warehouse) - before.keys())
    reason = f"the shop cannot be built: {_headline(failed[0])}"
    culprits: list[str] = []
    suspects = [all_shops]
    while suspects and len(all_shops) > 1:
        part = suspects.pop()
        if len(part) < len(all_shops):
            others = {shop: "left out in a trial build" for shop in all_shops if shop not in part}
            put_aside_shops(warehouse, {**before, **others})
            still_failed = build()
            if not still_failed:
                continue
            if _is_of_machine(still_failed):
                put_aside_shops(warehouse, before)
                return still_failed
        if len(part) == 1:
            culprits += part
        else:
            suspects += [part[: len(part) // 2], part[len(part) // 2 :]]
    if not culprits or len(culprits) == len(all_shops):
        put_aside_shops(warehouse, before)
        return failed
    put_aside_shops(warehouse, {**before, **dict.fromkeys(culprits, reason)})
    for shop in culprits:
        log.warning("The shop was put aside: %s", reason, extra={"shop": shop})
    return build()


def _is_of_machine(failed: Sequence[Failure]) -> bool:
    return any(failure.is_of_machine for failure in failed)


def _all_shops(warehouse: Path) -> set[str]:
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        return {shop for (shop,) in connection.execute("select domain from raw_shops.shops").fetchall()}


def _headline(failure: Failure) -> str:
    """The line of dbt's message that names the error."""
    lines = [line.strip() for line in failure.message.splitlines() if line.strip()]
    headline = next((line for line in lines[1:] if "Error" in line), lines[-1] if lines else "no reason given")
    return f"{failure.name}: {headline[:300]}"
