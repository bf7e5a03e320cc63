"""The suppression list: keyed hashes of the identifiers of erased people, who are kept out permanently.

Reads and appends to data/privacy/suppressed: one line per identifier, its HMAC-SHA256 in hexadecimal, or
`shop <domain> <UTC time>` for a shop of which everything received until then was erased. The key is in
data/privacy/key; without it the list is unusable, so back both up together.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from ingestion.errors import IngestionError
from ingestion.landing import make_folder, sync_folder
from ingestion.privacy.identifiers import ORDER, Identifier

_HASH_CHARACTERS = 64
_KEY_BYTES = 32


class SuppressionListUnusable(IngestionError):
    """The key of the suppression list is missing; the message names the remedy."""


def privacy_folder(data: Path) -> Path:
    """The folder of the suppression list, requests and exports; readable by its owner only."""
    return data / "privacy"


class Suppressions:
    """The list of one data folder, in memory."""

    def __init__(self, data: Path) -> None:
        """Read the list.

        Raises:
            SuppressionListUnusable: there is a list, but not its key.
        """
        self._folder = privacy_folder(data)
        self._hashes: set[str] = set()
        self.shops: dict[str, datetime] = {}
        for line in self._lines():
            if line.startswith("shop "):
                _, shop, until = line.split(" ")
                self.shops[shop] = datetime.fromisoformat(until)
            else:
                self._hashes.add(line)
        self._key = self._read_key()

    def __bool__(self) -> bool:
        """Whether anything is suppressed."""
        return bool(self._hashes or self.shops)

    def __le__(self, other: "Suppressions") -> bool:
        """Whether the other list suppresses everything that this one does."""
        return self._hashes <= other._hashes and all(other.covers(shop, until) for shop, until in self.shops.items())

    def hash(self, shop: str, identifier: Identifier) -> str:
        """The keyed hash of an identifier of a shop."""
        return self._mac("suppressed", shop, *identifier)

    def pseudonym(self, shop: str, kind: str, value: str) -> str:
        """The replacement of an identifier in an anonymous order: digits for an order id, else hexadecimal.

        Shopify's ids are shorter, so a pseudonym never equals one.
        """
        mac = self._mac("pseudonym", shop, kind, value)
        return f"9{int(mac, 16) % 10**17:017d}" if kind == ORDER else mac[:32]

    def contains(self, shop: str, identifier: Identifier) -> bool:
        """Whether an identifier is suppressed."""
        return self.hash(shop, identifier) in self._hashes

    def matches(self, shop: str, identifiers: Iterable[Identifier]) -> bool:
        """Whether any of the identifiers is suppressed."""
        return bool(self._hashes) and any(self.contains(shop, one) for one in identifiers)

    def covers(self, shop: str, received_at: datetime) -> bool:
        """Whether everything of this shop until this time was erased."""
        return shop in self.shops and received_at <= self.shops[shop]

    def add(self, shop: str, identifiers: Iterable[Identifier]) -> None:
        """Add identifiers, durably."""
        new = [mac for mac in dict.fromkeys(self.hash(shop, one) for one in identifiers) if mac not in self._hashes]
        self._append(new)
        self._hashes.update(new)

    def add_shop(self, shop: str, until: datetime) -> None:
        """Add everything received from a shop until this time, durably."""
        if not self.covers(shop, until):
            self._append([f"shop {shop} {until.astimezone(UTC).isoformat()}"])
            self.shops[shop] = until

    def merge(self, other: Path) -> None:
        """Add the list of another data folder with the same key, such as the one that a backup was made from."""
        theirs = Suppressions(other)
        if theirs and theirs._key != self._key:
            raise SuppressionListUnusable(f"The suppression list of {other} has another key: copy its key first.")
        new = sorted(theirs._hashes - self._hashes)
        self._append(new)
        self._hashes.update(new)
        for shop, until in theirs.shops.items():
            self.add_shop(shop, until)

    def _mac(self, *parts: str) -> str:
        return hmac.new(self._key, "\0".join(parts).encode(), hashlib.sha256).hexdigest()

    def _lines(self) -> list[str]:
        """The complete lines: a killed process may leave half of one, whose request is still open."""
        try:
            text = (self._folder / "suppressed").read_text()
        except FileNotFoundError:
            return []
        return [
            line
            for line in text.splitlines()
            if len(line) == _HASH_CHARACTERS or (line.startswith("shop ") and line.endswith("+00:00"))
        ]

    def _append(self, lines: list[str]) -> None:
        if not lines:
            return
        make_folder(self._folder)
        with (self._folder / "suppressed").open("a") as file:
            file.write("\n" + "\n".join(lines) + "\n")  # half a line may precede it
            file.flush()
            os.fsync(file.fileno())
        sync_folder(self._folder)

    def _read_key(self) -> bytes:
        path = self._folder / "key"
        if path.exists():
            return bytes.fromhex(path.read_text().strip())
        if self:
            raise SuppressionListUnusable(
                f"{path} is missing, so erased people cannot be recognized: restore it from a backup."
            )
        make_folder(self._folder)
        self._folder.chmod(0o700)
        key = secrets.token_bytes(_KEY_BYTES)
        unfinished = path.with_suffix(".tmp")
        unfinished.touch(0o600)
        with unfinished.open("w") as file:
            file.write(key.hex())
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        sync_folder(self._folder)
        return key
