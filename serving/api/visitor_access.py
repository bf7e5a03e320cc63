"""Authorizes requests for a person's list: by API key, or by the signature of Shopify's app proxy.

Takes a request's header and query and the secrets of the environment; returns why it is refused, or None.
"""

import hashlib
import hmac
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

KEY_VARIABLE = "PIXELNOVA_API_KEY"
SECRET_VARIABLE = "PIXELNOVA_APP_SECRET"
FRESH_SECONDS = 300  # maximum distance of a signature's timestamp from now, so that a leaked URL expires
MAX_SIGNED_FIELDS = 100


@dataclass(frozen=True)
class VisitorSecrets:
    """Secrets that give access to personal lists; several of a kind during rotation. Without any, access is off."""

    api_keys: Sequence[bytes] = ()
    app_secrets: Sequence[bytes] = ()

    def __bool__(self) -> bool:
        return bool(self.api_keys or self.app_secrets)


def secrets_of_environment() -> VisitorSecrets:
    """The secrets in PIXELNOVA_API_KEY and PIXELNOVA_APP_SECRET, comma-separated."""
    return VisitorSecrets(_secrets(KEY_VARIABLE), _secrets(SECRET_VARIABLE))


def why_refused(authorization: str, query: bytes, shop: str, secrets: VisitorSecrets, now: float) -> str | None:
    """Why a request for a person's list is refused, or None.

    Args:
        authorization: the header, "" if it is missing.
        query: the raw query.
        shop: from the path; it must equal the signed shop.
        secrets: accepted keys and app secrets.
        now: seconds since 1970.
    """
    scheme, _, key = authorization.partition(" ")
    if not secrets and not key.strip():
        return f"Visitors' lists are disabled: neither {KEY_VARIABLE} nor {SECRET_VARIABLE} is set."
    if scheme.lower() == "bearer":
        given = key.strip().encode("utf-8", "replace")
        known = any(hmac.compare_digest(given, api_key) for api_key in secrets.api_keys)
        return None if known else "The API key is invalid."
    try:
        fields = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=MAX_SIGNED_FIELDS)
    except ValueError:
        return f"The query has more than {MAX_SIGNED_FIELDS} fields."
    return _why_not_signed(fields, shop, secrets.app_secrets, now)


def app_proxy_signature(fields: Sequence[tuple[str, str]], secret: bytes) -> str:
    """Shopify's signature of the query of a request forwarded by its app proxy."""
    values: dict[str, list[str]] = defaultdict(list)
    for name, value in fields:
        if name != "signature":
            values[name].append(value)
    message = "".join(sorted(f"{name}={','.join(parts)}" for name, parts in values.items()))
    return hmac.new(secret, message.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def _why_not_signed(fields: list[tuple[str, str]], shop: str, secrets: Sequence[bytes], now: float) -> str | None:
    signatures = [value for name, value in fields if name == "signature"]
    if not signatures:
        return "The request has neither an API key nor a signature."
    given = signatures[0].encode("utf-8", "replace")
    expected = [app_proxy_signature(fields, secret).encode() for secret in secrets]
    if len(signatures) > 1 or not any(hmac.compare_digest(given, signature) for signature in expected):
        return "The signature does not match this query."
    if [value for name, value in fields if name == "shop"] != [shop]:
        return "The signature is for another shop."
    timestamps = [value for name, value in fields if name == "timestamp"]
    if len(timestamps) != 1 or not (timestamps[0].isascii() and timestamps[0].isdigit() and len(timestamps[0]) < 16):
        return "The signed query has no timestamp."
    if abs(now - int(timestamps[0])) > FRESH_SECONDS:
        return f"The signature's timestamp is more than {FRESH_SECONDS} seconds from now."
    return None


def _secrets(variable: str) -> tuple[bytes, ...]:
    return tuple(secret.strip().encode() for secret in os.environ.get(variable, "").split(",") if secret.strip())
