"""What can go wrong between a shop's Admin API and here, each in one sentence that names the shop and the remedy.

Raised by shopify_api and shopify_token; the dlt source reports them per shop and goes on.
"""

from ingestion.errors import IngestionError


class ShopifyError(IngestionError):
    """Shopify did not answer, or refused; the message names the shop and the remedy."""


class Unreachable(ShopifyError):
    """Shopify does not answer at all, after several attempts."""


class Gone(ShopifyError):
    """What was asked about is not there any more."""


class CursorExpired(ShopifyError):
    """A page's cursor is no longer known; the list has to start again."""
