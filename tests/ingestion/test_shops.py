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


def test_shops_are_read(tmp_path):
    [shop] = load_shops(write(tmp_path, SHOP))
    assert (shop.domain, shop.timezone, shop.currency, shop.ingest_keys) == (
        "a.myshopify.com",
        "Europe/Berlin",
        "EUR",
        ["key-of-shop-a"],
    )


def test_a_missing_file_names_the_remedy(tmp_path):
    with pytest.raises(ShopsFileError, match="does not exist: copy"):
        load_shops(tmp_path / "shops.toml")


def changed(field: str, value: str) -> str:
    """The shop as TOML, with one field changed."""
    lines = [line for line in SHOP.splitlines() if not line.startswith(f"{field} ")]
    return "\n".join([*lines, f"{field} = {value}", ""])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[[shops]\n", "is not TOML: Expected"),
        (SHOP + 'name = "B"\n', "a field appears twice"),
        ("", "It does not describe any store: start each with a line [[shops]]"),
        ("shops = []", "It does not describe any store"),
        (SHOP.replace("[[shops]]", "[shops]"), "write [[shops]]"),
        ('title = "x"\n' + SHOP, "'title' is outside a store"),
        (SHOP.replace('currency = "EUR"', ""), "a.myshopify.com: currency is missing"),
        (SHOP.replace('domain = "a.myshopify.com"', ""), "store number 1: domain is missing"),
        (changed("currency", '"euro"'), "a.myshopify.com: currency is 'euro': use an ISO 4217 currency code"),
        (changed("currency", '"eur"'), "write 'EUR'"),
        (changed("currency", '"XYZ"'), "ISO 4217"),
        (changed("currency", '"DEM"'), "ISO 4217"),
        (changed("currency", "978"), "ISO 4217"),
        (changed("timezone", '"Berlin/Europe"'), "did you mean 'Europe/Berlin'"),
        (changed("timezone", '"Berlin"'), "did you mean 'Europe/Berlin'"),
        (changed("timezone", '"new york"'), "did you mean 'America/New_York'"),
        (changed("timezone", '"UTC+1"'), "use an IANA name"),
        (changed("timezone", '"../../etc/passwd"'), "use an IANA name"),
        (changed("timezone", "1"), "use an IANA name"),
        (changed("domain", '"https://shop.example/"'), "put 'shop.example' into hosts"),
        (changed("domain", '"www.shop.example"'), "admin.shopify.com/store/NAME is NAME.myshopify.com"),
        (changed("domain", '"https://A.myshopify.com/admin"'), "write 'a.myshopify.com'"),
        (changed("domain", '"a"'), "write 'a.myshopify.com' if that is the store's permanent name"),
        (changed("domain", '""'), "store number 1: domain is ''"),
        (changed("domain", "5"), "permanent name"),
        (changed("name", '" "'), "write the store's name"),
        (changed("ingest_keys", "[]"), "write one key in brackets, or two"),
        (changed("ingest_keys", '"key-of-shop-a"'), "in brackets"),
        (changed("ingest_keys", '["key-1-of-a", "key-2-of-a", "key-3-of-a"]'), "write one key in brackets, or two"),
        (changed("ingest_keys", '["short"]'), "8 to 64 letters, digits, - and _; 'short' does not match"),
        (changed("ingest_keys", '["key/of/shop/a"]'), "'key/of/shop/a' does not match"),
        (changed("hosts", '"shop.example"'), "in brackets"),
        (changed("hosts", '["https://shop.example/de"]'), "write 'shop.example' instead of 'https://shop.example/de'"),
        (changed("hosts", '["Shop.Example"]'), "write 'shop.example'"),
        (changed("hosts", '["*.shop.example"]'), "is not a host name"),
        (changed("hosts", '["müller.example"]'), "in the form xn--"),
        (changed("hosts", '["shop.example", "shop.example"]'), "'shop.example' appears twice"),
        (changed("hosts", "[5]"), "5 is not a string"),
        (changed("orders", '"true"'), "write true or false, without quotes"),
        (changed("require_consent", "1"), "write true or false"),
        (changed("catalogue", "[]"), "the name of a file"),
        (changed("channels", '{ x = "telepathy" }'), "'x' has the channel 'telepathy'; the channels are affiliates"),
        (changed("recommendations", '{ exclud = ["x"] }'), "did you mean exclude"),
        (changed("recommendations", '{ pin = "x" }'), "the products of pin in brackets"),
        (changed("recommendations", '{ pin_beside = ["x"] }'), "write pin_beside as"),
        (SHOP + 'hots = ["typo.example"]\n', "the field hots is unknown: did you mean hosts?"),
        (SHOP + 'colour = "red"\n', "the field colour is unknown: a store has domain, name"),
        (SHOP + 'access_token = "shpat_x"\n', "secrets come from the environment"),
        (SHOP + SHOP, "the store appears twice"),
        (
            SHOP + SHOP.replace("a.myshopify.com", "b.myshopify.com"),
            "b.myshopify.com: the ingest key 'key-of-shop-a' is used twice (also by a.myshopify.com)",
        ),
        (changed("ingest_keys", '["key-of-shop-a", "key-of-shop-a"]'), "is used twice"),
    ],
)
def test_invalid_files_are_refused_with_file_store_and_remedy(tmp_path, text, complaint):
    with pytest.raises(ShopsFileError) as refusal:
        load_shops(write(tmp_path, text))
    message = str(refusal.value)
    assert str(tmp_path / "shops.toml") in message
    assert complaint in message
    for raw in ("regex", "$.", "Object ", "Expected `"):
        assert raw not in message


