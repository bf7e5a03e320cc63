"""The peak memory of this process, for benchmarks."""

from pathlib import Path


def peak_mb() -> int:
    """The largest resident memory of this process so far, in MB.

    Not getrusage's ru_maxrss: a child process starts with the peak of the process that started it.
    """
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) // 1024
