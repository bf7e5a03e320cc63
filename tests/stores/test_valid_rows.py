"""The dbt test `valid_rows` finds invalid rows, and names their shop."""

import shutil

import duckdb
import pytest

from tests.warehouse import Warehouse


@pytest.fixture
def warehouse(stores, tmp_path):
    """A copy of the stores' warehouse, to break."""
    shutil.copyfile(stores.file, tmp_path / stores.file.name)
    return Warehouse(tmp_path, tmp_path / "shops.toml", load=False)


@pytest.mark.parametrize(
    ("test", "break_rows", "problem"),
    [
        (
            "valid_rows_int_sessions",
            "insert into intermediate.int_sessions from intermediate.int_sessions "
            "where shop = 'carts.myshopify.com' limit 1",
            "several rows have the same session_id",
        ),
        (
            "valid_rows_int_cart_lines",
            "update intermediate.int_cart_lines set cart_action_id = null where shop = 'carts.myshopify.com'",
            "cart_action_id is null",
        ),
        (
            "valid_rows_products",
            "update core.products set source = 'hearsay' where shop = 'carts.myshopify.com'",
            "not (source in ('admin_api', 'catalogue_file', 'events'))",
        ),
    ],
)
def test_valid_rows_names_the_shop_and_the_problem(warehouse, test, break_rows, problem):
    with duckdb.connect(str(warehouse.file)) as connection:
        connection.execute(break_rows)
    done = warehouse.try_build("--select", test, with_tests=True)
    [result] = [result for result in done.result if result.node.name == test]
    assert result.status == "fail"
    # As the fence does.
    found = warehouse.query(f"select distinct shop, problem from ({result.node.compiled_code})")
    assert found == [("carts.myshopify.com", problem)]
