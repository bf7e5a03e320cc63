"""Parses request parameters: product ids in every form that Shopify uses; unknown parameters are rejected.

Reads paths, queries and bodies, returns ids as published files write them, or raises a `Problem`.
"""

import base64
import binascii
import re
import unicodedata
from collections.abc import Iterable
from typing import Annotated

import msgspec
from fastapi import Query, Request

from serving.api.refusals import Problem

MAX_EXCLUDE = 4096  # characters
FORM = (
    "Send product ids as numbers, separated by commas: exclude=4000,4001. gid://shopify/Product/4000 is accepted too."
)
_PRODUCT_GID = re.compile(r"gid://shopify/Product/([0-9]{1,20})(?:[?#].*)?")
_LIST_NAME = re.compile(r"exclude\[[0-9]*\]")
_ENCODED_GID = re.compile(r"Z2lk[A-Za-z0-9+/_-]+={0,2}")  # base64 of "gid…"
_OTHER_FORM = re.compile(r"[\s\[\]{}<>\"'|;\\]|^gid:")
# Shopify's app proxy adds the first five; older snippets in themes send their placement to every route.
_ACCEPTED = frozenset({"shop", "path_prefix", "timestamp", "signature", "logged_in_customer_id", "placement"})


def product_id(text: str) -> str:
    """An id as published files write it: the number of a global id, plain or in base64; other strings unchanged.

    Raises:
        Problem: it is not a product id.
    """
    given = text.strip()
    if _ENCODED_GID.fullmatch(given):
        given = _decoded(given)
    if gid := _PRODUCT_GID.fullmatch(given):
        return gid[1]
    if _OTHER_FORM.search(given):
        raise Problem(422, f"{text!r} is not a product id.", FORM)
    return unicodedata.normalize("NFC", given)


def product_ids(texts: Iterable[str]) -> set[str]:
    """The ids of several strings, each an id, a comma-separated list or a JSON list of ids.

    Raises:
        Problem: one of them is malformed, or they are too long.
    """
    listed = list(texts)
    if sum(map(len, listed)) > MAX_EXCLUDE:
        raise Problem(
            422,
            f"exclude is longer than {MAX_EXCLUDE} characters.",
            "Send only the products that the shopper saw last.",
        )
    return {product_id(part) for text in listed for part in _parts(text) if part.strip()}


def excluded_ids(
    request: Request,
    exclude: Annotated[
        list[str],
        Query(description="Product ids or handles: comma-separated, repeated (exclude= or exclude[]=), or a JSON list"),
    ] = (),
) -> set[str]:
    """The products that a request excludes."""
    named_as_list = [value for name, value in request.query_params.multi_items() if _LIST_NAME.fullmatch(name)]
    return product_ids([*exclude, *named_as_list])


def refuse_unknown_parameters(request: Request) -> None:
    """Reject unknown parameters: a misspelt one would be ignored silently.

    Raises:
        Problem: the query has a parameter that the route does not have.
    """
    operation = request.app.openapi()["paths"][request.scope["route"].path_format][request.method.lower()]
    known = {parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "query"}
    given = dict.fromkeys(request.query_params.keys())
    unknown = [name for name in given if name not in known | _ACCEPTED and not _LIST_NAME.fullmatch(name)]
    if unknown:
        raise Problem(
            422, f"Unknown parameter: {', '.join(unknown)}.", f"Known parameters: {', '.join(sorted(known))}."
        )


def _parts(text: str) -> list[str]:
    if not text.lstrip().startswith("["):
        return text.split(",")
    try:
        return [str(product) for product in msgspec.json.decode(text, type=list[str | int])]
    except (msgspec.DecodeError, UnicodeEncodeError):
        raise Problem(422, f"{text!r} is not a list of product ids.", FORM) from None


def _decoded(text: str) -> str:
    try:
        padded = text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
        return base64.b64decode(padded, altchars=b"-_" if "-" in text or "_" in text else None, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return text
