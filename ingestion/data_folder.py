"""Where the warehouse and the landing files are within a data folder."""

from pathlib import Path


def warehouse_file(data: Path) -> Path:
    """The warehouse. One process may have it open to write, or many to read."""
    return data / "warehouse.duckdb"


def landing_folder(data: Path) -> Path:
    """The folder of the landing files."""
    return data / "landing"


def workspace(data: Path) -> Path:
    """Where a load may keep files until it has committed."""
    return data / "dlt" / "workspace"
