"""Access tokens for a shop's Admin API: static, or from the client credentials grant of a Dev Dashboard app.

Reads the environment; returns tokens. A granted token lives for 24 hours; it is kept in memory only, renewed before it
expires and after Shopify refuses it, and never appears in logs, messages or files.
"""

import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import requests

from ingestion.sources.shopify_errors import ShopifyError, Unreachable

TOKEN_VARIABLE = "PIXELNOVA_SHOPIFY_TOKEN_"
CLIENT_ID_VARIABLE = "PIXELNOVA_SHOPIFY_CLIENT_ID_"
CLIENT_SECRET_VARIABLE = "PIXELNOVA_SHOPIFY_CLIENT_SECRET_"
GRANT_PATH = "/admin/oauth/access_token"
ATTEMPTS = 5
TIMEOUT_SECONDS = (10, 60)  # to connect, to answer
RENEW_SECONDS = 600.0  # before a token expires, at most a tenth of its life

_ERROR_CODE = re.compile(r"error[\"\s:]+([a-z_]{3,40})")  # in JSON, or in the page "Oauth error app_not_installed: …"


class Token(Protocol):
    """Provides the token for each request."""

    def value(self) -> str:
        """The token to send.

        Raises:
            ShopifyError: a token could not be obtained; the message has the cause and the remedy.
        """

    def renew(self, refused: str) -> bool:
        """Whether a token other than the refused one is available."""

    def remedy(self) -> str:
        """What to do if Shopify refuses the token."""


@dataclass(frozen=True)
class StaticToken:
    """A token from the environment, of an app created in the store's admin (possible until 2025)."""

    shop: str
    token: str = field(repr=False)

    def value(self) -> str:
        """The token."""
        return self.token

    def renew(self, refused: str) -> bool:
        """A static token cannot be renewed."""
        return False

    def remedy(self) -> str:
        """Name the variable that holds it."""
        return f"put a valid one with scope read_products into {token_variable(self.shop)}"


class ClientCredentials:
    """The client id and secret of a Dev Dashboard app, exchanged for tokens on demand."""

    def __init__(self, shop: str, base_url: str, client_id: str | None, client_secret: str | None) -> None:
        """base_url: the store's address, such as https://my-store.myshopify.com."""
        self._shop, self._url = shop, base_url + GRANT_PATH
        self._client_id, self._client_secret = client_id, client_secret
        self._lock = threading.Lock()
        self._token = ""
        self._renew_at = self._expires_at = 0.0

    def value(self) -> str:
        """A token that is not about to expire.

        Raises:
            ShopifyError: Shopify refuses to grant one.
        """
        with self._lock:
            if time.monotonic() >= self._renew_at:
                self._fetch()
            return self._token

    def renew(self, refused: str) -> bool:
        """Fetch another token, unless another thread has done so since.

        Raises:
            ShopifyError: Shopify refuses to grant one.
        """
        with self._lock:
            if self._token == refused:
                self._fetch()
            return self._token != refused

    def remedy(self) -> str:
        """What to check on the app."""
        return f"check in the Dev Dashboard that the app is still installed on {self._shop}"

    def seconds_left(self) -> float:
        """Remaining validity of the token."""
        return max(0.0, self._expires_at - time.monotonic())

    def _fetch(self) -> None:
        for value, variable in (
            (self._client_id, client_id_variable(self._shop)),
            (self._client_secret, client_secret_variable(self._shop)),
        ):
            if not value:
                raise ShopifyError(f"The client credentials of {self._shop} are incomplete: set {variable} too.")
        answer = self._post()
        try:
            grant = answer.json()
            token, seconds = str(grant["access_token"]), float(grant["expires_in"])
        except (ValueError, KeyError, TypeError):
            raise ShopifyError(
                f"Shopify's token grant for {self._shop} lacks the token or its lifetime: run again later."
            ) from None
        self._token = token
        self._expires_at = time.monotonic() + seconds
        self._renew_at = self._expires_at - min(RENEW_SECONDS, seconds / 10)

    def _post(self) -> requests.Response:
        fields = {
            "grant_type": "client_credentials",
            "client_id": self._client_id,
            "client_secret": self._client_secret,
        }
        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer = requests.post(
                    self._url,
                    data=fields,
                    headers={"Accept": "application/json"},
                    timeout=TIMEOUT_SECONDS,
                    allow_redirects=False,  # send the secret to the store only
                )
            except requests.RequestException as error:
                problem = f"cannot be reached at {self._url} ({type(error).__name__})"
            else:
                if answer.status_code == 200:
                    return answer
                if answer.status_code != 429 and answer.status_code < 500:
                    raise ShopifyError(self._refusal(answer))
                problem = f"answers HTTP {answer.status_code}"
            if attempt < ATTEMPTS:
                time.sleep(0.2 * 2**attempt)
        raise Unreachable(f"The token grant of {self._shop} {problem}: check the network and run again.")

    def _refusal(self, answer: requests.Response) -> str:
        code = _ERROR_CODE.search(answer.text[:2000])
        match code[1] if code else None:
            case "app_not_installed":
                return (
                    f"The app is not installed on {self._shop} (app_not_installed): install it from the Dev Dashboard "
                    "(the app, Home, Install app), then run again."
                )
            case "shop_not_permitted":
                return (
                    f"Shopify grants no token for {self._shop} (shop_not_permitted): the app and the store must belong "
                    "to one organization; create the app in the Dev Dashboard of the store's own organization."
                )
            case "application_cannot_be_found" | "invalid_client" | "invalid_request" as known:
                return (
                    f"Shopify does not accept the client id and secret of {self._shop} ({known}): copy both from the "
                    f"Dev Dashboard (the app, Settings) into {client_id_variable(self._shop)} and "
                    f"{client_secret_variable(self._shop)}."
                )
        if answer.status_code in (301, 302, 307, 308, 404):
            return f"There is no store {self._shop} (HTTP {answer.status_code}): check the domain in shops.toml."
        reason = f"{code[1]}, " if code else ""
        return (
            f"Shopify grants no token for {self._shop} ({reason}HTTP {answer.status_code}): check the app in the Dev "
            f"Dashboard, {client_id_variable(self._shop)} and {client_secret_variable(self._shop)}."
        )


def token_of(shop: str, base_url: str, environment: Mapping[str, str]) -> Token | None:
    """The token of a shop, or None if the environment has none. A static token takes precedence."""
    static = environment.get(token_variable(shop))
    if static:
        return StaticToken(shop, static)
    client_id = environment.get(client_id_variable(shop))
    client_secret = environment.get(client_secret_variable(shop))
    return ClientCredentials(shop, base_url, client_id, client_secret) if client_id or client_secret else None


def token_variable(domain: str) -> str:
    """The environment variable that holds a shop's Admin API token, e.g. PIXELNOVA_SHOPIFY_TOKEN_MY_SHOP."""
    return TOKEN_VARIABLE + variable_suffix(domain)


def client_id_variable(domain: str) -> str:
    """The environment variable that holds the client id of a shop's app."""
    return CLIENT_ID_VARIABLE + variable_suffix(domain)


def client_secret_variable(domain: str) -> str:
    """The environment variable that holds the client secret of a shop's app."""
    return CLIENT_SECRET_VARIABLE + variable_suffix(domain)


def variable_suffix(domain: str) -> str:
    """How the names of a shop's own environment variables end: MY_STORE for my-store.myshopify.com."""
    return domain.removesuffix(".myshopify.com").upper().replace("-", "_")
