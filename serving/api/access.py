"""Authorizes requests by the API keys of shops: shop, scope, address and rate.

Reads a request's headers and the file of API keys; raises a `Problem` that says why it is refused.
"""

import time
from pathlib import Path

from fastapi import Request
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from serving.api.keys import ApiKey, ApiKeys, Scope, keys_file
from serving.api.refusals import Problem

PRIVATE = {"cache-control": "private, no-store"}


class Access:
    """Checks a request's API key: its shop, scope, address and rate."""

    def __init__(self, data: Path) -> None:
        self._keys = ApiKeys(keys_file(data))
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    def key_of(self, request: Request) -> ApiKey | None:
        """The API key that a request sends, or None if the file does not have it."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        return self._keys.find(given.strip()) if scheme.lower() == "bearer" else None

    def check(self, request: Request, shop: str, scope: Scope) -> None:
        """Check that the request may read this part of the shop's data.

        Raises:
            Problem: it may not.
        """
        key = self.key_of(request)
        if key is None:
            raise Problem(
                401,
                "The API key is missing or invalid.",
                f"Send `Authorization: Bearer <key>`; `pixelnova keys add --shop {shop}` creates one.",
                {"www-authenticate": "Bearer", **PRIVATE},
            )
        if key.shop != shop.lower():
            raise Problem(403, "This API key is for another shop.", "Use a key of this shop.", PRIVATE)
        if scope not in key.scopes:
            raise Problem(403, f"This API key lacks the scope {scope}.", f"Create a key with --scope {scope}.", PRIVATE)
        if not key.allows(request.client.host if request.client else ""):
            raise Problem(
                403, "This API key cannot be used from this address.", "Create a key that allows it.", PRIVATE
            )
        rate = RateLimitItemPerMinute(key.requests_per_minute)
        if key.requests_per_minute and not self._limiter.hit(rate, key.id):
            wait = max(1, round(self._limiter.get_window_stats(rate, key.id).reset_time - time.time()))
            raise Problem(
                429,
                f"More than {key.requests_per_minute} requests in a minute with this API key.",
                "Retry later.",
                {"retry-after": str(wait), **PRIVATE},
            )
