"""The command `rollback`: lists the published versions and makes an older one current.

Reads and writes data/published.
"""

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from orchestration.cli.terminal import age_text, console, say, size_text
from orchestration.settings import data_folder


def rollback(
    version: Annotated[
        str | None, typer.Argument(help="The version to make current; default: list all versions, change nothing.")
    ] = None,
) -> None:
    """Make an older published version the current one. The next refresh publishes a new one as usual."""
    from orchestration.warehouse_lock import warehouse_lock
    from serving.kept_versions import roll_back

    if version is None:
        console.print(_table())
        return
    with warehouse_lock():  # a run in progress would publish its own version a moment later
        published = roll_back(data_folder(), version)
    as_of = published.manifest.as_of
    say(
        f"Version {version} is current{f', with events until {as_of}' if as_of else ''}. The next refresh publishes a "
        "new version: fix the cause of the rollback before then."
    )


def _table() -> Table | str:
    from serving.kept_versions import kept_versions
    from serving.published import read_version

    found = kept_versions(data_folder())
    if not found:
        return f"No version is published in {escape(str(data_folder()))} yet: run `pixelnova refresh`."
    table = Table(
        "Version", "Age", "Size", "Events until", "Code", "", title="Published versions", title_justify="left"
    )
    now = datetime.now(UTC)
    for version in found:
        state = "current" if version.is_current else "in use" if version.is_in_use() else ""
        try:
            manifest = read_version(version.folder).manifest
            as_of, code = (manifest.as_of or "")[:19], (manifest.code.commit or manifest.code.fingerprint or "")[:12]
        except (OSError, ValueError):
            as_of, code, state = "", "", f"damaged {state}".strip()
        table.add_row(version.name, age_text(now - version.published_at), size_text(version.bytes), as_of, code, state)
    return table
