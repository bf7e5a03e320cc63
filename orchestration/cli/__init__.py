"""The `pixelnova` command: its options, its commands and its exit codes.

Exit codes: 0 done, 1 failed with a one-line reason, 2 wrong arguments, 130 interrupted. Modules that are slow to import
are imported by the commands that need them.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from ingestion.landing import keep_files_private
from orchestration.cli import (
    alerts,
    backup,
    collector,
    connect,
    demo,
    doctor,
    experiment_results,
    experiments,
    keys,
    logs,
    privacy,
    refresh,
    report,
    servers,
    versions,
)
from orchestration.settings import DAGSTER_VARIABLE, DATA_VARIABLE, SHOPS_VARIABLE, data_folder

app = typer.Typer(
    help="What do shoppers in my Shopify store do, and what should they see next?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
connect_app = typer.Typer(help="Connect your own store.", no_args_is_help=True)
experiments_app = typer.Typer()
alerts_app = typer.Typer(help="Alerts about this installation.", no_args_is_help=True)
keys_app = typer.Typer(help="API keys of shops.", no_args_is_help=True)
privacy_app = typer.Typer(help="Erase, export and find personal data.", no_args_is_help=True)


@app.callback()
def options(
    data: Annotated[
        Path | None, typer.Option(envvar=DATA_VARIABLE, help="Data folder; default: data/ of the project.")
    ] = None,
    shops: Annotated[
        Path | None,
        typer.Option(envvar=SHOPS_VARIABLE, help="Store configuration; default: shops.toml of the project."),
    ] = None,
) -> None:
    """Options of all commands, passed on in the environment so that child processes use them too."""
    keep_files_private()
    if data is not None:
        os.environ[DATA_VARIABLE] = str(data.resolve())
    if shops is not None:
        os.environ[SHOPS_VARIABLE] = str(shops.resolve())
    os.environ[DAGSTER_VARIABLE] = str(data_folder() / "dagster")


for command in (
    demo.demo,
    collector.simulate,
    collector.collect,
    collector.replay,
    refresh.refresh,
    refresh.publish,
    versions.rollback,
    collector.pixel,
    collector.app_pixel,
    servers.api,
    servers.dashboard,
    report.report,
    servers.storefront,
    servers.dev,
    refresh.status,
    logs.logs,
    doctor.doctor,
    backup.backup,
    backup.restore,
    experiment_results.power,
):
    app.command()(command)
connect_app.command("check")(connect.check)
app.add_typer(connect_app, name="connect")
experiments_app.callback(invoke_without_command=True)(experiment_results.experiments)
experiments_app.command("check")(experiments.check)
app.add_typer(experiments_app, name="experiments")
keys_app.command("add")(keys.add)
keys_app.command("list")(keys.list_keys)
keys_app.command("revoke")(keys.revoke)
app.add_typer(keys_app, name="keys")
privacy_app.command("erase")(privacy.erase)
privacy_app.command("export")(privacy.export)
privacy_app.command("requests")(privacy.requests)
privacy_app.command("scan")(privacy.scan)
app.add_typer(privacy_app, name="privacy")
alerts_app.command("check")(alerts.check)
app.add_typer(alerts_app, name="alerts")


def main() -> None:
    """Run the command. Print errors that the user can fix as one line, all others with their traceback."""
    try:
        app()
    except Exception as error:
        known = _known(error)
        if known is None:
            raise
        message = Text.assemble(("pixelnova:", "red"), f" {known}")
        Console(stderr=True).print(message, soft_wrap=True)
        sys.exit(getattr(known, "exit_code", 1))


def _known(error: BaseException) -> BaseException | None:
    """The innermost error that carries a message for the user: Dagster and dlt wrap what fails inside a step."""
    from ingestion.errors import IngestionError
    from orchestration.disk_space import causes, disk_full
    from orchestration.errors import OrchestrationError
    from serving.errors import ServingError

    full_disk = disk_full(error, data_folder())
    if full_disk is not None:
        return full_disk
    known = (OrchestrationError, IngestionError, ServingError)
    return next((cause for cause in reversed(list(causes(error))) if isinstance(cause, known)), None)
