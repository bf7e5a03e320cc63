"""Checks shops.toml; each message names the store, the field and the remedy.

Reads the decoded file; returns messages, none if every store can be served.
"""

import difflib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

PERMANENT_NAME = (
    "The permanent name is in Shopify's admin under Settings, Domains, and in the admin's own address: "
    "admin.shopify.com/store/NAME is NAME.myshopify.com"
)

MIN_KEPT_DAYS = 30
MAX_KEPT_DAYS = 36_500

_DOMAIN = re.compile(r"[a-z0-9][a-z0-9-]*\.myshopify\.com")
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*(:\d{1,5})?")
_KEY = re.compile(r"[A-Za-z0-9_-]{8,64}")
_SECRET = re.compile(r"token|secret|password|api_?key", re.IGNORECASE)
_REQUIRED = ("domain", "name", "timezone", "currency", "ingest_keys")
_RULES = ("exclude", "pin", "pin_beside")


def problems(document: dict[str, Any], fields: Sequence[str], channels: Sequence[str]) -> list[str]:
    """The problems, in the order of the file.

    Args:
        document: shops.toml, decoded.
        fields: the fields that a store may have.
        channels: the values that `channels` may map to.
    """
    shops = document.get("shops")
    if isinstance(shops, dict):
        return ["The store is written as [shops]: write [[shops]], once for each store."]
    if not isinstance(shops, list) or not shops or not all(isinstance(shop, dict) for shop in shops):
        return ["It does not describe any store: start each with a line [[shops]]."]
    found = [f"{_quoted(name)} is outside a store: move it below [[shops]]." for name in document if name != "shops"]
    for number, shop in enumerate(shops, start=1):
        whose = shop["domain"] if isinstance(shop.get("domain"), str) and shop["domain"] else f"store number {number}"
        found += [f"{whose}: {problem}" for problem in _of_shop(shop, fields, channels)]
    return found + list(_twice(shops))


def _of_shop(shop: dict[str, Any], fields: Sequence[str], channels: Sequence[str]) -> Iterator[str]:
    for name in shop:
        if name not in fields:
            yield _unknown(name, fields)
    for name in _REQUIRED:
        if name not in shop:
            yield f"{name} is missing."
    checks: dict[str, Callable[[Any], str | None]] = {
        "domain": _domain,
        "name": lambda name: None if isinstance(name, str) and name.strip() else "write the store's name as a string.",
        "timezone": _timezone,
        "currency": _currency,
        "ingest_keys": _ingest_keys,
        "hosts": _hosts,
        "require_consent": _yes_or_no,
        "orders": _yes_or_no,
        "keep_orders_anonymous": _yes_or_no,
        "keep_raw_days": _days,
        "keep_events_days": _days,
        "keep_identity_days": _days,
        "catalogue": _catalogue,
        "channels": lambda mapped: _channels(mapped, channels),
        "recommendations": _recommendations,
    }
    for name, check in checks.items():
        problem = check(shop[name]) if name in shop else None
        if problem:
            yield f"{name} is {_quoted(shop[name])}: {problem}"


def _days(days: Any) -> str | None:
    if isinstance(days, int) and not isinstance(days, bool) and days >= MIN_KEPT_DAYS:
        return None if days <= MAX_KEPT_DAYS else f"write at most {MAX_KEPT_DAYS}, or remove it to keep everything."
    return f"write a whole number of days, {MIN_KEPT_DAYS} or more: events may arrive that late."


def _unknown(name: str, known: Sequence[str]) -> str:
    if _SECRET.search(name):
        return f"{name} does not belong here: secrets come from the environment (docs/operations.md)."
    [*close] = difflib.get_close_matches(name, known, n=1)
    meant = f"did you mean {close[0]}?" if close else f"a store has {', '.join(known)}."
    return f"the field {name} is unknown: {meant}"


def _domain(domain: Any) -> str | None:
    if isinstance(domain, str) and _DOMAIN.fullmatch(domain):
        return None
    bare = _bare(domain) if isinstance(domain, str) else ""
    if _DOMAIN.fullmatch(bare):
        return f"write {_quoted(bare)}."
    if re.fullmatch(r"[a-z0-9][a-z0-9-]*", bare):
        return f"write {_quoted(bare + '.myshopify.com')} if that is the store's permanent name. {PERMANENT_NAME}."
    move = f" and put {_quoted(bare)} into hosts" if _HOST.fullmatch(bare) and "." in bare else ""
    return f"write the store's permanent name, which ends in .myshopify.com{move}. {PERMANENT_NAME}."


