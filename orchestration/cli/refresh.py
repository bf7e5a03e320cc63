"""The commands `refresh`, `publish` and `status`.

Reads landing files and Shopify's responses, writes the warehouse and a published version.
"""

import gc
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from orchestration.cli.terminal import console, progress_bar, say, short
from orchestration.errors import OrchestrationError
from orchestration.settings import data_folder, shops_file

if TYPE_CHECKING:  # slow to import
    from orchestration.runner import Refreshed


class NotAllFetched(OrchestrationError):
    """The catalogue or the orders of a shop could not be fetched; everything else was published."""


def refresh(
    full: Annotated[
        bool, typer.Option("--full", help="Load the whole landing archive again and rebuild every table.")
    ] = False,
) -> None:
    """Load new events and Shopify's catalogue, build what has changed, publish."""
    print_summary(run_refresh(full))


def publish() -> None:
    """Publish the marts as they are, without loading or building."""
    from ingestion.data_folder import warehouse_file
    from orchestration.code_version import running_code
    from orchestration.warehouse_lock import warehouse_lock
    from serving.publish import publish

    with warehouse_lock():
        published = publish(warehouse_file(data_folder()), data_folder(), running_code())
    say(f"Published {published.manifest.version} in {short(published.folder)}.")


def status() -> None:
    """Show waiting landing files, whether a run is active, the last load, and the published version."""
    from ingestion.data_folder import landing_folder
    from ingestion.landing import open_files, sealed_files
    from orchestration.cli.status import status_tables
    from orchestration.warehouse_lock import is_held
    from serving.published import NothingPublished, read_current

    landing = landing_folder(data_folder())
    waiting = {
        "Landing files waiting to be loaded": len(sealed_files(landing)),
        "Landing files still being written": len(open_files(landing)),
    }
    try:
        published = read_current(data_folder())
    except NothingPublished:
        published = None
    console.print(status_tables(waiting, is_held(data_folder()), published))


def run_refresh(full: bool = False) -> "Refreshed":
    """Refresh with a progress bar.

    Raises:
        NotAllFetched: everything else was refreshed and published.
    """
    from ingestion.shops import load_shops
    from ingestion.sources.catalogue_files import catalogue_files
    from orchestration import runner
    from orchestration.cli.experiments import edits_of_begun_phases
    from orchestration.failed_fetches import failed_fetches
    from orchestration.news import fetched_apis
    from serving.published import read_current

    gc.set_threshold(50_000, 20, 100)  # Dagster's objects live until the end: fewer collections save time
    for edit in edits_of_begun_phases():  # before the refresh publishes them
        console.print("[yellow]![/yellow] experiments.toml:", Text(edit), soft_wrap=True)
    with progress_bar() as progress:
        task = progress.add_task("Preparing", total=None)
        refreshed = runner.refresh(
            on_plan=lambda assets: progress.update(task, description="Refreshing", total=assets),
            on_asset=lambda name: progress.update(task, description=name, advance=1),
            on_message=lambda message: progress.update(task, description=message),
            full=full,
        )
        progress.update(task, description="Refreshed")
    shops = load_shops(shops_file())
    with read_current(data_folder()).connect() as marts:
        failed = failed_fetches(
            marts,
            of_admin_api=[api.shop for api in fetched_apis(data_folder(), shops)],
            of_files=[file.shop for file in catalogue_files(shops, shops_file().parent)],
        )
    if failed:
        errors = sorted({failure.error for failure in failed})
        raise NotAllFetched(f"Everything else was refreshed and published, but: {' '.join(errors)}")
    return refreshed


def print_summary(refreshed: "Refreshed") -> None:
    """Print what a refresh published, or that nothing has changed."""
    from orchestration.cli.summary import summary_tables
    from serving.published import read_current

    published = read_current(data_folder())
    if not refreshed.is_news:
        say(
            f"Nothing has changed since version {published.manifest.version}, so nothing was built. "
            "Use `--full` to rebuild everything anyway."
        )
        return
    console.print(summary_tables(published, refreshed.warnings))
    say(f"Published {published.manifest.version} in {short(published.folder)}.")
