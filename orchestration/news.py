"""Whether a refresh has anything to do: compares its inputs with those of the last complete refresh.

Reads the inputs on disk, writes their digests to data/last_refresh.json. Models depend on their inputs only, and SQL
reads no clock, so equal inputs give equal tables and files.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from ingestion.data_folder import landing_folder, warehouse_file
from ingestion.experiments import experiments_file
from ingestion.landing import archived_parts, sealed_files
from ingestion.privacy.requests import request_files, uninstalled_shops
from ingestion.privacy.retention import is_due
from ingestion.shops import Shop, load_shops
from ingestion.sources.catalogue_files import catalogue_files
from ingestion.sources.shopify_api import AdminApi, admin_apis
from orchestration.code_version import fingerprint
from serving.published import CURRENT, published_folder

FILE = "last_refresh.json"
LANDING, SHOPS, CATALOGUES, CODE = "landing files", "shops.toml", "catalogue files", "code"
EXPERIMENTS, PRIVACY = "experiments.toml", "requests about people"
WAREHOUSE, PUBLISHED, SHOPIFY = "the warehouse", "the published version", "Shopify's answers"


class LastRefresh(NamedTuple):
    """The last complete refresh. ended_at: ISO, UTC. inputs: digests by name. raw: digest of the raw tables."""

    ended_at: str
    inputs: dict[str, str]
    raw: str


def inputs_on_disk(data: Path, shops_file: Path) -> dict[str, str]:
    """The current digest of each input, by name.

    Raises:
        ShopsFileError: shops.toml cannot be used.
    """
    shops = load_shops(shops_file)
    files = [path for shop in catalogue_files(shops, shops_file.parent) for path in shop.paths]
    warehouse = warehouse_file(data)
    stat = warehouse.stat() if warehouse.exists() else None
    return {
        LANDING: _digest(part.name.encode() for part in archived_parts(landing_folder(data))),
        SHOPS: _digest([shops_file.read_bytes()]),
        EXPERIMENTS: _digest([_content(experiments_file(shops_file))]),
        CATALOGUES: _digest(content for path in files for content in (str(path).encode(), _content(path))),
        PRIVACY: _digest(content for path in request_files(data) for content in (path.name.encode(), _content(path))),
        CODE: fingerprint(),
        WAREHOUSE: f"{stat.st_size} bytes, {stat.st_mtime_ns}" if stat else "none",
        PUBLISHED: (published_folder(data) / CURRENT).resolve().name,
    }


def last_refresh(data: Path) -> LastRefresh | None:
    """What `remember` wrote; None if the file is missing, damaged or from another version of the code."""
    try:
        found = LastRefresh(**json.loads((data / FILE).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return found if isinstance(found.inputs, dict) else None


def remember(data: Path, shops_file: Path, read: dict[str, str], raw: str) -> None:
    """Record that a complete refresh has ended.

    Args:
        read: the inputs when the refresh started; digests of what it wrote itself are taken now.
        raw: the value of build_state.raw_state after the load.
    """
    now = inputs_on_disk(data, shops_file)
    inputs = read | {name: now[name] for name in (LANDING, PRIVACY, WAREHOUSE, PUBLISHED)}
    written = LastRefresh(datetime.now(UTC).isoformat(timespec="seconds"), inputs, raw)
    unfinished = data / f"{FILE}.tmp"
    unfinished.write_text(json.dumps(written._asdict(), indent=2))
    unfinished.replace(data / FILE)


def news(data: Path, shops_file: Path) -> list[str]:
    """The names of the inputs that may have changed; empty if a refresh has nothing to do."""
    last = last_refresh(data)
    if last is None:
        return ["no complete refresh yet"]
    now = inputs_on_disk(data, shops_file)
    changed = [name for name, digest in now.items() if last.inputs.get(name) != digest]
    if LANDING not in changed and sealed_files(landing_folder(data)):
        changed.append(LANDING)
    if fetched_apis(data, load_shops(shops_file)):
        changed.append(SHOPIFY)  # unknown until it is queried
    if PRIVACY not in changed and is_due(data, load_shops(shops_file), datetime.now(UTC)):
        changed.append(PRIVACY)
    return changed


def fetched_apis(data: Path, shops: Sequence[Shop]) -> list[AdminApi]:
    """The Admin APIs to fetch from: those with a token, unless the shop has uninstalled the app."""
    uninstalled = uninstalled_shops(data)
    return [api for api in admin_apis(shops) if api.shop not in uninstalled]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        return str(error).encode()


def _digest(contents: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for content in contents:
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()
