"""Child processes of the command line.

Starts them, waits until they are ready, and stops them.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from orchestration.errors import OrchestrationError

STOP_SECONDS = 30


class ChildFailed(OrchestrationError):
    """A child process did not start, or ended with an error; the message is the child's."""


@contextmanager
def running_collector() -> Iterator[str]:
    """Run a collector on a free loopback port while the block runs; yields its URL.

    When the block ends, the collector has sealed what it acknowledged.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestration.cli", "collect", "--port", "0", "--requests-per-second", "0"],
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
    """Events by outcome since a running collector started (from its /metrics)."""
    import httpx  # slow to import

    counts = {}
    for line in httpx.get(f"{url}/metrics", trust_env=False).text.splitlines():
        if line.startswith("pixelnova_collector_events_total{"):
            label, count = line.rsplit(" ", 1)
            counts[label.split('"')[1]] = int(float(count))
    return counts


def run_together(commands: Sequence[Sequence[str | Path]], folder: Path) -> int:
    """Run long-lived commands side by side until one ends, or until Ctrl-C or SIGTERM; then end them all.

    Each runs in its own process group, so that its children are stopped with it.

    Returns:
        The exit code of the command that ended on its own, else 0.
    """
    former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    processes = [subprocess.Popen(command, cwd=folder, start_new_session=True) for command in commands]
    try:
        while all(process.poll() is None for process in processes):
            time.sleep(0.2)
        return next(process.returncode for process in processes if process.returncode is not None)
    except KeyboardInterrupt:
        return 0
    finally:
        _end(processes)
        for number, handler in former.items():
            signal.signal(number, handler)


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):  # a second Ctrl-C must not leave some of them running
        signal.signal(number, signal.SIG_IGN)
    for process in processes:
        _signal_group(process, signal.SIGINT)
    deadline = time.monotonic() + STOP_SECONDS
    for process in processes:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            print(f"{process.args} did not stop in time and was killed.", file=sys.stderr)  # noqa: T201
        _signal_group(process, signal.SIGKILL)  # any children still running
        process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # the whole group has ended
        os.killpg(process.pid, number)
