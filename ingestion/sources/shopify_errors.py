"""Errors of a shop's Admin API; each message names the shop and the remedy.

Raised by shopify_api and shopify_token; the dlt source reports them per shop and continues.
"""

from ingestion.errors import IngestionError


class ShopifyError(IngestionError):
    """Shopify did not respond, or refused; the message names the shop and the remedy."""


class Unreachable(ShopifyError):
    """Shopify does not respond, after several attempts."""


class Gone(ShopifyError):
    """The requested object no longer exists."""


class CursorExpired(ShopifyError):
    """A page's cursor has expired; the list must be restarted."""
