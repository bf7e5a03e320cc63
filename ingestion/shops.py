"""The stores that Pixelnova serves, as described in shops.toml.

Reads shops.toml; returns checked `Shop` records to the collector, the dlt sources and the command line.
"""

import tomllib
from pathlib import Path
from typing import Literal, get_args

import msgspec

from ingestion.errors import IngestionError
from ingestion.shops_check import problems

MAX_PROBLEMS = 5  # per message

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


class ShopsFileError(IngestionError):
    """shops.toml is missing or wrong; the message names what to change."""


class RecommendationRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The merchant's rules for recommendations; products by handle, id or Shopify's global id.

    exclude: never shown. pin: shown first on every product page, in this order. pin_beside: the same, on the page of
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
    hosts: host names that serve its pages; events from other hosts are flagged, not refused.
    require_consent: store only events that come with a consent snapshot.
    orders: also load the Admin API's orders, the source of truth for money (the token needs scope read_orders).
    catalogue: used without an Admin API token: a product CSV or a saved /products.json, or a list of several (the pages
    of one catalogue); relative to shops.toml.
    channels: overrides the channel of a utm_source, utm_medium or referrer host; "direct" for
    a host that shoppers come back from, such as a payment provider.
    recommendations: products never shown, and products shown first.
    keep_orders_anonymous: whether an erased person's orders are kept anonymously, for accounting.
    keep_raw_days: how long received events stay in the landing archive. keep_events_days: how long events and sessions
    stay; daily numbers are always kept. keep_identity_days: how long the rows of a person stay after their last event.
    None: no limit.
    """

    domain: str
    name: str
    timezone: str
    currency: str
    ingest_keys: list[str]
    hosts: list[str] = []
    require_consent: bool = False
    orders: bool = False
    catalogue: str | list[str] | None = None
    channels: dict[str, Channel] = {}
    recommendations: RecommendationRules = RecommendationRules()
    keep_orders_anonymous: bool = True
    keep_raw_days: int | None = None
    keep_events_days: int | None = None
    keep_identity_days: int | None = None

    @property
    def catalogue_names(self) -> list[str]:
        """The names of its catalogue files; empty for most shops."""
        return [self.catalogue] if isinstance(self.catalogue, str) else self.catalogue or []


class _ShopsFile(msgspec.Struct, forbid_unknown_fields=True):
    shops: list[Shop]


def load_shops(path: Path) -> list[Shop]:
    """Read and check shops.toml.

    Raises:
        ShopsFileError: the file is missing, is not TOML, or does not describe usable stores.
    """
    try:
        document = tomllib.loads(path.read_bytes().decode())
    except FileNotFoundError:
        raise ShopsFileError(
            f"{path} does not exist: copy shops.toml from the repository and describe your store in it."
        ) from None
    except OSError as error:
        raise ShopsFileError(f"{path} cannot be read ({error.strerror}): check its permissions.") from error
    except UnicodeDecodeError as error:
        raise ShopsFileError(
            f"{path} is not usable: it is not UTF-8 (byte {error.start}): save it as UTF-8."
        ) from error
    except tomllib.TOMLDecodeError as error:
        twice = " (a field appears twice)" if "overwrite" in str(error) else ""
        raise ShopsFileError(f"{path} is not usable: it is not TOML{twice}: {error}. Correct that line.") from error
    found = problems(document, Shop.__struct_fields__, get_args(Channel))
    if found:
        more = f" And {len(found) - MAX_PROBLEMS} more." if len(found) > MAX_PROBLEMS else ""
        raise ShopsFileError(f"{path} is not usable. {' '.join(found[:MAX_PROBLEMS])}{more}")
    try:
        return msgspec.convert(document, type=_ShopsFile).shops
    except msgspec.ValidationError as error:
        raise ShopsFileError(f"{path} is not usable: {error}.") from error


def find_shop(shops: list[Shop], domain: str) -> Shop:
    """The shop with that domain.

    Raises:
        ShopsFileError: shops.toml does not have it.
    """
    for shop in shops:
        if shop.domain == domain:
            return shop
    known = ", ".join(shop.domain for shop in shops)
    raise ShopsFileError(f"{domain} is not in shops.toml (it has: {known}): add it there, or name one of these.")
