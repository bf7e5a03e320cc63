"""What the assets share: the warehouse, of which a run is the only holder, and the dbt and dlt runners."""

import fcntl
import os
from pathlib import Path

import dagster as dg
import dlt
from dagster_dbt import DbtCliResource
from dagster_dlt import DagsterDltResource
from pydantic import PrivateAttr

from ingestion.shops import Shop, load_shops
from ingestion.warehouse import landing_folder, open_pipeline, warehouse_file, workspace
from orchestration.settings import DATA_VARIABLE, DBT_PROJECT, EXECUTABLES, data_folder, make_data_folder, shops_file


class WarehouseBusy(Exception):
    """Another run holds the warehouse; the message names the remedy."""


class Warehouse(dg.ConfigurableResource):
    """The data folder, locked for as long as a run goes: DuckDB lets one process write."""

    _lock: int = PrivateAttr(default=-1)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Take the lock.

        Raises:
            WarehouseBusy: another run has it.
            DataFolderError: the folder cannot be written.
        """
        self._lock = os.open(make_data_folder() / "warehouse.lock", os.O_CREAT | os.O_RDWR, 0o640)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise WarehouseBusy(
                f"Another run is refreshing {self.data}: wait until it has ended, and run again."
            ) from None
        os.environ[DATA_VARIABLE] = str(self.data)  # dbt's profile reads it

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Give the lock back."""
        os.close(self._lock)

    @property
    def data(self) -> Path:
        """The data folder."""
        return data_folder()

    @property
    def file(self) -> Path:
        """The DuckDB file."""
        return warehouse_file(self.data)

    @property
    def landing(self) -> Path:
        """The landing folder."""
        return landing_folder(self.data)

    @property
    def workspace(self) -> Path:
        """Where a load keeps files until it has committed."""
        return workspace(self.data)

    @property
    def shops(self) -> list[Shop]:
        """The stores of shops.toml."""
        return load_shops(shops_file())

    def pipeline(self, source_name: str) -> dlt.Pipeline:
        """The dlt pipeline that loads a source into this warehouse."""
        return open_pipeline(source_name, self.data)


@dg.definitions
def resources() -> dg.Definitions:
    """The resources by the names under which assets ask for them; runs stay in one process, the lock's holder."""
    return dg.Definitions(
        resources={
            "warehouse": Warehouse(),
            "dbt": DbtCliResource(
                project_dir=str(DBT_PROJECT),
                profiles_dir=str(DBT_PROJECT),
                dbt_executable=str(EXECUTABLES / "dbt"),
            ),
            "dlt": DagsterDltResource(),
        },
        executor=dg.in_process_executor,
    )
