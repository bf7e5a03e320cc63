"""Failed dbt tests of severity `warn`, for the summary that `refresh` prints.

Reads the artifacts that dbt wrote in a run.
"""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class BuildWarning:
    """A test that found rows. description: or else its name in words. rows: how many. query: the file of its SQL."""

    description: str
    rows: int
    query: Path


def build_warnings(build: Path, manifest: Path) -> list[BuildWarning]:
    """The warnings of the build in this folder; empty if dbt did not finish. manifest: the project's manifest.json."""
    try:
        results = json.loads((build / "run_results.json").read_bytes())["results"]
    except FileNotFoundError:
        return []
    nodes = json.loads(manifest.read_bytes())["nodes"]
    found = []
    for result in results:
        if result["status"] == "warn":
            node = nodes[result["unique_id"]]
            description = " ".join((node.get("description") or node["name"].replace("_", " ")).split())
            query = build / "compiled" / node["package_name"] / node["original_file_path"]
            if query.suffix != ".sql":  # dbt compiles a test in a yml file to <yml file>/<test>.sql
                query = query / node["path"]
            found.append(BuildWarning(description, result["failures"] or 0, query))
    return found
