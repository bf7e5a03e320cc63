"""The assignment of units to buckets: alike in Python, SQL and JavaScript, uniform, and independent between seeds."""

from pathlib import Path
from random import Random
from uuid import UUID

import duckdb
import pytest

from ingestion.assignment import assigned_bucket

PROJECT = Path(__file__).resolve().parents[1]
SNIPPET = PROJECT / "serving/storefront/pixelnova-recommendations.source.js"
# seed, unit, bucket: computed once with GrowthBook's formula, so that no implementation can drift with the others
VECTORS = [
    ("", "", 1882),
]


@pytest.fixture(scope="module")
def units():
    rng = Random(15)
    return [str(UUID(int=rng.getrandbits(128), version=4)) for _ in range(10_000)]


@pytest.fixture(scope="module")
def bucket_sql(tmp_path_factory):
    """The SQL of the macro for the columns seed and unit."""
    from dbt.cli.main import dbtRunner

    data = tmp_path_factory.mktemp("assignment")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIXELNOVA_DATA", str(data))
        dbt = ["--project-dir", str(PROJECT / "dbt_project"), "--profiles-dir", str(PROJECT / "dbt_project")]
        done = dbtRunner().invoke(
            [
                "--quiet",
                "compile",
                *dbt,
                "--target-path",
                str(data / "target"),
                "--inline",
                "{{ assigned_bucket('seed', 'unit') }}",
            ]
        )
    assert done.success, done.exception
    return done.result.results[0].node.compiled_code


def in_sql(bucket_sql, seed, units):
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"select {bucket_sql} from (select $seed as seed, unnest($units::varchar[]) as unit)",
            {"seed": seed, "units": units},
        ).fetchall()
    return [bucket for (bucket,) in rows]


def test_x(bucket_sql, units):
    assert in_sql(bucket_sql, "cold-start", units) == [assigned_bucket("cold-start", unit) for unit in units]
