"""A damaged warehouse is recognized before it is used; one left by a killed process is not damaged."""

import os
import signal
import subprocess
import sys
import textwrap

import duckdb
import pytest

from ingestion.warehouse_damage import WarehouseDamaged, WarehouseUnusable, check_warehouse, put_aside_if_damaged

# What a killed process leaves: changes in the log only, or free blocks that the file does not have yet.
KILLED = {
    "unwritten changes": """
        connection.execute("set checkpoint_threshold = '1GB'")
        connection.execute("create table more as select range as n from range(1000000)")
    """,
    "unwritten free blocks": """
        connection.execute("begin")
        connection.execute(
            "create table large as select hash(range) as h, repeat('x', 50) || range as s "
            "from range(800000)")
        connection.execute("rollback")
        connection.execute("create table more as select range as n from range(1000000)")
        connection.execute("checkpoint")
    """,
}


@pytest.fixture
def warehouse(tmp_path):
    """A file of several blocks."""
    file = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("create table numbers as select range as n, hash(range) as h from range(500000)")
    assert file.stat().st_size > 4 * 262_144
    return file


def test_whole_and_missing_warehouses_are_not_damaged(warehouse, tmp_path):
    check_warehouse(warehouse)
    check_warehouse(tmp_path / "missing.duckdb")
    assert put_aside_if_damaged(warehouse) is None


@pytest.mark.parametrize("left", KILLED)
def test_a_warehouse_that_a_killed_process_left_is_not_damaged(warehouse, left):
    die = "import duckdb, os, signal, sys\nconnection = duckdb.connect(sys.argv[1])\n"
    die += textwrap.dedent(KILLED[left]) + "os.kill(os.getpid(), signal.SIGKILL)"
    assert subprocess.run([sys.executable, "-c", die, str(warehouse)]).returncode == -signal.SIGKILL
    check_warehouse(warehouse)
    with duckdb.connect(str(warehouse)) as connection:
        assert connection.execute("select count(*) from more").fetchone() == (1_000_000,)


@pytest.mark.parametrize("kept", [0, 100, 4096, 12_288, 0.5, -1000, -1])
def test_cut_warehouses_are_named_with_the_remedy_and_put_aside(warehouse, kept):
    size = warehouse.stat().st_size
    os.truncate(warehouse, int(size * kept) if 0 < kept < 1 else kept % size)
    content = warehouse.read_bytes()
    with pytest.raises(WarehouseDamaged, match="pixelnova refresh --full"):
        check_warehouse(warehouse)
    assert warehouse.read_bytes() == content
    aside = put_aside_if_damaged(warehouse)
    assert aside.read_bytes() == content and not warehouse.exists()


def test_a_file_that_is_no_database_is_damaged(warehouse):
    warehouse.write_bytes(bytes(range(256)) * 1000)
    with pytest.raises(WarehouseDamaged, match="not a valid DuckDB database"):
        check_warehouse(warehouse)


@pytest.mark.parametrize(
    "error",
    [
        duckdb.IOException('IO Error: Cannot open file "warehouse.duckdb": Permission denied'),
        duckdb.IOException("IO Error: Trying to read a database file with version number 99"),
        duckdb.OutOfMemoryException("Out of Memory Error: failed to allocate data"),
    ],
)
def test_a_warehouse_that_cannot_be_opened_for_another_reason_stays_in_place(warehouse, monkeypatch, error):
    def refuse(file):
        raise error

    monkeypatch.setattr("ingestion.warehouse_damage.connect", refuse)
    with pytest.raises(WarehouseUnusable, match="remove the cause") as raised:
        put_aside_if_damaged(warehouse)
    assert str(error) in str(raised.value)
    assert warehouse.exists()


def test_a_changed_header_is_damage(warehouse):
    content = bytearray(warehouse.read_bytes())
    content[700:800] = b"\xff" * 100
    warehouse.write_bytes(content)
    with pytest.raises(WarehouseDamaged, match="Corrupt database file"):
        check_warehouse(warehouse)
