"""Alerts: sent once, not repeated within a window, resolved when the problem is, and received by a real HTTP server."""

import json
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import pytest

from orchestration.alerts import STATE, Notification, report, senders
from orchestration.channels import ChannelError
from orchestration.health_report import report_after_refresh, report_health
from orchestration.problems import Problem
from orchestration.run_log import LAST_RUN
from tests.conftest import PROJECT
from tests.orchestration.test_cli import one_line_reason

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
FULL = Problem("disk", "The disk is nearly full.", "Make room.")
FAILED = Problem("refresh", "The last refresh failed.", "See the log.", NOON - timedelta(hours=1))
HOUR = timedelta(hours=1)

needs_apprise = pytest.mark.skipif(
    find_spec("apprise") is None and "PIXELNOVA_CI" not in os.environ,
    reason="apprise, which sends alerts, is an optional extra: pip install pixelnova[alerts]",
)


@pytest.fixture(autouse=True)
def any_free_disk(monkeypatch) -> None:
    """Ignore how full the disk of this machine is."""
    monkeypatch.setenv("PIXELNOVA_ALERT_DISK_FREE", "0")


class Reports:
    """Calls `report` hours after NOON, and keeps what was sent."""

    def __init__(self, data: Path) -> None:
        self._data, self.sent = data, []

    def __call__(self, hours: float, *found: Problem) -> str:
        """The body that was sent; empty if nothing was."""
        return "".join(one.body for one in report(self._data, found, NOON + hours * HOUR, {"one": self.sent.append}))


@pytest.fixture
def at(tmp_path) -> Reports:
    return Reports(tmp_path)


def test_an_alert_names_the_problem_its_start_and_its_remedy(at):
    body = at(0, FULL, FAILED)
    assert body == (
        "The disk is nearly full.\nSince 2026-11-22 12:00 UTC.\nRemedy: Make room.\n\n"
        "The last refresh failed.\nSince 2026-11-22 11:00 UTC.\nRemedy: See the log."
    )
    [notification] = at.sent
    assert notification.title.endswith(": 2 problems") and notification.is_bad


def test_an_alert_is_not_repeated_within_the_window(at, monkeypatch):
    assert at(0, FULL)
    assert [at(hours, FULL) for hours in (0.1, 1, 5.9)] == ["", "", ""]
    assert "Since 2026-11-22 12:00 UTC." in at(6, FULL)
    assert at(7, FULL) == ""
    monkeypatch.setenv("PIXELNOVA_ALERT_REPEAT_HOURS", "0.5")
    assert at(7, FULL)


def test_the_end_is_reported_once(at):
    at(0, FULL, FAILED)
    assert (
        at(2, FAILED)
        == "Resolved: The disk is nearly full.\nIt lasted from 2026-11-22 12:00 UTC to 2026-11-22 14:00 UTC."
    )
    assert at.sent[-1].title.endswith(": 1 resolved") and not at.sent[-1].is_bad
    assert at(3, FAILED) == ""
    assert at(4).startswith("Resolved: The last refresh failed.\nIt lasted from 2026-11-22 11:00")
    assert at(5) == ""


def test_a_problem_that_comes_and_goes_is_sent_once_in_a_window(at):
    assert at(0, FULL)
    assert "Resolved" in at(1)
    assert [at(2, FULL), at(3), at(4, FULL), at(5)] == ["", "", "", ""]
    assert at(5.5, FULL) == ""
    assert "Since 2026-11-22 17:30 UTC" in at(6.5, FULL)
    assert "It lasted from 2026-11-22 17:30" in at(7)


def test_a_new_problem_is_sent_while_another_lasts(at):
    at(0, FULL)
    assert at(1, FULL, FAILED).startswith("The last refresh failed.")


def fail(_: Notification) -> None:
    raise ChannelError("An alert could not be sent.")


def test_an_alert_that_could_not_be_sent_is_sent_by_the_next_check(tmp_path, at):
    with pytest.raises(ChannelError):
        report(tmp_path, [FULL], NOON, {"one": fail})
    assert at(0.1, FULL)
    with pytest.raises(ChannelError):
        report(tmp_path, [], NOON + HOUR, {"one": fail})
    assert "Resolved" in at(2)


def test_a_broken_channel_repeats_nothing_on_the_others(tmp_path):
    received = []
    for hours in (0, 1, 2):
        with pytest.raises(ChannelError):
            report(tmp_path, [FULL], NOON + hours * HOUR, {"broken": fail, "one": received.append})
    assert len(received) == 1
    assert report(tmp_path, [], NOON + 3 * HOUR, {"one": received.append, "broken": fail})
    repaired = []
    report(tmp_path, [FULL], NOON + 7 * HOUR, {"one": received.append, "broken": repaired.append})
    assert [one.title.split(": ")[1] for one in received] == ["1 problem", "1 resolved", "1 problem"]
    assert [one.title.split(": ")[1] for one in repaired] == ["1 problem"]


