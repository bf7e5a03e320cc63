"""The command `logs`: prints the log files in readable form.

Reads data/logs/*.jsonl of all components.
"""

import json
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Annotated, Any, Literal

import typer
from rich.text import Text

from orchestration.cli.terminal import console, say
from orchestration.settings import data_folder

Level = Literal["debug", "info", "warning", "error", "critical"]
LEVELS = ("debug", "info", "warning", "error", "critical")
STYLES = {"warning": "yellow", "error": "red", "critical": "bold red", "debug": "dim"}
FIXED = ("at", "level", "component", "run", "shop", "pid", "message", "traceback")
SHORT_RUN = 8  # characters of a run's id
POLL_SECONDS = 0.5

Line = dict[str, Any]


def logs(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep printing new lines until Ctrl-C.")] = False,
    level: Annotated[Level, typer.Option(help="Minimum level.")] = "info",
    run: Annotated[str | None, typer.Option(help="Only lines of this run: its id, or the beginning of it.")] = None,
    lines: Annotated[int, typer.Option(min=0, help="How many of the newest lines to print; 0 prints all.")] = 200,
) -> None:
    """Print what the collector, refreshes and the API have logged, oldest first."""
    from orchestration.log_files import is_being_written, log_files

    def wanted(line: Line) -> bool:
        return LEVELS.index(line["level"]) >= LEVELS.index(level) and str(line["run"]).startswith(run or "")

    tails = {file: _Tail(file) for file in log_files(data_folder())}
    found = _new_lines(tails.values())
    for line in deque(filter(wanted, found), lines or None):
        _print(line)
    if not found and not follow:
        say(f"There are no logs in {data_folder()} yet.")
    while follow:
        time.sleep(POLL_SECONDS)
        tails = {file: tails.get(file) or _Tail(file) for file in log_files(data_folder()) if is_being_written(file)}
        for line in filter(wanted, _new_lines(tails.values())):
            _print(line)


def _new_lines(tails: Iterable["_Tail"]) -> list[Line]:
    return sorted((line for tail in tails for line in tail.new_lines()), key=lambda line: line["at"])


class _Tail:
    """The unread lines of a log file; continues with the new file after a rotation."""

    def __init__(self, file: Path) -> None:
        self._file, self._open = file, file.open("rb")

    def new_lines(self) -> Iterator[Line]:
        yield from _complete_lines(self._open)
        try:
            rotated = self._file.stat().st_ino != os.fstat(self._open.fileno()).st_ino
        except FileNotFoundError:
            return
        if rotated:
            self._open.close()
            self._open = self._file.open("rb")
            yield from _complete_lines(self._open)


def _complete_lines(file: IO[bytes]) -> Iterator[Line]:
    while text := file.readline():
        if not text.endswith(b"\n"):  # still being written
            file.seek(-len(text), 1)
            return
        try:
            line = json.loads(text)
        except ValueError:  # cut off by a full disk
            continue
        if isinstance(line, dict) and line.get("level") in LEVELS and "at" in line:
            yield line


def _print(line: Line) -> None:
    """One line: time (UTC), level, component, run, shop, message, and whatever else was recorded."""
    more = " ".join(f"{name}={value}" for name, value in line.items() if name not in FIXED and value is not None)
    text = Text(line["at"][:19].replace("T", " "), style="dim")
    text.append(f" {line['level']:<7}", STYLES.get(line["level"], ""))
    text.append(f" {line.get('component')} {str(line['run'])[:SHORT_RUN]}", "cyan")
    text.append(f" {line['shop']}" if line.get("shop") else "", "magenta")
    text.append(f" {line.get('message')}", "")
    text.append(f" {more}" if more else "", "dim")
    for place in line.get("traceback") or ():
        text.append(f"\n    {place}", "dim")
    console.print(text, soft_wrap=True)
