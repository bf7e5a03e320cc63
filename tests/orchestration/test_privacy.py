"""The commands `privacy …`, run as an operator runs them."""

import json

from tests.orchestration.test_cli import another_run, one_line_reason


def test_scan_exits_with_1_if_it_finds_something(pixelnova, tmp_path):
    data, report = tmp_path / "data", tmp_path / "report.json"
    data.mkdir()
    (data / "refresh.log").write_text("sent to [e-mail]\n")
    done = pixelnova("privacy", "scan", "--json", report, data=data)
    assert "No personal data in" in done.stdout
    assert json.loads(report.read_text()) == []
    (data / "refresh.log").write_text("sent to ada@example.com and 203.0.113.7\n")
    done = pixelnova("privacy", "scan", "--json", report, data=data, check=False)
    assert done.returncode == 1
    assert "refresh.log" in done.stdout
    assert "ada@example.com" not in done.stdout + report.read_text()
    assert [(hit["where"], hit["kind"]) for hit in json.loads(report.read_text())] == [
        ("refresh.log", "e-mail"),
        ("refresh.log", "ip"),
    ]


def test_scan_needs_a_data_folder_that_no_run_uses(pixelnova, tmp_path):
    assert "does not exist" in one_line_reason(pixelnova("privacy", "scan", data=tmp_path / "none", check=False))
    assert not (tmp_path / "none").exists()
    with another_run(tmp_path):
        assert "Another run is using" in one_line_reason(pixelnova("privacy", "scan", data=tmp_path, check=False))
