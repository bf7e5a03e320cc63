"""`pixelnova refresh` in a separate process, forked from one that has imported what a refresh imports.

It runs the same `main` as the command. Only imports are saved: they take as long as a short refresh. dbt, its child
process, starts as always.
"""

import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping
from multiprocessing import forkserver
from pathlib import Path

from tests.conftest import PROJECT

FORK = multiprocessing.get_context("forkserver")
SITE = Path(__file__).parent / "site"


def start_server() -> None:
    """Import everything once. The server finds the modules only by PYTHONPATH."""
    FORK.set_forkserver_preload(["tests.faults.refresh_imports"])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(PROJECT)
    try:
        forkserver.ensure_running()
    finally:
        os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)


def refresh(data: Path, environment: Mapping[str, str], log: Path, *options: str) -> int:
    """Run the command in its own process group; returns the exit code, -9 if it was killed. Appends to the log."""
    return _in_a_process(_refresh, data, environment, log, options)


def rebuild(data: Path, environment: Mapping[str, str], log: Path) -> int:
    """Load, build and publish everything without the command and Dagster; returns the exit code. Appends to the log."""
    return _in_a_process(_rebuild, data, environment, log)


def _in_a_process(target: Callable[..., None], data: Path, environment: Mapping[str, str], *arguments: object) -> int:
    path = os.pathsep.join([str(SITE), str(PROJECT)])
    environment = {"PYTHONPATH": path, "COLUMNS": "200", "PIXELNOVA_DATA": str(data), **environment}
    process = FORK.Process(target=target, args=(data, environment, *arguments))
    process.start()
    process.join()
    return process.exitcode


def _refresh(data: Path, environment: dict[str, str], log: Path, options: tuple[str, ...]) -> None:
    from orchestration import cli

    _begin(environment, log)
    sys.argv = ["pixelnova", "refresh", *options]
    cli.main()


def _rebuild(data: Path, environment: dict[str, str], log: Path) -> None:
    from ingestion.data_folder import workspace
    from ingestion.shops import load_shops
    from ingestion.sources.shopify import Settings, shopify_source
    from ingestion.sources.shopify_api import admin_apis
    from ingestion.warehouse import open_pipeline
    from serving.experiments.results import write_results
    from serving.publish import publish
    from serving.recommenders.personal import recommend
    from tests.faults.store import SHOPS_FILE
    from tests.warehouse import Warehouse

    _begin(environment, log)
    warehouse, shops = Warehouse(data, SHOPS_FILE), load_shops(SHOPS_FILE)
    warehouse.load()
    settings = Settings(orders_of=frozenset(shop.domain for shop in shops if shop.orders), workspace=workspace(data))
    open_pipeline("shopify", data).run(shopify_source(admin_apis(shops), settings))
    warehouse.build()
    recommend(warehouse.file)
    write_results(warehouse.file)
    publish(warehouse.file, data)


def _begin(environment: dict[str, str], log: Path) -> None:
    from tests.faults import seams

    os.setsid()
    os.chdir(PROJECT)
    os.environ |= environment
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(output, stream)
    seams.install()
