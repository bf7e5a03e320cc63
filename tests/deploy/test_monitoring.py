"""The dashboard and the alert rules use only metrics that are exposed, and all metrics are valid."""

import json
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from ingestion.collector.metrics import Metrics as CollectorMetrics
from orchestration.health import Health, Share
from orchestration.metrics_file import FILE, KINDS, write_metrics
from orchestration.problems import Thresholds, problems
from orchestration.run_log import LastRun
from serving.api.middleware import Metrics as ApiMetrics
from serving.api.shops import Version
from serving.api.versions import Versions
from serving.published import read_current
from tests.browser import missing
from tests.conftest import PROJECT
from tests.landing_files import land, line
from tests.serving.published_version import write_version

DEPLOY = PROJECT / "deploy"
RULES = DEPLOY / "prometheus" / "alerts.yml"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SUFFIXES = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"], "gauge": [""]}


def samples(text: str) -> dict[tuple[str, tuple], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.values()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def names(text: str) -> set[str]:
    families = text_string_to_metric_families(text)
    return {f"{family.name}{suffix}" for family in families for suffix in SUFFIXES[family.type]}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A data folder with a published version, a file that waits, and the metrics file of a failed refresh."""
    folder = tmp_path_factory.mktemp("data")
    published = write_version(folder)
    land(folder / "landing", [line({"id": "e"})])
    health = Health(
        disk_free=50,
        disk_total=1000,
        waiting=(datetime(2026, 11, 22, 8, tzinfo=UTC),),
        is_running=False,
        last=LastRun("r", "2026-11-22T11:00:00+00:00", "2026-11-22T11:01:00+00:00", "pixel: no table"),
        published=published,
        quarantined=(Share("a", 30, 300), Share(None, 1, 1)),
        missing_orders=(Share("a", 1, 4),),
    )
    write_metrics(folder, health, problems(health, Thresholds(), NOW), NOW)
    return folder


@pytest.fixture(scope="module")
def exposed(data) -> set[str]:
    """The names of all metrics of the collector, the read API and the metrics file."""
    versions = Versions(data)
    versions.served = Version(read_current(data))
    texts = [CollectorMetrics(data / "landing").text(), ApiMetrics(versions).text(), (data / FILE).read_bytes()]
    return {name for text in texts for name in names(text.decode())}


def test_the_metrics_file_has_freshness_failures_and_sizes(data):
    found = samples((data / FILE).read_text())
    assert found["pixelnova_refresh_failed", ()] == 1
    assert found["pixelnova_waiting_landing_files", ()] == 1
    assert found["pixelnova_oldest_waiting_landing_file_timestamp_seconds", ()] == NOW.timestamp() - 4 * 3600
    assert found["pixelnova_reported_timestamp_seconds", ()] == NOW.timestamp()
    assert found["pixelnova_quarantined_share", ("a",)] == 0.1
    assert found["pixelnova_missing_orders_share", ("a",)] == 0.25
    assert found["pixelnova_size_bytes", ("published",)] > 0 == found["pixelnova_size_bytes", ("warehouse",)]
    by_kind = {labels[0]: value for (name, labels), value in found.items() if name == "pixelnova_problems"}
    assert by_kind == dict.fromkeys(KINDS, 0) | {"disk": 1, "refresh": 1, "stale": 1, "quarantine": 1}


def test_the_metrics_of_an_empty_data_folder(tmp_path):
    health = Health(500, 1000, (), False, None, None)
    write_metrics(tmp_path, health, [], NOW)
    found = samples((tmp_path / FILE).read_text())
    assert found["pixelnova_published_versions", ()] == 0
    assert "pixelnova_refresh_failed" not in {name for name, _ in found}
    assert [path.name for path in (tmp_path / FILE).parent.iterdir()] == [FILE.name]


def used(expression: str) -> set[str]:
    return set(re.findall(r"\bpixelnova_\w+", expression))


def test_alert_rules_use_exposed_metrics_and_say_what_to_do(exposed):
    [group] = yaml.safe_load(RULES.read_text())["groups"]
    assert len(group["rules"]) == len({rule["alert"] for rule in group["rules"]})
    for rule in group["rules"]:
        assert used(rule["expr"]) - exposed == set(), rule["alert"]
        assert used(rule["expr"]) or "up{" in rule["expr"]
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert set(rule["annotations"]) == {"summary", "description"}
        assert rule["expr"].count("(") == rule["expr"].count(")")
    assert used("rate(pixelnova_no_such_metric[5m])") - exposed  # the check finds one that is not exposed


def test_the_dashboard_uses_exposed_metrics(exposed):
    dashboard = json.loads((DEPLOY / "grafana" / "pixelnova.json").read_text())
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    assert len(panels) > 10
    for panel in panels:
        for target in panel["targets"]:
            assert used(target["expr"]) and used(target["expr"]) - exposed == set(), panel["title"]
        assert panel["description"] and panel["datasource"]["uid"] == "${datasource}"
    places = [tuple(panel["gridPos"].values()) for panel in dashboard["panels"]]
    assert len(set(places)) == len(places)
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_the_scrape_configuration_names_the_ports_of_the_servers():
    from orchestration.cli.arguments import API_PORT, COLLECTOR_PORT

    configuration = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in configuration["scrape_configs"]}
    assert targets["pixelnova-collector"] == [f"127.0.0.1:{COLLECTOR_PORT}"]
    assert targets["pixelnova-api"] == [f"127.0.0.1:{API_PORT}"]
    assert configuration["rule_files"] == [RULES.name]


def test_promtool_accepts_rules_and_configuration():
    if not shutil.which("promtool"):
        missing("promtool, which checks alert rules, is missing: apt-get install prometheus")
    subprocess.run(["promtool", "check", "config", RULES.with_name("prometheus.yml")], check=True)


def test_stale_data_is_reported_by_the_age_of_the_oldest_waiting_file(tmp_path):
    """A shop that was quiet for days must not alert with its first event."""
    if not shutil.which("promtool"):
        missing("promtool, which evaluates alert rules, is missing: apt-get install prometheus")
    published, waiting = ("pixelnova_published_timestamp_seconds", 0), ("pixelnova_waiting_landing_files", 1)
    oldest = "pixelnova_oldest_waiting_landing_file_timestamp_seconds"
    series = {  # at 12:00; the last version was published at 0:00
        "quiet": [published, waiting, (oldest, 11 * 3600)],
        "stale": [published, waiting, (oldest, 8 * 3600)],
        "nothing waits": [published],
    }
    for name, metrics in series.items():
        samples = [{"series": metric, "values": f"{value}x720"} for metric, value in metrics]
        alert = {
            "exp_labels": {"severity": "critical"},
            "exp_annotations": {
                "summary": "Events have waited to be loaded for 4h 0m 0s",
                "description": "See `systemctl status pixelnova-refresh.timer` and `pixelnova logs`.",
            },
        }
        expected = [alert] if name == "stale" else []
        check = {"eval_time": "12h", "alertname": "PixelnovaDataStale", "exp_alerts": expected}
        file = tmp_path / "test.yml"
        test = {"interval": "1m", "input_series": samples, "alert_rule_test": [check]}
        file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "tests": [test]}))
        done = subprocess.run(["promtool", "test", "rules", file], capture_output=True, text=True)
        assert done.returncode == 0, (name, done.stdout, done.stderr)
