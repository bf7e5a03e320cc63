"""dbt's manifest, from which Dagster reads the models: made of the project's files, whole, and of no other state.

The manifest and a seal, a hash of it and of the files that it was made of, lie in the dbt project's target folder.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from importlib.metadata import version
from pathlib import Path

from orchestration.build_state import project_files
from orchestration.settings import DBT_PROJECT, EXECUTABLES

TARGET = DBT_PROJECT / "target" / "dagster"
MANIFEST, PARTIAL_PARSE, SEAL = TARGET / "manifest.json", TARGET / "partial_parse.msgpack", TARGET / "seal"


class DbtProjectError(Exception):
    """dbt cannot read the project; the message is dbt's."""


def prepare_dbt() -> Path:
    """Write the manifest, unless it is there, whole, and made of the files as they are; returns its folder.

    Raises:
        DbtProjectError: dbt cannot read the project.
    """
    TARGET.mkdir(parents=True, exist_ok=True)
    with (TARGET / ".lock").open("w") as lock:  # of several processes one parses
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_whole():
            _parse()
    return TARGET


def _parse() -> None:
    with tempfile.TemporaryDirectory(dir=TARGET) as folder:
        command = [EXECUTABLES / "dbt", "parse", "--quiet", "--target-path", folder, "--log-path", folder]
        environment = {**os.environ, "DBT_PROFILES_DIR": str(DBT_PROJECT), "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
        sources = _hash_of_sources()
        done = subprocess.run(command, cwd=DBT_PROJECT, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise DbtProjectError(f"dbt cannot read {DBT_PROJECT}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        seal = Path(folder) / SEAL.name
        seal.write_text(_seal(Path(folder) / MANIFEST.name, sources))
        for file in (PARTIAL_PARSE, MANIFEST, SEAL):
            with (Path(folder) / file.name).open("rb") as written:
                os.fsync(written.fileno())
            (Path(folder) / file.name).replace(file)


def copy_partial_parse(folder: Path) -> None:
    """Save a dbt command that works in this folder from reading all files again. dbt reads them if the copy is bad."""
    folder.mkdir(parents=True, exist_ok=True)
    if PARTIAL_PARSE.exists():
        shutil.copyfile(PARTIAL_PARSE, folder / PARTIAL_PARSE.name)


def _is_whole() -> bool:
    try:
        return SEAL.read_text() == _seal(MANIFEST, _hash_of_sources())
    except (FileNotFoundError, UnicodeDecodeError):
        return False


def _seal(manifest: Path, sources: str) -> str:
    return f"{hashlib.sha256(manifest.read_bytes()).hexdigest()} of {sources}"


def _hash_of_sources() -> str:
    digest = hashlib.sha256(f"dbt-core {version('dbt-core')}, dbt-duckdb {version('dbt-duckdb')}".encode())
    for path in sorted(project_files()):
        digest.update(path.relative_to(DBT_PROJECT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
