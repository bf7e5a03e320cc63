"""Saved responses of /products.json: the storefront's, or the Admin REST API's, which also have status and stock.

Reads the text of a file; returns the rows of its products and variants.
"""

from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec

from ingestion.sources.catalogue_rows import (
    Catalogue,
    CatalogueError,
    amount_text,
    handle_name,
    is_published,
    tag_list,
)

_LARGEST_PAGE = 250
_USUAL_PAGE = 30
_USUAL_PAGE_OF_ADMIN_API = 50
_SAVE = "save the page /products.json?limit=250 of the shop again"

_Time = Annotated[datetime, msgspec.Meta(tz=True)]


class _Image(msgspec.Struct):
    src: str | None = None
    position: int | None = None


class _Variant(msgspec.Struct):
    """The storefront has `available`; the Admin API has stock and policy, null where stock is not tracked."""

    id: int
    title: str
    price: Any  # a string; a number keeps its digits and never becomes a float
    sku: str | None = None
    compare_at_price: Any = None
    available: bool | None = None
    inventory_management: str | msgspec.UnsetType | None = msgspec.UNSET
    inventory_policy: str | None = None
    inventory_quantity: int | None = None
    featured_image: _Image | None = None


class _Product(msgspec.Struct):
    id: int
    handle: Annotated[str, msgspec.Meta(min_length=1)]
    title: str
    variants: list[_Variant]
    body_html: str | None = None
    vendor: str | None = None
    product_type: str | None = None
    status: str | None = None  # the Admin API's
    tags: str | list[str] = ""
    images: list[_Image] = []
    created_at: _Time | None = None
    updated_at: _Time | None = None
    published_at: _Time | None = None


class _Page(msgspec.Struct):
    products: list[_Product]


def read_json(path: Path, text: str) -> Catalogue:
    """The products and variants of a saved page, in the file's order; it may be empty, as the last page often is.

    Raises:
        CatalogueError: the text is not such a page, or has a value that cannot be stored.
    """
    try:
        found = msgspec.json.Decoder(_Page, float_hook=str).decode(text).products
    except (msgspec.MsgspecError, RecursionError) as error:
        raise CatalogueError(f"{path} is not a /products.json ({error}): {_SAVE}.") from error
    _require_distinct(path, [handle_name(product.handle) for product in found])
    variants = [
        _variant_row(f"{path}, product {product.handle}", product, position, variant)
        for product in found
        for position, variant in enumerate(product.variants, start=1)
    ]
    return Catalogue(
        [_product_row(product) for product in found],
        variants,
        is_complete=not _is_full(found),
        warning=_unknown_stock(path, variants),
    )


def _unknown_stock(path: Path, variants: list[dict[str, Any]]) -> str | None:
    unknown = sum(variant["is_available"] is None for variant in variants)
    if not unknown:
        return None
    return (
        f"{path.name} does not say whether {unknown:,} of its {len(variants):,} variants are in stock, and they count "
        f"as in stock: {_SAVE}."
    )


def _is_full(products: list[_Product]) -> bool:
    """Whether a page has as many products as its limit, or a multiple, so that another page may follow."""
    of_admin_api = any(product.status is not None for product in products)
    usual = _USUAL_PAGE_OF_ADMIN_API if of_admin_api else _USUAL_PAGE
    return bool(products) and (len(products) == usual or len(products) % _LARGEST_PAGE == 0)


def _require_distinct(path: Path, handles: list[str]) -> None:
    twice = [handle for handle, times in Counter(handles).items() if times > 1]
    if twice:
        raise CatalogueError(f"{path} has the product {twice[0]} twice: remove one of them.")


def _product_row(product: _Product) -> dict[str, Any]:
    images = sorted(product.images, key=lambda image: (image.position is None, image.position or 0))
    return {
        "handle": handle_name(product.handle),
        "product_id": _id(product.id),
        "title": product.title,
        "description_html": product.body_html or None,
        "vendor": product.vendor or None,
        "product_type": product.product_type or None,
        "tags": tag_list(product.tags),
        "status": product.status and product.status.upper(),
        "is_published": is_published(product.published_at is not None, product.status),
        "is_gift_card": None,
        "image_url": images[0].src if images else None,
        "created_at": product.created_at,
        "updated_at": product.updated_at,
        "published_at": product.published_at,
    }


def _variant_row(where: str, product: _Product, position: int, variant: _Variant) -> dict[str, Any]:
    return {
        "handle": handle_name(product.handle),
        "product_id": _id(product.id),
        "variant_id": _id(variant.id),
        "position": position,
        "title": variant.title,
        "sku": variant.sku or None,
        "price": amount_text(where, "price", variant.price),
        "compare_at_price": amount_text(where, "compare_at_price", variant.compare_at_price),
        "is_available": _is_available(variant),
        "inventory_quantity": variant.inventory_quantity,
        "inventory_policy": variant.inventory_policy and variant.inventory_policy.upper(),
        "image_url": variant.featured_image.src if variant.featured_image else None,
    }


def _is_available(variant: _Variant) -> bool | None:
    """Whether it can be bought; None if unknown."""
    if variant.available is not None:
        return variant.available
    if variant.inventory_management is None or (variant.inventory_policy or "").upper() == "CONTINUE":
        return True
    return None if variant.inventory_quantity is None else variant.inventory_quantity > 0


def _id(number: int) -> str | None:
    """Shopify's id as text; 0 is not one."""
    return str(number) if number > 0 else None
