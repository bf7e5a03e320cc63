"""Weekly reports as files, by mail and by webhook: each shop's to its own channels, once."""

import email
import os
import socketserver
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest

from ingestion.data_folder import reports_folder
from orchestration.weekly_reports import KEPT_WEEKS, ReportsFailed, variable_of, write_reports
from serving.weekly_report import week_period
from tests.orchestration.test_alerts import needs_apprise, receiver  # noqa: F401  (a fixture)
from tests.orchestration.test_cli import one_line_reason
from tests.questions import DEMO_SHOP

MONDAY = datetime(2026, 11, 2, 12, tzinfo=UTC)
WEEK = "2026-W44"


@pytest.fixture
def data(built_demo, tmp_path) -> Path:
    """A data folder with the demo's published version, which it does not change."""
    (tmp_path / "published").symlink_to(built_demo.data / "published")
    return tmp_path


class Mailbox(socketserver.ThreadingTCPServer):
    """An SMTP server that keeps what it receives."""

    allow_reuse_address, daemon_threads = True, True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Conversation)
        self.mails: list[EmailMessage] = []


class Conversation(socketserver.StreamRequestHandler):
    """One SMTP client."""

    def handle(self) -> None:
        self.wfile.write(b"220 ready\r\n")
        while command := self.rfile.readline():
            if command.upper().startswith(b"DATA"):
                self.wfile.write(b"354 go on\r\n")
                lines = iter(self.rfile.readline, b".\r\n")
                mail = b"".join(line.removeprefix(b".") if line.startswith(b"..") else line for line in lines)
                self.server.mails.append(email.message_from_bytes(mail, policy=default))
            self.wfile.write(b"221 bye\r\n" if command.upper().startswith(b"QUIT") else b"250 ok\r\n")


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def mail_url(mailbox: Mailbox) -> str:
    return (
        f"mailto://127.0.0.1:{mailbox.server_address[1]}?from=reports@shop.example&to=owner@shop.example&mode=insecure"
    )


def test_the_command_writes_a_week(data, pixelnova):
    output = pixelnova("report", "--shop", DEMO_SHOP, "--week", "2026-W43", data=data).stdout
    folder = reports_folder(data, DEMO_SHOP)
    assert output.strip() == f"Wrote {folder / '2026-W43.html'}."
    assert "week 2026-W43" in (folder / "2026-W43.html").read_text()
    assert "\nOVERVIEW\n" in (folder / "2026-W43.txt").read_text()
    assert sorted(path.name for path in folder.iterdir()) == ["2026-W43.html", "2026-W43.txt"]
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o640}


def test_the_command_says_what_it_cannot_report(data, pixelnova):
    wrong = pixelnova("report", "--week", "W43", data=data, check=False)
    assert "W43 is not a week" in one_line_reason(wrong)
    unknown = pixelnova("report", "--shop", "other.myshopify.com", data=data, check=False)
    assert "Unknown shop other.myshopify.com" in one_line_reason(unknown)
    early = pixelnova("report", "--shop", DEMO_SHOP, "--week", "2026-W30", data=data, check=False)
    assert "choose a later week" in one_line_reason(early)
    assert "not sent, PIXELNOVA_REPORTS is not set" in pixelnova("report", "--send", data=data).stdout


@needs_apprise
def test_a_report_arrives_by_mail_once(data, mailbox, monkeypatch):
    monkeypatch.setenv("PIXELNOVA_REPORTS", mail_url(mailbox))
    [first], [second] = (write_reports(data, MONDAY, send=True) for _ in range(2))
    assert (first.outcome, second.outcome) == ("sent", "sent before")
    assert first.file == reports_folder(data, DEMO_SHOP) / f"{WEEK}.html"
    [mail] = mailbox.mails
    assert mail["subject"] == f"Pixelnova demo store: week {WEEK}" and "owner@shop.example" in mail["to"]
    html = mail.get_body(("html",)).get_content()
    assert html.split() == first.file.read_text().split()
    assert "Gross sales" in mail.get_body(("plain",)).get_content()


