"""Exports the phases of experiments for the storefront and the read API.

Reads the warehouse's definitions of experiments, writes `experiments.json` of each shop (serving/published.py).
"""

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import duckdb
import msgspec

from serving.published import Experiments, ServedPhase, ServedVariation, shop_folder

# Patterns over `<query> <referrer host>`; the first match is the channel. The last ones match what is left.
CHANNELS = {
    "paid search": r".*[?&](gclid|msclkid|utm_medium=(cpc|ppc))",
    "paid social": r".*[?&](ttclid|utm_medium=paid.?social)",
    "email": r".*[?&]utm_medium=e?-?mail",
    "sms": r".*[?&]utm_medium=sms",
    "other campaign": r".*[?&]utm_",
    "direct": r".* (undefined|HOSTS)\n",
    "organic search": r".* ([^\n]*\.)?(google|bing|duckduckgo|yahoo|ecosia)\.",
    "organic social": r".* ([^\n]*\.)?(facebook|instagram|tiktok|pinterest|youtube)\.",
    "referral": "",
}
_TABLET = r".*(iPad|Tablet|Android(?!.*Mobi))"
DEVICES = {
    "tablet": _TABLET,
    "mobile": rf"(?!{_TABLET}).*Mobi",
    "desktop": rf"(?!{_TABLET}|.*Mobi)",
}


def write_experiments(connection: duckdb.DuckDBPyConnection, folder: Path, header: dict[str, object]) -> dict[str, int]:
    """Write experiments.json of a shop; returns the number of its phases."""
    shop = header["shop"]
    hosts = [
        host
        for (host,) in connection.execute(
            "select host from warehouse.staging.stg_shops__hosts where shop = $shop order by host", {"shop": shop}
        ).fetchall()
    ]
    phases = connection.execute(
        "select experiment, phase, is_holdout, seed, layer, layer_from, layer_to, started_at, ended_at, placements, "
        "channels, devices from warehouse.staging.stg_experiments__phases where shop = $shop "
        "order by is_holdout desc, started_at, experiment",
        {"shop": shop},
    ).fetchall()
    variations: dict[tuple[str, int], list[ServedVariation]] = {}
    for experiment, phase, variation, bucket_from, bucket_to, shows in connection.execute(
        "select experiment, phase, variation, bucket_from, bucket_to, shows "
        "from warehouse.staging.stg_experiments__variations where shop = $shop "
        "order by experiment, phase, variation_number",
        {"shop": shop},
    ).fetchall():
        served = ServedVariation(variation, bucket_from, bucket_to, _tiers(shows))
        variations.setdefault((experiment, phase), []).append(served)
    document = Experiments(
        **header,
        experiments=[
            ServedPhase(
                *what[:7],
                started_at=_iso(started_at),
                ended_at=None if ended_at is None else _iso(ended_at),
                placements=placements,
                devices=devices,
                channels=channels,
                audience=audience(channels, devices, hosts),
                variations=variations[what[0], what[1]],
            )
            for *what, started_at, ended_at, placements, channels, devices in phases
        ],
    )
    name = f"{shop_folder(shop)}/experiments.json"
    (folder / name).write_bytes(msgspec.json.encode(document))
    return {name: len(phases)}


def audience(channels: Sequence[str] | None, devices: Sequence[str] | None, hosts: Sequence[str]) -> str:
    """A regular expression, valid in JavaScript and Python, that matches visits from these channels and devices.

    A visit is written as `<query> <referrer's host, or undefined>`, a line break, and the user agent.
    """
    if channels is None and devices is None:
        return ""
    own = "|".join(re.escape(host) for host in hosts) or "undefined"
    patterns = {name: pattern.replace("HOSTS", own) for name, pattern in CHANNELS.items()}
    found = []
    for channel in channels or ():
        earlier = [patterns[name] for name in list(CHANNELS)[: list(CHANNELS).index(channel)]]
        unless = f"(?!{'|'.join(earlier)})" if earlier else ""
        found.append(f"(?={unless}{patterns[channel]})")
    by_device = "|".join(DEVICES[device] for device in devices or ())
    return f"^(?:{'|'.join(found)})" + r"[^\n]*\n" + f"(?:{by_device})"


def _tiers(shows: str) -> list[str] | None:
    return {"default": None, "nothing": []}.get(shows, shows.split(","))


def _iso(moment: datetime) -> str:
    """In the format of JavaScript's toISOString, so that strings compare like times."""
    return f"{moment.isoformat(timespec='milliseconds')}Z"
