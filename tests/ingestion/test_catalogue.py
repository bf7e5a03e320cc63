import csv
import io
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import duckdb
import pytest

from ingestion.data_folder import warehouse_file
from ingestion.shops import ShopsFileError, load_shops
from ingestion.sources.catalogue import catalogue_source
from ingestion.sources.catalogue_files import CatalogueFiles, catalogue_files, fingerprint, read_catalogue
from ingestion.sources.catalogue_rows import CatalogueError
from ingestion.warehouse import open_pipeline

SHOP = "a.myshopify.com"
OTHER = "b.myshopify.com"

# Field ▶ its header in the old and in the new dialect.
HEADERS = {
    "handle": ("Handle", "URL handle"),
    "title": ("Title", "Title"),
    "body": ("Body (HTML)", "Description"),
    "vendor": ("Vendor", "Vendor"),
    "type": ("Type", "Type"),
    "tags": ("Tags", "Tags"),
    "published": ("Published", "Published on online store"),
    "status": ("Status", "Status"),
    "option1": ("Option1 Value", "Option1 value"),
    "option2": ("Option2 Value", "Option2 value"),
    "sku": ("Variant SKU", "SKU"),
    "price": ("Variant Price", "Price"),
    "compare_at": ("Variant Compare At Price", "Compare-at price"),
    "tracker": ("Variant Inventory Tracker", "Inventory tracker"),
    "quantity": ("Variant Inventory Qty", "Inventory quantity"),
    "policy": ("Variant Inventory Policy", "Continue selling when out of stock"),
    "image": ("Image Src", "Product image URL"),
    "position": ("Image Position", "Image position"),
    "variant_image": ("Variant Image", "Variant image URL"),
    "gift_card": ("Gift Card", "Gift card"),
}
OLD, NEW = 0, 1

# A lamp in two colours with three images and scattered rows, a draft, and a gift card.
LAMP = {
    "handle": "lamp",
    "title": "Lamp, “Bright”",
    "body": "<p>Line one\nline two, with a comma</p>",
    "vendor": "Acme",
    "type": "Light",
    "tags": "Indoor,  Table ,",
    "published": "true",
    "status": "active",
    "option1": "Red",
    "option2": "M",
    "sku": "L-1",
    "price": "69.99",
    "compare_at": "85.00",
    "tracker": "shopify",
    "quantity": "2",
    "policy": "deny",
    "image": "https://x/second.jpg",
    "position": "2",
    "variant_image": "https://x/red.jpg",
    "gift_card": "false",
}
ROWS = [
    LAMP,
    {
        "handle": "lamp",
        "option1": "Blue",
        "option2": "M",
        "price": "0",
        "tracker": "shopify",
        "quantity": "-1",
        "policy": "continue",
        "image": "https://x/first.jpg",
        "position": "1",
    },
    {"handle": "draft", "title": "Draft", "published": "true", "status": "draft", "price": "1050000", "quantity": "0"},
    {"handle": "lamp", "image": "https://x/third.jpg", "position": "3"},
    {"handle": "card", "title": "Card", "published": "false", "gift_card": "true", "option1": "10", "price": "10"},
]
NEW_ROWS = [{**row, "policy": {"deny": "FALSE", "continue": "TRUE"}.get(row.get("policy", ""), "")} for row in ROWS]

STOREFRONT = {
    "products": [
        {
            "id": 7111222333444,
            "title": "Lamp",
            "handle": "lamp",
            "body_html": "<p>Bright</p>",
            "vendor": "Acme",
            "product_type": "Light",
            "tags": ["Indoor", "Table"],
            "created_at": "2026-01-02T03:04:05-05:00",
            "updated_at": "2026-02-02T03:04:05+01:00",
            "published_at": "2026-01-03T00:00:00Z",
            "images": [
                {"id": 2, "src": "https://x/second.jpg", "position": 2},
                {"id": 1, "src": "https://x/first.jpg", "position": 1},
            ],
            "variants": [
                {
                    "id": 41000000000001,
                    "title": "Red / M",
                    "sku": "L-1",
                    "price": "69.99",
                    "compare_at_price": "85.00",
                    "available": True,
                    "featured_image": {"src": "https://x/red.jpg"},
                },
                {"id": 41000000000002, "title": "Blue / M", "sku": "", "price": 0.10, "available": False},
            ],
        },
        {"id": 2, "title": "Card", "handle": "card", "tags": "gift, new ", "published_at": None, "variants": []},
    ]
}


