"""Who may ask for a person's list: who holds an API key, and Shopify's app proxy, which signs what it forwards.

A request's header and query and the secrets of the environment flow in; why it is refused, or None, flows out.
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
FRESH_SECONDS = 300  # how far a signature's timestamp may be from now; a signed address that leaks is of no use later
MAX_SIGNED_FIELDS = 100


@dataclass(frozen=True)
class VisitorSecrets:
    """What opens the lists of persons; several of a kind while one replaces the other. Without any, nothing does."""

    api_keys: Sequence[bytes] = ()
    app_secrets: Sequence[bytes] = ()

    def __bool__(self) -> bool:
        return bool(self.api_keys or self.app_secrets)


def secrets_of_environment() -> VisitorSecrets:
    """From PIXELNOVA_API_KEY and PIXELNOVA_APP_SECRET, comma separated."""
    return VisitorSecrets(_secrets(KEY_VARIABLE), _secrets(SECRET_VARIABLE))


def why_refused(authorization: str, query: bytes, shop: str, secrets: VisitorSecrets, now: float) -> str | None:
    """What is wrong with a request for a person's list, or None.

    Args:
        authorization: the header, "" if there is none.
        query: as it came.
        shop: of the path, which must be the shop that was signed.
        secrets: what may open it.
        now: seconds since 1970.
    """
    if not secrets:
        return f"Visitors' lists are not given out: neither {KEY_VARIABLE} nor {SECRET_VARIABLE} is set."
    scheme, _, key = authorization.partition(" ")
    if scheme.lower() == "bearer":
        given = key.strip().encode("utf-8", "replace")
        known = any(hmac.compare_digest(given, one) for one in secrets.api_keys)
        return None if known else "The API key is not known."
    try:
        fields = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=MAX_SIGNED_FIELDS)
    except ValueError:
        return f"The query has more than {MAX_SIGNED_FIELDS} fields."
    return _why_not_signed(fields, shop, secrets.app_secrets, now)


def app_proxy_signature(fields: Sequence[tuple[str, str]], secret: bytes) -> str:
    """Shopify's signature of the query of a request that its app proxy forwards."""
    values: dict[str, list[str]] = defaultdict(list)
    for name, value in fields:
        if name != "signature":
            values[name].append(value)
    message = "".join(sorted(f"{name}={','.join(parts)}" for name, parts in values.items()))
    return hmac.new(secret, message.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def _why_not_signed(fields: list[tuple[str, str]], shop: str, secrets: Sequence[bytes], now: float) -> str | None:
    signatures = [value for name, value in fields if name == "signature"]
    if not signatures:
        return "There is neither an API key nor a signature."
    given = signatures[0].encode("utf-8", "replace")
    expected = [app_proxy_signature(fields, secret).encode() for secret in secrets]
    if len(signatures) > 1 or not any(hmac.compare_digest(given, one) for one in expected):
        return "The signature is not that of this query."
    if [value for name, value in fields if name == "shop"] != [shop]:
        return "The signature is of another shop."
    timestamps = [value for name, value in fields if name == "timestamp"]
    if len(timestamps) != 1 or not (timestamps[0].isascii() and timestamps[0].isdigit() and len(timestamps[0]) < 16):
        return "The signature has no timestamp."
    if abs(now - int(timestamps[0])) > FRESH_SECONDS:
        return f"The signature is not of the last {FRESH_SECONDS} seconds."
    return None


def _secrets(variable: str) -> tuple[bytes, ...]:
    return tuple(secret.strip().encode() for secret in os.environ.get(variable, "").split(",") if secret.strip())
