from pathlib import Path

import pytest

from ingestion.shops import ShopsFileError, find_shop, load_shops

SHOP = """
[[shops]]
domain = "a.myshopify.com"
name = "A"
timezone = "Europe/Berlin"
currency = "EUR"
ingest_keys = ["key-of-shop-a"]
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "shops.toml"
    file.write_text(text)
    return file


def test_a_shop_is_read_as_it_is_written(tmp_path):
    [shop] = load_shops(write(tmp_path, SHOP))
    assert (shop.domain, shop.timezone, shop.currency, shop.ingest_keys) == (
        "a.myshopify.com",
        "Europe/Berlin",
        "EUR",
        ["key-of-shop-a"],
    )


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(ShopsFileError, match="does not exist: copy"):
        load_shops(tmp_path / "shops.toml")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[[shops]\n", "not usable"),
        ("", "shops"),
        ("shops = []", "length >= 1"),
        (SHOP.replace('currency = "EUR"', ""), "currency"),
        (SHOP.replace("EUR", "euro"), "currency"),
        (SHOP.replace("Europe/Berlin", "Berlin/Europe"), "IANA name"),
        (SHOP.replace("a.myshopify.com", "https://a.com"), "domain"),
        (SHOP.replace('["key-of-shop-a"]', "[]"), "ingest_keys"),
        (SHOP.replace('["key-of-shop-a"]', '["key-1-of-a", "key-2-of-a", "key-3-of-a"]'), "ingest_keys"),
        (SHOP + 'hots = ["typo.example"]\n', "hots"),
        (SHOP + SHOP, "stands there twice"),
        (SHOP + SHOP.replace("a.myshopify.com", "b.myshopify.com"), "ingest key 'key-of-shop-a' stands there twice"),
    ],
)
def test_a_broken_file_is_refused_with_its_name_and_the_reason(tmp_path, text, complaint):
    with pytest.raises(ShopsFileError) as refusal:
        load_shops(write(tmp_path, text))
    assert str(tmp_path / "shops.toml") in str(refusal.value)
    assert complaint in str(refusal.value)


def test_a_shop_that_is_not_there_is_named_with_those_that_are(tmp_path):
    shops = load_shops(write(tmp_path, SHOP))
    with pytest.raises(ShopsFileError, match=r"b\.myshopify\.com is not in shops\.toml \(it has: a\.myshopify\.com\)"):
        find_shop(shops, "b.myshopify.com")


def test_a_merchant_decides_channels_by_their_names(tmp_path):
    [shop] = load_shops(write(tmp_path, SHOP + '[shops.channels]\n"blog.example" = "affiliates"\n'))
    assert shop.channels == {"blog.example": "affiliates"}
    with pytest.raises(ShopsFileError, match="Affiliate"):
        load_shops(write(tmp_path, SHOP + '[shops.channels]\n"blog.example" = "Affiliate"\n'))
