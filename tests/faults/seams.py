"""The seams of a refresh: where it changes a file of the data folder, or a statement changes the warehouse.

Installed in the process of a refresh and, by site/sitecustomize.py, in its child process dbt. Reads its task from the
environment; writes every seam to a file, or kills the process group at one.
"""

import itertools
import os
import re
import signal
import sys
import threading
from collections import defaultdict
from types import FrameType
from typing import Any, NamedTuple

import duckdb

RECORD_VARIABLE, POINT_VARIABLE = "FAULTS_RECORD", "FAULTS_POINT"
# The stage of a seam is that of its innermost caller that is listed: a module with its submodules, or a function.
_STAGES = {
    "dlt.extract": "extract",
    "dlt.normalize": "normalize",
    "dlt.load": "load",
    "dlt.destinations": "load",
    "ingestion.landing:archive": "archive",
    "dbt": "models",
    "serving.experiments": "experiments",
    "serving.recommenders": "recommend",
    "serving.kept_versions:switch": "switch",
    "serving.kept_versions:remove_old_versions": "prune",
    "serving.publish": "publish",
}
OTHER = "other"  # locks, logs, Dagster's history, the ledger, and what the refresh remembers
STAGES = (*dict.fromkeys(_STAGES.values()), OTHER)
_FILE_CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.symlink", "os.truncate")
_STATEMENTS = ("execute", "commit")
_CHANGE = re.compile(r"(\s|/\*.*?\*/)*(create|insert|update|delete|drop|alter|copy|commit|checkpoint)\b", re.I | re.S)


class Point(NamedTuple):
    """Where a refresh is killed: `delay` seconds after a seam. number: of the seam within its stage, from 1."""

    stage: str
    number: int
    delay: float = 0.0

    def __str__(self) -> str:
        return f"{self.stage} {self.number} {self.delay:.4f}"

    @classmethod
    def parse(cls, text: str) -> "Point":
        """Parse the text of `str(point)`."""
        stage, number, delay = text.split()
        return cls(stage, int(number), float(delay))


def install() -> None:
    """Watch this process, if the environment asks for it."""
    record, point = os.environ.get(RECORD_VARIABLE), os.environ.get(POINT_VARIABLE)
    if not record and not point:
        return
    wanted = Point.parse(point) if point else None
    data = os.environ["PIXELNOVA_DATA"]
    file = os.open(record, os.O_WRONLY | os.O_APPEND | os.O_CREAT) if record else None
    numbers = defaultdict(lambda: itertools.count(1))

    def seam(name: str, frame: FrameType) -> None:
        stage = _stage(frame)
        number = next(numbers[stage])
        if file is not None:
            os.write(file, f"{stage}\t{name!r}\n".encode())
        if wanted and (wanted.stage, wanted.number) == (stage, number):
            if wanted.delay:
                threading.Timer(wanted.delay, _kill).start()
            else:
                _kill()

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            changes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        else:
            path, changes = arguments[0] if arguments else None, event in _FILE_CHANGES
        if changes and isinstance(path, str | os.PathLike):
            name = os.fspath(path)
            if name.startswith(data) or not name.startswith("/"):  # relative to a folder that shutil.rmtree removes
                seam(f"{event} {name}", sys._getframe(1))

    sys.addaudithook(hook)
    for name in _STATEMENTS:
        _watch(name, seam)


def _watch(method: str, seam: Any) -> None:
    own = getattr(duckdb.DuckDBPyConnection, method)

    def watched(connection: duckdb.DuckDBPyConnection, *arguments: Any, **named: Any) -> Any:
        statement = str(arguments[0]) if arguments else method
        if not _CHANGE.match(statement):
            return own(connection, *arguments, **named)
        seam(f"before {statement[:300]}", sys._getframe(1))
        result = own(connection, *arguments, **named)
        seam(f"after {statement[:300]}", sys._getframe(1))
        return result

    setattr(duckdb.DuckDBPyConnection, method, watched)


def _stage(frame: FrameType | None) -> str:
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        found = _STAGES.get(f"{module}:{frame.f_code.co_name}")
        while not found and module:
            found = _STAGES.get(module)
            module = module.rpartition(".")[0]
        if found:
            return found
        frame = frame.f_back
    return OTHER


def _kill() -> None:
    os.killpg(0, signal.SIGKILL)
