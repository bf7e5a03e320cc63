"""The assignment of units to buckets: equal in Python, SQL and JavaScript, uniform, and independent between seeds."""

import json
import os
import re
import shutil
import subprocess
from collections import Counter
from random import Random
from uuid import UUID

import duckdb
import pytest
from scipy.stats import chi2_contingency, chisquare

from ingestion.assignment import BUCKETS, assigned_bucket
from ingestion.experiments import assigned_variation, load_experiments
from ingestion.shops import Shop
from tests.browser import missing
from tests.conftest import PROJECT
from tests.warehouse import TARGET

SNIPPET = PROJECT / "serving/storefront/pixelnova-recommendations.source.js"
VECTORS = [("", "a"), ("cold-start", "5f6b9a1e-1234-4123-8123-123456789012"), ("holdout", "x" * 200)]
SEED, OTHER_SEED = "cold-start", "holdout"


@pytest.fixture(scope="module")
def units():
    rng = Random(15)
    return [str(UUID(int=rng.getrandbits(128), version=4)) for _ in range(10_000)]


@pytest.fixture(scope="module")
def macros(tmp_path_factory):
    """The SQL of assigned_bucket(seed, unit) and of takes_part(phase, unit, has_holdout)."""
    from dbt.cli.main import dbtRunner

    folders = ["--project-dir", str(PROJECT / "dbt_project"), "--profiles-dir", str(PROJECT / "dbt_project")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIXELNOVA_DATA", str(tmp_path_factory.mktemp("assignment")))
        has_holdout = "exposed_at >= phase.holdout_started_at"
        query = "{{ assigned_bucket('seed', 'unit') }} AND THEN "
        query += f"{{{{ takes_part('phase', 'unit', '{has_holdout}') }}}}"
        done = dbtRunner().invoke(["--quiet", "compile", *folders, "--target-path", TARGET, "--inline", query])
    assert done.success, done.exception
    return done.result.results[0].node.compiled_code.split(" AND THEN ")


@pytest.fixture(scope="module")
def in_sql(macros):
    """Buckets computed by the dbt macro."""

    def buckets(seed, units):
        with duckdb.connect() as connection:
            rows = connection.execute(
                f"select {macros[0]} from (select $seed as seed, unnest($units::varchar[]) as unit)",
                {"seed": seed, "units": units},
            ).fetchall()
        return [bucket for (bucket,) in rows]

    return buckets


def in_javascript(seed, units):
    """Buckets computed by the snippet's own functions; `isAssigned` must agree with each."""
    if not shutil.which("node"):
        missing("Node is missing: apt-get install nodejs")
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


EXPERIMENTS = """
[[holdouts]]
shop = "a.myshopify.com"
share = 0.2
start = 2026-11-10

[[experiments]]
shop = "a.myshopify.com"
key = "one"
name = "One"
layer = "page"
layer_share = 0.3
primary_metrics = ["conversion"]
variations = [{key = "control", shows = "default"}, {key = "treatment", shows = "similar"}]
phases = [{start = 2026-11-01, coverage = 1, weights = [0.5, 0.5]}]

[[experiments]]
shop = "a.myshopify.com"
key = "two"
name = "Two"
layer = "page"
layer_share = 0.7
primary_metrics = ["conversion"]
variations = [{key = "control", shows = "default"}, {key = "treatment", shows = "similar"}]
phases = [{start = 2026-11-01, coverage = 1, weights = [0.5, 0.5]}]
"""


def test_layers_and_the_holdout_exclude_each_other(macros, units, tmp_path):
    path = tmp_path / "experiments.toml"
    path.write_text(EXPERIMENTS)
    holdout, one, two = load_experiments(path, [Shop("a.myshopify.com", "A", "UTC", "EUR", ["key-00001"])])
    seen = Counter()
    for unit in units:
        assigned = [assigned_variation(each, each.phases[0], unit, holdout) for each in (one, two)]
        held_out = assigned_variation(holdout, holdout.phases[0], unit).key == "control"
        assert sum(variation is not None for variation in [*assigned, held_out or None]) == 1
        seen["holdout" if held_out else "one" if assigned[0] else "two"] += 1
    expected = [size * len(units) for size in (0.2, 0.8 * 0.3, 0.8 * 0.7)]
    assert chisquare([seen["holdout"], seen["one"], seen["two"]], expected).pvalue > 0.001
    for began in (False, True):
        for each in (one, two):
            with duckdb.connect() as connection:
                rows = connection.execute(
                    f"""
                    select {macros[1]}
                    from (select unnest($units::varchar[]) as unit, timestamp '2026-11-10' as exposed_at)
                    cross join (
                        select 'page' as layer, $layer_from as layer_from, $layer_to as layer_to, 2000 as holdout_to,
                            timestamp '2026-11-10' + case when $began then 0 else 1 end * interval 1 day
                                as holdout_started_at
                    ) as phase
                    """,
                    {"units": units, "layer_from": each.layer_from, "layer_to": each.layer_to, "began": began},
                ).fetchall()
            in_python = [
                assigned_variation(each, each.phases[0], unit, holdout if began else None) is not None for unit in units
            ]
            assert [takes_part for (takes_part,) in rows] == in_python
