"""Reports the state of the installation, after each refresh and for `pixelnova alerts check`.

Reads the data folder and the published version, writes metrics, sends alerts.
"""

import logging
from datetime import datetime
from pathlib import Path

from orchestration.alerts import report, senders
from orchestration.health import read_health
from orchestration.log_files import logging_to
from orchestration.metrics_file import write_metrics
from orchestration.problems import Problem, Thresholds, problems
from orchestration.run_log import COMPONENT

log = logging.getLogger(__name__)


def report_health(data: Path, shops_file: Path, now: datetime) -> list[Problem]:
    """Write the metrics, and send alerts about current and resolved problems; returns the current ones.

    Raises:
        ChannelError: alerts cannot be sent.
        SettingError: a threshold is malformed.
    """
    health = read_health(data, shops_file)
    found = problems(health, Thresholds.of_environment(), now)
    write_metrics(data, health, found, now)
    channels = senders()
    if channels:
        for notification in report(data, found, now, channels):
            log.info("sent an alert: %s", notification.title)
    return found


def report_after_refresh(data: Path, shops_file: Path, run: str, now: datetime) -> None:
    """Do the same after a refresh. Errors go to the log, so that they do not fail the refresh."""
    with logging_to(data, COMPONENT, run):
        try:
            report_health(data, shops_file, now)
        except Exception:
            log.exception("could not report the state after the refresh")
