"""The version of the running code, for manifests and to detect changes.

Reads the project's files, the installed libraries and, in a clone, git.
"""

import hashlib
import os
import subprocess
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from orchestration.settings import PROJECT_ROOT, project_files
from serving.manifest import Code

COMMIT_VARIABLE = "PIXELNOVA_COMMIT"  # set where the code is deployed without git, as in a container
_LIBRARIES = ("duckdb", "dbt-core", "dbt-duckdb", "dlt", "numpy", "scipy")
_LIBRARIES += ("user-agents", "ua-parser-builtins", "crawler-user-agents")


def running_code() -> Code:
    """The code of this process."""
    return Code(version=_pixelnova(), commit=os.environ.get(COMMIT_VARIABLE) or _commit(), fingerprint=fingerprint())


def fingerprint() -> str:
    """SHA-256 of the code that turns inputs into tables and files: SQL, seeds, Python, and the relevant libraries."""
    python = sorted(path for package in ("ingestion", "serving", "orchestration") for path in _sources(package))
    digest = hashlib.sha256(", ".join(f"{name} {version(name)}" for name in _LIBRARIES).encode())
    for path in [*sorted(project_files()), *python]:
        digest.update(hashlib.sha256(str(path.relative_to(PROJECT_ROOT)).encode()).digest())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _sources(package: str) -> Iterable[Path]:
    return (path for path in (PROJECT_ROOT / package).rglob("*.py") if path.is_file())


def _pixelnova() -> str | None:
    try:
        return version("pixelnova")
    except PackageNotFoundError:  # run from its source without being installed
        return None


def _commit() -> str | None:
    """The commit of a clone, with `-dirty` if files were edited; None without a clone or git."""
    if not (PROJECT_ROOT / ".git").exists():  # git would search the parent folders
        return None
    # The clone may belong to another user, as under systemd.
    git = ["git", "-c", f"safe.directory={PROJECT_ROOT}", "-C", str(PROJECT_ROOT)]
    command = [*git, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(
            command, env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"}, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
