"""Log files: what a line contains, what it must not contain, rotation, and the command that prints them."""

import contextlib
import json
import logging
import logging.config
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from orchestration.log_files import RotatingFile, file_handler, log_files, logging_to, server_logging
from orchestration.run_log import last_run
from tests.child_process import child_process, read_line
from tests.serving.published_version import SHOP, write_version

COMMAND = [sys.executable, "-m", "orchestration.cli"]
log = logging.getLogger("ingestion.of_a_test")


def lines(data: Path, component: str = "refresh") -> list[dict]:
    return [
        json.loads(text)
        for file in log_files(data)
        if file.name.startswith(component)
        for text in file.read_text().splitlines()
    ]


def test_a_line_has_time_level_component_run_and_shop(tmp_path):
    with logging_to(tmp_path, "refresh", "run-1"):
        log.info("read %d rows", 7, extra={"shop": "a.myshopify.com", "rows": 7})
        logging.getLogger("urllib3").error("of another package")
    log.error("after the run")
    [line] = lines(tmp_path)
    assert line.pop("at").endswith("+00:00")
    assert line == {
        **{"level": "info", "component": "refresh", "run": "run-1", "shop": "a.myshopify.com", "pid": os.getpid()},
        **{"message": "read 7 rows", "rows": 7},
    }


def test_errors_keep_their_place_in_the_code_and_lose_personal_data(tmp_path):
    with logging_to(tmp_path, "refresh", "run-1"):
        try:
            raise ValueError("cannot convert 'anna.berg@example.com', tel. +49 170 1234567")
        except ValueError:
            log.exception("a row of bert@example.com failed", extra={"cell": "carl@example.com"})
    text = (tmp_path / "logs" / "refresh.jsonl").read_text()
    assert not [word for word in ("anna", "bert@", "carl", "1234567") if word in text]
    [line] = lines(tmp_path)
    assert line["error"].startswith("ValueError: cannot convert")
    assert "test_logs.py" in line["traceback"][-1]


def test_a_record_that_cannot_be_written_as_it_is_never_fails_its_caller(tmp_path, capsys):
    """Written to the handler alone: pytest-xdist could not send such a text in its report."""
    handler = file_handler(tmp_path, "refresh", "run-1")
    handler.emit(logging.makeLogRecord({"msg": "read %s", "args": ("a\udc80b",), "cell": "c\ud800"}))
    [line] = lines(tmp_path)
    assert (line["message"], line["cell"]) == ("read a?b", "c?")
    handler.emit(logging.makeLogRecord({"msg": "%d rows", "args": ("many",)}))  # reported on stderr, as Python's own do
    assert "Logging error" in capsys.readouterr().err


def write_when_all_are_ready(ready, file: str, name: str) -> None:
    handler = RotatingFile(file, max_bytes=200, older=200)
    ready.wait(60)
    for number in range(500):
        handler.emit(logging.makeLogRecord({"msg": f"{name} {number}"}))


def test_processes_that_rotate_one_file_lose_no_line(tmp_path):
    file = tmp_path / "logs" / "api.jsonl"
    spawn = multiprocessing.get_context("spawn")
    ready = spawn.Barrier(3)
    writers = [spawn.Process(target=write_when_all_are_ready, args=(ready, str(file), name)) for name in "abc"]
    try:
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join(60)
        assert [writer.exitcode for writer in writers] == [0, 0, 0]
    finally:
        for writer in writers:
            writer.kill()
    written = [line for path in log_files(tmp_path) for line in path.read_text().splitlines()]
    assert sorted(written) == sorted(f"{name} {number}" for name in "abc" for number in range(500))
    assert max(path.stat().st_size for path in log_files(tmp_path)) <= 200


def test_old_lines_are_deleted(tmp_path):
    handler = RotatingFile(str(tmp_path / "logs" / "api.jsonl"), max_bytes=100, older=2)
    for number in range(100):
        handler.emit(logging.makeLogRecord({"msg": f"line {number:02}"}))
    names = [path.name for path in log_files(tmp_path)]
    assert names == ["api.2.jsonl", "api.1.jsonl", "api.jsonl"]
    assert (tmp_path / "logs" / "api.jsonl").read_text().endswith("line 99\n")


def test_a_log_that_cannot_be_written_is_reported_once(tmp_path, capsys):
    (tmp_path / "logs").write_text("a file where the folder should be")
    with logging_to(tmp_path, "refresh", "run-1"):
        log.error("first")
        log.error("second")
    assert capsys.readouterr().err.count("cannot be written") == 1


def test_configuring_a_server_writes_nothing(tmp_path):
    before = {name: logging.getLogger(name).level for name in (None, "ingestion", "orchestration", "serving")}
    handlers = list(logging.getLogger().handlers)
    try:
        logging.config.dictConfig(server_logging(tmp_path, "collector"))
    finally:
        logging.getLogger().handlers[:] = handlers
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
    assert list(tmp_path.iterdir()) == []


