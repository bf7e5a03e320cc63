"""A cluster for the tests of a file."""

from collections.abc import Iterator

import pytest

from tests.browser import missing
from tests.spark.cluster import Cluster, missing_tool, start


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A running cluster without tables."""
    if problem := missing_tool():
        missing(problem)
    running = start(tmp_path_factory.mktemp("cluster"))
    try:
        yield running
    finally:
        running.stop()