def _timezone(timezone: Any) -> str | None:
    if isinstance(timezone, str):
        try:
            ZoneInfo(timezone)
            return None
        except (ZoneInfoNotFoundError, ValueError, OSError):
            pass
        cities = {name.rpartition("/")[2].lower(): name for name in sorted(available_timezones())}
        wanted = timezone.replace(" ", "_").lower()
        for part in (wanted, *reversed(wanted.split("/"))):
            close = difflib.get_close_matches(part, cities, n=1, cutoff=0.8)
            if close:
                return f"use an IANA name; did you mean {_quoted(cities[close[0]])}?"
    return "use an IANA name such as 'Europe/Berlin'; Shopify's admin shows the store's under Settings, General."


@lru_cache(1)
def currencies() -> frozenset[str]:
    """ISO 4217 currencies that are legal tender today, from Unicode's CLDR (PyPI babel)."""
    from babel.core import get_global

    of_territories = get_global("territory_currencies").values()
    return frozenset(
        currency for known in of_territories for currency, _, until, tender in known if tender and until is None
    )


def _currency(currency: Any) -> str | None:
    if isinstance(currency, str) and currency in currencies():
        return None
    if isinstance(currency, str) and currency.strip().upper() in currencies():
        return f"write {_quoted(currency.strip().upper())}."
    return "use an ISO 4217 currency code, such as 'EUR'; Shopify's admin shows it under Settings, General."


def _ingest_keys(keys: Any) -> str | None:
    if not isinstance(keys, list) or not 1 <= len(keys) <= 2:
        return "write one key in brackets, or two while one replaces the other."
    for key in keys:
        if not isinstance(key, str) or not _KEY.fullmatch(key):
            return f"a key has 8 to 64 letters, digits, - and _; {_quoted(key)} does not match."
    return None


def _hosts(hosts: Any) -> str | None:
    if not isinstance(hosts, list):
        return "write host names in brackets, such as ['shop.example']."
    for host in hosts:
        if not isinstance(host, str):
            return f"{_quoted(host)} is not a string."
        if not _HOST.fullmatch(host):
            bare = _bare(host)
            if not bare.isascii():
                return f"write {_quoted(host)} as browsers send it, in the form xn--…"
            if _HOST.fullmatch(bare):
                return f"a host name has no scheme and no path: write {_quoted(bare)} instead of {_quoted(host)}."
            return f"{_quoted(host)} is not a host name."
    twice = _first_twice(hosts)
    return f"{_quoted(twice)} appears twice." if twice else None


def _yes_or_no(value: Any) -> str | None:
    return None if isinstance(value, bool) else "write true or false, without quotes."


def _catalogue(catalogue: Any) -> str | None:
    names = catalogue if isinstance(catalogue, list) else [catalogue]
    if names and all(isinstance(name, str) and name for name in names):
        return None
    return "write the name of a file, or names of files in brackets."


def _channels(mapped: Any, channels: Sequence[str]) -> str | None:
    if not isinstance(mapped, dict):
        return "write {'utm_source, utm_medium or host' = 'channel'}."
    for name, channel in mapped.items():
        if channel not in channels:
            return f"{_quoted(name)} has the channel {_quoted(channel)}; the channels are {', '.join(channels)}."
    return None


def _recommendations(rules: Any) -> str | None:
    if not isinstance(rules, dict):
        return f"write a table with {', '.join(_RULES)}."
    for name, products in rules.items():
        if name not in _RULES:
            return _unknown(name, _RULES)
        lists = list(products.values()) if name == "pin_beside" and isinstance(products, dict) else [products]
        if name == "pin_beside" and not isinstance(products, dict):
            return "write pin_beside as {'product' = ['product', …]}."
        for listed in lists:
            if not isinstance(listed, list) or not all(type(product) in (str, int) for product in listed):
                return f"write the products of {name} in brackets, each by its handle or id."
    return None


def _twice(shops: Sequence[dict[str, Any]]) -> Iterator[str]:
    domain = _first_twice([shop.get("domain") for shop in shops])
    if domain:
        yield f"{domain}: the store appears twice; merge the two."
    owner: dict[str, str] = {}
    for shop in shops:
        keys = shop.get("ingest_keys")
        for key in keys if isinstance(keys, list) else []:
            if isinstance(key, str) and key in owner:
                yield (
                    f"{shop.get('domain')}: the ingest key {_quoted(key)} is used twice (also by {owner[key]}); "
                    "a key belongs to one store and is written once."
                )
            elif isinstance(key, str):
                owner[key] = str(shop.get("domain"))


def _first_twice(values: Sequence[Any]) -> str | None:
    counts = Counter(value for value in values if isinstance(value, str))
    return next((value for value, count in counts.items() if count > 1), None)


def _bare(host: str) -> str:
    """The host name in pasted text: without scheme, user, path and trailing dot, in lower case."""
    return re.split(r"[/?#]", re.sub(r"^\s*[a-z][a-z0-9+.-]*://", "", host.lower()), maxsplit=1)[0].strip(". ")


def _quoted(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
