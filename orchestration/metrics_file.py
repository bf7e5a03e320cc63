"""Freshness, failure and size metrics for the textfile collector of Prometheus' node_exporter.

Takes the health of an installation, writes data/metrics/pixelnova.prom. Times are timestamps, not ages: they stay
correct while nothing is written.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from ingestion.data_folder import landing_folder, warehouse_file
from orchestration.health import Health
from orchestration.log_files import FOLDER as LOGS
from orchestration.problems import Problem
from serving.kept_versions import kept_versions
from serving.published import published_folder

MakeGauge = Callable[..., Gauge]

FILE = Path("metrics") / "pixelnova.prom"
KINDS = ("disk", "refresh", "stale", "fetch", "quarantine", "orders")  # first words of the keys of problems


def write_metrics(data: Path, health: Health, found: Sequence[Problem], now: datetime) -> None:
    """Replace the file, atomically. found: all problems."""
    registry = CollectorRegistry()

    def gauge(name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"pixelnova_{name}", text, labels, registry=registry)

    gauge("reported_timestamp_seconds", "When these metrics were written.").set(now.timestamp())
    _add_refresh(gauge, health)
    _add_published(gauge, data, health)
    gauge("disk_free_bytes", "Free bytes on the disk of the data folder.").set(health.disk_free)
    gauge("disk_size_bytes", "Size of that disk.").set(health.disk_total)
    size = gauge("size_bytes", "Size of a part of the data folder, in bytes.", "part")
    for part, path in _parts(data).items():
        size.labels(part).set(_size(path))
    lasting = gauge("problems", "Current problems, by kind, as `pixelnova alerts check` finds them.", "kind")
    counts = Counter(problem.key.split()[0] for problem in found)
    for kind in KINDS:
        lasting.labels(kind).set(counts[kind])
    target = data / FILE
    target.parent.mkdir(parents=True, exist_ok=True)
    write_to_textfile(str(target), registry)


def _add_refresh(gauge: MakeGauge, health: Health) -> None:
    waiting = gauge("waiting_landing_files", "Sealed landing files waiting to be loaded.")
    waiting.set(len(health.waiting))
    if health.waiting:
        oldest = gauge("oldest_waiting_landing_file_timestamp_seconds", "When the oldest of them was created.")
        oldest.set(health.waiting[0].timestamp())
    if health.last is not None:
        began_at = gauge("refresh_began_timestamp_seconds", "When the last refresh began.")
        began_at.set(datetime.fromisoformat(health.last.began_at).timestamp())
        failed = health.last.error is not None or (health.last.ended_at is None and not health.is_running)
        gauge("refresh_failed", "1 if the last refresh failed or was killed.").set(failed)
    gauge("failed_fetches", "Fetches that failed in the last refresh.").set(len(health.failed_fetches))
    shares = (
        ("quarantined_share", "Share of a shop's newest events that cannot be processed.", health.quarantined),
        ("missing_orders_share", "Share of a shop's newest orders that the pixel missed.", health.missing_orders),
    )
    for name, text, found in shares:
        share = gauge(name, text, "shop")
        for one in found:
            share.labels(one.shop or "").set(one.value)


def _add_published(gauge: MakeGauge, data: Path, health: Health) -> None:
    gauge("published_versions", "Published versions on disk.").set(len(kept_versions(data)))
    if health.published is None:
        return
    manifest = health.published.manifest
    published_at = gauge("published_timestamp_seconds", "When the current version was published.")
    published_at.set(datetime.fromisoformat(manifest.published_at).timestamp())
    if manifest.as_of is not None:
        newest = gauge("newest_event_timestamp_seconds", "When the newest event of the current version was received.")
        newest.set(datetime.fromisoformat(manifest.as_of).timestamp())
    rows = gauge("published_rows", "Rows of a mart in the current version.", "mart")
    for mart, count in manifest.rows_by_table.items():
        rows.labels(mart).set(count)


def _parts(data: Path) -> dict[str, Path]:
    return {
        "archive": landing_folder(data) / "archive",
        "warehouse": warehouse_file(data),
        "published": published_folder(data),
        "history": data / "dagster",
        "logs": data / LOGS,
    }


def _size(path: Path) -> int:
    files = [path] if path.is_file() else path.rglob("*")
    size = 0
    for file in files:
        try:
            size += file.stat().st_size if file.is_file() and not file.is_symlink() else 0
        except FileNotFoundError:  # removed meanwhile
            continue
    return size
