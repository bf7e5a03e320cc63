"""The collector as a process, for tests."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import PROJECT


@contextmanager
def collecting(data: Path) -> Iterator[str]:
    """A collector on a data folder, as `pixelnova collect` starts it; its URL. It is stopped as by an operator."""
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestration.cli", "--data", str(data), "collect", "--port", "0"],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        yield line[line.index("http://") :].strip()
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdout.close()
