"""The landing folder: the contract between the collector, which writes it, and the pixel source, which loads it.

The collector appends envelopes, one JSON line each, to a file that only it touches (`*.jsonl.open`). Sealed files
(`*.jsonl`) never change; after loading they are kept under `archive/`, compressed, by shop and day received.

    landing/events-20261122T154801.123456Z-9f86d081.jsonl.open
    landing/events-20261122T154801.123456Z-9f86d081.jsonl
    landing/archive/shop=a.myshopify.com/received_date=2026-11-22/events-20261122T154801.123456Z-9f86d081.jsonl.zst
"""

import contextlib
import fcntl
import os
import secrets
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from ingestion.errors import IngestionError

ENVELOPE_VERSION = 1
OPEN_SUFFIX = ".open"
UNREADABLE = "_unreadable"  # used as the shop of archived lines that are not envelopes


class DamagedPart(IngestionError):
    """A part of the archive is truncated or corrupt; the message names it and the remedy."""


class Consent(msgspec.Struct, omit_defaults=True):
    """Shopify's `customerPrivacy` snapshot, under Shopify's own names; None means unknown."""

    analyticsProcessingAllowed: bool | None = None  # noqa: N815
    marketingAllowed: bool | None = None  # noqa: N815
    preferencesProcessingAllowed: bool | None = None  # noqa: N815
    saleOfDataAllowed: bool | None = None  # noqa: N815


class Envelope(msgspec.Struct):
    """One line of a landing file: an event as received, with what only the collector knows about it.

    received_at: UTC. shop: from the ingest key, never from the body. request_id and index: the request and the event's
    position in it. gpc: the browser sent `Sec-GPC: 1`. host_ok: the page belongs to the shop (None: the event has no
    page). event: the original bytes, re-encoded only to remove personal data.
    """

    v: int
    received_at: datetime
    shop: str
    source: str
    request_id: str
    index: int
    visitor_hash: str | None
    user_agent: str | None
    origin: str | None
    gpc: bool
    host_ok: bool | None
    consent: Consent | None
    pixel_version: str | None
    event: msgspec.Raw


class _Stamp(msgspec.Struct):
    """The fields of an envelope that select its part of the archive."""

    received_at: datetime
    shop: str


_decode_envelope = msgspec.json.Decoder(Envelope).decode
_decode_stamp = msgspec.json.Decoder(_Stamp).decode


def encode_envelope(envelope: Envelope) -> bytes:
    """One landing line, newline included. The event's own line breaks, legal between JSON tokens, become spaces."""
    return msgspec.json.encode(envelope).replace(b"\n", b" ").replace(b"\r", b" ") + b"\n"


def decode_envelope(line: bytes) -> Envelope:
    """The envelope on a landing line.

    Raises:
        ValueError: the line is not UTF-8, not JSON, or not an envelope; the message names the cause.
    """
    try:
        line.decode()  # msgspec does not check the encoding of raw values
        envelope = _decode_envelope(line)
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8: {error.reason} at byte {error.start}") from error
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(str(error)) from error
    if envelope.v != ENVELOPE_VERSION:
        raise ValueError(f"version {envelope.v} of the envelope, not {ENVELOPE_VERSION}")
    if bytes(envelope.event).lstrip()[:1] != b"{":
        raise ValueError("the event is not a JSON object")
    return envelope


class OpenLandingFile:
    """A landing file open for writing by this process only, which holds the file's lock."""

    def __init__(self, folder: Path) -> None:
        """Create the file in `folder`, locked, and make its name durable."""
        created_at = datetime.now(UTC)
        # Random, because collectors on several machines may share one landing folder.
        stem = f"events-{created_at:%Y%m%dT%H%M%S.%fZ}-{secrets.token_hex(4)}.jsonl"
        self.path = folder / (stem + OPEN_SUFFIX)
        self.size = 0  # bytes on disk; every line up to here is complete and acknowledged
        with _folder_lock(folder):  # else recovery could find the file before it is locked
            self._descriptor = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o640)
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                sync_folder(folder)
            except OSError:
                self.abandon()
                self.path.unlink(missing_ok=True)
                raise

    def append(self, lines: bytes) -> None:
        """Write whole lines and return when they are on disk.

        Raises:
            OSError: the write failed, and the file is truncated to its previous size. Writing may continue,
                unless the sync failed: then the contents on disk are unknown, so call `abandon`.
        """
        try:
            view = memoryview(lines)
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError:
            os.ftruncate(self._descriptor, self.size)
            raise
        os.fdatasync(self._descriptor)
        self.size += len(lines)

    def seal(self) -> Path:
        """Complete the file and make it visible to the loader; an empty file is removed."""
        with _folder_lock(self.path.parent):
            target = _seal(self.path)
        self.abandon()
        return target

    def abandon(self) -> None:
        """Close the file as it is; unless sealed, recovery seals its complete lines."""
        with contextlib.suppress(OSError):
            os.close(self._descriptor)


def _seal(path: Path) -> Path:
    with path.open("rb") as file:
        os.fsync(file.fileno())
    target = path.with_suffix("")
    if path.stat().st_size:
        path.rename(target)
    else:
        path.unlink()
    sync_folder(path.parent)
    return target