@needs_apprise
def test_the_state_names_no_channel(tmp_path, monkeypatch, receiver):
    monkeypatch.setenv("PIXELNOVA_ALERTS", os.environ["PIXELNOVA_ALERTS"].replace("//", "//user:secret@"))
    assert report(tmp_path, [FULL], NOON, senders())
    state = (tmp_path / STATE).read_text()
    assert "secret" not in state and "127.0.0.1" not in state


def test_a_damaged_state_does_not_stop_alerts(tmp_path, at):
    (tmp_path / STATE).write_text('{"disk"')
    assert at(0, FULL)
    assert at(0.1, FULL) == ""


def test_without_channels_nothing_is_sent_or_remembered(tmp_path):
    (tmp_path / LAST_RUN).write_text(json.dumps({"run": "r", "began_at": NOON.isoformat(), "error": "no table"}))
    assert [problem.key for problem in report_health(tmp_path, tmp_path / "shops.toml", NOON)] == ["refresh"]
    assert senders() == {}
    assert not (tmp_path / STATE).exists()


@pytest.fixture
def receiver(monkeypatch) -> Iterator[list[dict]]:
    """A real HTTP server, to which PIXELNOVA_ALERTS points; yields what it has received."""
    received: list[dict] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    monkeypatch.setenv("PIXELNOVA_ALERTS", f"json://127.0.0.1:{server.server_port}/alerts")
    yield received
    server.shutdown()
    thread.join()
    server.server_close()


@needs_apprise
def test_the_receiver_gets_a_failed_refresh_and_then_its_end(tmp_path, receiver):
    shops = PROJECT / "shops.toml"
    (tmp_path / LAST_RUN).write_text(json.dumps({"run": "r", "began_at": NOON.isoformat(), "error": "pixel: no table"}))
    report_after_refresh(tmp_path, shops, "r", NOON)
    report_after_refresh(tmp_path, shops, "r", NOON + HOUR)
    [message] = receiver
    assert message["type"] == "failure" and message["title"].endswith("1 problem")
    assert message["message"].startswith(
        "The last refresh failed: pixel: no table.\nSince 2026-11-22 12:00 UTC.\nRemedy:"
    )
    (tmp_path / LAST_RUN).write_text(json.dumps({"run": "s", "began_at": NOON.isoformat(), "ended_at": "now"}))
    report_after_refresh(tmp_path, shops, "s", NOON + 2 * HOUR)
    assert receiver[1]["type"] == "success" and receiver[1]["message"].startswith("Resolved: The last refresh failed")


@needs_apprise
def test_the_command_sends_alerts_and_a_test_message(pixelnova, tmp_path, receiver):
    env = {"PIXELNOVA_ALERTS": os.environ["PIXELNOVA_ALERTS"]}
    (tmp_path / LAST_RUN).write_text(json.dumps({"run": "r", "began_at": NOON.isoformat(), "error": "pixel: no table"}))
    assert "The last refresh failed" in pixelnova("alerts", "check", data=tmp_path, env=env).stdout
    pixelnova("alerts", "check", "--test", data=tmp_path, env=env)
    assert [message["title"].split(": ")[1] for message in receiver] == ["1 problem", "test message"]


@needs_apprise
def test_unsendable_alerts_do_not_fail_a_refresh_and_no_secret_is_shown(pixelnova, tmp_path, monkeypatch):
    monkeypatch.setenv("PIXELNOVA_ALERTS", "json://user:secret@127.0.0.1:1/")
    (tmp_path / LAST_RUN).write_text(json.dumps({"run": "r", "began_at": NOON.isoformat(), "error": "pixel: no table"}))
    report_after_refresh(tmp_path, PROJECT / "shops.toml", "r", NOON)
    log = (tmp_path / "logs" / "refresh.jsonl").read_text()
    assert "could not be sent" in log and "secret" not in log
    env = {"PIXELNOVA_ALERTS": "nothing://user:secret@host"}
    message = one_line_reason(pixelnova("alerts", "check", "--test", data=tmp_path, env=env, check=False))
    assert "URL 1 of PIXELNOVA_ALERTS is not supported by apprise" in message and "secret" not in message


def test_a_missing_apprise_is_named(monkeypatch):
    monkeypatch.setenv("PIXELNOVA_ALERTS", "json://127.0.0.1:1/")
    monkeypatch.setitem(__import__("sys").modules, "apprise", None)
    with pytest.raises(ChannelError, match=r"install pixelnova\[alerts\]"):
        senders()


def test_without_problems_the_command_says_so(pixelnova, tmp_path):
    assert "No problems found." in pixelnova("alerts", "check", data=tmp_path).stdout
    assert "PIXELNOVA_ALERTS is not set" in one_line_reason(
        pixelnova("alerts", "check", "--test", data=tmp_path, check=False)
    )
