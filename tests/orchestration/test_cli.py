"""The command, run as a user runs it: messages and exit codes when something is wrong."""

import contextlib
import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from ingestion.landing import decode_envelope, open_files, read_lines, sealed_files
from orchestration.cli import app
from tests.child_process import child_process
from tests.collector_process import start_collector
from tests.conftest import PROJECT

EVENT = {"id": "e1", "name": "page_viewed", "clientId": "c", "timestamp": "2026-11-22T10:00:00Z"}


def one_line_reason(done) -> str:
    """The message of a failed command: exit code 1, no traceback, one line."""
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    message = done.stderr.strip()
    assert message.startswith("pixelnova: ")
    assert "\n" not in message
    return message


@contextlib.contextmanager
def another_run(data: Path) -> Iterator[None]:
    """Holds the warehouse, as a run does."""
    with (data / "warehouse.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def every_command() -> list[str]:
    """All commands, with their group."""
    names = []
    for name, command in get_command(app).commands.items():
        names += [f"{name} {sub}" for sub in getattr(command, "commands", [])]
        names += [name] if getattr(command, "invoke_without_command", True) else []
    return names


@pytest.mark.parametrize("command", [*every_command(), "connect"])
def test_every_command_has_help(tmp_path, monkeypatch, command):
    for variable in ("PIXELNOVA_DATA", "PIXELNOVA_DAGSTER"):  # set for child processes; restored afterwards
        monkeypatch.setenv(variable, str(tmp_path))
    output = CliRunner().invoke(app, [*command.split(), "--help"]).output
    assert "Usage:" in output
    assert len(output.split("Usage:")[1].splitlines()[2].strip()) > 20


def test_every_command_is_documented():
    table = (PROJECT / "README.md").read_text().split("## The command")[1].split("\n## ")[0]
    documented = {
        re.match(r"[a-z-]+( [a-z-]+)?", name)[0]
        for row in re.findall(r"^\| (`.*?) \|", table, re.M)
        for name in re.findall(r"`([a-z].*?)`", row)
    }
    assert documented == set(every_command())


def test_help_starts_without_slow_imports():
    code = "import sys, orchestration.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert not {"dagster", "dlt", "duckdb", "httpx", "numpy", "uvicorn"} & set(done.stdout.split())


def test_wrong_arguments_exit_with_2(pixelnova, tmp_path):
    assert pixelnova("replay", data=tmp_path, check=False).returncode == 2
    assert pixelnova("collect", "--port", "99999", data=tmp_path, check=False).returncode == 2


@pytest.mark.parametrize(
    ("rate", "deviation", "visitors"),
    [("0", "1", ["--visitors-per-day", "100"]), ("inf", "1", []), ("0", "1", []), ("5", "0", [])],
)
def test_power_refuses_figures_that_no_experiment_can_have(pixelnova, tmp_path, rate, deviation, visitors):
    done = pixelnova("power", "--rate", rate, "--deviation", deviation, *visitors, data=tmp_path, check=False)
    assert done.returncode == 2 and "must be above 0" in " ".join(done.stderr.split())


@pytest.mark.parametrize("lift", ["2.5", "0.4", "7"])
def test_power_shows_the_lift_that_was_asked_for(pixelnova, tmp_path, lift):
    given = ("power", "--rate", "0.02", "--visitors-per-day", "100", "--lift", lift)
    assert f" {lift}% " in pixelnova(*given, data=tmp_path).stdout


@pytest.mark.parametrize("command", [["demo"], ["simulate"], ["collect", "--port", "0"], ["replay", "-"], ["refresh"]])
@pytest.mark.parametrize(("text", "complaint"), [(None, "does not exist"), ("[[shops", "is not usable")])
def test_missing_or_broken_shops_file_fails_before_any_work(pixelnova, tmp_path, command, text, complaint):
    shops = tmp_path / "shops.toml"
    if text is not None:
        shops.write_text(text)
    done = pixelnova(*command, data=tmp_path / "data", env={"PIXELNOVA_SHOPS": str(shops)}, check=False)
    assert complaint in one_line_reason(done)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("command", [["demo"], ["simulate"], ["collect", "--port", "0"], ["replay", "-"], ["refresh"]])
def test_unwritable_data_folder_is_reported(pixelnova, tmp_path, command):
    (tmp_path / "data").write_text("a file where the folder should be")
    assert "cannot be written" in one_line_reason(pixelnova(*command, data=tmp_path / "data", check=False))
    assert (tmp_path / "data").read_text() == "a file where the folder should be"


def test_apostrophe_in_the_data_folder_is_refused(pixelnova, tmp_path):
    data = tmp_path / "o'brien"
    assert "has an apostrophe in its path" in one_line_reason(pixelnova("refresh", data=data, check=False))
    assert not data.exists()


def test_storefront_without_a_published_version_is_refused(pixelnova, tmp_path):
    assert "run `pixelnova refresh`" in one_line_reason(pixelnova("storefront", data=tmp_path, check=False))


@pytest.mark.parametrize("command", ["collect", "api"])
def test_port_in_use_is_reported(pixelnova, tmp_path, command):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = pixelnova(command, "--port", str(port), data=tmp_path, check=False)
    assert f"Cannot listen on 127.0.0.1:{port}" in one_line_reason(done)


def test_storefront_demo_checks_its_ports_before_any_work(pixelnova, tmp_path):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):  # another process has it
            taken.bind(("127.0.0.1", 8789))
            taken.listen()
        message = one_line_reason(pixelnova("demo", "--storefront", data=tmp_path / "data", check=False))
    assert message.endswith("is in use: stop the program that uses it.")
    assert not (tmp_path / "data" / "landing").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_refresh_exits_with_130_and_one_line(tmp_path, number):
    environment = {**os.environ, "PIXELNOVA_DATA": str(tmp_path)}
    command = [sys.executable, "-m", "orchestration.cli", "refresh"]
    with child_process(command, env=environment, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 120
        while not (tmp_path / "warehouse.duckdb").exists():  # the run has started
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        os.killpg(process.pid, number)  # like a terminal: Dagster's children get it too
        _, errors = process.communicate(timeout=120)
    assert errors.startswith("pixelnova: The refresh was interrupted")
    assert process.returncode == 130
    assert len(errors.splitlines()) == 1


def test_unreachable_collector_is_reported(pixelnova, tmp_path):
    done = pixelnova("replay", "-", "--url", "http://127.0.0.1:1", data=tmp_path, stdin=json.dumps(EVENT), check=False)
    assert "The collector at http://127.0.0.1:1" in one_line_reason(done)


@pytest.mark.parametrize("command", ["refresh", "publish"])
def test_concurrent_run_is_refused(pixelnova, tmp_path, command):
    with another_run(tmp_path):
        assert "Another run is using" in one_line_reason(pixelnova(command, data=tmp_path, check=False))


def test_refused_refresh_keeps_the_log_of_the_active_run(pixelnova, tmp_path):
    log = tmp_path / "dagster" / "refresh.log"
    log.parent.mkdir()
    log.write_text("of the active run")
    with another_run(tmp_path):
        pixelnova("refresh", data=tmp_path, check=False)
    assert log.read_text() == "of the active run"


def test_brackets_in_messages_are_not_markup(pixelnova, tmp_path):
    shops = tmp_path / "[/b] shops.toml"
    done = pixelnova("refresh", data=tmp_path / "data", env={"PIXELNOVA_SHOPS": str(shops)}, check=False)
    assert "[/b] shops.toml does not exist" in one_line_reason(done)


@pytest.mark.parametrize("command", [["logs"], ["keys", "list"], ["rollback"], ["privacy", "scan"]])
def test_brackets_in_paths_are_not_markup(pixelnova, tmp_path, command):
    data = tmp_path / "a[" / "b]" / "[green]c"
    data.mkdir(parents=True)
    assert str(data) in pixelnova(*command, data=data).stdout


def test_only_the_terminal_module_prints_variable_text_as_markup():
    """Whatever a command prints may contain a path or a name, and thus brackets: `say` prints it unchanged."""
    printing = re.compile(r"console\.print\(\s*f\"")
    files = [path for path in (PROJECT / "orchestration" / "cli").glob("*.py") if path.name != "terminal.py"]
    marked_up = {"experiments.py"}  # a green mark, and numbers
    assert {path.name for path in files if printing.search(path.read_text())} == marked_up


def test_status_of_an_empty_data_folder_names_the_next_step(pixelnova, tmp_path):
    output = pixelnova("status", data=tmp_path).stdout
    assert "never" in output
    assert "run `pixelnova refresh`" in output
    assert "does not exist" in one_line_reason(pixelnova("publish", data=tmp_path, check=False))


def test_replay_reports_rejected_events(pixelnova, tmp_path):
    events = json.dumps(EVENT) + "\n" + json.dumps({"name": "no id"}) + "\n"
    done = pixelnova("replay", "-", data=tmp_path, stdin=events, check=False)
    assert "Sent 2 events, 1 rejected." in done.stdout
    assert "missing required field `id`" in done.stdout
    assert "1 of 2 events were rejected" in one_line_reason(done)
    assert "Landing files waiting to be loaded" in pixelnova("status", data=tmp_path).stdout


@pytest.fixture
def collector(tmp_path):
    """Starts collector processes; stopped by the test or here."""
    processes = []

    def start() -> tuple[subprocess.Popen, str]:
        process, url = start_collector(tmp_path)
        processes.append(process)
        return process, url

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()


def stored_ids(landing) -> list[str]:
    return [
        json.loads(bytes(decode_envelope(line).event))["id"]
        for file in sealed_files(landing)
        for line in read_lines(file)
    ]


def post(url: str, number: int) -> int:
    body = json.dumps(EVENT | {"id": f"e{number}"})
    return httpx.post(f"{url}/v1/events/demo-7c1f4b2e9a6d", content=body, trust_env=False).status_code


def test_acknowledged_events_survive_kill_9_and_the_next_collector_seals_them(collector, tmp_path):
    process, url = collector()
    acknowledged = [number for number in range(50) if post(url, number) == 204]
    process.kill()
    process.wait()
    landing = tmp_path / "landing"
    [left] = open_files(landing)
    with left.open("ab") as file:
        file.write(b'{"v":1,"received_at":"2026-')  # the write that the kill cut off
    assert stored_ids(landing) == []
    collector()
    assert sorted(stored_ids(landing)) == sorted(f"e{number}" for number in acknowledged)
    assert len(acknowledged) == 50


def test_sigterm_seals_acknowledged_events(collector, tmp_path):
    process, url = collector()
    assert post(url, 1) == 204
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert open_files(tmp_path / "landing") == []
    assert stored_ids(tmp_path / "landing") == ["e1"]
