"""What dbt's tests of severity `warn` found in a run, for people who read the summary and not dbt's log."""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class BuildWarning:
    """A test that found rows. said: its description, or its name in words. rows: how many. query: finds them."""

    said: str
    rows: int
    query: Path


def build_warnings(build: Path) -> list[BuildWarning]:
    """The warnings of the build in this folder; none if dbt did not come to its end."""
    try:
        results = json.loads((build / "run_results.json").read_bytes())["results"]
        nodes = json.loads((build / "manifest.json").read_bytes())["nodes"]
    except FileNotFoundError:
        return []
    found = []
    for result in results:
        if result["status"] == "warn":
            node = nodes[result["unique_id"]]
            said = " ".join((node.get("description") or node["name"].replace("_", " ")).split())
            query = build / "compiled" / node["package_name"] / node["original_file_path"]
            if query.suffix != ".sql":  # of a test in a yml file dbt makes a file in a folder by its name
                query = query / node["path"]
            found.append(BuildWarning(said, result["failures"] or 0, query))
    return found
