"""A cluster for the tests of a file."""

from collections.abc import Iterator

import pytest

from tests.browser import missing
from tests.spark.cluster import Cluster, missing_tool, start


@pytest.fixture(scope="module")
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A running cluster without tables; a test file can change Spark's settings by a constant SPARK_SETTINGS."""
    if problem := missing_tool():
        missing(problem)
    running = start(tmp_path_factory.mktemp("cluster"), settings=getattr(request.module, "SPARK_SETTINGS", None))
    try:
        yield running
    finally:
        running.stop()
