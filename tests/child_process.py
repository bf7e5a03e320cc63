"""Child processes of tests: none outlives its test, and none keeps a test waiting for output without a limit."""

import contextlib
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from tests.conftest import PROJECT


@contextlib.contextmanager
def child_process(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen]:
    """Run a command in the project's folder; at the end, whatever is left of it and its children is killed."""
    with subprocess.Popen(command, cwd=PROJECT, text=True, start_new_session=True, **options) as process:
        try:
            yield process
        finally:
            kill(process)


def kill(process: subprocess.Popen) -> None:
    """Kill a process that leads a session, and its children, which may outlive it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def read_line(process: subprocess.Popen, seconds: float = 120) -> str:
    """The next line that a process prints; it is killed if it prints none in time."""
    timer = threading.Timer(seconds, kill, [process])
    timer.start()
    try:
        return process.stdout.readline()
    finally:
        timer.cancel()


def free_port() -> int:
    """A port of 127.0.0.1 for a server that cannot choose one itself."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
