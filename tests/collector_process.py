"""The collector as a process, for tests."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.child_process import read_line
from tests.conftest import PROJECT


def start_collector(data: Path) -> tuple[subprocess.Popen, str]:
    """Start a collector for a data folder with the command; returns its process and URL once it listens."""
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestration.cli", "--data", str(data), "collect", "--port", "0"],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    line = read_line(process)
    return process, line[line.index("http://") :].strip()


@contextmanager
def collecting(data: Path) -> Iterator[str]:
    """Run a collector for a data folder; yields its URL. Stops it as an operator would."""
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
