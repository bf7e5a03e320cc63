"""Keeps dbt's manifest, from which Dagster reads the models, complete and up to date with the project's files.

Reads the project's files; writes the manifest and a seal (a hash of it and of these files) to dbt's target folder.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from importlib.metadata import version
from pathlib import Path

from orchestration.errors import OrchestrationError
from orchestration.settings import DBT_PROJECT, DUCKDB, EXECUTABLES, SPARK, project_files

# Nodes that an incremental build leaves out: while the rules are unchanged, so are views and seeds.
UNCHANGED = "config.materialized:view,resource_type:model resource_type:seed"
TARGETS = {DUCKDB: DBT_PROJECT / "target" / "dagster", SPARK: DBT_PROJECT / "target" / "spark"}
MANIFEST, PARTIAL_PARSE, SEAL = "manifest.json", "partial_parse.msgpack", "seal"


class DbtProjectError(OrchestrationError):
    """dbt cannot parse the project; the message contains dbt's output."""


def prepare_dbt(engine: str = DUCKDB, target: Path | None = None) -> Path:
    """Write the manifest for an engine unless it is complete and up to date; returns its folder.

    Raises:
        DbtProjectError: dbt cannot parse the project.
    """
    target = target or TARGETS[engine]
    target.mkdir(parents=True, exist_ok=True)
    with (target / ".lock").open("w") as lock:  # one process parses, others wait
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_whole(target):
            _parse(engine, target)
    return target


def source_descriptions(manifest: Path) -> dict[tuple[str, str], str]:
    """The descriptions of dbt's source tables, by source name and table name."""
    sources = json.loads(manifest.read_bytes())["sources"].values()
    return {(source["source_name"], source["name"]): source["description"] for source in sources}


def _parse(engine: str, target: Path) -> None:
    for abandoned in target.glob("tmp*"):  # left behind by a killed process
        shutil.rmtree(abandoned)
    with tempfile.TemporaryDirectory(dir=target) as folder:
        command = [EXECUTABLES / "dbt", "parse", "--quiet", "--target", engine]
        command += ["--target-path", folder, "--log-path", folder]
        environment = {**os.environ, "DBT_PROFILES_DIR": str(DBT_PROJECT), "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
        sources = _hash_of_sources()
        done = subprocess.run(command, cwd=DBT_PROJECT, env=environment, capture_output=True, text=True)
        if done.returncode:
            output = done.stdout[-2000:] + done.stderr[-2000:]
            raise DbtProjectError(f"dbt cannot parse {DBT_PROJECT}; fix the project and run again: {output}")
        written = Path(folder)
        (written / SEAL).write_text(_seal(written, sources))
        for name in (PARTIAL_PARSE, MANIFEST, SEAL):
            with (written / name).open("rb") as file:
                os.fsync(file.fileno())
            (written / name).replace(target / name)


def _is_whole(target: Path) -> bool:
    try:
        return (target / SEAL).read_text() == _seal(target, _hash_of_sources())
    except (FileNotFoundError, UnicodeDecodeError):
        return False


def _seal(target: Path, sources: str) -> str:
    digest = hashlib.sha256((target / MANIFEST).read_bytes() + (target / PARTIAL_PARSE).read_bytes())
    return f"{digest.hexdigest()} of {sources}"


def _hash_of_sources() -> str:
    digest = hashlib.sha256(f"dbt-core {version('dbt-core')}, dbt-duckdb {version('dbt-duckdb')}".encode())
    for path in sorted(project_files()):
        digest.update(path.relative_to(DBT_PROJECT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
