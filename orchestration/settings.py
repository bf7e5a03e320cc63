"""Paths of this installation.

Reads PIXELNOVA_DATA (default: data/ of the project) and PIXELNOVA_SHOPS (default: shops.toml of the project) from the
environment, so that child processes (the collector, dbt, Dagster's runs) use the same paths as their parent.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ingestion.landing import keep_files_private
from orchestration.errors import OrchestrationError

PROJECT_ROOT = Path(__file__).resolve().parent.parent
DBT_PROJECT = PROJECT_ROOT / "dbt_project"
EXECUTABLES = Path(sys.executable).parent  # of this virtual environment, activated or not
DATA_VARIABLE = "PIXELNOVA_DATA"
SHOPS_VARIABLE = "PIXELNOVA_SHOPS"
DAGSTER_VARIABLE = "PIXELNOVA_DAGSTER"  # where dagster.yaml keeps its history
MAX_NUMBER = 500_000  # of a setting, in days, minutes or MB: so many days ago is still a date
ENGINE_VARIABLE = "PIXELNOVA_ENGINE"
ENGINES = DUCKDB, SPARK = ("duckdb", "spark")  # also the names of dbt's targets


class DataFolderError(OrchestrationError):
    """The data folder cannot be used; the message names the remedy."""


class SettingError(OrchestrationError):
    """A setting in the environment is malformed; the message names it."""


def data_folder() -> Path:
    """The data folder: landing files, warehouse, published versions, run history."""
    return Path(os.environ.get(DATA_VARIABLE, PROJECT_ROOT / "data")).resolve()


def shops_file() -> Path:
    """The file that describes the stores."""
    return Path(os.environ.get(SHOPS_VARIABLE, PROJECT_ROOT / "shops.toml")).resolve()


def make_data_folder() -> Path:
    """Create the data folder if it does not exist; from here on, files that this process writes are private.

    Raises:
        DataFolderError: it cannot be written, or dlt cannot load from it.
    """
    keep_files_private()  # for Dagster's processes, which bypass the command line
    folder = data_folder()
    if "'" in str(folder):
        raise DataFolderError(
            f"{folder} has an apostrophe in its path, which dlt cannot load from: choose another folder with --data."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise DataFolderError(
            f"{folder} cannot be written ({error.strerror}): fix its permissions, or choose another folder with --data."
        ) from error


def engine() -> str:
    """The engine on which dbt builds: duckdb, or spark (docs/scale-out.md).

    Raises:
        SettingError: it is neither.
    """
    name = os.environ.get(ENGINE_VARIABLE, DUCKDB)
    if name not in ENGINES:
        raise SettingError(f"{ENGINE_VARIABLE} is {name!r}: use {DUCKDB} or {SPARK}, or remove it.")
    return name


def project_files() -> Iterator[Path]:
    """All files that determine what dbt builds."""
    yield from (DBT_PROJECT / "dbt_project.yml", DBT_PROJECT / "profiles.yml")
    for folder in ("models", "macros", "seeds", "tests"):
        yield from (path for path in (DBT_PROJECT / folder).rglob("*") if path.is_file())


def number_setting(variable: str, default: float) -> float:
    """A number between 0 and MAX_NUMBER that the environment sets.

    Raises:
        SettingError: it is not such a number.
    """
    text = os.environ.get(variable, str(default))
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= MAX_NUMBER:
        raise SettingError(
            f"{variable} is {text!r}, not a number between 0 and {MAX_NUMBER:,}: correct it, or remove it."
        )
    return number
