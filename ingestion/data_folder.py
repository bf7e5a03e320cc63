"""Paths of the warehouse, the landing files and the reports within a data folder."""

from pathlib import Path


def warehouse_file(data: Path) -> Path:
    """The warehouse file. Either one process may open it to write or many to read."""
    return data / "warehouse.duckdb"


def landing_folder(data: Path) -> Path:
    """The folder of the landing files."""
    return data / "landing"


def workspace(data: Path) -> Path:
    """The folder for temporary files of a load, until it has committed."""
    return data / "dlt" / "workspace"


def reports_folder(data: Path, shop: str) -> Path:
    """The folder of a shop's weekly reports."""
    return data / "reports" / shop
