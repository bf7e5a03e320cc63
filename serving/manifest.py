"""The manifest of a published version: what it contains, and what it was made from.

Written by serving/publish.py as manifest.json, read by serving/published.py.
"""

import msgspec

from serving.settings import DEFAULTS, ListSettings

MANIFEST = "manifest.json"


class PublishedFile(msgspec.Struct):
    """One file of a version. path: relative to the version's folder; rows: row count, if the file has rows."""

    path: str
    bytes: int
    sha256: str
    rows: int | None = None


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """The code that made a version.

    version: of Pixelnova; commit: git commit, followed by `-dirty` if files were edited, None outside a clone;
    fingerprint: SHA-256 of SQL, seeds, Python and library versions.
    """

    version: str | None = None
    commit: str | None = None
    fingerprint: str | None = None


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """The data that a version was made from. newest_load: id of the newest load in operations.loads; landing_files:
    how many were loaded up to then."""

    newest_load: str | None = None
    landing_files: int = 0


class Manifest(msgspec.Struct):
    """Metadata of a version.

    as_of: newest received_at included, UTC; rows_by_table: of pixelnova.duckdb; model_version: of the recommendations;
    ineligible_dropped: items removed by the eligibility check before the export, anything but 0 is a defect; settings:
    used to build the lists, and by the read API to combine them. data, code: empty in versions by older code.
    """

    version: str
    published_at: str
    as_of: str | None
    rows_by_table: dict[str, int]
    files: list[PublishedFile]
    model_version: str = ""
    ineligible_dropped: int = 0
    settings: ListSettings = DEFAULTS
    data: Data = Data()
    code: Code = Code()
