"""Log files: one JSON object per line in data/logs/<component>.jsonl, rotated by size.

Takes records from Python's logging, writes lines without personal data. Several processes may write to one file.
"""

import contextlib
import fcntl
import itertools
import json
import logging
import os
import secrets
import sys
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ingestion.collector.personal_text import clean_text

FOLDER = "logs"
PACKAGES = ("ingestion", "orchestration", "serving")
MAX_FILE_BYTES = 10_000_000
OLDER_FILES = 4
MAX_CHARACTERS = 2_000  # of a message or an error
FRAMES = 12  # of a traceback, the innermost
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "color_message", "taskName"}


class JsonLines(logging.Formatter):
    """Formats a record as {at, level, component, run, shop, pid, message, …}, followed by the call's `extra`.

    run: id of the refresh, or of the server's lifetime. shop: None if the line does not concern a single shop. Personal
    data is removed from texts; of an exception, its message and the places in the code are kept.
    """

    def __init__(self, component: str, run: str) -> None:
        super().__init__()
        self._component, self._run = component, run

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON, without its line break."""
        extra = {name: value for name, value in record.__dict__.items() if name not in _STANDARD}
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "component": self._component,
            "run": self._run,
            "shop": extra.pop("shop", None),
            "pid": record.process,
            "message": _clean(record.getMessage(), numbers=False),
            **{name: _clean(value) if isinstance(value, str) else value for name, value in extra.items()},
        }
        if record.exc_info and record.exc_info[1]:
            error = record.exc_info[1]
            frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
            line["error"] = _clean(f"{type(error).__name__}: {error}")
            line["traceback"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        return json.dumps(line, ensure_ascii=False, default=str)


class RotatingFile(logging.Handler):
    """Appends lines to a file; the process that fills it rotates it. The file is opened for each line, under a lock.

    No error is raised. If the log cannot be written, the first failure is reported on stderr.
    """

    def __init__(self, file: str, max_bytes: int = MAX_FILE_BYTES, older: int = OLDER_FILES) -> None:
        super().__init__()
        self._file, self._max_bytes, self._older = Path(file), max_bytes, older
        self._has_failed = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            line = f"{self.format(record)}\n".encode(errors="replace")  # names of files may hold lone surrogates
            with _locked(self._file.parent):
                if self._file.exists() and self._file.stat().st_size + len(line) > self._max_bytes:
                    self._rotate()
                with self._file.open("ab") as file:
                    file.write(line)
        except OSError as error:
            if not self._has_failed:
                self._has_failed = True
                with contextlib.suppress(OSError):
                    sys.stderr.write(f"Log lines cannot be written to {self._file} ({error.strerror}).\n")
        except Exception:  # the caller must not fail because of its log
            self.handleError(record)

    def _rotate(self) -> None:
        names = [self._file, *(self._file.with_suffix(f".{number}.jsonl") for number in range(1, self._older + 1))]
        for newer, older in reversed(list(itertools.pairwise(names))):
            if newer.exists():
                newer.replace(older)


def log_files(data: Path) -> list[Path]:
    """All log files, each component's oldest first."""
    return sorted((data / FOLDER).glob("*.jsonl"), key=lambda file: (file.name.split(".")[0], -_age(file)))


def is_being_written(file: Path) -> bool:
    """Whether a log file still receives lines; otherwise it was rotated."""
    return _age(file) == 0


def file_handler(data: Path, component: str, run: str) -> logging.Handler:
    """The handler that writes a component's log in this process."""
    handler = RotatingFile(str(data / FOLDER / f"{component}.jsonl"))
    handler.setFormatter(JsonLines(component, run))
    return handler


@contextlib.contextmanager
def logging_to(data: Path, component: str, run: str) -> Iterator[None]:
    """Write what Pixelnova's packages log within the block."""
    handler = file_handler(data, component, run)
    loggers = [logging.getLogger(name) for name in PACKAGES]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)


def server_logging(data: Path, component: str) -> dict[str, Any]:
    """The `logging.config.dictConfig` configuration of a server and its workers: the file, and warnings on stderr."""
    file = str(data / FOLDER / f"{component}.jsonl")
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {"()": f"{__name__}.JsonLines", "component": component, "run": secrets.token_hex(4)},
            "text": {"format": "%(levelname)s: %(message)s"},
        },
        "handlers": {
            "file": {"()": f"{__name__}.RotatingFile", "file": file, "formatter": "json"},
            "stderr": {"class": "logging.StreamHandler", "level": "WARNING", "formatter": "text"},
        },
        "root": {"level": "WARNING", "handlers": ["file", "stderr"]},
        "loggers": {name: {"level": "INFO"} for name in PACKAGES},
    }


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / ".lock", os.O_CREAT | os.O_WRONLY, 0o640)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _age(file: Path) -> int:
    """0 for the newest file of a component, then its number."""
    number = file.name.split(".")[1]
    return int(number) if number.isdigit() else 0


def _clean(text: str, numbers: bool = True) -> str:
    return clean_text(text[:MAX_CHARACTERS], numbers)
