"""The pipeline's runs up to a publication, as the dashboard shows them.

Writes and reads runs.json of a published version.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from serving.published import Published

RUNS_FILE = "runs.json"


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run. Times are UTC; ended_at and seconds are None while it runs, as for the run that publishes.

    failed_step: the first step that failed; None for a run that was killed.
    """

    job: str
    status: str
    started_at: datetime | None
    ended_at: datetime | None = None
    seconds: float | None = None
    failed_step: str | None = None


def encode_runs(runs: Sequence[Run]) -> bytes:
    """The runs as JSON, in the given order."""
    return msgspec.json.format(msgspec.json.encode(runs), indent=2) + b"\n"


def published_runs(published: Published) -> list[Run]:
    """The runs up to this version's publication, newest first; none if older code published it."""
    try:
        return msgspec.json.decode((published.folder / RUNS_FILE).read_bytes(), type=list[Run])
    except FileNotFoundError:
        return []