@needs_apprise
def test_each_shop_has_its_own_channels(data, mailbox, receiver, monkeypatch):  # noqa: F811
    """One merchant's report is not sent to another; the operator's channels get all, as text where needed."""
    monkeypatch.setenv("PIXELNOVA_REPORTS_OTHER", mail_url(mailbox))
    [written] = write_reports(data, MONDAY, send=True)
    assert written.outcome == "no channel"
    assert variable_of(DEMO_SHOP) == "PIXELNOVA_REPORTS_PIXELNOVA_DEMO"
    monkeypatch.setenv(variable_of(DEMO_SHOP), mail_url(mailbox))
    monkeypatch.setenv("PIXELNOVA_REPORTS", os.environ["PIXELNOVA_ALERTS"])
    write_reports(data, MONDAY, send=True)
    assert len(mailbox.mails) == 1
    [message] = receiver
    assert message["message"].strip() == written.file.with_suffix(".txt").read_text().strip()


@needs_apprise
def test_a_report_that_could_not_be_sent_is_sent_by_the_next_run(data, mailbox, monkeypatch):
    monkeypatch.setenv("PIXELNOVA_REPORTS", "json://user:secret@127.0.0.1:1/")
    with pytest.raises(ReportsFailed, match="could not be sent: check the URLs of") as failure:
        write_reports(data, MONDAY, send=True)
    assert DEMO_SHOP in str(failure.value) and "secret" not in str(failure.value)
    monkeypatch.setenv("PIXELNOVA_REPORTS", mail_url(mailbox))
    write_reports(data, MONDAY, send=True)
    assert len(mailbox.mails) == 1


@needs_apprise
def test_a_broken_channel_repeats_no_report_on_the_others(data, mailbox, receiver, monkeypatch):  # noqa: F811
    broken, working = "json://user:secret@127.0.0.1:1/", os.environ["PIXELNOVA_ALERTS"]
    monkeypatch.setenv("PIXELNOVA_REPORTS", f"{broken} {working}")
    for _ in range(2):
        with pytest.raises(ReportsFailed, match="could not be sent"):
            write_reports(data, MONDAY, send=True)
    assert len(receiver) == 1
    files = reports_folder(data, DEMO_SHOP).iterdir()
    assert not [path for path in files if "secret" in path.read_text() or "127.0.0.1:1" in path.read_text()]
    monkeypatch.setenv("PIXELNOVA_REPORTS", f"{mail_url(mailbox)} {working}")
    [written] = write_reports(data, MONDAY, send=True)
    assert (written.outcome, len(mailbox.mails), len(receiver)) == ("sent", 1, 1)
    assert sorted(path.suffix for path in written.file.parent.iterdir()) == [".html", ".sent", ".txt"]


def test_reports_older_than_two_years_are_removed(data):
    folder = reports_folder(data, DEMO_SHOP)
    folder.mkdir(parents=True)
    for week in range(1, 53):
        for year in (2023, 2024, 2025):
            (folder / f"{year}-W{week:02}.html").touch()
            (folder / f"{year}-W{week:02}.sent").touch()
    write_reports(data, MONDAY, DEMO_SHOP, week_period("2026-W43"))
    left = sorted(path.name for path in folder.glob("*.html"))
    assert len(left) == KEPT_WEEKS and (left[0], left[-1]) == ("2024-W02.html", "2026-W43.html")
    assert {path.stem for path in folder.glob("*.sent")} == {Path(name).stem for name in left[:-1]}
    for week in range(1, KEPT_WEEKS + 1):
        (folder / f"2027-W{week:02}.html").touch()
    [written] = write_reports(data, MONDAY, DEMO_SHOP, week_period("2026-W42"))
    assert written.file.exists()
