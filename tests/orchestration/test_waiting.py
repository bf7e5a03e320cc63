"""When waiting landing files start a refresh before its schedule, and when they do not."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from ingestion.data_folder import landing_folder
from orchestration.run_log import LAST_RUN, LastRun
from orchestration.settings import SettingError
from orchestration.waiting import waiting

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


def seal(data, minutes_ago: float, megabytes: float = 0.001) -> None:
    begun = NOW - timedelta(minutes=minutes_ago)
    landing_folder(data).mkdir(exist_ok=True)
    file = landing_folder(data) / f"events-{begun:%Y%m%dT%H%M%S.%fZ}-1.jsonl"
    file.write_bytes(b"x" * int(megabytes * 1_000_000))


def end_last_run(data, minutes_ago: float, ended: bool = True, error: str | None = None) -> None:
    """Record a refresh that ended so long ago after an hour, or one that began then and was killed."""
    then = NOW - timedelta(minutes=minutes_ago)
    began, ended_at = (then - timedelta(hours=1), then.isoformat()) if ended else (then, None)
    (data / LAST_RUN).write_text(json.dumps(LastRun("r", began.isoformat(), ended_at, error)._asdict()))


def test_nothing_waits(tmp_path):
    assert waiting(tmp_path, NOW) == (False, "No landing files are waiting.")


def test_young_and_small_files_wait_for_the_schedule(tmp_path):
    seal(tmp_path, 29)
    seal(tmp_path, 3)
    is_due, reason = waiting(tmp_path, NOW)
    assert not is_due
    assert reason == "2 landing files (0.0 MB) wait, the oldest for 29 minutes: less than 30 minutes and 256 MB."


def test_files_that_waited_the_set_time_are_due(tmp_path, monkeypatch):
    seal(tmp_path, 30)
    assert waiting(tmp_path, NOW).is_due
    monkeypatch.setenv("PIXELNOVA_REFRESH_MINUTES", "31")
    assert not waiting(tmp_path, NOW).is_due


def test_files_of_the_set_size_are_due_together(tmp_path, monkeypatch):
    monkeypatch.setenv("PIXELNOVA_REFRESH_MB", "2")
    seal(tmp_path, 2, megabytes=1)
    assert not waiting(tmp_path, NOW).is_due
    seal(tmp_path, 1, megabytes=1)
    assert waiting(tmp_path, NOW) == (True, "2 landing files (2.0 MB) wait, the oldest for 2 minutes.")


@pytest.mark.parametrize("last", [{"error": "it failed"}, {"ended": False}])
def test_a_failed_or_killed_refresh_is_not_repeated_at_once(tmp_path, last):
    seal(tmp_path, 90)
    end_last_run(tmp_path, 10, **last)
    is_due, reason = waiting(tmp_path, NOW)
    assert not is_due and reason.endswith("but the last refresh failed: the next attempt is at 12:20 UTC.")
    end_last_run(tmp_path, 30, **last)
    assert waiting(tmp_path, NOW).is_due
    end_last_run(tmp_path, 10)
    assert waiting(tmp_path, NOW).is_due


@pytest.mark.parametrize("variable", ["PIXELNOVA_REFRESH_MB", "PIXELNOVA_REFRESH_MINUTES"])
@pytest.mark.parametrize("value", ["many", "-1", "nan", "inf", "1e10"])
def test_a_limit_that_is_not_a_usable_number_is_named(tmp_path, monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingError, match=f"{variable} is '{value}', not a number between 0 and 500,000: correct it"):
        waiting(tmp_path, NOW)
