"""Erasure: the person with the richest journey, a shared browser, a customer known only to the Admin API, a whole shop."""

import base64
import shutil
import sqlite3
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from ingestion.landing import archived_parts, read_lines
from ingestion.privacy.erase import erase_pending, suppress
from ingestion.privacy.identifiers import CLIENT, CUSTOMER, ORDER, Identifier
from ingestion.privacy.purge import purge
from ingestion.privacy.requests import ERASE, new_request, read_requests
from ingestion.shops import load_shops
from orchestration.build_state import mark_for_rebuild
from tests.conftest import PROJECT
from tests.warehouse import Warehouse, differences

SHOP = "pixelnova-demo.myshopify.com"
SHOPS = load_shops(PROJECT / "shops.toml")
RICHEST = """
    select orders.customer_id from core.orders inner join core.pixel_events using (shop, journey_id)
    where orders.customer_id is not null and orders.shop = $shop
    group by orders.customer_id, orders.journey_id
    having count(distinct pixel_events.client_id) > 1
    order by count(distinct orders.order_key) desc, count(*) desc, orders.customer_id limit 1
"""


def copy_of(warehouse: Warehouse, folder: Path) -> Warehouse:
    shutil.copytree(warehouse.data, folder)
    return Warehouse(folder, PROJECT / "shops.toml", load=False)


def erase(warehouse: Warehouse, *identifiers: Identifier) -> None:
    """One run: erase, load, build, purge."""
    new_request(warehouse.data, SHOP, ERASE, identifiers)
    erase_pending(warehouse.data, SHOPS, mark_for_rebuild)
    warehouse.load()
    warehouse.build()
    purge(warehouse.data, lambda: None)


def rebuilt(warehouse: Warehouse, folder: Path) -> Warehouse:
    """A full build of the same raw tables."""
    whole = copy_of(warehouse, folder)
    whole.build("--full-refresh")
    return whole


def everything_in(data: Path) -> dict[str, bytes]:
    """The contents of all files, decompressed."""
    found = {}
    for path in data.rglob("*"):
        if path.is_file():
            with pa.input_stream(str(path), compression="detect") as stream:
                found[str(path.relative_to(data))] = stream.read()
    return found


def places(data: Path, values: set[str]) -> list[tuple[str, str]]:
    """The files that contain any of the values: as they are, in hexadecimal, or in base64."""
    forms = {value: [value.encode(), value.encode().hex().encode()] for value in values}
    for value, of in forms.items():
        of += [base64.b64encode(b" " * shift + value.encode())[2 * shift + (shift > 0) : -4] for shift in range(3)]
    contents = everything_in(data)
    return [(path, value) for path, content in contents.items() for value, of in forms.items() if any(
        form in content for form in of if len(form) > 6
    )]


@pytest.fixture(scope="module")
def richest(built_demo, tmp_path_factory):
    """The demo before and after the erasure of its richest person, and that person's identifiers."""
    folder = tmp_path_factory.mktemp("richest")
    [(customer,)] = built_demo.query(RICHEST.replace("$shop", f"'{SHOP}'"))
    identifiers = set(built_demo.query(
        f"select others.identifier from core.identity_map as known inner join core.identity_map as others "
        f"using (shop, journey_id) where known.identifier = '{customer}' and known.identifier_kind = 'customer'"
    ))
    erased = copy_of(built_demo, folder / "erased")
    erase(erased, Identifier(CUSTOMER, customer))
    return built_demo, erased, {value for (value,) in identifiers}


def test_no_file_contains_an_identifier(richest):
    before, erased, identifiers = richest
    assert len(identifiers) > 5
    assert {value for _, value in places(before.data, identifiers)} == identifiers  # else the search finds nothing
    assert places(erased.data, identifiers) == []


def test_every_table_equals_a_full_build_without_the_person(richest, tmp_path):
    _, erased, _ = richest
    different = differences(erased, rebuilt(erased, tmp_path / "whole"))
    assert not different, different
