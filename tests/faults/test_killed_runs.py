"""Refreshes killed at a few seeded points; `make faults` runs 200 of them (tests/faults/killed_runs.py)."""

import pytest

from tests.faults.killed_runs import chains_of, seeded_points

pytestmark = pytest.mark.long

SEED, POINTS = 7, 5


def test_the_refresh_after_killed_ones_ends_like_a_rebuild(rebuilt, tmp_path):
    points = seeded_points(SEED, POINTS, rebuilt.seams)
    [chain] = chains_of(points, tmp_path, rebuilt.data)
    assert chain.faults == []
    assert list(chain.hits) == points
