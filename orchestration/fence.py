"""One bad event or shop stops nobody: what dbt cannot build is found, put aside with its reason, and built without.

Reads the failures of a build; writes the quarantine of ingestion/quarantine.py, and asks for another build until one
succeeds or nothing more can be put aside.
"""

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import duckdb

from ingestion.quarantine import put_aside_events, put_aside_shops, shops_put_aside

log = logging.getLogger(__name__)

RESULTS = "run_results.json"
MAX_EVENTS = 1000  # more of them are a fault of the SQL


class Failure(NamedTuple):
    """A model or test that failed. compiled_code: its SQL as it ran, empty if it did not get so far."""

    name: str
    is_test: bool
    message: str
    compiled_code: str


def failures_of(run_results: Path) -> list[Failure]:
    """What failed in the failed run that wrote this run_results.json; what was skipped because of it is left out.

    A run that failed without saying at what, as one that was killed, has one failure without SQL.
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
    ] or [Failure("dbt", False, "it ended before it said what failed", "")]


def put_aside_what_fails(
    warehouse: Path, failed: Sequence[Failure], build: Callable[[], Sequence[Failure]]
) -> Sequence[Failure]:
    """Put aside events or shops until a build succeeds.

    Args:
        warehouse: no connection to it may be open.
        build: makes a full build and returns what failed.

    Returns:
        What still fails, if nothing that could be put aside explains it; what was tried is taken back then.
    """
    while failed:
        if _put_aside_events_of(warehouse, failed) or _put_aside_shops_of(warehouse, failed):
            failed = build()
            continue
        return _put_aside_shops_by_trial(warehouse, failed, build)
    return failed


def _put_aside_events_of(warehouse: Path, failed: Sequence[Failure]) -> bool:
    """Models that make rows of single events fail by these events alone; bisection finds them."""
    for failure in failed:
        keys = [] if failure.is_test else _events_at_fault(warehouse, failure.compiled_code)
        if keys:
            lines = put_aside_events(warehouse, keys, f"the event cannot be built: {_headline(failure)}")
            log.info("%d events were put aside: %s", lines, _headline(failure))
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
            except duckdb.Error:
                return True
            return False

        try:
            rows = connection.execute(f"select distinct event_key from ({sql}) as model order by event_key").fetchall()
        except duckdb.Error:  # not a model of events, or its keys are at fault themselves
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
    """A failed test names the shops at fault in its rows."""
    reasons = {}
    for failure in failed:
        for shop in _shops_in_rows(warehouse, failure.compiled_code) if failure.is_test else ():
            reasons.setdefault(shop, f"the shop's tables fail the test {failure.name}")
    put_aside = shops_put_aside(warehouse)
    if not reasons.keys() - put_aside.keys() or not _all_shops(warehouse) - put_aside.keys() - reasons.keys():
        return False
    put_aside_shops(warehouse, {**put_aside, **reasons})
    log.info("Shops were put aside: %s", reasons)
    return True


def _shops_in_rows(warehouse: Path, sql: str) -> set[str]:
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        try:
            rows = connection.execute(f"select distinct shop from ({sql}) as failing").fetchall()
        except duckdb.Error:  # its rows name no shop
            return set()
    return {shop for (shop,) in rows if shop is not None}


def _put_aside_shops_by_trial(
    warehouse: Path, failed: Sequence[Failure], build: Callable[[], Sequence[Failure]]
) -> Sequence[Failure]:
    """Find the shops without which a build succeeds, by halves; if no shop succeeds, none is at fault."""
    before = shops_put_aside(warehouse)
    everybody = sorted(_all_shops(warehouse) - before.keys())
    reason = f"the shop cannot be built: {_headline(failed[0])}"
    culprits: list[str] = []
    suspects = [everybody]
    while suspects and len(everybody) > 1:
        part = suspects.pop()
        if len(part) < len(everybody):
            others = {shop: "left out for a trial" for shop in everybody if shop not in part}
            put_aside_shops(warehouse, {**before, **others})
            if not build():
                continue
        if len(part) == 1:
            culprits += part
        else:
            suspects += [part[: len(part) // 2], part[len(part) // 2 :]]
    if not culprits or len(culprits) == len(everybody):
        put_aside_shops(warehouse, before)
        return failed
    put_aside_shops(warehouse, {**before, **dict.fromkeys(culprits, reason)})
    log.info("Shops were put aside: %s", ", ".join(culprits))
    return build()


def _all_shops(warehouse: Path) -> set[str]:
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        return {shop for (shop,) in connection.execute("select domain from raw_shops.shops").fetchall()}


def _headline(failure: Failure) -> str:
    """The line of dbt's message that says what is wrong."""
    lines = [line.strip() for line in failure.message.splitlines() if line.strip()]
    told = next((line for line in lines[1:] if "Error" in line), lines[-1] if lines else "no reason given")
    return f"{failure.name}: {told[:300]}"
