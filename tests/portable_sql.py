"""Finds SQL in models and macros that Spark accepts but computes differently from DuckDB, so that nothing fails.

    python -m tests.portable_sql      print what it finds; exit code 1 if anything

Null order is not checked: whether a column can be null cannot be read from the text. Spark sorts nulls first where
DuckDB sorts them last, so an ascending order by a nullable column needs `nulls last`.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

DBT_PROJECT = Path(__file__).resolve().parent.parent / "dbt_project"
# Macro bodies for one engine.
OF_ONE_ENGINE = {"compat.sql", "materializations.sql", "spark.sql", "spark_letters.sql", "spark_materializations.sql"}

RULES = {
    "trims another character with two arguments, which Spark takes in reverse: trim(leading … from …)": (
        r"\b[lr]trim\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*,"
    ),
    "concat is null in Spark if a part is null, and skips it in DuckDB: concat_ws('', …)": r"\bconcat\(",
    "divides by a decimal: Spark's result is a decimal with few places; cast a side to double": (
        r"/\s*\d+\.\d|/\s*\{\{[^}]*\}\}\.\d|\b\d+\.\d+\s*/"
    ),
    "round breaks ties differently in Spark: macro rounded": r"\bround\(",
    "a quotient cast to a decimal is rounded differently in Spark: macro exact": (
        r"\bcast\((?:(?!\bas\b).)*/.* as decimal"
    ),
    "Spark has no filter of window functions: count or sum a case expression": r"\bfilter\s*\(where.*\)\s*over\b",
    "regexp_extract without a group is the whole match in DuckDB and group 1 in Spark": (
        r"\bregexp_extract\((?:[^()']|'[^'\n]*'|\([^()]*\))*,\s*'[^'\n]*'\s*\)"
    ),
    "regexp_replace replaces the first match in DuckDB and all in Spark: anchor the pattern": (
        r"\bregexp_replace\((?:[^()',]|\((?:[^()]|\([^()]*\))*\))*,\s*'(?!\^)[^'\n]*(?<!\$)'"
    ),
    "min_by and max_by skip null values in DuckDB only: macros earliest and latest, or filter (where … is not null)": (
        r"\b(?:min|max)_by\((?!.*\bfilter \(where)"
    ),
    "percentile_disc is a double in Spark: cast it to the type of its input": r"(?<!cast\()\bpercentile_disc\(",
    "Spark's varchar has a length: {{ dbt.type_string() }}": r"\bas varchar\b",
}
QUOTE = "a doubled quote in a literal disappears in Spark: chr(39)"
_LITERAL = re.compile(r"'((?:[^'\n]|'')*)'")
_JINJA_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
_JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_COMMENT = re.compile(r"--[^\n]*")
_EXACT = re.compile(r"\{\{ exact\(.*?\) \}\}", re.DOTALL)


def violations(sql: str) -> Iterator[tuple[int, str]]:
    """Line and rule of each violation in a model or macro."""
    text = _blanked(_EXACT, _blanked(_COMMENT, _blanked(_JINJA_COMMENT, sql)))
    for rule, pattern in RULES.items():
        for found in re.finditer(pattern, text):
            yield text.count("\n", 0, found.start()) + 1, rule
    plain = _blanked(_JINJA, text)
    for found in _LITERAL.finditer(plain):
        if "''" in found[1]:
            yield plain.count("\n", 0, found.start()) + 1, QUOTE


def _blanked(pattern: re.Pattern[str], text: str) -> str:
    """The text with matches replaced by spaces; line breaks stay."""
    return pattern.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)


def checked_files() -> list[Path]:
    """All models, and the macros that are not for one engine."""
    files = [*(DBT_PROJECT / "models").rglob("*.sql"), *(DBT_PROJECT / "macros").glob("*.sql")]
    return sorted(file for file in files if file.name not in OF_ONE_ENGINE)


def main() -> int:
    """Print all violations; returns the exit code."""
    found = [
        f"{file.relative_to(DBT_PROJECT.parent)}:{line}: {rule}"
        for file in checked_files()
        for line, rule in sorted(violations(file.read_text()))
    ]
    sys.stdout.write("".join(f"{one}\n" for one in found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
