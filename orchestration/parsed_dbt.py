"""The command `pixelnova-dbt`: dbt with the manifest that dbt_manifest.py has parsed. Takes dbt's arguments.

Reads the manifest, writes what dbt writes. dbt's own cache of the parsed project depends on the path of the warehouse,
and checking it costs as much as building many models. If PIXELNOVA_ENGINE is spark, spark_build.py builds.
"""

import gc
import json
import os
import sys
from typing import TYPE_CHECKING

from orchestration.dbt_manifest import PARTIAL_PARSE, prepare_dbt
from orchestration.settings import DUCKDB, SPARK, engine

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest
    from dbt_common.events.base_types import EventMsg

_PRINTED = ("info", "warn", "error")


def parsed_project(target: str = DUCKDB) -> "Manifest":
    """The project parsed for a target. Valid for one run of dbt, which modifies it.

    Raises:
        DbtProjectError: dbt cannot parse the project.
    """
    from dbt.contracts.graph.manifest import Manifest

    manifest = Manifest.from_msgpack((prepare_dbt(target) / PARTIAL_PARSE).read_bytes())
    manifest.build_flat_graph()
    return manifest


def main() -> None:
    """Run dbt; exits with its code."""
    if sys.argv[1:2] == ["build"] and engine() == SPARK:
        from orchestration.spark_build import build

        sys.exit(build(sys.argv[1:]))  # runs this command for each of its steps
    from dbt.cli.main import cli

    gc.disable()  # most of dbt's objects live until the end of the run: collecting takes a tenth of it
    arguments, callbacks = sys.argv[1:], []
    # dbt formats every debug event as JSON before it checks the level, which takes a tenth of a run under Dagster.
    if os.environ.get("DBT_LOG_FORMAT") == "json":
        arguments, callbacks = [*arguments, "--log-level", "none"], [_print_event]
    target = arguments[arguments.index("--target") + 1] if "--target" in arguments else DUCKDB
    cli(arguments, obj={"manifest": parsed_project(target), "callbacks": callbacks})


def _print_event(event: "EventMsg") -> None:
    """Print an event as dbt's JSON log does."""
    from dbt_common.events.functions import msg_to_dict

    if event.info.level in _PRINTED:
        sys.stdout.write(json.dumps(msg_to_dict(event)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
