"""`pixelnova doctor`, run as a user runs it: a line for each part, and exit code 1 if one is wrong."""

import json
import os
import socket
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from ingestion.simulator.admin_api import AdminApi, running_admin_api
from ingestion.simulator.admin_store import AdminStore
from ingestion.simulator.token_grant import TokenGrant
from orchestration import doctor
from orchestration.run_log import LAST_RUN
from tests.conftest import PROJECT
from tests.orchestration.test_connect import CLIENT_ID, CLIENT_SECRET, DOMAIN, GRANTED, SCOPES, SHOPS
from tests.serving.published_version import write_version


@pytest.fixture
def run(pixelnova, tmp_path):
    """Runs the command over tmp_path/data; returns its exit code, its output by part, and its error."""
    shops = tmp_path / "shops.toml"
    shops.write_text(SHOPS)

    def run(**environment):
        env = {"PIXELNOVA_SHOPS": str(shops), "COLUMNS": "500"} | environment
        env["PIXELNOVA_ALERT_DISK_FREE"] = "0"  # however full this machine's disk is
        done = pixelnova("doctor", data=tmp_path / "data", check=False, env=env)
        assert "Traceback" not in done.stderr and CLIENT_SECRET not in done.stdout + done.stderr
        return done.returncode, done.stdout, done.stderr

    return run


def marks(output: str, part: str) -> list[str]:
    return [text[0] for text in output.splitlines() if text[2:].startswith(part)]


def test_an_empty_data_folder_is_fine(run, tmp_path):
    code, output, errors = run()
    assert (code, errors) == (0, "")
    assert not (tmp_path / "data").exists()
    assert "✗" not in output
    assert marks(output, "data folder") == ["!"] and marks(output, "published version") == ["!"]
    assert marks(output, "packages") == ["✓"] and marks(output, "tokens") == ["!"]


def test_everything_that_is_wrong_has_a_line_with_its_remedy(run, tmp_path):
    data = tmp_path / "data"
    version = write_version(data).folder
    version.rename(version.with_name(f"{datetime.now(UTC) + timedelta(days=1):%Y%m%dT%H%M%S}.000Z"))
    (data / "warehouse.duckdb").touch()
    (data / "warehouse.duckdb").chmod(0o644)
    (data / "api_keys.json").write_text("{")
    failed = {"run": "r", "began_at": "2026-11-22T11:00:00+00:00", "ended_at": "", "error": "pixel: no table"}
    (data / LAST_RUN).write_text(json.dumps(failed))
    (tmp_path / "experiments.toml").write_text("[[experiments")
    code, output, errors = run()
    assert code == 1
    assert "4 checks failed: follow the remedies above" in errors
    assert marks(output, "clock") == ["✗"] and "set the clock" in output
    assert marks(output, "API keys") == ["✗"] and "make new keys" in output
    assert marks(output, "configuration") == ["✗"]
    assert marks(output, "freshness") == ["✗"] and "The last refresh failed: pixel: no table." in output
    assert marks(output, "permissions") == ["!"] and f"chmod -R o-rwx {data}" in output


def test_tokens_and_scopes_of_connected_shops_are_checked(run):
    api = AdminApi(AdminStore(DOMAIN), "static", grant=TokenGrant(CLIENT_ID, CLIENT_SECRET))
    api.scopes = set(SCOPES)
    with running_admin_api(api) as url:
        code, output, _ = run(PIXELNOVA_SHOPIFY_URL=url, **GRANTED)
        assert code == 0 and marks(output, f"token of {DOMAIN}") == ["✓"] == marks(output, f"scopes of {DOMAIN}")
        assert "webhooks" not in output.replace("webhook secrets", "")
        api.scopes.remove("read_orders")
        code, output, _ = run(PIXELNOVA_SHOPIFY_URL=url, **GRANTED)
    assert code == 1 and marks(output, f"scopes of {DOMAIN}") == ["✗"] and "missing: read_orders" in output


@contextmanager
def listening():
    """A program on some port that does not speak HTTP; yields the port."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def test_a_port_used_by_another_program_is_named(monkeypatch):
    monkeypatch.setattr(doctor, "ANSWER_SECONDS", 0.2)
    with listening() as port:
        monkeypatch.setattr(doctor, "PORTS", {"collector": (port, "/readyz")})
        [finding] = doctor._ports()
    assert finding.verdict == "unknown" and "used by a program other than the collector" in finding.found
    [finding] = doctor._ports()
    assert finding.verdict == "ok" and "no collector runs here" in finding.found


def test_an_unknown_engine_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PIXELNOVA_ENGINE", "flink")
    [finding] = doctor._engine(tmp_path)
    assert finding.verdict == "failed" and "flink" in finding.found and "duckdb or spark" in finding.remedy


def test_an_unreachable_spark_and_its_unusable_folder_are_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pyhive", SimpleNamespace(hive=None))  # the client is an extra package
    monkeypatch.setenv("PIXELNOVA_ENGINE", "spark")
    monkeypatch.setenv("PIXELNOVA_SPARK_PORT", "1")
    (tmp_path / "a_file").touch()
    monkeypatch.setenv("PIXELNOVA_EXCHANGE", str(tmp_path / "a_file"))
    server, folder = doctor._engine(tmp_path)
    assert server.verdict == "failed" and "does not answer at 127.0.0.1:1" in server.found
    assert "PIXELNOVA_SPARK_HOST" in server.remedy
    assert folder.verdict == "failed" and "PIXELNOVA_EXCHANGE" in folder.remedy


def test_a_nearly_full_disk_fails(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: SimpleNamespace(total=10**9, free=1))
    [finding] = doctor._disk(tmp_path)
    assert finding.verdict == "failed" and "make room" in finding.remedy


CHECK = """
from datetime import UTC, datetime
from orchestration.cli.terminal import print_finding
from orchestration.doctor import check_installation
for finding in check_installation(datetime.now(UTC)):
    print_finding(finding, unknown="!")
"""


@pytest.mark.parametrize("closed", [".", "published", ".."])
def test_a_folder_that_cannot_be_read_is_named_and_everything_else_is_checked(tmp_path, closed):
    """Without --data, whose folder the command itself refuses if it is not readable."""
    shops, data = tmp_path / "shops.toml", tmp_path / "parent" / "data"
    shops.write_text(SHOPS)
    write_version(data)
    as_user = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.getuid() == 0 else []
    environment = {**os.environ, "PIXELNOVA_DATA": str(data), "PIXELNOVA_SHOPS": str(shops), "COLUMNS": "500"}
    command = [*as_user, sys.executable, "-c", CHECK]
    folder = (data / closed).resolve()
    folder.chmod(0)
    try:
        output = subprocess.check_output(command, cwd=PROJECT, env=environment, text=True)
    finally:
        folder.chmod(0o700)
    assert marks(output, "permissions" if closed == "published" else "data folder") == ["✗"]
    assert ("chown -R" if closed == "published" else "fix its owner or permissions") in output
    for part in ("disk", "port", "clock", "ingest keys", "API keys", "webhook secrets", "tokens", "freshness"):
        assert marks(output, part), part


def test_other_versions_of_packages_are_named():
    assert doctor._unmet(doctor.Requirement("duckdb<1")).startswith("duckdb is ")
    assert doctor._unmet(doctor.Requirement("no-such-package>=1")) == "no-such-package is missing"
    assert doctor._unmet(doctor.Requirement("duckdb>=1")) == ""
