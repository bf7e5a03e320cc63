"""Checks an installation: versions, paths, engine, permissions, disk, ports, clock, keys, tokens and freshness.

Reads the machine, the data folder, the configuration and, for shops with a token, Shopify; changes nothing.
"""

import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from importlib.metadata import PackageNotFoundError, requires, version
from itertools import takewhile
from pathlib import Path

import httpx
from packaging.requirements import Requirement

from ingestion.collector.server import webhook_secrets
from ingestion.collector.writer import MIN_FREE_BYTES
from ingestion.connection import Finding, check_connection
from ingestion.data_folder import landing_folder, warehouse_file
from ingestion.errors import IngestionError
from ingestion.experiments import experiments_file, load_experiments
from ingestion.landing import begun_at, open_files, sealed_files
from ingestion.shops import Shop, load_shops
from ingestion.sources.shopify_api import admin_apis
from orchestration.code_version import running_code
from orchestration.disk_space import nearest_existing
from orchestration.errors import OrchestrationError
from orchestration.health import read_health
from orchestration.problems import Thresholds, problems
from orchestration.settings import EXECUTABLES, SPARK, data_folder, engine, shops_file
from orchestration.spark_exchange import EXCHANGE_VARIABLE, Spark, exchange_folder
from serving.api.keys import keys_file, read_keys
from serving.errors import ServingError
from serving.kept_versions import kept_versions

PORTS = {"collector": (8787, "/readyz"), "read API": (8788, "/healthz"), "dashboard": (8501, "/_stcore/health")}
TOLERANCE = timedelta(minutes=2)  # between clocks
ANSWER_SECONDS = 2.0


def check_installation(now: datetime) -> Iterator[Finding]:
    """One finding per check: `unknown` ones are warnings, `failed` ones need action."""
    data, shops_toml = data_folder(), shops_file()
    yield from _versions()
    yield from _readable("data folder", _data_folder(data))
    yield from _readable("engine", _engine(data))
    shops = []
    try:
        shops = load_shops(shops_toml)
        yield Finding("ok", "shops.toml", f"{shops_toml}: {len(shops)} shops")
        experiments = load_experiments(experiments_file(shops_toml), shops)
        yield Finding("ok", "experiments.toml", f"{len(experiments)} experiments")
    except IngestionError as error:
        yield _failed("configuration", error)
    yield from _readable("permissions", _permissions(data))
    yield from _readable("disk", _disk(data))
    yield from _ports()
    yield from _readable("clock", _clock(data, now))
    yield from _readable("API keys", _keys(data, shops))
    yield from _tokens(shops)
    yield from _readable("freshness", _freshness(data, shops_toml, now))


def _readable(part: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """The findings of a check, or that it cannot read its files, such as those of another user."""
    try:
        yield from findings
    except OSError as error:
        found = f"{error.filename} cannot be read ({error.strerror})"
        yield Finding("failed", part, found, "fix its owner or permissions")


def _versions() -> Iterator[Finding]:
    code = running_code()
    yield Finding("ok", "version", f"Pixelnova {code.version or 'from source'}, commit {code.commit or 'unknown'}")
    try:
        wanted = [Requirement(text) for text in requires("pixelnova") or []]
    except PackageNotFoundError:
        yield Finding("unknown", "packages", "Pixelnova is not installed as a package", "run `make .venv/core`")
        return
    wrong = sorted(text for need in wanted if not need.marker and (text := _unmet(need)))
    if wrong:
        yield Finding("failed", "packages", "; ".join(wrong), "run `make .venv/core`, or install constraints.txt again")
    else:
        engines = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "dbt-core", "dlt", "dagster"))
        yield Finding("ok", "packages", f"Python {sys.version.split()[0]}, {engines}: as required")


def _unmet(need: Requirement) -> str:
    """What is wrong with an installed package; empty if nothing is."""
    try:
        installed = version(need.name)
    except PackageNotFoundError:
        return f"{need.name} is missing"
    return (
        ""
        if need.specifier.contains(installed, prereleases=True)
        else f"{need.name} is {installed}, not {need.specifier}"
    )


