"""API keys of shops: a file with their hashes, made and revoked by `pixelnova keys`.

Reads and writes the file that PIXELNOVA_API_KEYS names; a key is shown once, when it is made.
"""

import contextlib
import fcntl
import hashlib
import hmac
import ipaddress
import os
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

import msgspec

from serving.errors import ServingError

KEYS_VARIABLE = "PIXELNOVA_API_KEYS"
FILE = "api_keys.json"  # in the data folder, unless the variable names another
PREFIX = "pxn"
REQUESTS_PER_MINUTE = 600
Scope = Literal["analytics", "status", "visitors"]
SCOPES: tuple[Scope, ...] = get_args(Scope)


class KeysFileError(ServingError):
    """The file of API keys cannot be used; the message says what to do."""


class UnknownKey(ServingError):
    """No key has this id."""


class ApiKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key, without its secret. sha256: of the whole key; allow: addresses or networks, none means any."""

    id: str
    shop: str
    scopes: tuple[Scope, ...]
    sha256: str
    created_at: datetime
    label: str = ""
    allow: tuple[str, ...] = ()
    requests_per_minute: int = REQUESTS_PER_MINUTE

    def allows(self, address: str) -> bool:
        """Whether a client of this address may use the key."""
        if not self.allow:
            return True
        try:
            sender = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(sender, "ipv4_mapped", None) or sender
        return any(mapped in ipaddress.ip_network(network) for network in self.allow)


class ApiKeys:
    """The keys of a file, reread whenever it changes, so that a revoked key stops working at once."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read_at: tuple[int, int, int] | None = None
        self._keys: dict[str, ApiKey] = {}

    def find(self, given: str) -> ApiKey | None:
        """The key that a client sent, or None.

        Raises:
            KeysFileError: the file is malformed.
        """
        self._refresh()
        parts = given.split("_")
        known = self._keys.get(parts[1]) if len(parts) == 3 and parts[0] == PREFIX else None
        if known is None or not hmac.compare_digest(_hashed(given), known.sha256):
            return None
        return known

    def _refresh(self) -> None:
        try:
            status = self._file.stat()
        except FileNotFoundError:
            self._keys, self._read_at = {}, None
            return
        changed_at = (status.st_mtime_ns, status.st_size, status.st_ino)
        if changed_at != self._read_at:
            self._keys = {key.id: key for key in read_keys(self._file)}
            self._read_at = changed_at


def keys_file(data: Path) -> Path:
    """The file of API keys."""
    named = os.environ.get(KEYS_VARIABLE)
    return Path(named) if named else data / FILE


def read_keys(file: Path) -> list[ApiKey]:
    """All keys, in the order in which they were made; none if the file is missing.

    Raises:
        KeysFileError: the file is malformed.
    """
    try:
        return msgspec.json.decode(file.read_bytes(), type=list[ApiKey])
    except FileNotFoundError:
        return []
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise KeysFileError(f"{file} cannot be read ({error}): restore it, or delete it and make new keys.") from error


def add_key(
    file: Path,
    shop: str,
    scopes: tuple[Scope, ...],
    label: str = "",
    allow: tuple[str, ...] = (),
    requests_per_minute: int = REQUESTS_PER_MINUTE,
) -> tuple[ApiKey, str]:
    """Make a key.

    Returns:
        The key as stored, and its text, which is not stored.

    Raises:
        KeysFileError: the file is malformed or not writable, or an address is invalid.
    """
    for network in allow:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise KeysFileError(f"{network} is not an address or a network ({error}): write 203.0.113.7/32.") from error
    identifier = secrets.token_hex(4)
    text = f"{PREFIX}_{identifier}_{secrets.token_hex(32)}"  # 256 random bits: a slow hash would add nothing
    key = ApiKey(identifier, shop, scopes, _hashed(text), datetime.now(UTC), label, allow, requests_per_minute)
    with _changing(file) as keys:
        keys.append(key)
    return key, text


def revoke_key(file: Path, identifier: str) -> ApiKey:
    """Remove a key.

    Raises:
        UnknownKey: the id is unknown.
        KeysFileError: the file is malformed or not writable.
    """
    with _changing(file) as keys:
        found = next((key for key in keys if key.id == identifier), None)
        if found is None:
            raise UnknownKey(f"Unknown key {identifier}: `pixelnova keys list` shows all.")
        keys.remove(found)
    return found


@contextlib.contextmanager
def _changing(file: Path) -> Iterator[list[ApiKey]]:
    """The keys, to be changed in place; the file is replaced as a whole, and only its owner can read it."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            keys = read_keys(file)
            yield keys
            unfinished = file.with_suffix(".unfinished")
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as target:
                target.write(msgspec.json.format(msgspec.json.encode(keys), indent=2) + b"\n")
                target.flush()
                os.fsync(target.fileno())
            unfinished.rename(file)
    except OSError as error:
        raise KeysFileError(f"{file} cannot be written ({error}): fix that, then run this again.") from error


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
