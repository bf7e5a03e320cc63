"""Who may see which shops on the dashboard: an access file, with identities from OIDC or from a proxy's header.

Reads the file named by PIXELNOVA_DASHBOARD_ACCESS; returns the shops that a person may see, to which the query layer
restricts every query.
"""

import ipaddress
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from serving.errors import ServingError

ACCESS_VARIABLE = "PIXELNOVA_DASHBOARD_ACCESS"
ALL = "all"
Shops = frozenset[str] | None  # None: all shops


class AccessFileError(ServingError):
    """The access file cannot be used; the message says what to correct."""


class LoopbackOnly(ServingError):
    """Without an access file the dashboard serves this machine only."""


@dataclass(frozen=True)
class Access:
    """The access file.

    login: oidc (Streamlit's own, configured in its secrets) or header (set by a proxy that authenticates).
    header, proxies: name of the header, and the addresses that may set it.
    users: the shops of each person, by lower-case e-mail address or user name.
    """

    login: Literal["oidc", "header"]
    users: Mapping[str, Shops]
    header: str = ""
    proxies: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()

    def shops_of(self, identity: str | None) -> Shops:
        """The shops that a person may see; none for an unknown person."""
        return self.users.get((identity or "").strip().lower(), frozenset())

    def identity_from(self, headers: Mapping[str, str], address: str | None) -> str | None:
        """The identity that the proxy states; None if the request does not come from the proxy."""
        try:
            sender = ipaddress.ip_address(address or "")
        except ValueError:
            return None
        if not any(sender in network for network in self.proxies):
            return None
        stated = {name.lower(): value for name, value in headers.items()}
        return stated.get(self.header.lower())


def access_of_environment() -> Access | None:
    """The access file; None if the environment names none.

    Raises:
        AccessFileError: it is missing or malformed.
    """
    path = os.environ.get(ACCESS_VARIABLE)
    return load_access(Path(path)) if path else None


def load_access(path: Path) -> Access:
    """Read an access file.

    Raises:
        AccessFileError: it is missing or malformed.
    """
    try:
        document = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise AccessFileError(f"{path} cannot be read ({error}): correct it, or unset {ACCESS_VARIABLE}.") from error
    unknown = set(document) - {"login", "header", "proxies", "users"}
    if unknown:
        raise AccessFileError(f"{path}: {', '.join(sorted(unknown))} is unknown: use login, header, proxies, users.")
    users = document.get("users")
    if not isinstance(users, dict) or not users:
        raise AccessFileError(f'{path} has no users: add [users] with "anna@example.com" = ["my-store.myshopify.com"].')
    shops = {name.lower(): _shops(path, name, value) for name, value in users.items()}
    login = document.get("login")
    if login == "oidc":
        return Access("oidc", shops)
    if login == "header":
        return Access("header", shops, *_proxy(path, document))
    raise AccessFileError(f'{path}: write login = "oidc", or login = "header" for a proxy that authenticates.')


def refuse_open_address(host: str, access: Access | None) -> None:
    """Check that an address other than loopback is not served without access control.

    Raises:
        LoopbackOnly: it would be.
    """
    if access is None and host != "localhost" and not ipaddress.ip_address(host).is_loopback:
        raise LoopbackOnly(
            f"The dashboard would be open to everyone on {host}: name an access file in {ACCESS_VARIABLE} "
            "(docs/operations.md), or use --host 127.0.0.1."
        )


def _shops(path: Path, name: str, value: Any) -> Shops:
    if value == ALL:
        return None
    if isinstance(value, list) and all(isinstance(shop, str) for shop in value):
        return frozenset(shop.lower() for shop in value)
    raise AccessFileError(f'{path}: write the shops of {name} as a list of domains, or "{ALL}".')


def _proxy(path: Path, document: Mapping[str, Any]) -> tuple[str, tuple[Any, ...]]:
    header, proxies = document.get("header"), document.get("proxies")
    if not isinstance(header, str) or not header:
        raise AccessFileError(f'{path}: name the header that the proxy sets: header = "X-Forwarded-Email".')
    try:
        networks = tuple(ipaddress.ip_network(address) for address in proxies or ())
    except (TypeError, ValueError) as error:
        raise AccessFileError(f"{path}: proxies must be addresses or networks ({error}).") from error
    if not networks:
        raise AccessFileError(f'{path}: name the addresses that may set {header}: proxies = ["127.0.0.1"].')
    return header, networks