def csv_text(dialect: int, rows: list[dict[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([headers[dialect] for headers in HEADERS.values()])
    writer.writerows([row.get(name, "") for name in HEADERS] for row in rows)
    return text.getvalue()


def write(path, contents: str | bytes):
    path.write_bytes(contents if isinstance(contents, bytes) else contents.encode())
    return path


def old_csv(path, *rows: dict[str, str]):
    return write(path, csv_text(OLD, list(rows) or ROWS))


def one_file(shop, path) -> CatalogueFiles:
    return CatalogueFiles(shop, (path,))


def load(data, *files: CatalogueFiles):
    pipeline = open_pipeline("catalogue", data)
    pipeline.run(catalogue_source(files))


def loaded_state(data):
    pipeline = open_pipeline("catalogue", data)
    pipeline.sync_destination()  # where dlt's state is kept
    return pipeline.state.get("sources", {}).get("catalogue", {}).get("loaded", {})


def query(data, sql):
    with duckdb.connect(str(warehouse_file(data)), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def counts(data):
    [found] = query(
        data,
        "select (select count(*) from raw_catalogue.products), (select count(*) from raw_catalogue.variants), "
        "(select count(distinct fetched_at) from (from raw_catalogue.products select fetched_at union all "
        "from raw_catalogue.variants select fetched_at))",
    )
    return found


def columns(rows, *names):
    return [tuple(row[name] for name in names) for row in rows]


def test_product_cells_are_read_from_any_of_its_rows(tmp_path):
    products = read_catalogue(old_csv(tmp_path / "x.csv")).products
    assert products[0] == {
        "handle": "lamp",
        "product_id": None,
        "title": "Lamp, “Bright”",
        "description_html": "<p>Line one\nline two, with a comma</p>",
        "vendor": "Acme",
        "product_type": "Light",
        "tags": '["Indoor","Table"]',
        "status": "ACTIVE",
        "is_published": True,
        "is_gift_card": False,
        "image_url": "https://x/first.jpg",
        "created_at": None,
        "updated_at": None,
        "published_at": None,
    }
    assert columns(products[1:], "handle", "status", "is_published", "is_gift_card", "image_url", "vendor", "tags") == [
        ("draft", "DRAFT", False, None, None, None, "[]"),
        ("card", None, False, True, None, None, "[]"),
    ]
    reversed_file = old_csv(tmp_path / "reversed.csv", *reversed(ROWS))
    assert {json.dumps(product) for product in read_catalogue(reversed_file).products} == {
        json.dumps(product) for product in products
    }


def test_rows_with_option_price_or_sku_are_variants_and_image_rows_are_not(tmp_path):
    variants = read_catalogue(old_csv(tmp_path / "x.csv", *ROWS, {"handle": "draft", "sku": "D-2"})).variants
    assert variants[0] == {
        "handle": "lamp",
        "product_id": None,
        "variant_id": None,
        "position": 1,
        "title": "Red / M",
        "sku": "L-1",
        "price": "69.99",
        "compare_at_price": "85.00",
        "is_available": True,
        "inventory_quantity": 2,
        "inventory_policy": "DENY",
        "image_url": "https://x/red.jpg",
    }
    assert columns(variants[1:], "handle", "position", "title", "sku", "price", "inventory_quantity") == [
        ("lamp", 2, "Blue / M", None, "0", -1),
        ("draft", 1, "Default Title", None, "1050000", 0),
        ("draft", 2, "Default Title", "D-2", None, None),
        ("card", 1, "10", None, "10", None),
    ]


def test_both_dialects_give_the_same_catalogue(tmp_path):
    new = write(tmp_path / "new.csv", csv_text(NEW, NEW_ROWS))
    assert read_catalogue(new) == read_catalogue(old_csv(tmp_path / "old.csv"))


@pytest.mark.parametrize(
    "dress",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("Handle", " hANDLE ").replace("Variant Price", "VARIANT PRICE "),
        lambda text: text + "\r\n,,,\r\n",
        lambda text: text.replace(",,,,\r\n", "\r\n"),
        lambda text: "\r\n".join(line + ",," for line in text.split("\r\n")),
        lambda text: text.replace("\r\n", "\n"),
    ],
    ids=["byte order mark", "header's case and spaces", "blank lines", "short lines", "long lines", "line feeds"],
)
def test_csv_formatting_does_not_matter(tmp_path, dress):
    rows = [{**row, "body": ""} for row in ROWS]
    text = csv_text(OLD, rows)
    assert dress(text) != text
    assert read_catalogue(write(tmp_path / "dressed.CSV", dress(text))) == read_catalogue(
        old_csv(tmp_path / "plain.csv", *rows)
    )


@pytest.mark.parametrize(
    ("tracker", "quantity", "policy", "available"),
    [
        ("", "0", "deny", True),
        ("shopify", "0", "continue", True),
        ("shopify", "", "continue", True),
        ("shopify", "1", "deny", True),
        ("shopify", "0", "deny", False),
        ("shopify", "-3", "deny", False),
        ("shopify", "3", "", True),
        ("shopify", "", "deny", None),
    ],
)
def test_variants_are_available_if_untracked_or_oversellable_or_in_stock(
    tmp_path, tracker, quantity, policy, available
):
    row = {**LAMP, "tracker": tracker, "quantity": quantity, "policy": policy}
    assert read_catalogue(old_csv(tmp_path / "x.csv", row)).variants[0]["is_available"] is available


def test_the_first_of_two_columns_for_one_field_wins(tmp_path):
    file = write(tmp_path / "x.csv", "Handle,Title,Price,Variant Price,URL handle\na,A,1,2,b\n")
    assert columns(read_catalogue(file).variants, "handle", "price") == [("a", "1")]


def test_without_tracker_column_availability_is_unknown(tmp_path):
    file = write(tmp_path / "x.csv", "Handle,Title,Variant Price,Variant Inventory Qty\na,A,1,0\nb,B,1,2\nc,C,1,\n")
    assert columns(read_catalogue(file).variants, "is_available") == [(False,), (True,), (None,)]


@pytest.mark.parametrize(
    ("published", "status", "is_published"),
    [
        ("true", "active", True),
        ("TRUE", "", True),
        ("false", "active", False),
        ("true", "archived", False),
        ("true", "unlisted", False),
        ("", "draft", False),
        ("", "active", None),
    ],
)
def test_published_needs_the_column_and_an_active_status(tmp_path, published, status, is_published):
    row = {**LAMP, "published": published, "status": status}
    assert read_catalogue(old_csv(tmp_path / "x.csv", row)).products[0]["is_published"] is is_published


def test_storefront_pages_keep_ids_and_exact_prices(tmp_path):
    catalogue = read_catalogue(write(tmp_path / "products.json", json.dumps(STOREFRONT)))
    lamp, card = catalogue.products
    assert lamp == {
        "handle": "lamp",
        "product_id": "7111222333444",
        "title": "Lamp",
        "description_html": "<p>Bright</p>",
        "vendor": "Acme",
        "product_type": "Light",
        "tags": '["Indoor","Table"]',
        "status": None,
        "is_published": True,
        "is_gift_card": None,
        "image_url": "https://x/first.jpg",
        "created_at": datetime(2026, 1, 2, 8, 4, 5, tzinfo=UTC),
        "updated_at": datetime(2026, 2, 2, 2, 4, 5, tzinfo=UTC),
        "published_at": datetime(2026, 1, 3, tzinfo=UTC),
    }
    assert (card["product_id"], card["tags"], card["is_published"]) == ("2", '["gift","new"]', False)
    assert catalogue.variants[0] == {
        "handle": "lamp",
        "product_id": "7111222333444",
        "variant_id": "41000000000001",
        "position": 1,
        "title": "Red / M",
        "sku": "L-1",
        "price": "69.99",
        "compare_at_price": "85.00",
        "is_available": True,
        "inventory_quantity": None,
        "inventory_policy": None,
        "image_url": "https://x/red.jpg",
    }
    assert columns(catalogue.variants[1:], "variant_id", "position", "sku", "price", "is_available", "image_url") == [
        ("41000000000002", 2, None, "0.1", False, None)
    ]


def test_amounts_beyond_float_precision_are_kept_exactly(tmp_path):
    text = json.dumps(STOREFRONT).replace("0.1,", "12345678901234567.10,")
    file = write(tmp_path / "products.json", text)
    assert read_catalogue(file).variants[1]["price"] == "12345678901234567.10"


HEADER = "Handle,Title,Published,Variant Inventory Qty,Variant Price,Variant Compare At Price\n"
ONE_PRODUCT = '{"products":[{"id":1,"handle":"a","title":"A","variants":[%s]}]}'


@pytest.mark.parametrize(
    ("name", "contents", "complaint"),
    [
        ("absent.csv", None, r"absent\.csv does not exist: put the catalogue there"),
        ("x.xlsx", b"PK", r"x\.xlsx is neither a product CSV \(\.csv\) nor a saved /products\.json \(\.json\): name"),
        ("x.csv", HEADER + "a,Caf\u00e9,,,1,", r"line 2: byte 0xE9 is not UTF-8: save it as UTF-8"),
        ("x.csv", b"\xff\xfeH\0a\0", r"line 1: byte 0xFF is not UTF-8: save it as UTF-8"),
        ("x.json", b'{"products":[\n"\x80', r"x\.json, line 2: byte 0x80 is not UTF-8: save it as UTF-8"),
        ("x.csv", "", r"has no header with Title and Handle \(or URL handle\).*: export the products"),
        ("x.csv", "Title,Price\nA,1\n", r"has no header with Title and Handle \(or URL handle\).*: export"),
        ("x.csv", "Handle,Price\na,1\n", r"has no header with Title and Handle \(or URL handle\).*: export"),
        ("x.csv", "Handle;Title\na;A\n", r"has no header .*, separated by commas: export the products"),
        ("x.csv", HEADER, r"has no rows below its header: export the products"),
        ("x.csv", HEADER + ",,,,,\n\n", r"has no rows below its header: export the products"),
        ("x.csv", HEADER + "a,A,,,1,\n,A,,,2,\n", r"line 3 has no handle: fill it in"),
        (
            "x.csv",
            HEADER + 'a,A,,,"1,050,000",\n',
            r"line 2: price is '1,050,000', which is not a decimal: write it like",
        ),
        ("x.csv", HEADER + 'a,"A\nB",,,1,\nb,B,,,2,1.2.3\n', r"line 4: compare_at_price is '1\.2\.3', which is not"),
        (
            "x.csv",
            HEADER + "a,A,,,1.05E+06,\n",
            r"price is '1\.05E\+06', which is not a decimal: write it like 1050000",
        ),
        ("x.csv", HEADER + "a,A,,,-1,\n", r"price is '-1', which is not a decimal: write it like 1050000"),
        ("x.csv", HEADER + "a,A,,some,1,\n", r"line 2: quantity is 'some': write a whole number, or leave it blank"),
        ("x.csv", HEADER + "a,A,maybe,,1,\n", r"line 2: published is 'maybe': write one of true, false"),
        ("x.csv", HEADER + "a,A, B,,,1,\n", r"line 2: published is 'B': write one of true, false"),
        ("x.csv", HEADER + "a,A,,,1,1,050\n", r"line 2 has more cells than the header: put quotes around"),
        ("x.csv", HEADER + 'a,A,,,1,\nb,"B,,,1,\nc,C,,,1,\n', r"line 3 is not CSV \(.*\): export the products"),
        ("x.json", "<html>", r"is not a /products\.json \(.*\): save the page /products\.json"),
        ("x.json", "[]", r"is not a /products\.json \(Expected `object`, got `array`\): save the page"),
        (
            "x.json",
            '{"products":[{"id":1,"title":"A","variants":[]}]}',
            r"is not a .*field `handle` - at `\$\.products\[0\]`",
        ),
        ("x.json", '{"products":[]}', r"has no products: save the page"),
        (
            "x.json",
            ONE_PRODUCT % '{"id":1,"title":"T","price":"1,5"}',
            r"product a: price is '1,5', which is not a decimal",
        ),
        ("x.json", ONE_PRODUCT % '{"id":1,"title":"T","price":1e400}', r"product a: price is '1e400', which is not"),
        (
            "x.json",
            ONE_PRODUCT % '{"id":1,"title":"T","price":["1"]}',
            r"product a: price is .* which is not",
        ),
        ("x.json", ONE_PRODUCT % '{"id":1,"title":"T"}', r"missing required field `price`.*: save the page"),
        (
            "x.json",
            (ONE_PRODUCT % "").replace('"id":1', '"id":1,"created_at":"2026-01-01T00:00:00"'),
            r"is not a /products\.json \(Expected `datetime` with a timezone .*created_at`\): save the page",
        ),
        (
            "x.json",
            '{"products":[%s,%s]}' % (('{"id":1,"handle":"a","title":"A","variants":[]}',) * 2),
            r"has the product a twice: remove one of them",
        ),
    ],
)
def test_unusable_files_are_refused_with_one_sentence(tmp_path, name, contents, complaint):
    if contents is not None:
        write(tmp_path / name, contents.encode("latin-1") if isinstance(contents, str) else contents)
    with pytest.raises(CatalogueError, match=complaint) as caught:
        read_catalogue(tmp_path / name)
    assert str(caught.value).startswith(str(tmp_path / name))
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_a_folder_is_refused_with_one_sentence(tmp_path):
    (tmp_path / "x.csv").mkdir()
    with pytest.raises(CatalogueError, match=r"x\.csv cannot be read \(Is a directory\): name a readable file"):
        read_catalogue(tmp_path / "x.csv")


def test_long_descriptions_load_and_the_global_csv_limit_is_restored(tmp_path):
    limit = csv.field_size_limit()
    description = '<p>"Sparkle" ✨, 💍 Việt\r\n</p>' * 9_000
    assert len(description) > 250_000
    load(tmp_path, one_file(SHOP, old_csv(tmp_path / "x.csv", {**LAMP, "body": description})))
    assert query(tmp_path, "select description_html from raw_catalogue.products") == [(description,)]
    assert csv.field_size_limit() == limit


def test_a_load_without_files_creates_the_tables(tmp_path):
    load(tmp_path)
    assert counts(tmp_path) == (0, 0, 0)


def test_rows_carry_shop_time_and_file(tmp_path):
    before = datetime.now(UTC)
    load(
        tmp_path,
        one_file(SHOP, old_csv(tmp_path / "export.csv")),
        one_file(OTHER, write(tmp_path / "products.json", json.dumps(STOREFRONT))),
    )
    columns = "select shop, fetched_at, file from raw_catalogue"
    both = f"({columns}.products union all {columns}.variants)"
    readings = query(tmp_path, f"select shop, file, count(*), min(fetched_at) from {both} group by all order by all")
    assert [reading[:3] for reading in readings] == [(SHOP, "export.csv", 7), (OTHER, "products.json", 4)]
    assert len(query(tmp_path, f"select distinct shop, fetched_at from {both}")) == 2
    assert all(before <= fetched_at < before + timedelta(minutes=1) for *_, fetched_at in readings)
    [types] = query(
        tmp_path,
        "select list(data_type order by column_name) from information_schema.columns where table_name = 'products' "
        "and table_schema = 'raw_catalogue' and column_name in ('created_at', 'fetched_at', 'is_gift_card', 'tags')",
    )
    assert types == (["TIMESTAMP WITH TIME ZONE", "TIMESTAMP WITH TIME ZONE", "BOOLEAN", "VARCHAR"],)


def test_unchanged_files_are_not_reloaded(tmp_path):
    file = one_file(SHOP, old_csv(tmp_path / "x.csv"))
    for _ in range(2):
        load(tmp_path, file)
    assert counts(tmp_path) == (3, 4, 1)
    loaded = fingerprint({file.paths[0]: file.paths[0].read_bytes()})
    assert loaded_state(tmp_path) == {SHOP: {"products": loaded, "variants": loaded}}
    old_csv(file.paths[0], {**LAMP, "price": "70"})
    load(tmp_path, file)
    assert counts(tmp_path) == (4, 5, 2)
    assert query(tmp_path, "select price from raw_catalogue.variants where sku = 'L-1' order by fetched_at") == [
        ("69.99",),
        ("70",),
    ]
    old_csv(file.paths[0])  # and back again: the catalogue is a log
    load(tmp_path, file)
    assert counts(tmp_path) == (7, 9, 3)


def test_the_same_file_is_read_once_per_shop(tmp_path):
    path = old_csv(tmp_path / "x.csv")
    load(tmp_path, one_file(SHOP, path))
    load(tmp_path, one_file(SHOP, path), one_file(OTHER, path))
    assert query(tmp_path, "select shop, count(*) from raw_catalogue.variants group by all order by all") == [
        (SHOP, 4),
        (OTHER, 4),
    ]


def test_an_unusable_file_does_not_stop_others_and_its_error_is_stored(tmp_path):
    good = one_file(SHOP, old_csv(tmp_path / "good.csv"))
    bad = one_file(OTHER, old_csv(tmp_path / "bad.csv"))
    load(tmp_path, bad, good)
    before = counts(tmp_path)
    old_csv(good.paths[0], LAMP)
    old_csv(bad.paths[0], {**LAMP, "price": "1,050"})
    with pytest.raises(CatalogueError, match=r"bad\.csv, line 2: price is '1,050'"):
        read_catalogue(bad.paths[0])
    load(tmp_path, bad, good)
    assert counts(tmp_path) == (before[0] + 1, before[1] + 1, before[2] + 1)
    newest = "select shop, rows, error from raw_catalogue.readings order by fetched_at desc, shop limit 2"
    [(_, _, none), (shop, rows, error)] = sorted(query(tmp_path, newest), key=lambda row: row[1], reverse=True)
    assert (shop, rows, none) == (OTHER, 0, None)
    assert "line 2: price is '1,050'" in error
    old_csv(bad.paths[0])  # as it was before
    load(tmp_path, bad, good)
    assert query(tmp_path, "select max_by(error, fetched_at) from raw_catalogue.readings where rows > 0") == [(None,)]
    assert counts(tmp_path)[2] == before[2] + 2


def test_the_next_load_finishes_a_killed_one_without_duplicates(tmp_path):
    file = one_file(SHOP, old_csv(tmp_path / "x.csv"))
    load(tmp_path)
    pipeline = open_pipeline("catalogue", tmp_path)
    pipeline.extract(catalogue_source([file]))
    del pipeline  # the process dies between extracting and loading
    assert counts(tmp_path) == (0, 0, 0)
    load(tmp_path, file)
    assert counts(tmp_path) == (3, 4, 1)


def test_loading_one_table_alone_does_not_block_the_other(tmp_path):
    file = one_file(SHOP, old_csv(tmp_path / "x.csv"))
    load(tmp_path)
    open_pipeline("catalogue", tmp_path).run(catalogue_source([file]).with_resources("products"))
    assert counts(tmp_path) == (3, 0, 1)
    load(tmp_path, file)
    assert counts(tmp_path) == (6, 4, 2)
    load(tmp_path, file)
    assert counts(tmp_path) == (6, 4, 2)


def test_a_real_store_catalogue_loads_exactly(tmp_path, shared_data):
    path = shared_data / "catalogues" / "vietjewelers_products_export.csv"
    load(tmp_path, one_file(SHOP, path))
    assert counts(tmp_path) == (1243, 1654, 1)

    with duckdb.connect() as connection:
        connection.execute(
            "create table line as select *, row_number() over () as number from read_csv(?, all_varchar = true, "
            "header = true, quote = '\"', escape = '\"', parallel = false)",
            [str(path)],
        )
        connection.execute('create table variant as select * from line where "Variant Price" is not null')
        variants = connection.execute(
            """
            select
                Handle,
                row_number() over (partition by Handle order by number),
                concat_ws(' / ', "Option1 Value", "Option2 Value", "Option3 Value"),
                "Variant SKU",
                "Variant Price",
                "Variant Compare At Price",
                "Variant Inventory Tracker" is null
                or "Variant Inventory Policy" = 'continue'
                or "Variant Inventory Qty"::bigint > 0,
                "Variant Inventory Qty"::bigint,
                "Variant Image"
            from variant
            """
        ).fetchall()
        products = connection.execute(
            """
            select Handle, Title, Vendor, Type, upper(Status), Published = 'true' and Status = 'active',
                "Gift Card" = 'true', length(trim("Body (HTML)", E' \\n\\t'))
            from line where Title is not null
            """
        ).fetchall()
        total, free = connection.execute(
            'select sum("Variant Price"::decimal(18, 2)), count_if("Variant Price"::decimal(18, 2) = 0) from variant'
        ).fetchone()
        images = connection.execute(
            """
            select Handle, arg_min("Image Src", "Image Position"::bigint) from line
            where "Image Src" is not null group by all
            """
        ).fetchall()

    assert query(
        tmp_path,
        "select sum(price::decimal(18, 2)), count_if(price::decimal(18, 2) = 0) from raw_catalogue.variants",
    ) == [(total, free)]
    assert (total > Decimal(0), free) == (True, 9)
    assert Counter(variants) == Counter(
        query(
            tmp_path,
            "select handle, position, title, sku, price, compare_at_price, is_available, inventory_quantity, "
            "image_url from raw_catalogue.variants",
        )
    )
    assert Counter(products) == Counter(
        query(
            tmp_path,
            "select handle, title, vendor, product_type, status, is_published, is_gift_card, "
            "length(description_html) from raw_catalogue.products",
        )
    )
    assert sorted(images) == sorted(
        query(tmp_path, "select handle, image_url from raw_catalogue.products where image_url is not null")
    )


def test_a_sample_of_another_export_loads(shared_data):
    catalogue = read_catalogue(shared_data / "catalogues" / "packt_product_data_MIT.csv")
    assert (len(catalogue.products), len(catalogue.variants)) == (20, 21)
    assert sum(Decimal(variant["price"]) for variant in catalogue.variants) > 0
    assert {product["status"] for product in catalogue.products} == {"ACTIVE"}
    two = [variant for variant in catalogue.variants if variant["position"] == 2]
    assert len(two) == 1


def page(*products: dict) -> str:
    return json.dumps({"products": list(products)})


def product(number: int, **more) -> dict:
    variant = {"id": 9000 + number, "title": "Default Title", "price": "5.00", "available": True}
    return {
        "id": number,
        "title": f"P{number}",
        "handle": f"p-{number}",
        "published_at": "2026-01-01T00:00:00Z",
        "variants": [variant],
    } | more


def admin_product(status: str, **variant) -> dict:
    stock = {"inventory_management": "shopify", "inventory_policy": "deny", "inventory_quantity": 0}
    one = {"id": 1, "title": "Default Title", "price": "9.00"} | stock | variant
    return product(7, status=status, variants=[one])


@pytest.mark.parametrize(
    ("status", "variant", "published", "available"),
    [
        ("active", {}, True, False),
        ("active", {"inventory_quantity": 3}, True, True),
        ("active", {"inventory_quantity": -2}, True, False),
        ("active", {"inventory_policy": "continue"}, True, True),
        ("active", {"inventory_management": None}, True, True),
        ("active", {"inventory_quantity": None}, True, None),
        ("archived", {"inventory_quantity": 3}, False, True),
        ("draft", {"inventory_quantity": 3}, False, True),
        ("unlisted", {"inventory_quantity": 3}, False, True),
    ],
)
def test_admin_rest_pages_give_status_and_stock(tmp_path, status, variant, published, available):
    catalogue = read_catalogue(write(tmp_path / "rest.json", page(admin_product(status, **variant))))
    assert columns(catalogue.products, "status", "is_published") == [(status.upper(), published)]
    assert columns(catalogue.variants, "is_available", "inventory_policy") == [
        (available, variant.get("inventory_policy", "deny").upper())
    ]


def test_admin_rest_products_off_the_online_store_are_not_published(tmp_path):
    hidden = admin_product("active") | {"published_at": None}
    assert read_catalogue(write(tmp_path / "rest.json", page(hidden))).products[0]["is_published"] is False


@pytest.mark.parametrize(
    ("pages", "complete"),
    [
        ([250], False),
        ([30], False),
        ([500], False),
        ([250, 250], False),
        ([30, 30], False),
        ([249], True),
        ([31], True),
        ([50], True),
        ([250, 30], True),
        ([250, 7], True),
        ([7, 250], True),
        ([250, 0], True),
        ([30, 30, 0], True),
    ],
)
def test_full_pages_may_be_incomplete(tmp_path, pages, complete):
    numbers = iter(range(1, 1000))
    files = [
        write(tmp_path / f"{place}.json", page(*(product(next(numbers)) for _ in range(count))))
        for place, count in enumerate(pages)
    ]
    catalogue = read_catalogue(*files)
    assert catalogue.is_complete is complete
    assert len(catalogue.products) == sum(pages)
    if complete:
        assert catalogue.warning is None
    else:
        assert f"exactly {pages[-1]} products, which is a full page" in catalogue.warning
        assert "no product counts as deleted" in catalogue.warning


def test_fifty_products_are_a_full_admin_rest_page(tmp_path):
    products = [admin_product("active") | {"id": number, "handle": f"p-{number}"} for number in range(1, 51)]
    assert not read_catalogue(write(tmp_path / "rest.json", page(*products))).is_complete


def test_the_last_page_wins_with_a_warning(tmp_path):
    first = write(tmp_path / "1.json", page(product(1), product(2, title="before")))
    last = write(tmp_path / "2.json", page(product(2, title="after"), product(3)))
    catalogue = read_catalogue(first, last)
    assert columns(catalogue.products, "handle", "title") == [("p-1", "P1"), ("p-2", "after"), ("p-3", "P3")]
    assert len(catalogue.variants) == 3
    assert catalogue.warning == "Several files have p-2: 2.json wins."


def test_pages_without_products_are_refused(tmp_path):
    files = [write(tmp_path / f"{number}.json", page()) for number in range(2)]
    with pytest.raises(CatalogueError, match=r"0\.json has no products: save the page"):
        read_catalogue(*files)


def test_handle_spellings_are_normalized(tmp_path):
    rows = "cafe\u0301-latte,Latte,1\ncaf\u00e9-latte,,2\nCaf%C3%A9-Latte,,3\n"
    catalogue = read_catalogue(write(tmp_path / "x.csv", "Handle,Title,Variant Price\n" + rows))
    assert columns(catalogue.products, "handle", "title") == [("caf\u00e9-latte", "Latte")]
    assert columns(catalogue.variants, "handle", "position", "price") == [
        ("caf\u00e9-latte", place, str(place)) for place in (1, 2, 3)
    ]
    saved = read_catalogue(write(tmp_path / "x.json", page(product(1, handle="抹茶-セット"))))
    assert saved.products[0]["handle"] == "抹茶-セット"


def test_missing_quantity_column_gives_a_warning(tmp_path):
    rows = [
        {**LAMP, "quantity": ""},
        {**LAMP, "handle": "b", "quantity": "", "policy": "continue"},
    ]
    text = csv_text(NEW, [{**row, "policy": {"deny": "FALSE", "continue": "TRUE"}[row["policy"]]} for row in rows])
    catalogue = read_catalogue(write(tmp_path / "x.csv", text))
    assert catalogue.warning.startswith("x.csv has no inventory quantity for 1 of its 2 variants; they count as in")
    assert "Inventory quantity" in catalogue.warning
    without = read_catalogue(write(tmp_path / "y.csv", "Handle,Title,Variant Price\na,A,1\n"))
    assert "for 1 of its 1 variants" in without.warning
    assert read_catalogue(old_csv(tmp_path / "z.csv")).warning is None


def test_id_0_becomes_null(tmp_path):
    nothing = product(0) | {"variants": [{"id": 0, "title": "T", "price": "1", "available": True}]}
    catalogue = read_catalogue(write(tmp_path / "x.json", page(nothing)))
    assert catalogue.products[0]["product_id"] is None
    assert catalogue.variants[0]["variant_id"] is None


def test_several_files_are_one_reading_with_warnings(tmp_path):
    files = tuple(
        write(tmp_path / f"{place}.json", page(*(product(place * 30 + number + 1) for number in range(30))))
        for place in range(2)
    )
    load(tmp_path, CatalogueFiles(SHOP, files))
    load(tmp_path, CatalogueFiles(SHOP, files))
    [(file, rows, complete, warning)] = query(
        tmp_path, "select file, rows, is_complete, warning from raw_catalogue.readings"
    )
    assert (file, rows, complete) == ("0.json, 1.json", 120, False)
    assert warning.startswith("1.json has exactly 30 products")
    write(files[1], page(product(31)))
    load(tmp_path, CatalogueFiles(SHOP, files))
    newest = "select is_complete, warning from raw_catalogue.readings order by fetched_at desc limit 1"
    assert query(tmp_path, newest) == [(True, None)]
    files[1].unlink()
    load(tmp_path, CatalogueFiles(SHOP, files))
    assert "1.json does not exist" in query(tmp_path, newest.replace("is_complete, warning", "error"))[0][0]


def test_catalogue_files_are_relative_to_shops_toml(tmp_path):
    text = '[[shops]]\ndomain = "{0}.myshopify.com"\nname = "n"\ntimezone = "UTC"\ncurrency = "EUR"\n'
    text += 'ingest_keys = ["key-of-{0}"]\ncatalogue = {1}\n'
    file = write(tmp_path / "shops.toml", text.format("a", '"x.csv"') + text.format("b", '["1.json", "2.json"]'))
    assert [(files.shop, files.paths) for files in catalogue_files(load_shops(file), tmp_path)] == [
        (SHOP, (tmp_path / "x.csv",)),
        (OTHER, (tmp_path / "1.json", tmp_path / "2.json")),
    ]
    write(file, text.format("a", "[]"))
    with pytest.raises(ShopsFileError, match="catalogue"):
        load_shops(file)
