"""`pixelnova rollback`, run as a user runs it."""

from serving.published import read_current
from tests.orchestration.test_cli import another_run, one_line_reason
from tests.serving.published_version import write_version


def test_rollback_lists_versions_and_makes_an_older_one_current(pixelnova, tmp_path):
    assert "run `pixelnova refresh`" in pixelnova("rollback", data=tmp_path).stdout
    first, second = (write_version(tmp_path, products=5, sessions=10, seed=seed).folder.name for seed in (1, 2))
    held = read_current(tmp_path)
    rows = pixelnova("rollback", data=tmp_path).stdout.splitlines()
    assert [row for row in rows if second in row and "current" in row and "kB" in row]
    assert [row for row in rows if first in row and "current" not in row and "in use" not in row]
    assert f"Version {first} is current" in pixelnova("rollback", first, data=tmp_path).stdout
    assert read_current(tmp_path).folder.name == first
    rows = pixelnova("rollback", data=tmp_path).stdout.splitlines()
    assert [row for row in rows if held.folder.name in row and "in use" in row]


def test_rollback_is_refused_while_a_run_is_active_and_for_unknown_versions(pixelnova, tmp_path):
    name = write_version(tmp_path, products=5, sessions=10).folder.name
    assert "lists all versions" in one_line_reason(
        pixelnova("rollback", "19990101T000000.000Z", data=tmp_path, check=False)
    )
    with another_run(tmp_path):
        assert "Another run is using" in one_line_reason(pixelnova("rollback", name, data=tmp_path, check=False))
