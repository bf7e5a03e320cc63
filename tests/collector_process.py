"""The collector as a process, for tests."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import PROJECT


def start_collector(data: Path) -> tuple[subprocess.Popen, str]:
    """Start a collector on a data folder by the command; its process and its URL, once it listens."""
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestration.cli", "--data", str(data), "collect", "--port", "0"],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    )
    line = process.stdout.readline()
    return process, line[line.index("http://") :].strip()


@contextmanager
def collecting(data: Path) -> Iterator[str]:
    """The URL of a collector on a data folder; it is stopped as by an operator."""
    process, url = start_collector(data)
    try:
        yield url
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdout.close()