def _data_folder(data: Path) -> Iterator[Finding]:
    if "'" in str(data):
        yield Finding(
            "failed", "data folder", f"{data} has an apostrophe in its path", "choose another one with --data"
        )
    elif not data.exists():
        yield Finding(
            "unknown", "data folder", f"{data} does not exist yet", "the first command that writes creates it"
        )
    elif not data.is_dir() or not os.access(data, os.R_OK | os.W_OK | os.X_OK):
        yield Finding("failed", "data folder", f"{data} cannot be written by this user", "fix its owner or permissions")
    else:
        yield Finding("ok", "data folder", f"{data}")
    dbt = EXECUTABLES / "pixelnova-dbt"
    if not dbt.exists():
        yield Finding("failed", "dbt", f"{dbt} does not exist", "run `make .venv/core`")


def _engine(data: Path) -> Iterator[Finding]:
    """Where dbt builds; if that is Spark, whether its server answers and files can be exchanged with it."""
    try:
        if engine() != SPARK:
            yield Finding("ok", "engine", "DuckDB")
            return
        spark = Spark.of_environment()
        [(answer,)] = spark.query("select version()")
        yield Finding("ok", "engine", f"Spark {answer.split()[0]} at {spark.host}:{spark.port}")
    except OrchestrationError as error:
        yield _failed("engine", error)
    folder = exchange_folder(data)
    nearest = nearest_existing(folder)
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        remedy = f"fix its permissions, or set {EXCHANGE_VARIABLE}"
        yield Finding("failed", "exchange folder", f"{folder} cannot be written by this user", remedy)


def _permissions(data: Path) -> Iterator[Finding]:
    """Of secrets and the data folder's top level: what others can read, and what this user cannot write."""
    paths = [*data.glob("*"), *data.glob("collector/salts/*"), *data.glob("landing/*"), keys_file(data)]
    found = {path: path.stat() for path in paths if path.exists() and path.name not in ("README.md", "current")}
    open_to_others = sorted(path for path, state in found.items() if state.st_mode & stat.S_IRWXO)
    foreign = sorted(path for path in found if not os.access(path, os.W_OK))
    if foreign:
        yield Finding(
            "failed",
            "permissions",
            f"{_some(foreign)} cannot be written by this user",
            f"chown -R {os.getuid()} {data}",
        )
    if open_to_others:
        yield Finding(
            "unknown", "permissions", f"{_some(open_to_others)} can be read by everyone", f"chmod -R o-rwx {data}"
        )
    if not foreign and not open_to_others:
        yield Finding("ok", "permissions", "only this user and its group can read the data folder")


def _some(paths: list[Path]) -> str:
    return f"{paths[0]}{f' and {len(paths) - 1} more' if len(paths) > 1 else ''}"


def _disk(data: Path) -> Iterator[Finding]:
    disk = shutil.disk_usage(nearest_existing(data))
    left = f"{disk.free / 1e9:,.1f} GB of {disk.total / 1e9:,.1f} GB are free"
    warehouse = warehouse_file(data).stat().st_size if warehouse_file(data).exists() else 0
    newest = next((kept.bytes for kept in kept_versions(data)), 0)
    if disk.free < MIN_FREE_BYTES:
        yield Finding("failed", "disk", f"{left}; the collector refuses events", "make room at once")
    elif disk.free < warehouse + newest:
        yield Finding("failed", "disk", f"{left}; a full rebuild and a new version may not fit", "make room")
    else:
        yield Finding("ok", "disk", left)


def _ports() -> Iterator[Finding]:
    for name, (port, path) in PORTS.items():
        with socket.socket() as probe:
            probe.settimeout(ANSWER_SECONDS)
            is_free = probe.connect_ex(("127.0.0.1", port)) != 0
        if is_free:
            yield Finding("ok", "port", f"{port} is free: no {name} runs here")
            continue
        try:
            answer = httpx.get(f"http://127.0.0.1:{port}{path}", timeout=ANSWER_SECONDS, trust_env=False)
        except httpx.HTTPError:
            answer = httpx.Response(0)
        if answer.status_code == 200:
            yield Finding("ok", "port", f"{port}: the {name} answers")
        elif answer.status_code == 503:
            yield Finding("failed", "port", f"{port}: the {name} is not ready", answer.text[:200].strip())
        else:
            remedy = f"stop that program, or start the {name} with another --port"
            yield Finding("unknown", "port", f"{port} is used by a program other than the {name}", remedy)


