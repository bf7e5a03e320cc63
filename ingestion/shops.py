"""The stores that are served, as shops.toml describes them.

Flows in: shops.toml. Flows out: checked `Shop` records for the collector, the dlt sources and the command line.
"""

from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

Key = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{8,64}$")]

Channel = Literal[
    "affiliates",
    "ai assistant",
    "audio",
    "cross-network",
    "direct",
    "display",
    "email",
    "mobile push notifications",
    "organic search",
    "organic shopping",
    "organic social",
    "organic video",
    "other campaign",
    "paid other",
    "paid search",
    "paid shopping",
    "paid social",
    "paid video",
    "referral",
    "sms",
]


class ShopsFileError(Exception):
    """shops.toml is missing or wrong; the message names what to change."""


class RecommendationRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the merchant wants of the recommendations; products by handle, by id or by Shopify's global id.

    exclude: never shown. pin: shown first on every product's page, in this order. pin_beside: the same, on the page of
    one product.
    """

    exclude: list[str | int] = []
    pin: list[str | int] = []
    pin_beside: dict[str, list[str | int]] = {}


class Shop(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One store.

    domain: its permanent `*.myshopify.com` name, the `shop` of every key in the warehouse.
    timezone: IANA name; every `_date` of this shop is in it. currency: ISO 4217.
    ingest_keys: one or two public keys that route events to this shop.
    hosts: the host names its pages are served from; events of other hosts are flagged, not refused.
    require_consent: store nothing that comes without a consent snapshot.
    orders: load the Admin API's orders too, the truth for money (the token needs scope read_orders).
    catalogue: where the environment has no token for the Admin API, a product CSV or a saved /products.json; relative
    to shops.toml.
    channels: the channel of a utm_source, a utm_medium or a referrer's host, where the rules say otherwise; "direct"
    for a host that shoppers come back from, such as a payment provider.
    recommendations: what is never shown, and what is shown first.
    """

    domain: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]*\.myshopify\.com$")]
    name: str
    timezone: str
    currency: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}$")]
    ingest_keys: Annotated[list[Key], msgspec.Meta(min_length=1, max_length=2)]
    hosts: list[str] = []
    require_consent: bool = False
    orders: bool = False
    catalogue: str | None = None
    channels: dict[str, Channel] = {}
    recommendations: RecommendationRules = RecommendationRules()


class _ShopsFile(msgspec.Struct, forbid_unknown_fields=True):
    shops: Annotated[list[Shop], msgspec.Meta(min_length=1)]


def load_shops(path: Path) -> list[Shop]:
    """Read and check shops.toml.

    Raises:
        ShopsFileError: the file is missing, is not TOML, or describes no usable stores.
    """
    try:
        shops = msgspec.toml.decode(path.read_bytes(), type=_ShopsFile).shops
    except FileNotFoundError:
        raise ShopsFileError(
            f"{path} does not exist: copy shops.toml from the repository and describe your store in it."
        ) from None
    except OSError as error:
        raise ShopsFileError(f"{path} cannot be read ({error.strerror}): check its permissions.") from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise ShopsFileError(f"{path} is not usable: {error}. Correct it and run again.") from error
    for shop in shops:
        try:
            ZoneInfo(shop.timezone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ShopsFileError(
                f"{path}: {shop.domain} has timezone {shop.timezone!r}; use an IANA name such as 'Europe/Berlin'."
            ) from None
    _require_distinct(path, "domain", [shop.domain for shop in shops])
    _require_distinct(path, "ingest key", [key for shop in shops for key in shop.ingest_keys])
    return shops


def _require_distinct(path: Path, what: str, values: list[str]) -> None:
    twice = {value for value in values if values.count(value) > 1}
    if twice:
        raise ShopsFileError(f"{path}: the {what} {sorted(twice)[0]!r} stands there twice; each must be unique.")


def find_shop(shops: list[Shop], domain: str) -> Shop:
    """The shop of that domain.

    Raises:
        ShopsFileError: there is none.
    """
    for shop in shops:
        if shop.domain == domain:
            return shop
    known = ", ".join(shop.domain for shop in shops)
    raise ShopsFileError(f"{domain} is not in shops.toml (it has: {known}): add it there, or name one of these.")
