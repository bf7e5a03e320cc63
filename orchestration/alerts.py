"""Alerts: reports each problem once, and again when it is resolved, to the channels in PIXELNOVA_ALERTS.

Takes the problems found now, compares them with what each channel knows (data/alerts.json), sends notifications through
apprise.
"""

import copy
import fcntl
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from orchestration.channels import ChannelError, channels, deliver
from orchestration.problems import Problem
from orchestration.settings import number_setting

URLS_VARIABLE = "PIXELNOVA_ALERTS"  # apprise URLs, separated by spaces
REPEAT_VARIABLE = "PIXELNOVA_ALERT_REPEAT_HOURS"
REPEAT_HOURS = 6.0
STATE, LOCK = "alerts.json", "alerts.lock"


class Alert(msgspec.Struct):
    """A problem that persists, or was reported within the window. since: when it last began.

    sent_at: when it was last reported. is_reported: whether it has been reported since it began; if not, its end is not
    reported either.
    """

    what: str
    since: datetime
    sent_at: datetime | None = None
    lasts: bool = True
    is_reported: bool = False


class Notification(msgspec.Struct, frozen=True):
    """A message to send. is_bad: whether it reports a problem, not only resolved ones."""

    title: str
    body: str
    is_bad: bool


Send = Callable[[Notification], None]


def report(data: Path, found: Sequence[Problem], now: datetime, senders: Mapping[str, Send]) -> list[Notification]:
    """Send new and resolved problems, and repeat those that last longer than a window; returns what was sent.

    A problem is sent to a channel at most once in a window, even if it was resolved in between. If sending to a channel
    fails, the next call tries again, on that channel only.

    Args:
        senders: by the id of the channel.

    Raises:
        ChannelError: sending to some channels failed.
    """
    window = timedelta(hours=number_setting(REPEAT_VARIABLE, REPEAT_HOURS))
    sent, failed = [], None
    with (data / LOCK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = _read(data)
        known = {channel: known.get(channel, {}) for channel in senders}
        for channel, send in senders.items():
            alerts = copy.deepcopy(known[channel])
            try:
                notification = _report(alerts, found, now, window, send)
            except ChannelError as error:
                failed = error
                continue
            sent += [notification] if notification else []
            known[channel] = {
                key: alert for key, alert in alerts.items() if alert.lasts or not _is_due(alert, now, window)
            }
            _write(data, known)
    if failed is not None:
        raise failed
    return sent


def _report(
    alerts: dict[str, Alert], found: Sequence[Problem], now: datetime, window: timedelta, send: Send
) -> Notification | None:
    """Report to one channel, and update what it knows; returns what was sent."""
    resolved = _update(alerts, found, now)
    due = [problem for problem in found if _is_due(alerts[problem.key], now, window)]
    notification = _notification(due, resolved, alerts, now) if due or resolved else None
    if notification is not None:
        send(notification)
    for problem in due:
        alert = alerts[problem.key]
        alert.what, alert.sent_at, alert.is_reported = problem.what, now, True
    return notification


def _update(alerts: dict[str, Alert], found: Sequence[Problem], now: datetime) -> list[Alert]:
    """Add new problems, and mark resolved ones; returns those whose end must be reported."""
    for problem in found:
        alert = alerts.setdefault(problem.key, Alert(problem.what, problem.since or now))
        if not alert.lasts:
            alerts[problem.key] = Alert(problem.what, problem.since or now, alert.sent_at)
    ended = [alert for key, alert in alerts.items() if alert.lasts and key not in {problem.key for problem in found}]
    for alert in ended:
        alert.lasts = False
    return [alert for alert in ended if alert.is_reported]


def _is_due(alert: Alert, now: datetime, window: timedelta) -> bool:
    return alert.sent_at is None or now - alert.sent_at >= window


def _notification(
    due: Sequence[Problem], resolved: Sequence[Alert], alerts: dict[str, Alert], now: datetime
) -> Notification:
    counts = [f"{len(due)} problem{'s' if len(due) > 1 else ''}"] if due else []
    counts += [f"{len(resolved)} resolved"] if resolved else []
    parts = [f"{problem.what}\nSince {_time(alerts[problem.key].since)}.\nRemedy: {problem.remedy}" for problem in due]
    parts += [f"Resolved: {alert.what}\nIt lasted from {_time(alert.since)} to {_time(now)}." for alert in resolved]
    return Notification(f"Pixelnova on {socket.gethostname()}: {', '.join(counts)}", "\n\n".join(parts), bool(due))


def senders() -> dict[str, Send]:
    """One for each URL of PIXELNOVA_ALERTS, by the channel's id; none if the variable is not set.

    Raises:
        ChannelError: the channels cannot be used.
    """
    return {channel: partial(_send, service) for channel, service in channels(URLS_VARIABLE).items()}


def _send(service: Any, notification: Notification) -> None:
    kind = "failure" if notification.is_bad else "success"
    deliver(service, URLS_VARIABLE, notification.title, notification.body, kind=kind)


def _read(data: Path) -> dict[str, dict[str, Alert]]:
    """The alerts that each channel knows, by its id."""
    try:
        return msgspec.json.decode((data / STATE).read_bytes(), type=dict[str, dict[str, Alert]])
    except (FileNotFoundError, msgspec.MsgspecError):  # damaged: problems are reported again
        return {}


def _write(data: Path, known: dict[str, dict[str, Alert]]) -> None:
    unfinished = data / f"{STATE}.tmp"
    with unfinished.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(known), indent=2) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(data / STATE)


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
