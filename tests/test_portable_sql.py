"""The check for SQL that two engines compute differently: it finds planted violations, and none in the project."""

import pytest

from tests.portable_sql import QUOTE, RULES, checked_files, violations

PLANTED = {
    "trims another": "select rtrim(lower(path), '/') as path",
    "concat is null": "select concat(a, b) as both",
    "divides by a decimal": "select seconds / 60.0 as minutes",
    "round breaks": "select round(score, 9) as score",
    "a quotient cast": "select cast(hits / cast(cases as double) as decimal(18, 9)) as rate",
    "Spark has no filter": "select count(*) filter (where is_open) over (partition by shop) as carts",
    "regexp_extract without": "select regexp_extract(url, '/products/([^/]+)') as handle",
    "regexp_replace replaces": "select regexp_replace(lower(name), '[.]', '') as name",
    "min_by and max_by": "select max_by(title, fetched_at) as title",
    "percentile_disc is": "select percentile_disc(0.9) within group (order by amount) as cap",
    "Spark's varchar": "select cast(day as varchar) as day",
    "a doubled quote": "select 'the shop''s' as words",
}
HARMLESS = """
{#- It's a comment: round(x, 9), concat(a, b) -#}
select
    rtrim(name) as name,  -- the shop''s, rtrim(a, b)
    trim(trailing '/' from path) as path,
    concat_ws('', a, b) as both,
    coalesce(a, '') as a,
    {{ rounded('score', 9) }} as score,
    cast(seconds as double) / 60 as minutes,
    regexp_extract(url, '/products/([^/]+)', 1) as handle,
    regexp_replace(host, '^www[.]', '') as host,
    max_by(title, fetched_at) filter (where title is not null) as title,
    cast(percentile_disc(0.9) within group (order by amount) as decimal(15, 2)) as cap
from {{ ref('things') }}
"""


@pytest.mark.parametrize("rule", [*RULES, QUOTE])
def test_each_rule_finds_a_planted_violation(rule):
    [sql] = [sql for beginning, sql in PLANTED.items() if rule.startswith(beginning)]
    assert list(violations(f"-- a comment\n{sql}\nfrom things\n")) == [(2, rule)]


def test_portable_sql_is_not_reported():
    assert list(violations(HARMLESS)) == []


@pytest.mark.parametrize("file", checked_files(), ids=lambda file: file.stem)
def test_the_project_computes_the_same_on_both_engines(file):
    assert list(violations(file.read_text())) == []
