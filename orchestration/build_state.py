"""Whether dbt may go on from where it was, or must build everything anew.

The project's files and the shops flow in; a fingerprint of them flows out, which the last model of a run keeps.
"""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import duckdb

from ingestion.shops import Shop
from orchestration.settings import DBT_PROJECT

FINGERPRINT_VARIABLE = "PIXELNOVA_FINGERPRINT"
_MARK = "intermediate.int_landing_files_processed"


def project_files() -> Iterator[Path]:
    """All that models are made of; folders too, whose time changes when a file goes."""
    yield from (DBT_PROJECT / "dbt_project.yml", DBT_PROJECT / "profiles.yml")
    for folder in ("models", "macros", "seeds", "tests"):
        yield from (DBT_PROJECT / folder).rglob("*")


def fingerprint(shops: Iterable[Shop]) -> str:
    """A hash of the rules by which rows are made: SQL, seeds, variables, and what each shop's dates and hosts are."""
    digest = hashlib.sha256()
    for path in sorted(project_files()):
        if path.suffix in (".sql", ".csv") or path.name == "dbt_project.yml":
            digest.update(path.relative_to(DBT_PROJECT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    for shop in sorted(shops, key=lambda shop: shop.domain):
        digest.update(repr((shop.domain, shop.timezone, shop.currency, sorted(shop.hosts))).encode())
    return digest.hexdigest()


def must_build_anew(warehouse: Path, current: str) -> bool:
    """No run has reached its end yet, or one by other rules has."""
    with duckdb.connect(str(warehouse)) as connection:
        try:
            found = connection.execute(f"select distinct fingerprint from {_MARK}").fetchall()
        except duckdb.CatalogException:
            return True
    return found != [(current,)]


def build_anew(warehouse: Path) -> None:
    """Make the next build a full one, also if this process dies now."""
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute(f"drop table if exists {_MARK}")
