"""Resources of the assets: the warehouse, which a run holds exclusively, and the dbt and dlt runners."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO

import dagster as dg
import dlt
from dagster_dlt import DagsterDltResource
from packaging.version import Version
from pydantic import PrivateAttr

from ingestion.data_folder import landing_folder, warehouse_file, workspace
from ingestion.experiments import Experiment, experiments_file, load_experiments
from ingestion.landing import DamagedPart, landing_name, read_lines
from ingestion.shops import Shop, load_shops
from ingestion.sources.catalogue_files import CatalogueFiles, catalogue_files
from ingestion.sources.shopify_api import AdminApi
from ingestion.warehouse import open_pipeline
from ingestion.warehouse_damage import check_warehouse, put_aside_if_damaged
from orchestration.build_state import raw_state
from orchestration.dagster_dbt_alone import DbtCliResource
from orchestration.health_report import report_after_refresh
from orchestration.news import (
    CATALOGUES,
    CODE,
    EXPERIMENTS,
    LANDING,
    PRIVACY,
    PUBLISHED,
    SHOPS,
    WAREHOUSE,
    LastRefresh,
    fetched_apis,
    inputs_on_disk,
    last_refresh,
    remember,
)
from orchestration.run_history import delete_old_builds, delete_old_runs
from orchestration.run_log import RunLog, logged_run
from orchestration.settings import DATA_VARIABLE, DBT_PROJECT, EXECUTABLES, data_folder, shops_file
from orchestration.warehouse_lock import inherited_by_children, warehouse_lock

REFRESH, FULL_REBUILD, BACKFILL = COMPLETE = ("refresh", "full_rebuild", "backfill")  # the jobs over all assets


class Warehouse(dg.ConfigurableResource):
    """The data folder; the run that uses it holds the warehouse exclusively."""

    _lock: IO[str] = PrivateAttr()
    _inputs: dict[str, str] = PrivateAttr()
    _last: LastRefresh | None = PrivateAttr()
    _raw: str = PrivateAttr("")
    _is_complete_run: bool = PrivateAttr()
    _log: RunLog = PrivateAttr()
    _lines: dict[str, int] = PrivateAttr()

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["Warehouse"]:
        """Hold the warehouse during the run.

        Raises:
            WarehouseBusy: another run holds it.
            DataFolderError: the folder cannot be written.
            WarehouseDamaged: the warehouse is damaged, and this run is not a full rebuild.
            WarehouseUnusable: the warehouse cannot be opened for another reason.
        """
        run = context.run
        self._is_complete_run = run.job_name in COMPLETE and not run.asset_selection and not run.parent_run_id
        try:
            yield from self._held(context)
        finally:
            if self._is_complete_run:
                report_after_refresh(self.data, shops_file(), run.run_id, datetime.now(UTC))

    def _held(self, context: dg.InitResourceContext) -> Iterator["Warehouse"]:
        run = context.run
        with (
            warehouse_lock() as self._lock,
            logged_run(self.data, context.instance, run, self._is_complete_run) as self._log,
        ):
            os.environ[DATA_VARIABLE] = str(self.data)  # dbt's profile reads it
            if run.job_name == FULL_REBUILD:
                put_aside_if_damaged(self.file)
            check_warehouse(self.file)
            delete_old_runs(context.instance, self.data / "dagster", keep=[run.run_id])
            delete_old_builds(self.builds)
            self._lines = {}
            self._inputs = inputs_on_disk(self.data, shops_file())
            self._last = None if run.job_name == FULL_REBUILD else last_refresh(self.data)
            yield self
            if self._is_complete_run and self._log.is_done and not self._log.failures:
                remember(self.data, shops_file(), self._inputs, self._raw)

    def unchanged(self, *inputs: str) -> bool:
        """Whether these inputs are unchanged since the last complete refresh, and the tables loaded from them exist."""
        last = self._last.inputs if self._last else {}
        return all(last.get(name) == self._inputs[name] for name in (*inputs, CODE, WAREHOUSE))

    def nothing_to_build(self) -> bool:
        """Whether the last complete refresh built and published exactly these raw tables; call after the load.

        Any other change, even to the warehouse itself, may be what a build repairs.
        """
        self._raw = raw_state(self.file)
        inputs = (LANDING, SHOPS, EXPERIMENTS, CATALOGUES, PRIVACY, PUBLISHED)
        return self.unchanged(*inputs) and self._last.raw == self._raw

    def count_lines(self, files: Sequence[Path]) -> None:
        """Count the lines of these landing files, or parts of them, before they are loaded."""
        lines = Counter[str]()
        for file in files:
            try:
                for _ in read_lines(file):
                    lines[landing_name(file)] += 1
            except DamagedPart:
                lines[landing_name(file)] += 1  # what is lost counts as one line
        self._lines = dict(lines)

    @property
    def lines_before_load(self) -> dict[str, int]:
        """The lines of each landing file that this run has loaded, by name, counted before the load."""
        return self._lines

    def is_current(self) -> None:
        """Record that the published version contains everything that was loaded."""
        self._log.is_done = True

    def held_by_children(self) -> AbstractContextManager[None]:
        """Child processes started within the block may write the warehouse, and hold its lock until they end."""
        return inherited_by_children(self._lock)

    @property
    def data(self) -> Path:
        """The data folder."""
        return data_folder()

    @property
    def file(self) -> Path:
        """The DuckDB file."""
        return warehouse_file(self.data)

    @property
    def builds(self) -> Path:
        """dbt's artifacts and logs, a folder per run."""
        return self.data / "dbt"

    @property
    def landing(self) -> Path:
        """The landing folder."""
        return landing_folder(self.data)

    @property
    def workspace(self) -> Path:
        """Temporary files of a load, until it has committed."""
        return workspace(self.data)

    @property
    def shops(self) -> list[Shop]:
        """The stores of shops.toml."""
        return load_shops(shops_file())

    @property
    def experiments(self) -> list[Experiment]:
        """The experiments of experiments.toml."""
        return load_experiments(experiments_file(shops_file()), self.shops)

    @property
    def admin_apis(self) -> list[AdminApi]:
        """The Admin APIs of the shops that have a token and the app installed."""
        return fetched_apis(self.data, self.shops)

    @property
    def catalogue_files(self) -> list[CatalogueFiles]:
        """The catalogue files of the shops that have some and no token."""
        return catalogue_files(self.shops, shops_file().parent)

    def pipeline(self, source_name: str) -> dlt.Pipeline:
        """The dlt pipeline that loads a source into this warehouse."""
        return open_pipeline(source_name, self.data)


class Dbt(DbtCliResource):
    """dbt as a child process, without dagster-dbt's set-up, which takes as long as 50 models and is not needed."""

    @property
    def _cli_version(self) -> Version:
        """The version of the installed package, which the executable of this environment runs."""
        return Version(version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> None:
        """Skip opening the warehouse for column metadata, which no asset uses."""


RESOURCES = {
    "warehouse": Warehouse(),
    "dbt": Dbt(
        project_dir=str(DBT_PROJECT),
        profiles_dir=str(DBT_PROJECT),
        dbt_executable=str(EXECUTABLES / "pixelnova-dbt"),
    ),
    "dlt": DagsterDltResource(),
}