def _clock(data: Path, now: datetime) -> Iterator[Finding]:
    """Whether everything on disk is older than now, and whether the system reports its clock as synchronized."""
    landing = landing_folder(data)
    times = [begun_at(file) for file in (*sealed_files(landing), *open_files(landing))]
    times += [kept.published_at for kept in kept_versions(data)]
    newest = max(times, default=now)
    if newest > now + TOLERANCE:
        yield Finding(
            "failed",
            "clock",
            f"it says {now:%Y-%m-%d %H:%M} UTC, but files here were written at {newest:%Y-%m-%d %H:%M}",
            "set the clock (timedatectl set-ntp true)",
        )
    elif _is_synchronized() is False:
        yield Finding("unknown", "clock", f"{now:%Y-%m-%d %H:%M} UTC, not synchronized", "timedatectl set-ntp true")
    else:
        yield Finding("ok", "clock", f"{now:%Y-%m-%d %H:%M} UTC")


def _is_synchronized() -> bool | None:
    if shutil.which("timedatectl") is None:
        return None
    command = ["timedatectl", "show", "--property=NTPSynchronized", "--value"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return None
    return {"yes": True, "no": False}.get(said)


def _keys(data: Path, shops: list[Shop]) -> Iterator[Finding]:
    if shops:
        count = sum(len(shop.ingest_keys) for shop in shops)
        yield Finding("ok", "ingest keys", f"{count} for {len(shops)} shops")
    try:
        keys = read_keys(keys_file(data))
        unknown = sorted({key.shop for key in keys} - {shop.domain for shop in shops})
        if unknown:
            found = f"keys of {', '.join(unknown)}, not in shops.toml"
            yield Finding("unknown", "API keys", found, "revoke them with `pixelnova keys revoke`")
        else:
            yield Finding("ok", "API keys", f"{len(keys)}")
    except ServingError as error:
        yield _failed("API keys", error)
    if webhook_secrets():
        yield Finding("ok", "webhook secrets", "set")
    else:
        yield Finding("unknown", "webhook secrets", "none: webhooks are refused", "see docs/connect-a-store.md")


def _tokens(shops: list[Shop]) -> Iterator[Finding]:
    """The token, API version and scopes of each shop that has a token; shops without one are named."""
    connected = {api.shop for api in admin_apis(shops)}
    for shop in shops:
        if shop.domain in connected:
            of_admin_api = takewhile(lambda found: found.part != "webhooks", check_connection(shops, shop.domain, None))
            for found in of_admin_api:
                if found.part in ("token", "API version", "scopes"):
                    yield Finding(found.verdict, f"{found.part} of {shop.domain}", found.found, found.remedy)
    others = [shop.domain for shop in shops if shop.domain not in connected]
    if others:
        yield Finding(
            "unknown",
            "tokens",
            f"none for {', '.join(others)}: the Admin API is not used",
            "see docs/connect-a-store.md to connect a store",
        )


def _freshness(data: Path, shops_toml: Path, now: datetime) -> Iterator[Finding]:
    health = read_health(data, shops_toml)
    if health.published is None:
        yield Finding("unknown", "published version", "none", "run `pixelnova refresh`")
    else:
        manifest = health.published.manifest
        age = now - datetime.fromisoformat(manifest.published_at)
        until = f"with events until {manifest.as_of[:16].replace('T', ' ')} UTC" if manifest.as_of else "without events"
        yield Finding(
            "ok", "published version", f"{manifest.version}, {age.total_seconds() / 3600:,.1f} hours old, {until}"
        )
    try:
        found = problems(health, Thresholds.of_environment(), now)
    except OrchestrationError as error:
        yield _failed("thresholds", error)
        return
    for problem in found:
        yield Finding("failed", "freshness", problem.what, problem.remedy)
    if not found:
        waiting = f"{len(health.waiting):,} landing files wait"
        last = (
            "no refresh yet"
            if health.last is None
            else f"last refresh at {health.last.began_at[:16].replace('T', ' ')} UTC"
        )
        yield Finding("ok", "freshness", f"{waiting}, {last}")


def _failed(part: str, error: Exception) -> Finding:
    found, _, remedy = str(error).partition(": ")
    return Finding("failed", part, found, remedy)
