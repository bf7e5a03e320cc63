"""What is wrong with an installation, and what to do about it.

Takes its health and thresholds, returns problems; `alerts` and `doctor` report them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from orchestration.health import QUARANTINE_DAYS, RECONCILIATION_DAYS, Health, Share
from orchestration.settings import number_setting

MIN_COUNT = 20  # of quarantined events or missed orders; fewer are not significant


@dataclass(frozen=True)
class Thresholds:
    """The values beyond which something is a problem. Shares are between 0 and 1."""

    stale_minutes: float = 120.0
    disk_free_share: float = 0.1
    quarantined_share: float = 0.02
    missing_orders_share: float = 0.25

    @classmethod
    def of_environment(cls) -> "Thresholds":
        """The thresholds that the environment sets.

        Raises:
            SettingError: one is malformed.
        """
        return cls(
            number_setting("PIXELNOVA_ALERT_STALE_MINUTES", cls.stale_minutes),
            number_setting("PIXELNOVA_ALERT_DISK_FREE", cls.disk_free_share),
            number_setting("PIXELNOVA_ALERT_QUARANTINED", cls.quarantined_share),
            number_setting("PIXELNOVA_ALERT_MISSING_ORDERS", cls.missing_orders_share),
        )


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong. key: the same as long as it lasts. since: None if unknown."""

    key: str
    what: str
    remedy: str
    since: datetime | None = None


def problems(health: Health, thresholds: Thresholds, now: datetime) -> list[Problem]:
    """All problems, the most severe first."""
    return [
        *_disk(health, thresholds),
        *_refresh(health),
        *_waiting(health, thresholds, now),
        *_fetches(health),
        *_shares(health, thresholds),
    ]


def _disk(health: Health, thresholds: Thresholds) -> Iterator[Problem]:
    share = health.disk_free / health.disk_total
    if share < thresholds.disk_free_share:
        yield Problem(
            "disk",
            f"The disk is nearly full: {health.disk_free / 1e9:,.1f} GB ({share:.0%}) are free.",
            "Make room, or lower PIXELNOVA_VERSIONS and PIXELNOVA_HISTORY_MB: without room the collector stops.",
        )


def _refresh(health: Health) -> Iterator[Problem]:
    last = health.last
    if last is None:
        return
    began_at = datetime.fromisoformat(last.began_at)
    see = f"See `pixelnova logs --run {last.run[:8]}` and data/dagster/refresh.log, fix the cause, then refresh again."
    if last.error is not None:
        yield Problem("refresh", f"The last refresh failed: {last.error.rstrip('.')}.", see, began_at)
    elif last.ended_at is None and not health.is_running:
        yield Problem(
            "refresh",
            "The last refresh was killed.",
            "Run `pixelnova refresh`: it continues where it stopped.",
            began_at,
        )


def _waiting(health: Health, thresholds: Thresholds, now: datetime) -> Iterator[Problem]:
    if health.waiting and now - health.waiting[0] > timedelta(minutes=thresholds.stale_minutes):
        count, hours = len(health.waiting), (now - health.waiting[0]).total_seconds() / 3600
        yield Problem(
            "stale",
            f"The data are stale: {count:,} landing files wait to be loaded, the oldest for {hours:,.1f} hours.",
            "Check that the schedule runs (systemctl status pixelnova-refresh.timer, or Dagster), or run "
            "`pixelnova refresh`.",
            health.waiting[0],
        )


def _fetches(health: Health) -> Iterator[Problem]:
    for failure in health.failed_fetches:
        yield Problem(
            f"fetch {failure.subject}",
            f"Fetching {failure.subject} failed: {failure.error}",
            "Follow the message; `pixelnova connect check` tests the connection. The next refresh fetches the rest.",
        )


def _shares(health: Health, thresholds: Thresholds) -> Iterator[Problem]:
    for share in significant(health.quarantined, thresholds.quarantined_share):
        of = f"events of {share.shop}" if share.shop else "lines without a shop"
        yield Problem(
            f"quarantine {share.shop}",
            f"{share.part:,} of {share.whole:,} {of} ({share.value:.1%}) cannot be processed, in the last "
            f"{QUARANTINE_DAYS} days.",
            "See operations.quarantined_events for the reasons; send corrected events again with `pixelnova replay`.",
        )
    for share in significant(health.missing_orders, thresholds.missing_orders_share):
        yield Problem(
            f"orders {share.shop}",
            f"The pixel missed {share.part:,} of {share.whole:,} orders ({share.value:.0%}) of {share.shop} in the "
            f"last {RECONCILIATION_DAYS} days.",
            "See operations.reconciliation_causes; check that the pixel is connected in Shopify's admin (Settings, "
            "Customer events).",
        )


def significant(shares: Iterable[Share], limit: float) -> Iterator[Share]:
    """The shares over a limit, except those of only a few events or orders."""
    return (share for share in shares if share.part >= MIN_COUNT and share.value > limit)
