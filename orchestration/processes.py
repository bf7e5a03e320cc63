"""Child processes of the command line: started, awaited until they answer, ended."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

STOP_SECONDS = 30


class ChildFailed(Exception):
    """A child process did not start or did not end well; the message is its own."""


@contextmanager
def running_collector() -> Iterator[str]:
    """The real collector on a free loopback port for as long as the block runs; its URL.

    When the block ends the collector has sealed what it acknowledged.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestration.cli", "collect", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        if "http://" not in line:
            process.wait(STOP_SECONDS)
            raise ChildFailed(process.stderr.read().strip() or "The collector did not start.")
        yield line[line.index("http://") :].strip()
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=STOP_SECONDS)
    if process.returncode not in (0, -signal.SIGTERM):
        raise ChildFailed(errors.strip() or f"The collector ended with exit code {process.returncode}.")


def collector_counts(url: str) -> dict[str, int]:
    """What a running collector has done with events since it started, by outcome (from its /metrics)."""
    counts = {}
    for line in httpx.get(f"{url}/metrics", trust_env=False).text.splitlines():
        if line.startswith("pixelnova_collector_events_total{"):
            label, count = line.rsplit(" ", 1)
            counts[label.split('"')[1]] = int(count)
    return counts