def test_non_utf8_files_are_refused(tmp_path):
    (tmp_path / "shops.toml").write_bytes(SHOP.encode().replace(b'"A"', b'"\xc4"'))
    with pytest.raises(ShopsFileError, match="is not usable: it is not UTF-8"):
        load_shops(tmp_path / "shops.toml")


def test_all_problems_are_reported_at_once_up_to_a_limit(tmp_path):
    two = changed("currency", '"XYZ"') + changed("timezone", '"Mars/Olympus"').replace("a.my", "b.my").replace(
        "-a", "-b"
    )
    with pytest.raises(ShopsFileError, match=r"a\.myshopify\.com: currency .*b\.myshopify\.com: timezone"):
        load_shops(write(tmp_path, two))
    with pytest.raises(ShopsFileError, match="And 1 more"):
        load_shops(write(tmp_path, SHOP + "".join(f"colour{number} = 1\n" for number in range(6))))


@pytest.mark.parametrize("currency", ["USD", "JPY", "KWD", "HUF", "CHF", "XAF", "XOF", "XPF", "VND", "CLP", "ZWG"])
def test_currencies_in_use_are_accepted(tmp_path, currency):
    [shop] = load_shops(write(tmp_path, SHOP.replace("EUR", currency)))
    assert shop.currency == currency


def test_valid_hosts_are_accepted_unchanged(tmp_path):
    hosts = ["shop.example", "xn--mller-kva.example", "localhost:8789", "127.0.0.1", "a.myshopify.com"]
    [shop] = load_shops(write(tmp_path, changed("hosts", str(hosts))))
    assert shop.hosts == hosts


def test_an_unknown_shop_is_reported_with_the_known_ones(tmp_path):
    shops = load_shops(write(tmp_path, SHOP))
    with pytest.raises(ShopsFileError, match=r"b\.myshopify\.com is not in shops\.toml \(it has: a\.myshopify\.com\)"):
        find_shop(shops, "b.myshopify.com")


def test_merchants_can_override_channels(tmp_path):
    [shop] = load_shops(write(tmp_path, SHOP + '[shops.channels]\n"blog.example" = "affiliates"\n'))
    assert shop.channels == {"blog.example": "affiliates"}
    with pytest.raises(ShopsFileError, match="Affiliate"):
        load_shops(write(tmp_path, SHOP + '[shops.channels]\n"blog.example" = "Affiliate"\n'))
