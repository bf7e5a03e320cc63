"""The assignment of units to buckets: alike in Python, SQL and JavaScript, uniform, and independent between seeds."""

import json
import os
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from random import Random
from uuid import UUID

import duckdb
import pytest
from scipy.stats import chi2_contingency, chisquare

from ingestion.assignment import BUCKETS, assigned_bucket
from tests.warehouse import TARGET

PROJECT = Path(__file__).resolve().parents[1]
SNIPPET = PROJECT / "serving/storefront/pixelnova-recommendations.source.js"
VECTORS = [("", "a"), ("cold-start", "5f6b9a1e-1234-4123-8123-123456789012"), ("holdout", "x" * 200)]
SEED, OTHER_SEED = "cold-start", "holdout"


@pytest.fixture(scope="module")
def units():
    rng = Random(15)
    return [str(UUID(int=rng.getrandbits(128), version=4)) for _ in range(10_000)]


@pytest.fixture(scope="module")
def in_sql(tmp_path_factory):
    """Buckets by the macro of dbt."""
    from dbt.cli.main import dbtRunner

    folders = ["--project-dir", str(PROJECT / "dbt_project"), "--profiles-dir", str(PROJECT / "dbt_project")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIXELNOVA_DATA", str(tmp_path_factory.mktemp("assignment")))
        query = "{{ assigned_bucket('seed', 'unit') }}"
        done = dbtRunner().invoke(["--quiet", "compile", *folders, "--target-path", TARGET, "--inline", query])
    assert done.success, done.exception
    bucket = done.result.results[0].node.compiled_code

    def buckets(seed, units):
        with duckdb.connect() as connection:
            rows = connection.execute(
                f"select {bucket} from (select $seed as seed, unnest($units::varchar[]) as unit)",
                {"seed": seed, "units": units},
            ).fetchall()
        return [bucket for (bucket,) in rows]

    return buckets


def in_javascript(seed, units):
    """Buckets by the snippet's own functions: the first bucket whose range of one includes the unit."""
    if not shutil.which("node"):
        pytest.skip("node is missing")
    source = SNIPPET.read_text()
    hash_function = re.search(r"const hash = \(text\) =>.*?;\n", source, re.DOTALL)[0]
    is_assigned = re.search(r"const isAssigned = .*?;\n", source)[0]
    bucket = re.search(r"bucket = (.*?)\) =>", is_assigned)[1]
    script = f"""
        const {{seed, units}} = JSON.parse(require("fs").readFileSync(0));
        let unit;
        {hash_function}
        {is_assigned}
        console.log(JSON.stringify(units.map((one) => {{
            unit = one;
            const found = {bucket};
            if (!isAssigned(seed, found, found + 1) || isAssigned(seed, found + 1, 10000) || isAssigned(seed, 0, found))
                throw Error(unit);
            return found;
        }})));
    """
    given = json.dumps({"seed": seed, "units": units})
    done = subprocess.run(["node", "-e", script], input=given, capture_output=True, text=True, env=os.environ)
    assert not done.returncode, done.stderr
    return json.loads(done.stdout)


def by_definition(seed, unit):
    return fnv1a(str(fnv1a(seed + unit))) % 10_000


def fnv1a(text):
    number = 2166136261
    for byte in text.encode():
        number = ((number ^ byte) * 16777619) % 2**32
    return number


def test_definition_gives_the_hashes_of_its_authors():
    assert [fnv1a(text) for text in ("", "a", "foobar")] == [0x811C9DC5, 0xE40C292C, 0xBF9CF968]


def test_python_sql_and_javascript_agree_on_10000_units(in_sql, units):
    in_python = [assigned_bucket(SEED, unit) for unit in units]
    assert in_sql(SEED, units) == in_python
    assert in_javascript(SEED, units) == in_python


@pytest.mark.parametrize("seed, unit", VECTORS)
def test_all_agree_on_texts_of_any_length(in_sql, seed, unit):
    expected = by_definition(seed, unit)
    assert assigned_bucket(seed, unit) == expected
    assert in_sql(seed, [unit]) == in_javascript(seed, [unit]) == [expected]


def test_buckets_are_uniform(units):
    tenths = Counter(assigned_bucket(SEED, unit) * 10 // BUCKETS for unit in units)
    assert len(tenths) == 10
    assert chisquare(list(tenths.values())).pvalue > 0.001


def test_two_seeds_are_independent(units):
    table = [[0] * 5 for _ in range(5)]
    for unit in units:
        table[assigned_bucket(SEED, unit) * 5 // BUCKETS][assigned_bucket(OTHER_SEED, unit) * 5 // BUCKETS] += 1
    assert chi2_contingency(table).pvalue > 0.001
    # the check finds a dependence: a seed and itself
    same = [[sum(row) if one == other else 1 for other in range(5)] for one, row in enumerate(table)]
    assert chi2_contingency(same).pvalue < 0.001
