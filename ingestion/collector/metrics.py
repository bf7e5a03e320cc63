"""The collector's metrics in Prometheus' text format (PyPI prometheus-client, the reference implementation).

Collects outcomes from the handlers and the writer; returns the text of `/metrics`. With several workers,
prometheus-client sums them through files in PROMETHEUS_MULTIPROC_DIR.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess
from prometheus_client.core import GaugeMetricFamily

from ingestion.collector.events import Reason
from ingestion.collector.personal_data import REMOVAL_RULES
from ingestion.landing import begun_at, open_files, sealed_files

MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
COMMIT_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
COMMIT_REQUESTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class Metrics:
    """The metrics of one collector process."""

    def __init__(self, landing_folder: Path) -> None:
        """Create the metrics of a collector that writes to `landing_folder`."""
        self._landing = landing_folder
        self._registry = registry = CollectorRegistry()
        self.events = Counter(
            "pixelnova_collector_events",
            "Parsed events, by outcome.",
            ["outcome"],
            registry=registry,
        )
        self.refused_requests = Counter(
            "pixelnova_collector_refused_requests", "Requests refused, by status.", ["status"], registry=registry
        )
        self.webhooks = Counter(
            "pixelnova_collector_webhooks", "Webhooks kept, by topic.", ["topic"], registry=registry
        )
        self.commit_seconds = Histogram(
            "pixelnova_collector_commit_seconds",
            "Time to write and sync one commit.",
            buckets=COMMIT_SECONDS,
            registry=registry,
        )
        self.commit_requests = Histogram(
            "pixelnova_collector_commit_requests",
            "Requests per commit.",
            buckets=COMMIT_REQUESTS,
            registry=registry,
        )
        self.pending_bytes = Gauge(
            "pixelnova_collector_pending_bytes",
            "Bytes waiting to be written.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.stored = self.events.labels("stored")
        self.consent_refused = self.events.labels("consent_refused")
        rejected = Counter(
            "pixelnova_collector_rejected",
            "Events rejected, and bodies rejected as a whole, by reason.",
            ["reason"],
            registry=registry,
        )
        personal_data = Counter(
            "pixelnova_collector_personal_data_removed",
            "Values removed from events before they are written, by rule.",
            ["rule"],
            registry=registry,
        )
        self.personal_data_removed = {rule: personal_data.labels(rule) for rule in REMOVAL_RULES}
        self.rejected = {reason: rejected.labels(reason) for reason in get_args(Reason)}

    def text(self) -> bytes:
        """All metrics, of all workers."""
        registry = self._registry
        if os.environ.get(MULTIPROCESS_VARIABLE):
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)
        files = CollectorRegistry()
        files.register(_LandingFiles(self._landing))
        return generate_latest(registry) + generate_latest(files)


class _LandingFiles:
    """Gauges of the landing folder, read at each scrape."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield GaugeMetricFamily(
            "pixelnova_collector_sealed_files_waiting",
            "Landing files waiting to be loaded.",
            value=len(sealed_files(self._folder)),
        )
        now = datetime.now(UTC)
        ages = [(now - begun_at(file)).total_seconds() for file in open_files(self._folder)]
        yield GaugeMetricFamily(
            "pixelnova_collector_oldest_unsealed_seconds",
            "Seconds since the oldest open landing file was created.",
            value=max(ages, default=0),
        )
