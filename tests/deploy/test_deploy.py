"""The files of deploy/ name real commands, ports and files; systemd accepts the units where it is installed."""

import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from orchestration.cli import app
from orchestration.cli.arguments import API_PORT, COLLECTOR_PORT, DASHBOARD_PORT
from tests.browser import missing
from tests.child_process import child_process
from tests.conftest import PROJECT

DEPLOY = PROJECT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("pixelnova-*.*"))
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
EXECUTABLE = "/opt/pixelnova/.venv/bin/pixelnova"
HARDENED = (
    *("NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes", "CapabilityBoundingSet="),
    *("User=pixelnova", "UMask=0027", "SystemCallFilter=@system-service", "RestrictNamespaces=yes"),
)
COMPOSE = yaml.safe_load((DEPLOY / "docker" / "compose.yaml").read_text())["services"]
OURS = [name for name in COMPOSE if name != "caddy"]


def parses(words: list[str]) -> None:
    """Fails unless the command line parses these words; nothing runs."""
    command = get_command(app)
    while words and hasattr(command, "commands"):
        command, words = command.commands[words[0]], words[1:]
    command.make_context("pixelnova", list(words))


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_units_run_real_commands_hardened(unit):
    text = unit.read_text()
    [command] = re.findall(rf"^ExecStart={EXECUTABLE} (.*)$", text, re.M)
    parses(shlex.split(command))
    assert [line for line in HARDENED if line not in text.splitlines()] == []
    assert "Restart=always" in text or "Type=oneshot" in text


def test_a_command_that_does_not_exist_is_found():
    with pytest.raises(KeyError):
        parses(["reload"])
    with pytest.raises(Exception, match="no-such-option"):
        parses(["collect", "--no-such-option"])


def test_every_timer_has_its_service():
    timers = [unit for unit in UNITS if unit.suffix == ".timer"]
    assert len(timers) == 4
    assert all(timer.with_suffix(".service") in UNITS for timer in timers)


def verify(folder: Path, units: list[Path]) -> subprocess.CompletedProcess[str]:
    """`systemd-analyze verify` of copies whose executable and environment exist on this machine."""
    copies = []
    for unit in units:
        text = unit.read_text().replace(EXECUTABLE, sys.executable).replace("/etc/pixelnova/environment", "/dev/null")
        copies.append(folder / unit.name)
        copies[-1].write_text(text)
    command = ["systemd-analyze", "verify", "--man=no", *map(str, copies)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_systemd_accepts_the_units(tmp_path):
    if not shutil.which("systemd-analyze"):
        missing("systemd-analyze, which checks the units, is missing: apt-get install systemd")
    done = verify(tmp_path, UNITS)
    assert (done.returncode, done.stderr) == (0, "")
    broken = tmp_path / "pixelnova-broken.service"
    broken.write_text(SERVICES[0].read_text().replace("PrivateTmp=yes", "PrivateTemp=yes"))
    assert "PrivateTemp" in verify(tmp_path, [broken]).stderr


def test_compose_runs_real_commands_without_privileges():
    for name in OURS:
        service = COMPOSE[name]
        words = service["command"]
        if "entrypoint" in service:
            seconds, *words = words
            assert int(seconds) >= 60
        parses(words)
        assert service["read_only"] and service["cap_drop"] == ["ALL"] and "ports" not in service
    assert COMPOSE["api"]["volumes"][0].endswith(":ro") and COMPOSE["dashboard"]["volumes"][0].endswith(":ro")
    build = COMPOSE["collector"]["build"]
    assert (DEPLOY / "docker" / build["context"]).resolve() == PROJECT
    assert (PROJECT / build["dockerfile"]).is_file()
    assert (DEPLOY / "docker" / COMPOSE["caddy"]["volumes"][0].split(":")[0]).resolve() == DEPLOY / "Caddyfile"


def test_stopping_a_container_that_repeats_a_command_lets_the_command_end(tmp_path):
    command = tmp_path / "pixelnova"
    command.write_text(
        f"#!/bin/sh\ncd {tmp_path}\n"
        "trap 'sleep 0.5; echo \"$*\" > stopped; exit' TERM\ntouch begun\nsleep 60 & wait $!\n"
    )
    command.chmod(0o755)
    repeated = [COMPOSE[name] for name in OURS if "entrypoint" in COMPOSE[name]]
    assert len(repeated) == 3
    for service in repeated:
        assert service["init"]
        words = [word.replace("$$", "$") for word in (*service["entrypoint"], *service["command"])]
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with child_process(words, env=environment, **quiet) as loop:
            deadline = time.monotonic() + 60
            while not (tmp_path / "begun").exists():
                assert loop.poll() is None and time.monotonic() < deadline
                time.sleep(0.05)
            loop.terminate()
            loop.wait(10)
        assert (tmp_path / "stopped").read_text().split() == service["command"][1:]
        (tmp_path / "begun").unlink()
        (tmp_path / "stopped").unlink()


def test_the_image_contains_what_the_dockerfile_copies():
    ignored = (DEPLOY / "docker" / "Dockerfile.dockerignore").read_text().splitlines()
    dockerfile = (DEPLOY / "docker" / "Dockerfile").read_text()
    copied = [word for line in re.findall(r"^COPY (?!--)(.*) \S+$", dockerfile, re.M) for word in line.split()]
    assert {"ingestion", "serving", "orchestration", "dbt_project", "constraints.txt"} <= set(copied)
    for name in copied:
        assert (PROJECT / name).exists() and f"!{name}" in ignored


@pytest.mark.parametrize("name", ["Caddyfile", "nginx.conf"])
def test_proxies_forward_to_the_ports_and_hide_metrics(name):
    text = (DEPLOY / name).read_text()
    without_comments = re.sub(r"#.*", "", text)
    assert without_comments.count("{") == without_comments.count("}")
    for port in (COLLECTOR_PORT, API_PORT, DASHBOARD_PORT):
        assert f"127.0.0.1:{port}" in text
    assert "metrics" not in without_comments


@pytest.mark.parametrize(
    ("name", "clears"),
    [("Caddyfile", r"header_up -X-Forwarded-Email\b"), ("nginx.conf", r'proxy_set_header X-Forwarded-Email "";')],
)
def test_proxies_do_not_pass_on_an_identity_that_a_browser_claims(name, clears):
    """The dashboard trusts the header from this machine, where the proxy runs."""
    _, of_dashboard = re.sub(r"#.*", "", (DEPLOY / name).read_text()).split("dashboard.example.com", 1)
    assert re.search(clears, of_dashboard)


def test_settings_of_the_example_are_documented():
    documented = (PROJECT / "docs" / "operations.md").read_text()
    names = re.findall(r"^#?(PIXELNOVA_[A-Z_]+)=", (DEPLOY / "environment.example").read_text(), re.M)
    assert len(names) > 5
    for name in names:
        assert name.replace("_MY_STORE", "_<STORE>") in documented, name