@contextlib.contextmanager
def server(data: Path, *command: str) -> Iterator[str]:
    """Run a server, and stop it as an operator would; yields its URL."""
    command = [*COMMAND, "--data", str(data), *command, "--port", "0"]
    with child_process(command, stdout=subprocess.PIPE) as process:
        yield read_line(process).split()[-1]
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def test_the_collector_logs_what_matters_and_no_event(tmp_path, shop):
    with server(tmp_path, "collect", "--workers", "2") as url:
        events = f"{url}/v1/events/{shop.ingest_keys[0]}"
        good = {"id": "e1", "name": "page_viewed", "clientId": "secret-client", "timestamp": "2026-11-22T10:00:00Z"}
        assert httpx.post(events, json=good, trust_env=False).status_code == 204
        assert httpx.post(events, json={"name": "no id of anna@example.com"}, trust_env=False).status_code == 400
    found = lines(tmp_path, "collector")
    assert len({line["run"] for line in found}) == 1 and len({line["pid"] for line in found}) == 2
    messages = [line["message"] for line in found]
    assert sum(message.startswith("collecting events of") for message in messages) == 2
    assert sum(message.startswith("sealed events-") for message in messages) == 1
    [rejected] = [line for line in found if "rejected" in line["message"]]
    assert (rejected["level"], rejected["shop"], rejected["count"]) == ("warning", shop.domain, 1)
    text = (tmp_path / "logs" / "collector.jsonl").read_text()
    assert "secret-client" not in text and "anna" not in text
    assert (tmp_path / "logs" / "collector.jsonl").stat().st_mode & 0o777 == 0o640


def test_the_api_logs_the_version_that_it_serves(tmp_path):
    version = write_version(tmp_path).folder.name
    with server(tmp_path, "api") as url:
        assert httpx.get(f"{url}/v1/shops/{SHOP}/visitors/client-3", trust_env=False).status_code in (401, 403)
    messages = [line["message"] for line in lines(tmp_path, "api")]
    assert messages == [f"serving version {version}", "the API has started", "the API has stopped"]
    assert last_run(tmp_path) is None


def write_lines(data: Path, component: str, *made: dict) -> None:
    (data / "logs").mkdir(exist_ok=True)
    with (data / "logs" / f"{component}.jsonl").open("a") as file:
        for number, line in enumerate(made):
            defaults = {"at": f"2026-11-22T10:00:{number:02}.000+00:00", "level": "info", "component": component}
            file.write(json.dumps({**defaults, "run": "r", "shop": None, "pid": 1, **line}) + "\n")


def test_logs_are_printed_by_time_and_filtered_by_level_and_run(pixelnova, tmp_path):
    assert "There are no logs" in pixelnova("logs", data=tmp_path).stdout
    write_lines(tmp_path, "collector", {"message": "first"}, {"message": "fourth", "at": "2026-11-22T11:00:00+00:00"})
    write_lines(tmp_path, "refresh", {"message": "second", "run": "abc-1", "at": "2026-11-22T10:30:00+00:00"})
    write_lines(
        tmp_path,
        "refresh",
        {"message": "[bold]third", "run": "abc-1", "level": "error", "shop": "a.b", "at": "2026-11-22T10:31:00+00:00"},
    )
    with (tmp_path / "logs" / "refresh.jsonl").open("a") as file:
        file.write('{"cut off')
    shown = pixelnova("logs", data=tmp_path).stdout.splitlines()
    assert [line.split()[-1] for line in shown] == ["first", "second", "[bold]third", "fourth"]
    assert shown[2] == "2026-11-22 10:31:00 error   refresh abc-1 a.b [bold]third"
    of_run = pixelnova("logs", "--run", "abc", data=tmp_path).stdout.splitlines()
    assert [line.split()[-1] for line in of_run] == ["second", "[bold]third"]
    assert len(pixelnova("logs", "--level", "warning", data=tmp_path).stdout.splitlines()) == 1
    assert pixelnova("logs", "--lines", "1", data=tmp_path).stdout.endswith("fourth\n")
    assert pixelnova("logs", "--level", "loud", data=tmp_path, check=False).returncode == 2


@pytest.mark.parametrize("rotated", [False, True])
def test_followed_logs_continue_after_a_rotation(tmp_path, rotated):
    write_lines(tmp_path, "refresh", {"message": "before"})
    command = [*COMMAND, "--data", str(tmp_path), "logs", "--follow"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with child_process(command, stdout=subprocess.PIPE, env=environment) as process:
        assert read_line(process).endswith("before\n")
        if rotated:
            (tmp_path / "logs" / "refresh.jsonl").rename(tmp_path / "logs" / "refresh.1.jsonl")
        write_lines(tmp_path, "refresh", {"message": "after"})
        write_lines(tmp_path, "api", {"message": "of a new file", "at": "2026-11-22T10:00:01+00:00"})
        assert [read_line(process).split()[-1:] for _ in range(2)] == [["after"], ["file"]]
