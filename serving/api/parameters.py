"""What a request asks for: product ids in every form that Shopify writes them in, and no parameter that is unknown.

Reads a request's texts and its query; returns ids as published files name them, or raises a `Problem`.
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
    "Give product ids as numbers, separated by commas: exclude=4000,4001. gid://shopify/Product/4000 is understood too."
)
_PRODUCT_GID = re.compile(r"gid://shopify/Product/([0-9]{1,20})(?:[?#].*)?")
_LIST_NAME = re.compile(r"exclude\[[0-9]*\]")
_ENCODED_GID = re.compile(r"Z2lk[A-Za-z0-9+/_-]+={0,2}")  # base64 of "gid…"
_OTHER_FORM = re.compile(r"[\s\[\]{}<>\"'|;\\]|^gid:")
# Shopify's app proxy adds the first five; snippets that are in themes send their placement to every route.
_UNDERSTOOD = frozenset({"shop", "path_prefix", "timestamp", "signature", "logged_in_customer_id", "placement"})


def product_id(text: str) -> str:
    """An id as published files name it: the number of a global id, also of one in base64; other texts as they are.

    Raises:
        Problem: it has the form of something else.
    """
    asked = text.strip()
    if _ENCODED_GID.fullmatch(asked):
        asked = _decoded(asked)
    if gid := _PRODUCT_GID.fullmatch(asked):
        return gid[1]
    if _OTHER_FORM.search(asked):
        raise Problem(422, f"{text!r} is not a product id.", FORM)
    return unicodedata.normalize("NFC", asked)


def product_ids(texts: Iterable[str]) -> set[str]:
    """The ids of several texts, each of them an id, ids with commas between them, or a JSON list of ids.

    Raises:
        Problem: one of them is none of these, or they are too long.
    """
    listed = list(texts)
    if sum(map(len, listed)) > MAX_EXCLUDE:
        raise Problem(422, f"exclude is over {MAX_EXCLUDE} characters.", "Name what the shopper has seen last.")
    return {product_id(part) for text in listed for part in _parts(text) if part.strip()}


def excluded_ids(
    request: Request,
    exclude: Annotated[
        list[str],
        Query(description="Product ids or handles: with commas between them, one by one (exclude[]=, too), or as JSON"),
    ] = (),
) -> set[str]:
    """What a request wants to leave out."""
    named_as_list = [value for name, value in request.query_params.multi_items() if _LIST_NAME.fullmatch(name)]
    return product_ids([*exclude, *named_as_list])


def refuse_unknown_parameters(request: Request) -> None:
    """A misspelt parameter would be ignored, and its sender would believe in it.

    Raises:
        Problem: the query has a parameter that the route does not know.
    """
    operation = request.app.openapi()["paths"][request.scope["route"].path_format][request.method.lower()]
    known = {parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "query"}
    asked = dict.fromkeys(request.query_params.keys())
    unknown = [name for name in asked if name not in known | _UNDERSTOOD and not _LIST_NAME.fullmatch(name)]
    if unknown:
        raise Problem(422, f"Unknown parameter: {', '.join(unknown)}.", f"Known here: {', '.join(sorted(known))}.")


def _parts(text: str) -> list[str]:
    if not text.lstrip().startswith("["):
        return text.split(",")
    try:
        return [str(one) for one in msgspec.json.decode(text, type=list[str | int])]
    except (msgspec.DecodeError, UnicodeEncodeError):
        raise Problem(422, f"{text!r} is not a list of product ids.", FORM) from None


def _decoded(text: str) -> str:
    try:
        padded = text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
        return base64.b64decode(padded, altchars=b"-_" if "-" in text or "_" in text else None, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return text
