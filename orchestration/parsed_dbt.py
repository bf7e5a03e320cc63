"""The command `pixelnova-dbt`: dbt with the manifest that dbt_manifest.py has parsed. Takes dbt's arguments.

Reads the manifest, writes what dbt writes except its manifest.json. dbt's own cache of the parsed project depends on
the path of the warehouse, and checking it costs as much as building many models.
"""

from typing import TYPE_CHECKING

from orchestration.dbt_manifest import PARTIAL_PARSE, prepare_dbt

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest


def parsed_project() -> "Manifest":
    """The parsed project, for one run of dbt, which changes it.

    Raises:
        DbtProjectError: dbt cannot parse the project.
    """
    from dbt.contracts.graph.manifest import Manifest

    manifest = Manifest.from_msgpack((prepare_dbt() / PARTIAL_PARSE).read_bytes())
    manifest.build_flat_graph()
    return manifest


def main() -> None:
    """Run dbt; exits with its code."""
    from dbt.cli.main import cli

    cli(obj={"manifest": parsed_project(), "callbacks": []})
