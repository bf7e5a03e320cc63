"""The simulated client credentials grant: grants tokens and tracks their expiry.

Reads the form that an app posts to /admin/oauth/access_token; returns Shopify's response.
"""

import secrets
import time
from urllib.parse import parse_qs

from ingestion.simulator.admin_store import Node

TOKEN_SECONDS = 86_399  # as Shopify grants them


class TokenGrant:
    """One app and its granted tokens. Its public attributes may be changed while it serves."""

    def __init__(self, client_id: str, client_secret: str, token_seconds: float = TOKEN_SECONDS) -> None:
        """Grant tokens valid for `token_seconds` to clients with the id and secret."""
        self.client_id, self.client_secret, self.token_seconds = client_id, client_secret, token_seconds
        self.is_installed = True
        self.is_permitted = True  # app and store belong to one organization
        self.server_errors = 0  # how many more requests get 502
        self.granted: list[str] = []
        self._expires_at: dict[str, float] = {}

    def answer(self, body: bytes, scopes: set[str]) -> tuple[int, Node]:
        """Status and JSON of the response to a token request."""
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        if self.server_errors:
            self.server_errors -= 1
            return 502, {"errors": "Bad Gateway"}
        if form.get("grant_type") != "client_credentials":
            return _refusal("unsupported_grant_type", "The grant type is not supported.")
        if form.get("client_id") != self.client_id:
            return _refusal("application_cannot_be_found", "The application cannot be found.")
        if form.get("client_secret") != self.client_secret:
            return _refusal("invalid_client", "The client secret is not that of the application.")
        if not self.is_permitted:
            return _refusal("shop_not_permitted", "Client credentials cannot be performed on this shop.")
        if not self.is_installed:
            return _refusal("app_not_installed", "The application is not installed on this shop.")
        token = f"shpat_{secrets.token_hex(16)}"
        self.granted.append(token)
        self._expires_at[token] = time.monotonic() + self.token_seconds
        return 200, {"access_token": token, "scope": ",".join(sorted(scopes)), "expires_in": self.token_seconds}

    def is_valid(self, token: str) -> bool:
        """Whether the token was granted, is not revoked and has not expired."""
        return time.monotonic() < self._expires_at.get(token, 0.0)

    def revoke(self) -> None:
        """Revoke all tokens, as on a rotation of the secret."""
        self._expires_at.clear()


def _refusal(error: str, description: str) -> tuple[int, Node]:
    return 400, {"error": error, "error_description": description}
