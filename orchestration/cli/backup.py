"""The commands `backup` and `restore`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from orchestration.cli.terminal import console, say, size_text
from orchestration.settings import data_folder, shops_file


def backup(
    target: Annotated[Path, typer.Argument(help="Folder for backups, on another disk.")],
    wait: Annotated[float, typer.Option(min=0, help="Minutes to wait for a refresh in progress.")] = 60.0,
) -> None:
    """Back up landing files, warehouse, published version and configuration, while the collector runs."""
    from orchestration.backup import back_up, read_backup

    with console.status("Backing up"):
        folder = back_up(data_folder(), shops_file(), target, datetime.now(UTC), wait * 60)
    files = read_backup(folder).files
    size = size_text(sum(file.bytes for file in files))
    say(f"Backed up {len(files):,} files, {size}, in {folder}.")


def restore(
    source: Annotated[Path, typer.Argument(help="A backup, or a folder of backups, of which the newest is used.")],
) -> None:
    """Restore a backup into an empty data folder (--data). Existing configuration files are kept."""
    from orchestration.restoration import restore

    with console.status("Restoring"):
        restored = restore(source, data_folder(), shops_file())
    made_at = f"{restored.backup.made_at:%Y-%m-%d %H:%M} UTC"
    say(f"Restored the backup of {made_at} in {data_folder()}.")
    if restored.erased_again:
        console.print("People erased after that backup were erased again. Run `pixelnova refresh` to publish.")
    else:
        console.print("Before the next refresh, repeat the erasures made after that backup (`privacy erase`).")
    for file in restored.kept:
        say(f"{file} already exists and was kept; the backup's copy is in {source}.")
