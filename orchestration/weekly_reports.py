"""Weekly reports of shops: written to data/reports/<shop>/<week>.html and .txt, and sent once.

Reads the published version.
"""

import os
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from ingestion.data_folder import reports_folder
from ingestion.sources.shopify_token import variable_suffix
from orchestration.channels import ChannelError, channels, deliver
from orchestration.errors import OrchestrationError
from serving.analytics.periods import Period
from serving.analytics.store import Stores
from serving.errors import ServingError
from serving.weekly_report import WeeklyReport, last_week, week_name, weekly_report

VARIABLE = "PIXELNOVA_REPORTS"  # channels for the reports of all shops
KEPT_WEEKS = 104


class ReportsFailed(OrchestrationError):
    """The reports of some shops failed; the message gives the reasons. All others were written and sent."""


class Written(NamedTuple):
    """The HTML file of a report, and its outcome: `sent`, `sent before`, `not sent` or `no channel`."""

    file: Path
    outcome: str


def write_reports(
    data: Path, now: datetime, shop: str | None = None, period: Period | None = None, send: bool = False
) -> list[Written]:
    """Write the reports of a week, by default those of all shops for the last week, and send them if asked.

    Raises:
        NothingPublished: nothing has been published yet.
        ShopNotVisible: the shop is unknown.
        ReportsFailed: some failed. The next call writes and sends what is missing.
    """
    stores = Stores(data)
    everything = stores.newest()
    done, failed = [], []
    for one in [everything.shop(shop)] if shop else everything.shops():
        week = period or last_week(one, now)
        if shop is None and (not one.has_events or week.last < one.first_date):
            continue  # nothing to report yet
        try:
            report = weekly_report(stores.newest(frozenset([one.shop])), one.shop, week)
            file = _write(data, report)
            done.append(Written(file, _send(report, file) if send else "not sent"))
        except (ServingError, ChannelError, OSError) as error:
            failed.append(f"{one.shop}: {error}")
    if failed:
        raise ReportsFailed(" ".join(failed))
    return done


def variable_of(shop: str) -> str:
    """The variable with the channels of one shop, such as PIXELNOVA_REPORTS_MY_STORE."""
    return f"{VARIABLE}_{variable_suffix(shop)}"


def _write(data: Path, report: WeeklyReport) -> Path:
    folder = reports_folder(data, report.shop.shop)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{week_name(report.period)}.html"
    for path, content in ((file.with_suffix(".txt"), report.text()), (file, report.html())):
        unfinished = path.with_name(f"{path.name}.tmp")
        with unfinished.open("w") as written:
            written.write(content)
            written.flush()
            os.fsync(written.fileno())
        unfinished.replace(path)
    for old in set(sorted(folder.glob("*.html"))[:-KEPT_WEEKS]) - {file}:
        for suffix in (".txt", ".sent", ".sent-to", ".html"):
            old.with_suffix(suffix).unlink(missing_ok=True)
    return file


def _send(report: WeeklyReport, file: Path) -> str:
    """Send once, to the shop's channels and to those for all shops. The next call tries again where sending failed."""
    sent, sent_to = file.with_suffix(".sent"), file.with_suffix(".sent-to")
    if sent.exists():
        return "sent before"
    variables = (variable_of(report.shop.shop), VARIABLE)
    services = channels(variables[0]) | channels(variables[1])
    if not services:
        return "no channel"
    done = sent_to.read_text().split() if sent_to.exists() else []
    failed = None
    for channel in services.keys() - set(done):
        try:
            deliver(services[channel], " and ".join(variables), report.title, report.text(), report.html())
        except ChannelError as error:
            failed = error
            continue
        with sent_to.open("a") as written:
            written.write(f"{channel}\n")
    if failed is not None:
        raise failed
    sent.touch()
    sent_to.unlink(missing_ok=True)
    return "sent"