def recover(folder: Path) -> list[Path]:
    """Seal the files of dead writers, without an incomplete last line. Returns the sealed files.

    An incomplete line was never acknowledged: its writer died before the sync returned.
    """
    sealed = []
    with _folder_lock(folder):
        for path in sorted(folder.glob(f"events-*.jsonl{OPEN_SUFFIX}")):
            with path.open("r+b") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue  # its writer is alive
                whole = file.read().rfind(b"\n") + 1
                file.truncate(whole)
                target = _seal(path)
                if whole:
                    sealed.append(target)
    return sealed


def remove_abandoned(files: Iterable[Path]) -> None:
    """Remove the unfinished files of dead writers; a living one holds the lock of its file."""
    for path in files:
        with contextlib.suppress(FileNotFoundError, BlockingIOError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def begun_at(file: Path) -> datetime:
    """When a landing file was created, UTC, from its name."""
    return datetime.strptime(file.name.split("-")[1], "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC)


def open_files(folder: Path) -> list[Path]:
    """The files still being written."""
    return sorted(folder.glob(f"events-*.jsonl{OPEN_SUFFIX}"))


def sealed_files(folder: Path) -> list[Path]:
    """The complete files waiting to be loaded, oldest first."""
    return sorted(folder.glob("events-*.jsonl"))


def archived_parts(folder: Path) -> list[Path]:
    """The compressed parts of all loaded landing files, by shop and day received."""
    return sorted((folder / "archive").rglob("events-*.jsonl.zst"))


def landing_name(file: Path) -> str:
    """The name of the landing file that a file or an archived part belongs to."""
    return file.name.removesuffix(".zst")


def shop_of(part: Path) -> str | None:
    """The shop of an archived part; None if its lines have no shop."""
    shop = part.parent.parent.name.partition("shop=")[2]
    return shop if shop != UNREADABLE else None


def read_lines(file: Path) -> Iterator[bytes]:
    """The lines of a sealed or archived landing file, without their line breaks.

    Raises:
        DamagedPart: an archived part is damaged; the whole lines before the damage have been yielded.
    """
    rest = b""
    for block in _blocks(file):
        *lines, rest = (rest + block).split(b"\n")
        yield from lines
    if rest:
        yield rest


def check_part(part: Path) -> None:
    """Read an archived part to its end. DuckDB misses some damage: it reads no rows of a part truncated early.

    Raises:
        DamagedPart: it is damaged.
    """
    for _ in _blocks(part):
        pass


def _blocks(file: Path) -> Iterator[bytes]:
    import pyarrow as pa

    size = 0
    try:
        with pa.input_stream(str(file), compression="detect") as stream:
            while block := stream.read(1 << 16):
                size += len(block)
                yield block
    except OSError as error:
        if error.errno is not None:  # a system error, not damaged content
            raise
        raise _damaged(file, str(error)) from error
    if file.suffix == ".zst" and not size:  # parts are never empty
        raise _damaged(file, "it is empty")


def _damaged(part: Path, reason: str) -> DamagedPart:
    return DamagedPart(f"{part} is damaged ({reason}): restore it from a backup, or delete it.")


def archive(file: Path) -> list[Path]:
    """Move a loaded file into the archive, one compressed part per shop and day received.

    The landing file is removed last, so a crash leaves it intact; archiving again writes the same parts.
    """
    parts: dict[tuple[str, str], list[bytes]] = defaultdict(list)
    for line in read_lines(file):
        parts[_partition(line)].append(line)
    written = [_write_part(file, shop, received_date, lines) for (shop, received_date), lines in parts.items()]
    file.unlink()
    sync_folder(file.parent)
    return written


def _partition(line: bytes) -> tuple[str, str]:
    """The shop and UTC day of a landing line, even of a damaged one if both can be read."""
    try:
        stamp = _decode_stamp(line)
    except (msgspec.MsgspecError, RecursionError):
        return UNREADABLE, "unknown"
    return stamp.shop, stamp.received_at.astimezone(UTC).date().isoformat()


def _write_part(file: Path, shop: str, received_date: str, lines: list[bytes]) -> Path:
    folder = file.parent / "archive" / f"shop={shop}" / f"received_date={received_date}"
    make_folder(folder)
    part = folder / f"{file.name}.zst"
    write_lines(part, lines)
    return part


def write_lines(file: Path, lines: list[bytes]) -> None:
    """Write or replace a sealed file or compressed part (`.zst`), durably and atomically; without lines, remove it."""
    import pyarrow as pa

    if not lines:
        file.unlink(missing_ok=True)
        sync_folder(file.parent)
        return
    unfinished = file.with_suffix(".tmp")
    kind = "zstd" if file.suffix == ".zst" else None
    with pa.output_stream(str(unfinished), compression=kind) as stream:
        stream.write(b"\n".join([*lines, b""]))
    with unfinished.open("rb") as written:
        os.fsync(written.fileno())
    unfinished.rename(file)
    sync_folder(file.parent)


def keep_files_private() -> None:
    """Make this process and its children create files as 0640 and folders as 0750: no access for others."""
    os.umask(0o027)


def make_folder(folder: Path) -> None:
    """Create a folder and its missing parents, each durably."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable: a rename is durable only after its folder is synced."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _folder_lock(folder: Path) -> Iterator[None]:
    """Hold the lock for creating files and for finding files without a writer."""
    make_folder(folder)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
